"""Export a finished run's encoder and decoder as ONNX files and torch.export programs, for use without vaelab.

    python scripts/export.py outputs/runs/two exported/

writes encoder.onnx and encoder.pt2, which map images x (N, C, H, W) in [0, 1] to mean and std (N, D) of q(z|x), and
decoder.onnx and decoder.pt2, which map latents z (N, D) to image (N, C, H, W), the mean of p(x|z). For a conditional
model both also take labels (N,). Those of a model for a range of beta are at --beta, by default 1. The outputs of each
file are compared with the model's before the file is kept.
"""

import argparse
import copy
import math
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from vaelab.cli import tools
from vaelab.errors import InputError, RunFailed
from vaelab.models.contracts import Model

TOLERANCE = 1e-5  # of the outputs; relative where they are larger than 1
FORMATS = ("onnx", "pt2")
NAMES = {"encoder": (["x", "labels"], ["mean", "std"]), "decoder": (["z", "labels"], ["image"])}  # inputs, outputs


def _given(model: Model, labels: Tensor | None) -> Model:
    return model if labels is None else model.given(labels)


def _only(model: Model, piece: str) -> Model:
    """A view of the model with one of its pieces, so that no file holds the weights of the others."""
    view = copy.copy(model)
    view._modules = {piece: getattr(model, piece)}
    if piece == "likelihood":  # a conditional model's label images are the encoder's
        view._parameters = {}
        others = {name: child for name, child in model.named_children() if name not in ("posterior", "prior")}
        view._modules |= others  # what gates the latents
    return view


class Encoder(nn.Module):
    """Maps x ``(N, C, H, W)``, and labels ``(N,)`` for a conditional model, to mean and std ``(N, D)``."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = _only(model, "posterior")

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        q = _given(self.model, labels).encode(x)
        return q.mean, q.variance.sqrt()


class Decoder(nn.Module):
    """Maps z ``(N, D)``, and labels ``(N,)`` for a conditional model, to image ``(N, C, H, W)``."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = _only(model, "likelihood")

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return _given(self.model, labels).decode(z).mean


def example(model: Model, count: int) -> dict[str, tuple[Tensor, ...]]:
    """Inputs of encoder and decoder, for ``count`` images."""
    labels = torch.arange(count) % (model.classes or 1)
    z = model.sample_latents(count)
    x = model.given(labels).decode(z).mean
    given = (labels,) if model.classes is not None else ()
    return {"encoder": (x, *given), "decoder": (z, *given)}


def export(module: nn.Module, inputs: tuple[Tensor, ...], stem: Path) -> None:
    """Write ``stem``.pt2 and ``stem``.onnx, which take any number of images."""
    input_names, output_names = NAMES[stem.name]
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs)
    try:
        with warnings.catch_warnings(), unchecked_distributions():
            warnings.simplefilter("ignore")  # torch warns of its own code
            program = torch.export.export(module, inputs, dynamic_shapes=shapes)
            program.graph.eliminate_dead_code()  # factorisations for densities, which ONNX lacks
            exported = torch.onnx.export(
                program, input_names=input_names[: len(inputs)], output_names=output_names, dynamo=True, verbose=False
            )
    except Exception as error:  # torch's exporters raise all kinds of errors for code that they cannot trace
        raise RunFailed(f"torch cannot export this model's {stem.name}: {type(error).__name__}") from error
    assert exported is not None  # with dynamo=True
    torch.export.save(program, stem.with_suffix(".pt2"))
    exported.save(stem.with_suffix(".onnx"))


@contextmanager
def unchecked_distributions() -> Iterator[None]:
    """In the block, distributions do not look at the values of their parameters, which an exporter cannot trace."""
    checks = torch.distributions.Distribution._validate_args
    torch.distributions.Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        torch.distributions.Distribution.set_default_validate_args(checks)


def difference(module: nn.Module, inputs: tuple[Tensor, ...], stem: Path) -> float:
    """The largest difference between the files' outputs and the module's, relative where those are above 1."""
    import onnxruntime

    expected = _outputs(module(*inputs))
    session = onnxruntime.InferenceSession(stem.with_suffix(".onnx"), providers=["CPUExecutionProvider"])
    given = {place.name: value.numpy() for place, value in zip(session.get_inputs(), inputs, strict=True)}
    loaded = torch.export.load(stem.with_suffix(".pt2")).module()
    found = [*map(torch.from_numpy, session.run(None, given)), *_outputs(loaded(*inputs))]
    # Relative where values are large, as an auto-encoder's latents may be; nan is no agreement.
    pairs = zip(found, expected * 2, strict=True)
    apart = [((ours - theirs).abs() / theirs.abs().clamp_min(1)).nan_to_num(math.inf) for ours, theirs in pairs]
    return max(float(each.max()) for each in apart)


def _outputs(made: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return made if isinstance(made, tuple) else (made,)


@torch.no_grad()
def work() -> None:
    arguments = parse()
    model = tools.open_run(arguments).model
    if model.posterior is None:
        raise InputError(f"{type(model).__name__} has no encoder to export: its posterior is exact")
    modules: dict[str, nn.Module] = {"decoder": Decoder(model).eval()}
    if model.posterior.has_exact_mean:
        modules["encoder"] = Encoder(model).eval()
    else:
        print(f"no encoder: the mean of {type(model.posterior).__name__} has no closed form")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as draft:
        for name, module in sorted(modules.items(), reverse=True):
            stem = Path(draft) / name
            export(module, example(model, 3)[name], stem)
            apart = difference(module, example(model, 7)[name], stem)
            if apart > TOLERANCE:
                raise RunFailed(f"the exported {name} differs from the model by {apart:.1e}; nothing was kept")
            print(f"{arguments.folder / name}.onnx and .pt2, which differ from the model by {apart:.0e} at most")
        for file in Path(draft).iterdir():
            os.replace(file, arguments.folder / file.name)


def parse() -> argparse.Namespace:
    parser = tools.parser(__doc__, device=False)
    parser.add_argument("folder", type=Path, help="where the four files go")
    parser.add_argument("--force", action="store_true", help="overwrite the files")
    arguments = parser.parse_args()
    for file in (arguments.folder / f"{name}.{suffix}" for name in NAMES for suffix in FORMATS):
        if file.exists() and not arguments.force:
            raise InputError(f"{file} exists already and was not touched; take another folder, or --force")
    tools.require("the export", "onnx", "onnxscript", "onnxruntime")
    return arguments


def main() -> None:
    tools.main(work)
