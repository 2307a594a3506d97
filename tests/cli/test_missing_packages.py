"""Commands that need a package which training does not need say so in one line, before they compute."""

from argparse import Namespace

import pytest

from vaelab.cli import explore, export, tools
from vaelab.errors import InputError


@pytest.fixture(autouse=True)
def nothing_else_installed(monkeypatch):
    monkeypatch.setattr(tools, "is_installed", lambda package: False)


def test_a_table_in_parquet_needs_pyarrow(tmp_path):
    arguments = Namespace(file=tmp_path / "z.parquet", force=False)
    with pytest.raises(InputError, match=r"z\.parquet needs pyarrow, .*: pip install pyarrow, or take \.npz$"):
        tools.target(arguments, (".npz", ".parquet"))


def test_a_table_in_csv_needs_nothing_else(tmp_path):
    arguments = Namespace(file=tmp_path / "z.csv", force=False)
    assert tools.target(arguments, (".csv", ".parquet")) == tmp_path / "z.csv"


def test_the_export_needs_onnx(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["export.py", "run", str(tmp_path / "exported")])
    with pytest.raises(InputError, match=r"the export needs .*: pip install onnx onnxscript onnxruntime$"):
        export.parse()


def test_the_explorer_needs_nicegui(monkeypatch):
    monkeypatch.setattr("sys.argv", ["explore.py", "run", "--port", "0"])
    with pytest.raises(InputError, match=r"the explorer needs nicegui, .*: pip install nicegui, or .*\.\[explore\]'$"):
        explore.work()
