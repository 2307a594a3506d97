"""The trial of networks and schedules before the training: shapes and values of what they return."""

import math
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from vaelab.errors import InputError
from vaelab.models.contracts import Network
from vaelab.runs.pieces import make_piece, name_of

OUTPUTS, LATENT, CHANNELS = 3, 5, 2  # sizes that are unlike each other
STEPS = 100


def check_networks(model: Mapping[str, object], x: Tensor) -> None:
    """Make an encoder and a decoder of each network that ``model`` describes, and call them on two images ``x``.

    A posterior or a likelihood would fail on a wrong shape later, in its own lines.

    **Raises**
        InputError: what they return breaks the contract.
    """
    tried: list[object] = []
    for where, options in _networks("model", model):
        if options in tried:
            continue
        tried.append(options)
        network = make_piece(where, options, Network)
        images, (channels, *size) = len(x), x.shape[1:]
        _check(network, f"encoder({OUTPUTS})", network.encoder(OUTPUTS), x, (images, OUTPUTS))
        z, shape = x.new_zeros(4, images, LATENT), (4, images, CHANNELS * channels, *size)
        _check(network, f"decoder({LATENT}, {CHANNELS})", network.decoder(LATENT, CHANNELS), z, shape)


def _networks(where: str, config: object) -> Iterator[tuple[str, Mapping[str, object]]]:
    if isinstance(config, Mapping):
        for name, inner in config.items():
            if name == "network" and isinstance(inner, Mapping) and "_target_" in inner:
                yield f"{where}.{name}", inner
            yield from _networks(f"{where}.{name}", inner)


def _check(network: Network, call: str, module: object, given: Tensor, shape: tuple[int, ...]) -> None:
    said = f"{name_of(network)}.{call}"
    if not isinstance(module, nn.Module):
        raise InputError(f"{said} must return a torch.nn.Module, got {type(module).__name__}")
    made = module(given)
    got = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
    if got != shape:
        raise InputError(f"{said} must map the shape {tuple(given.shape)} to {shape}, got {got}")
    if not torch.isfinite(made).all():
        raise InputError(f"{said} returned values that are not finite, for images in [0, 1] or latents of 0")


def check_schedule(option: str, schedule: Callable[[int, int], object]) -> None:
    """Raise an InputError where ``schedule``, which the option names, is no finite number over a training."""
    for step in (0, STEPS // 2, STEPS):
        value = schedule(step, STEPS)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            got = value if isinstance(value, (int, float)) else type(value).__name__
            raise InputError(
                f"{option}: {name_of(schedule)}.__call__(step={step}, steps={STEPS}) must return a finite number, "
                f"got {got}"
            )
