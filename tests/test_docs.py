"""What the documentation shows runs: the loop by hand, the notebook, and the site that is made of it."""

import re
import subprocess
import sys

import nbclient
import nbformat
import pytest
import torch
from conftest import ROOT, SMALL

NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"


def test_the_loop_by_hand_trains_a_model():
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "optimizer.step" in block)
    assert len(code.splitlines()) <= 25
    names: dict = {}
    torch.manual_seed(0)
    exec(code, names)
    first, last = names["losses"][:10], names["losses"][-10:]
    assert sum(last) < 0.8 * sum(first)
    assert names["px"].mean.shape == (16, 1, 8, 8)


def test_the_notebook_is_small_and_was_run_from_top_to_bottom():
    assert NOTEBOOK.stat().st_size < 400_000
    cells = [cell for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 5
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert not re.search(r"/home/|/work/|/tmp/|/root/", NOTEBOOK.read_text(encoding="utf-8"))


@pytest.mark.filterwarnings("ignore")  # of the kernel and its client
@pytest.mark.engine
def test_the_notebook_runs(tmp_path):
    notebook = nbformat.read(NOTEBOOK, 4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    small = [*(word for word in SMALL if not word.startswith("latent=")), "evaluation.parts=[]"]
    parameters.source = re.sub(r"^short = .*", f"short = {small}", parameters.source, flags=re.MULTILINE)
    assert "mnist5k" in parameters.source
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert len(list((tmp_path / "outputs" / "sweeps" / "plane").glob("*/results.json"))) == 6


@pytest.mark.engine
def test_the_site_is_made_without_a_warning(tmp_path):
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", ROOT / "docs", tmp_path]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    reference = (tmp_path / "api" / "vaelab.html").read_text(encoding="utf-8")
    for name in ("train", "sweep", "compose", "load", "FinishedRun.log_likelihood"):
        assert f'id="vaelab.{name}"' in reference


def test_every_public_name_is_in_the_reference():
    import vaelab

    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md"))
    names = [f"vaelab.{name}" for name in vaelab.__all__ if name != "models"]
    for name in [*names, *(f"vaelab.models.{name}" for name in vaelab.models.__all__)]:
        assert re.search(rf":: {name}$", pages, re.MULTILINE), name


def test_every_page_is_in_the_site():
    site = (ROOT / "docs" / "site.md").read_text(encoding="utf-8").splitlines()
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} - {"site"} <= set(site)
