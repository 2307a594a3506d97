"""A finished run's encoder and decoder as ONNX and as torch.export programs, for use without vaelab.

    python scripts/export.py outputs/runs/two exported/

writes encoder.onnx and encoder.pt2, images x (N, 1, 28, 28) in [0, 1] -> mean and std (N, D) of q(z|x), and
decoder.onnx and decoder.pt2, codes z (N, D) -> image (N, 1, 28, 28), the mean of p(x|z). A conditional model's take
labels (N,) as well. Each file is run beside the model before it is kept.
"""

import copy
import math
import os
import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from vaelab.cli import tools
from vaelab.errors import InputError
from vaelab.models.posteriors import FlowPosterior
from vaelab.models.vae import LatentVariableModel

TOLERANCE = 1e-5
KINDS = ("onnx", "pt2")


def _given(model: LatentVariableModel, labels: Tensor | None) -> LatentVariableModel:
    return model if labels is None else model.given(labels)


def _only(model: LatentVariableModel, piece: str) -> LatentVariableModel:
    """A view of the model with one of its pieces, so that no file carries the weights of the others."""
    view = copy.copy(model)
    view._modules = {piece: getattr(model, piece)}
    if piece == "likelihood":  # a conditional model's label images are the encoder's
        view._parameters = {}
    return view


class Encoder(nn.Module):
    """x (N, 1, H, W), and labels (N,) of a conditional model -> mean, std (N, D)."""

    def __init__(self, model: LatentVariableModel) -> None:
        super().__init__()
        self.model = _only(model, "posterior")

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        q = _given(self.model, labels).encode(x)
        return q.mean, q.variance.sqrt()


class Decoder(nn.Module):
    """z (N, D), and labels (N,) of a conditional model -> image (N, 1, H, W)."""

    def __init__(self, model: LatentVariableModel) -> None:
        super().__init__()
        self.model = _only(model, "likelihood")

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return _given(self.model, labels).decode(z).mean


def example(model: LatentVariableModel, count: int) -> dict[str, tuple[Tensor, ...]]:
    """What encoder and decoder are given for ``count`` images."""
    labels = tools.labels(model, count, None)
    z = model.sample_latents(count)
    x = model.given(labels).decode(z).mean
    given = (labels,) if model.classes is not None else ()
    return {"encoder": (x, *given), "decoder": (z, *given)}


def export(module: nn.Module, inputs: tuple[Tensor, ...], names: tuple[list[str], list[str]], stem: Path) -> None:
    """``stem``.pt2 and ``stem``.onnx, for any number of images."""
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, to itself
            program = torch.export.export(module, inputs, dynamic_shapes=shapes)
            exported = torch.onnx.export(
                program, input_names=names[0][: len(inputs)], output_names=names[1], dynamo=True, verbose=False
            )
    except Exception as error:  # torch's exporters raise what they come across in a model's code
        raise InputError(f"torch cannot export this model's {stem.name}: {type(error).__name__}") from error
    torch.export.save(program, stem.with_suffix(".pt2"))
    exported.save(stem.with_suffix(".onnx"))


def difference(module: nn.Module, inputs: tuple[Tensor, ...], stem: Path) -> float:
    """By how much the files' outputs differ from the module's, at most; relative to those above 1."""
    import onnxruntime

    expected = _outputs(module(*inputs))
    session = onnxruntime.InferenceSession(stem.with_suffix(".onnx"), providers=["CPUExecutionProvider"])
    given = {place.name: value.numpy() for place, value in zip(session.get_inputs(), inputs, strict=True)}
    loaded = torch.export.load(stem.with_suffix(".pt2")).module()
    found = [*map(torch.from_numpy, session.run(None, given)), *_outputs(loaded(*inputs))]
    # Relative where values are large, as an auto-encoder's codes may be; and no number is no agreement.
    pairs = zip(found, expected * 2, strict=True)
    apart = [((ours - theirs).abs() / theirs.abs().clamp_min(1)).nan_to_num(math.inf) for ours, theirs in pairs]
    return max(float(each.max()) for each in apart)


def _outputs(made: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return made if isinstance(made, tuple) else (made,)


@torch.no_grad()
def work() -> None:
    parser = tools.parser(__doc__, device=False)
    parser.add_argument("folder", type=Path, help="where the four files go")
    parser.add_argument("--force", action="store_true", help="also where they exist")
    arguments = parser.parse_args()
    names = {"encoder": (["x", "labels"], ["mean", "std"]), "decoder": (["z", "labels"], ["image"])}
    for file in (arguments.folder / f"{name}.{kind}" for name in names for kind in KINDS):
        if file.exists() and not arguments.force:
            raise InputError(f"{file} exists already and was not touched; take another folder, or --force")
    model = tools.open_run(arguments, reads_data=False)[0].model
    if not model.has_continuous_latents:
        raise InputError("a mixture has no encoder or decoder to export: its components are its decoder's table")
    modules = {"encoder": Encoder(model).eval(), "decoder": Decoder(model).eval()}
    if isinstance(model.posterior, FlowPosterior):
        del modules["encoder"]
        print("no encoder: a flow posterior's mean has no closed form, it is found by drawing")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as draft:
        for name, module in modules.items():
            stem = Path(draft) / name
            export(module, example(model, 3)[name], names[name], stem)
            apart = difference(module, example(model, 7)[name], stem)
            if apart > TOLERANCE:
                raise InputError(f"the exported {name} differs from the model by {apart:.1e}; nothing was kept")
            print(f"{arguments.folder / name}.onnx and .pt2, which differ from the model by {apart:.0e} at most")
        for file in Path(draft).iterdir():
            os.replace(file, arguments.folder / file.name)


if __name__ == "__main__":
    tools.main(work)
