"""Layers: what the hidden layers of networks have in common, and fully connected layers made of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from vaelab.checks import flag, one_of, whole
from vaelab.errors import InputError

Built = TypeVar("Built", bound=nn.Module)
Fan: TypeAlias = Literal["fan_in", "fan_out"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}
INITS = ("torch", "he", "glorot")
LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)  # whose weights ``init`` draws


def activation(option: str, name: str) -> nn.Module:
    """The activation called ``name``; ``option`` is the option's name in the error message."""
    return ACTIVATIONS[one_of(option, name, ACTIVATIONS)]()


def check_widths(option: str, widths: Sequence[int]) -> list[int]:
    """``widths`` as a list of whole numbers; ``option`` is the option's name in the error message."""
    if isinstance(widths, (str, int, float)) or widths is None:
        raise InputError(f"{option} must be a list of widths such as [400] or [512,256], got {widths!r}")
    return [whole(f"each width in {option}", width) for width in widths]


class Gated(nn.Module):
    """h(x) = a(x) · sigmoid(b(x)) of two linear layers or convolutions a and b: a hidden layer with its nonlinearity.

    **References**
        Language Modeling with Gated Convolutional Networks (Dauphin et al., 2017).
        VAE with a VampPrior (Tomczak and Welling, 2018), where they make a VAE.
    """

    def __init__(self, layer: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.value = layer()
        self.gate = layer()

    def forward(self, x: Tensor) -> Tensor:
        return self.value(x) * torch.sigmoid(self.gate(x))


@dataclass(frozen=True)
class Style:
    """What the hidden layers of a network have in common.

    **Arguments**
        activation: after each hidden layer that is not gated.
        gated: hidden layers are `Gated`, and have no other activation.
        init: of the weights, see `initialised`.
        group: whose options these are, for error messages.
    """

    activation: str = "relu"
    gated: bool = False
    init: str = "torch"
    group: str = "network"

    def __post_init__(self) -> None:
        one_of(f"{self.group}.activation", self.activation, ACTIVATIONS)
        flag(f"{self.group}.gated", self.gated)
        one_of(f"{self.group}.init", self.init, INITS)

    def hidden(self, layer: Callable[[], nn.Module]) -> list[nn.Module]:
        """A hidden layer, which ``layer`` makes, with what makes it nonlinear."""
        return [Gated(layer)] if self.gated else [layer(), activation("network.activation", self.activation)]

    def initialised(self, network: Built) -> Built:
        """``network`` with its weights drawn anew, unless ``init`` is torch: then they stay as torch drew them.

            he:      N(0, 2 / fan_in)
            glorot:  uniform in ±√(6 / (fan_in + fan_out))

        Biases are 0 then. A layer with a gate is drawn as two layers.

        **References**
            Understanding the difficulty of training deep feedforward neural networks (Glorot and Bengio, 2010).
            Delving Deep into Rectifiers (He et al., 2015).
        """
        layers = [] if self.init == "torch" else [m for m in network.modules() if isinstance(m, LAYERS)]
        for layer in layers:
            if self.init == "glorot":
                nn.init.xavier_uniform_(layer.weight)
            else:  # a transposed convolution's weights have inputs and outputs exchanged
                mode: Fan = "fan_out" if isinstance(layer, nn.ConvTranspose2d) else "fan_in"
                nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        return network


def mlp(widths: Sequence[int], style: Style, ends_hidden: bool = False) -> nn.Sequential:
    """Linear layers from ``widths[0]`` to ``widths[-1]``; with ``ends_hidden`` the last is a hidden layer too."""
    *before, last = (partial(nn.Linear, fan_in, fan_out) for fan_in, fan_out in pairwise(widths))
    layers = [layer for linear in before for layer in style.hidden(linear)]
    return nn.Sequential(*layers, *(style.hidden(last) if ends_hidden else [last()]))
