"""The trial of tensors before the training: they move with the model, and gradients reach the parameters."""

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.errors import InputError, VaelabError, one_line
from vaelab.models.contracts import Model
from vaelab.runs.pieces import name_of
from vaelab.runs.tracebacks import piece_of
from vaelab.training.module import Batch, VAEModule

LIBRARIES = ("torch", "lightning", "zuko")


def check_placement(module: VAEModule) -> None:
    """Raise an InputError where a piece keeps a tensor that does not move to a GPU with it, and is in no checkpoint."""
    for owner in (*module.model.modules(), module.objective):
        if type(owner).__module__.partition(".")[0] in LIBRARIES:
            continue
        for attribute, value in vars(owner).items():
            if (kind := _kind(value)) is not None:
                raise InputError(
                    f"{name_of(owner)}.{attribute} is {kind} that is no parameter and no buffer, so it would stay "
                    f"behind when the model moves to a GPU: {_remedy(owner, attribute, value)}"
                )


def _kind(value: object) -> str | None:
    if isinstance(value, Tensor):
        return "a tensor"
    if isinstance(value, Distribution):
        return "a distribution, made of tensors,"
    if isinstance(value, (list, tuple)) and any(isinstance(item, Tensor) for item in value):
        return "a list of tensors"
    return None


def _remedy(owner: object, attribute: str, value: object) -> str:
    if isinstance(value, Tensor) and isinstance(owner, nn.Module):
        return f"self.register_buffer({attribute!r}, ...)"
    return "keep the tensors by self.register_buffer(...), and make it of them in the call"


def check_gradients(module: VAEModule, model: Model, batch: Batch) -> None:
    """Raise an InputError where no parameter of a piece gets a gradient from the loss."""
    if model.is_solved:
        return
    with torch.enable_grad():
        module.infer(batch, module.steps)  # what an objective first does later is to fail here, not hours from now
        loss = module.infer(batch, 0)[1].mean()
    if not loss.requires_grad:
        raise InputError(
            f"{name_of(module.objective)}.__call__ must return a loss that depends on the parameters: compute with "
            "tensors of the inference, without detach(), item() or numpy"
        )
    pieces: Mapping[str, nn.Module | None] = {
        "posterior": model.posterior,
        "likelihood": model.likelihood,
        "prior": model.prior if module.objective.weighs_kl else None,
    }
    for kind, piece in pieces.items():
        weights = [weight for weight in piece.parameters() if weight.requires_grad] if piece is not None else []
        found = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True) if weights else ()
        if weights and all(gradient is None for gradient in found):
            raise InputError(
                f"{name_of(piece)}.forward: no parameter of the {kind} gets a gradient from the loss: compute with the "
                "parameters themselves, without detach(), .data, item() or numpy"
            )


@contextmanager
def explaining_values(piece: object, letter: str) -> Iterator[None]:
    """What torch's distributions reject, such as a scale that is nan, as one line with the name of ``piece``."""
    try:
        yield
    except ValueError as error:
        if isinstance(error, VaelabError) or not str(error).startswith("Expected "):
            raise
        said = one_line(ValueError(str(error).partition(":\n")[0]))
        raise InputError(f"{name_of(piece)}.forward: {letter} cannot be computed: {said}") from error


@contextmanager
def explaining_devices(device: torch.device) -> Iterator[None]:
    """Tensors of two devices in one operation as one line, with the line of the piece."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in ("same device", "expected device")):
            raise
        frame = [frame for frame in traceback.extract_tb(error.__traceback__) if "/torch/" not in frame.filename][-1]
        raise InputError(
            f"{piece_of(error.__traceback__) or 'a piece'} computes with tensors of the CPU and of {device.type}: make "
            f"new tensors on the device of the given ones, such as z.new_zeros(...): {frame.filename}, line "
            f"{frame.lineno}: {frame.line}"
        ) from error


def check_device(module: VAEModule, batch: Batch, device: torch.device) -> None:
    """Call the model and its objective once on ``device``, where the training will be; then back to the CPU.

    **Raises**
        InputError: a piece makes tensors on the CPU.
    """
    x, labels = batch
    try:
        with explaining_devices(device):
            module.to(device).infer((x.to(device), labels.to(device)), 0)
    finally:
        module.to("cpu")
