"""A VAE for a whole range of β: gates scale the units of every layer by functions of log β, trained in one run.

    h = g(log β) · ((W + log β U V) x + b) + s log β
    encoder: g(t) = σ(a t + c),    decoder: g(t) = √(1 - σ(a t + c))

One a, c and s for each unit; U V has a low rank and belongs to linear layers only; s = 0 and U = 0 at first. During
the training β differs within a batch; afterwards the model is one for every β of its range.

Three things are not in the paper. With s, and with a gate of the latents before they are decoded, the optimum of a
linear VAE is within reach, which is known: its decoder's weights scale with √(1 - β σ²/λ) per latent, and its log
variance is log β + log(σ²/λ). U V changes the directions of the weights with β, where gates change only their lengths.
What each is worth on MNIST is in docs/multirate.md.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.checks import number, whole
from vaelab.errors import InputError
from vaelab.models.contracts import Likelihood, Model, Objective, Posterior, Prior, Schedule
from vaelab.models.layers import LAYERS
from vaelab.models.vae import LatentVariableModel

NEEDS_RANGE = "a multi-rate model is trained on a range of beta: take beta=range, or model=vae for one beta"
ENCODER_START, DECODER_START = 0.95, 0.98  # of the gates, at every β


class LogBeta:
    """The log β that all gates of a model respond to at a time.

    **Attributes**
        value: a number, or ``(G,)`` of the groups of consecutive images of a batch; None: β = 1.
        images: how many images a group has.
    """

    def __init__(self) -> None:
        self.value: Tensor | None = None
        self.images = 1

    @contextmanager
    def set(self, value: Tensor | None, images: int = 1) -> Iterator[None]:
        """These values in the block."""
        before = self.value, self.images
        self.value, self.images = value, images
        try:
            yield
        finally:
            self.value, self.images = before


class Gate(nn.Module):
    """g(log β): a factor for each unit.

    **Arguments**
        units: how many.
        is_decoder: which of the two forms g has.
    """

    def __init__(self, units: int, is_decoder: bool) -> None:
        super().__init__()
        self.is_decoder = is_decoder
        start = 1 - DECODER_START**2 if is_decoder else ENCODER_START
        self.slope = nn.Parameter(torch.zeros(units))
        self.offset = nn.Parameter(torch.full((units,), start).logit())

    def forward(self, t: Tensor | None) -> Tensor:
        """The factors ``(units,)`` at log β = ``t``, a number, or ``(G, units)`` at ``t`` ``(G, 1)``; None: β = 1."""
        u: Tensor = self.offset if t is None else self.offset + self.slope * t
        return torch.sigmoid(-u).sqrt() if self.is_decoder else torch.sigmoid(u)


class GatedLayer(nn.Module):
    """g(log β) · (``layer``(x) + log β U V x) + s log β, with g and s of each unit or channel.

    **References**
        Multi-Rate VAE: Train Once, Get the Full Rate-Distortion Curve (Bae et al., 2023), section 4.
        LoRA: Low-Rank Adaptation of Large Language Models (Hu et al., 2022), for U V.

    **Arguments**
        layer: a linear layer or a convolution.
        log_beta: the model's.
        is_decoder: which of the two forms g has.
        rank: the largest rank of U V; 0, and for a convolution, there is none.
    """

    def __init__(self, layer: nn.Module, log_beta: LogBeta, is_decoder: bool, rank: int = 0) -> None:
        super().__init__()
        self.layer = layer
        self.log_beta = log_beta
        self.is_linear = isinstance(layer, nn.Linear)
        units = layer.out_features if isinstance(layer, nn.Linear) else int(layer.out_channels)  # type: ignore[arg-type]
        self.gate = Gate(units, is_decoder)
        self.shift = nn.Parameter(torch.zeros(units))
        self.down = self.up = None
        if isinstance(layer, nn.Linear) and rank:
            rank = min(rank, layer.in_features, units)
            self.down, self.up = nn.Linear(layer.in_features, rank, bias=False), nn.Linear(rank, units, bias=False)
            nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        h, t = self.layer(x), self.log_beta.value
        if t is None:
            return h * self._per_unit(self.gate(t)).to(h.dtype)
        if not t.dim():
            return self._at(h, x, t)
        # The images of a batch repeat where several samples of each are decoded. Groups get a dimension of their own.
        batch = h.dim() - (1 if self.is_linear else 3)
        groups = (-1, len(t), self.log_beta.images)
        found = self._at(h.reshape(*groups, *h.shape[batch:]), x.reshape(*groups, *x.shape[batch:]), t.view(-1, 1, 1))
        return found.reshape(h.shape)

    def _at(self, h: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The result for the layer's own ``h`` of ``x``, at a log β that has their dimensions up to the units."""
        if self.down is not None and self.up is not None:
            h = h + self.up(self.down(x) * t.to(h.dtype))
        gate, shift = self._per_unit(self.gate(t)), self._per_unit(self.shift * t)
        return torch.addcmul(shift.to(h.dtype), h, gate.to(h.dtype))

    def _per_unit(self, values: Tensor) -> Tensor:
        return values if self.is_linear else values[..., None, None]


class MultirateModel(LatentVariableModel):
    """A VAE whose encoder and decoder respond to β, by a gate at each unit of each layer of both networks.

    ``model.at(beta)`` is the model of one β, or of one β for each image of a batch; without it β is 1. All other
    pieces are as in any VAE. The prior must be N(0, I): another would have one set of weights for every β.

    **References**
        Multi-Rate VAE: Train Once, Get the Full Rate-Distortion Curve (Bae et al., 2023).

    **Arguments**
        posterior, likelihood, prior: the three pieces.
        low, high: the smallest and the largest β that the model is for; 1 lies between them.
        rank: the largest rank of the part of a linear layer's weights that grows with log β; 0: there is none.

    **Raises**
        InputError: the range does not include 1, the prior is not N(0, I), the posterior has several layers, or a
            network has no layer to gate.
    """

    def __init__(
        self,
        posterior: Posterior,
        likelihood: Likelihood,
        prior: Prior,
        low: float | None = 0.25,
        high: float | None = 4.0,
        rank: int = 0,
    ) -> None:
        super().__init__(posterior, likelihood, prior)
        if low is None or high is None:  # another schedule than beta=range has none
            raise InputError(NEEDS_RANGE)
        if posterior.layers:
            raise InputError(
                f"{type(posterior).__name__} has layers that no gate reaches: take posterior=gaussian or posterior=flow"
            )
        if not prior.is_standard_normal:
            raise InputError(
                f"{type(prior).__name__} has one set of weights for every beta, and a multi-rate model needs a prior "
                "that suits all of them: take prior=normal"
            )
        self.betas: tuple[float, float] = beta_range(low, high)
        rank = whole("model.rank", rank, 0)
        self.log_beta = LogBeta()
        self._value: Tensor | None = None
        self._images = 1
        for piece, is_decoder in ((posterior, False), (likelihood, True)):
            if not sum(_add_gates(network, self.log_beta, is_decoder, rank) for network in piece.networks()):
                raise InputError(f"{type(piece).__name__} has no network with linear layers or convolutions to gate")
        self.latent_gate = Gate(self.prior_distribution().event_shape[0], is_decoder=True)

    def at(self, beta: float | Tensor) -> "MultirateModel":
        """A view of this model, with the same weights, at ``beta``: a number, or ``(B,)`` for the images of a batch.

        **Raises**
            InputError: a number outside the range of the training.
        """
        if not isinstance(beta, Tensor):
            low, high = self.betas
            if not low <= beta <= high:
                raise InputError(f"this model is for a beta from {low:g} to {high:g}, got {beta:g}")
        view = copy.copy(self)
        value = torch.as_tensor(beta, dtype=torch.float32, device=next(self.parameters()).device)
        value, view._images = _grouped(value)
        view._value = value.log()
        return view

    def encode(self, x: Tensor) -> Distribution:
        with self.log_beta.set(self._value, self._images):
            return super().encode(x)

    def decode(self, z: Tensor) -> Distribution:
        t = self._value
        gates = self.latent_gate(t if t is None or not t.dim() else t.unsqueeze(-1))
        if gates.dim() == 2:
            gates = gates.repeat_interleave(self._images, 0)
        with self.log_beta.set(t, self._images):
            return super().decode(z * gates)


def _grouped(beta: Tensor) -> tuple[Tensor, int]:
    """The values of consecutive equal ``beta`` ``(B,)``, and how many each has; ``beta`` and 1 where these differ.

    Gates are then computed once for each group. On a GPU, which would have to wait for the comparison, it is left out.
    """
    if not beta.dim() or beta.device.type != "cpu":
        return beta, 1
    values, counts = beta.unique_consecutive(return_counts=True)
    images = int(counts[0]) if len(counts) else 1
    return (values, images) if bool((counts == images).all()) else (beta, 1)


def beta_range(low: object, high: object) -> tuple[float, float]:
    """``(low, high)``, checked.

    **Raises**
        InputError: they do not enclose 1, where a run is compared with others.
    """
    lowest, highest = number("beta.low", low, above=True), number("beta.high", high, above=True)
    if not lowest <= 1 <= highest or lowest == highest:
        raise InputError(
            f"beta.low and beta.high must enclose 1, where runs are compared, got {lowest:g} and {highest:g}"
        )
    return lowest, highest


def check_range(model: Model, objective: Objective, beta: Schedule) -> None:
    """Raise an InputError where only one of model and β is for a range of β, or the loss takes no β per image."""
    if beta.is_range and model.betas is None:
        raise InputError(f"beta=range is for model=multirate, got {type(model).__name__}: take beta=constant")
    if model.betas is not None and not beta.is_range:
        raise InputError(NEEDS_RANGE)
    if beta.is_range and not objective.weighs_whole_kl:
        raise InputError(f"{type(objective).__name__} takes no beta per image, which beta=range draws: take loss=elbo")


def _add_gates(module: nn.Module, log_beta: LogBeta, is_decoder: bool, rank: int) -> int:
    """Put a gate behind every linear layer and convolution in ``module``; returns how many there are."""
    count = 0
    for name, child in module.named_children():
        if isinstance(child, LAYERS):
            setattr(module, name, GatedLayer(child, log_beta, is_decoder, rank))
            count += 1
        else:
            count += _add_gates(child, log_beta, is_decoder, rank)
    return count
