"""A model's encoder and decoder as ONNX files and torch.export programs, compared with the model."""

import copy
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from vaelab.errors import RunFailed
from vaelab.models.contracts import Model

TOLERANCE = 1e-5  # of the outputs; relative where they are larger than 1
NAMES = {"encoder": (["x", "labels"], ["mean", "std"]), "decoder": (["z", "labels"], ["image"])}  # inputs, outputs


def given(model: Model, labels: Tensor | None) -> Model:
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
        q = given(self.model, labels).encode(x)
        return q.mean, q.variance.sqrt()


class Decoder(nn.Module):
    """Maps z ``(N, D)``, and labels ``(N,)`` for a conditional model, to image ``(N, C, H, W)``."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = _only(model, "likelihood")

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return given(self.model, labels).decode(z).mean


def example(model: Model, count: int) -> dict[str, tuple[Tensor, ...]]:
    """Inputs of encoder and decoder, for ``count`` images."""
    labels = torch.arange(count) % (model.classes or 1)
    z = model.sample_latents(count)
    x = model.given(labels).decode(z).mean
    given = (labels,) if model.classes is not None else ()
    return {"encoder": (x, *given), "decoder": (z, *given)}


def export(module: nn.Module, inputs: tuple[Tensor, ...], stem: Path) -> None:
    """Write ``stem``.pt2 and ``stem``.onnx, which take any number of images."""
    program, exported = trace(module, inputs, stem.name, *NAMES[stem.name])
    torch.export.save(program, stem.with_suffix(".pt2"))
    exported.save(stem.with_suffix(".onnx"))


def trace(
    module: nn.Module, inputs: tuple[Tensor, ...], name: str, input_names: list[str], output_names: list[str]
) -> tuple[torch.export.ExportedProgram, torch.onnx.ONNXProgram]:
    """``module`` as programs of torch.export and of ONNX, for any number of images.

    **Arguments**
        name: what a message calls the module, such as ``encoder``.
        input_names: of the ``inputs``; names that are left over belong to inputs that this model does not take.

    **Raises**
        RunFailed: torch cannot export the module.
    """
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
        raise RunFailed(f"torch cannot export this model's {name}: {type(error).__name__}") from error
    assert exported is not None  # with dynamo=True
    return program, exported


@contextmanager
def unchecked_distributions() -> Iterator[None]:
    """In the block, distributions do not check their parameters, because an exporter cannot trace that."""
    checks = torch.distributions.Distribution._validate_args
    torch.distributions.Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        torch.distributions.Distribution.set_default_validate_args(checks)


def difference(module: nn.Module, inputs: tuple[Tensor, ...], stem: Path) -> float:
    """The largest difference between the files' outputs and the module's, relative where those are above 1."""
    expected = _outputs(module(*inputs))
    loaded = torch.export.load(stem.with_suffix(".pt2")).module()
    return max(
        largest_difference(run_onnx(stem.with_suffix(".onnx"), inputs), expected),
        largest_difference(_outputs(loaded(*inputs)), expected),
    )


def run_onnx(file: Path, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The outputs of an ONNX file on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    given = {place.name: value.numpy() for place, value in zip(session.get_inputs(), inputs, strict=True)}
    return tuple(map(torch.from_numpy, session.run(None, given)))


def largest_difference(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> float:
    """The largest difference of two lists of outputs, relative where values are large, as latents of an auto-encoder
    may be; infinite where one is nan, which agrees with nothing."""
    pairs = zip(found, expected, strict=True)
    apart = [((ours - theirs).abs() / theirs.abs().clamp_min(1)).nan_to_num(math.inf) for ours, theirs in pairs]
    return max(float(each.max()) for each in apart)


def _outputs(made: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return made if isinstance(made, tuple) else (made,)
