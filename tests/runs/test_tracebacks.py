"""Which frames of a traceback are shown, and which piece it names."""

import pytest
import torch
from torch import nn

from vaelab.models.networks import MLP
from vaelab.models.posteriors import GaussianPosterior
from vaelab.runs.pieces import note_piece
from vaelab.runs.tracebacks import report_of, shortened


def raised(source: str, filename: str, **names: object) -> ValueError:
    """The exception that ``source`` raises, as if it stood in the file ``filename``."""
    with pytest.raises(ValueError, match="seven") as caught:
        exec(compile(source, filename, "exec"), names)
    return caught.value


CALLER = "def call(function):\n    function()\n"


@pytest.mark.parametrize(
    ("caller", "is_shown"),
    [
        ("/venv/lib/python3.11/site-packages/lightning/pytorch/trainer/trainer.py", False),
        ("/usr/lib/python3/dist-packages/hydra/main.py", False),
        ("/venv/lib/python3.11/site-packages/torch/distributed/launcher/api.py", False),
        ("/venv/lib/python3.11/site-packages/torch/nn/modules/module.py", False),
        ("/venv/lib/python3.11/site-packages/torch/nn/modules/linear.py", True),
        ("/venv/lib/python3.11/site-packages/vaelab/training/module.py", True),
        ("/home/me/lightning/ray/mine.py", True),
        (r"C:\venv\Lib\site-packages\lightning\fabric\fabric.py", False),
    ],
)
def test_frames_of_frameworks_are_hidden_and_those_of_users_are_not(caller, is_shown):
    names: dict = {}
    exec(compile(CALLER, caller, "exec"), names)
    error = raised("def fail():\n    raise ValueError('seven')\ncall(fail)", "/home/me/mine.py", call=names["call"])
    text = shortened(error)
    assert (f'"{caller}", line 2, in call' in text) == is_shown
    assert '"/home/me/mine.py", line 2, in fail' in text
    assert text.endswith("ValueError: seven")


def test_a_cause_is_shown_and_shortened_too():
    hidden = "/venv/lib/python3.11/site-packages/hydra/utils.py"
    inner = "try:\n    raise KeyError('three')\nexcept KeyError as error:\n    raise ValueError('seven') from error"
    text = shortened(raised(f"exec(compile({inner!r}, '/home/me/mine.py', 'exec'))", hidden))
    assert "KeyError: 'three'" in text
    assert "ValueError: seven" in text
    assert hidden not in text


def test_notes_are_printed_once_and_the_piece_below_them():
    class Layer(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("seven")

    posterior = GaussianPosterior(MLP([1, 2, 2], []), 2)
    posterior.network = Layer()
    with pytest.raises(RuntimeError) as caught:
        posterior(torch.zeros(1, 1, 2, 2))
    note_piece(caught.value, "model (some.Model)")
    lines = report_of(caught.value).splitlines()
    assert lines.count("in model (some.Model)") == 1
    assert lines[-1] == f"in the piece {__name__}.{Layer.__qualname__}"


def test_a_library_s_own_layers_are_named_by_the_piece_that_holds_them():
    posterior = GaussianPosterior(MLP([1, 2, 2], []), 2)
    with pytest.raises(RuntimeError) as caught:
        posterior(torch.zeros(1, 1, 3, 3))
    assert shortened(caught.value).endswith("in the piece vaelab.models.posteriors.GaussianPosterior")
