"""What is wrong with a folder of own pieces is one line, with the user's file and line; nothing is touched."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from conftest import SMALL

from vaelab import own
from vaelab.errors import InputError
from vaelab.runs.trial_tensors import explaining_devices

YAML = "_target_: pieces.Mine\n"
PIECE = """
from vaelab.models.priors import StandardNormal


class Mine(StandardNormal):
    def __init__(self):
        super().__init__(4)
"""


@pytest.fixture
def mine(tmp_path_factory) -> Iterator[Callable[..., str]]:
    """Makes a folder of the files given as name=text, with / in names as __."""
    folder = tmp_path_factory.mktemp("mine")

    def write(files: dict[str, str]) -> str:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(folder)

    yield write
    own.use([])


def refused(command, folder: str, *words: str) -> str:
    status, out, err = command("--config-dir", folder, *SMALL, *words)
    assert (status, out) == (1, "")
    assert (err.count("\n"), err[:7]) == (1, "error: "), err
    assert not list(Path().iterdir())
    return err


WRONG_FILES = {
    "an import of what is not installed": (
        {"pieces.py": "import os\nimport numpyy as np\n"},
        "/pieces.py, line 2: import numpyy as np: No module named 'numpyy'",
    ),
    "an import of what a module lacks": (
        {"pieces.py": "from vaelab.models.priors import Norml\n"},
        "/pieces.py, line 1: from vaelab.models.priors import Norml: cannot import name 'Norml'",
    ),
    "an import in a module of its own": (
        {"pieces.py": "from helpers import thing\n", "helpers.py": "\nfrom torch import nothing_at_all\n"},
        "/helpers.py, line 2: from torch import nothing_at_all: cannot import name",
    ),
    "no Python": ({"pieces.py": "class Mine(:\n    pass\n"}, "/pieces.py, line 1: class Mine(:: invalid syntax"),
    "no such module": ({}, "prior._target_=pieces.Mine: there is no module 'pieces' in "),
    "no such class": ({"pieces.py": PIECE.replace("Mine", "Min")}, "no such class or function; did you mean Min?"),
    "a member that is shipped": (
        {"pieces.py": PIECE, "prior/normal.yaml": YAML},
        "/prior/normal.yaml has the name of a file that vaelab ships, which would be taken instead: rename it, such as "
        "prior/my_normal.yaml, for prior=my_normal",
    ),
    "a module of Python": (
        {"pieces.py": PIECE, "random.py": ""},
        "/random.py has the name of a module of Python's own, and would replace it: rename it, such as my_random.py",
    ),
    "a module that is installed": ({"pieces.py": PIECE, "torchmetrics.py": ""}, "/torchmetrics.py has the name of a"),
    "no YAML": ({"pieces.py": PIECE, "prior/mine.yaml": "_target_: [\n"}, "/prior/mine.yaml"),
}


@pytest.mark.parametrize(("files", "says"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_wrong_file_is_one_line_with_the_line_of_the_user(command, mine, files, says):
    assert says in refused(command, mine({"prior/mine.yaml": YAML, **files}), "prior=mine")


def test_a_bug_at_import_keeps_its_traceback(command, mine):
    folder = mine({"prior/mine.yaml": YAML, "pieces.py": f"{PIECE}\n\nmissing_name\n"})
    status, _, err = command("--config-dir", folder, *SMALL, "prior=mine")
    assert status == 1
    assert err.count("Traceback (most recent call last)") == 1
    assert "NameError: name 'missing_name' is not defined" in err
    assert f'File "{folder}/pieces.py"' in err
    assert not list(Path().iterdir())


def test_a_folder_that_does_not_exist(command, script, tmp_path):
    assert "--config-dir=nowhere: there is no such folder" in refused(command, "nowhere", "latent=2")
    status, _, err = script("sample", tmp_path, "s.png", "--config-dir", "nowhere")
    assert (status, err.count("\n")) == (1, 1)


def test_folders_are_forgotten_with_their_modules(mine):
    folder = Path(mine({"pieces.py": "WHERE = 1\n"}))
    before = list(sys.path)
    own.use([folder])
    assert own.load_module("prior", "pieces.Mine", "pieces").WHERE == 1
    own.use([])
    assert "pieces" not in sys.modules
    assert sys.path == before


def test_tensors_of_two_devices_are_one_line():
    device = torch.device("meta")  # stands for a GPU
    says = r"computes with tensors of the CPU and of meta: make new tensors .*test_own_folder.py, line \d+: _ = torch"
    with pytest.raises(InputError, match=says), explaining_devices(device):
        _ = torch.ones(3) + torch.ones(3, device=device)
