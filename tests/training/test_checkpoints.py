"""Checkpoints: no code in them is run, a kill leaves a whole one, a damaged one is refused."""

import pickle
from pathlib import Path

import pytest
import torch
from bombs import Bomb

from vaelab.training.checkpoints import AtomicCheckpointIO, read_checkpoint

GOOD = {"state_dict": {"w": torch.ones(3)}, "config": {"latent": 20}, "data": {}, "epoch": 4, "global_step": 10}


@pytest.mark.parametrize("writer", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_a_pickle_bomb_does_not_go_off(tmp_path, writer):
    path, trace = tmp_path / "bomb.ckpt", tmp_path / "it-ran"
    writer({**GOOD, "payload": Bomb(trace)}, path)
    with pytest.raises(ValueError, match="no checkpoint"):
        read_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off", bytes(2000)])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "file.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="no checkpoint"):
        read_checkpoint(path)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "last.ckpt"
    torch.save(GOOD, path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ValueError, match="damaged"):
        read_checkpoint(path)


def test_weights_of_another_program_are_refused(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match="no checkpoint of a vaelab run"):
        read_checkpoint(tmp_path / "other.ckpt")


def test_saving_replaces_at_once_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "checkpoints" / "last.ckpt"
    io = AtomicCheckpointIO()
    io.save_checkpoint(GOOD, path)
    assert torch.equal(io.load_checkpoint(path)["state_dict"]["w"], torch.ones(3))

    def full(part: Path, content: bytes) -> None:
        with part.open("wb") as file:
            file.write(content[:4])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device.*last\.ckpt"):
        io.save_checkpoint({**GOOD, "epoch": 5}, path)
    monkeypatch.undo()
    assert read_checkpoint(path)["epoch"] == 4
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_runs_checkpoints_load_with_weights_only(finished):
    for name in ("last", "best"):
        checkpoint = torch.load(finished / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert checkpoint["config"]["latent"] == 4
        assert checkpoint["optimizer_states"]
