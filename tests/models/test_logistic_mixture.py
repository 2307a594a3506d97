"""The mixture of discretized logistics against brute force, the formulas of its reference, and natural images."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, logsumexp
from sklearn.datasets import load_sample_images
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily

from vaelab.models.contracts import Likelihood, Network
from vaelab.models.discretized_logistic import DiscretizedLogistic
from vaelab.models.likelihoods import DiscretizedLogisticLikelihood, LogisticMixtureLikelihood
from vaelab.models.logistic_mixture import DiscretizedLogisticMixture

LEVELS = torch.arange(256, dtype=torch.float64) / 255


class Shared(nn.Module):
    """A decoder that ignores the latents: its outputs are its own weights, the same for every pixel."""

    def __init__(self, outputs: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(outputs, 1, 1))
        self.size = size

    def forward(self, z: Tensor) -> Tensor:
        return self.weights.expand(*z.shape[:-1], -1, *self.size)


class Constant(Network):
    """Decoders that ignore the latents."""

    def __init__(self, channels: int, height: int = 1, width: int = 1) -> None:
        self.image = (channels, height, width)

    def encoder(self, outputs: int) -> nn.Module:
        return nn.Flatten()

    def decoder(self, latent: int, channels: int) -> nn.Module:
        return Shared(channels * self.image[0], self.image[1:])


def mixture_of(channels: int, components: int, seed: int = 0, scale: float | None = None) -> DiscretizedLogisticMixture:
    """The distribution of one pixel, with random parameters in float64."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, 1, 1, generator=generator, dtype=torch.float64)

    scales = (
        10 ** (-3 + 3 * draw(components, channels)) if scale is None else scale * (0.5 + draw(components, channels))
    )
    slopes = 2 * draw(components, channels * (channels - 1) // 2) - 1
    return DiscretizedLogisticMixture(4 * draw(components), 1.4 * draw(components, channels) - 0.2, scales, slopes)


def colours(*channels: Tensor) -> Tensor:
    """All combinations of the values of each channel, as images of one pixel ``(N, C, 1, 1)``."""
    return torch.cartesian_prod(*channels).view(-1, len(channels), 1, 1)


# ---- it sums to one ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("channels", [1, 2])
def test_the_probabilities_of_all_colours_sum_to_one(channels, seed):
    p = mixture_of(channels, components=4, seed=seed).log_prob(colours(*[LEVELS] * channels)).exp()
    assert len(p) == 256**channels
    assert float(p.sum()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("channels", [3, 4])
def test_summing_over_the_last_channel_leaves_the_distribution_of_those_before(channels):
    """P(x_1) sums to one, and so does each P(x_c | x_1, ..., x_{c-1}); so P does, without 256^C terms."""
    whole = mixture_of(channels, components=3)
    few = LEVELS[[0, 1, 100, 254, 255]]
    for count in range(channels, 1, -1):
        shorter = DiscretizedLogisticMixture(
            whole.log_weights, whole.loc[:, : count - 1], whole.scale[:, : count - 1],
            whole.slopes[:, : (count - 1) * (count - 2) // 2],
        )  # fmt: skip
        x = colours(*[few] * (count - 1), LEVELS)
        summed = whole.log_prob(x).exp().view(-1, 256).sum(1)
        torch.testing.assert_close(summed, shorter.log_prob(x[::256, :-1]).exp(), rtol=1e-10, atol=1e-14)
        assert float(summed.max()) < 0.999  # else there would be nothing to sum
        whole = shorter
    assert float(whole.log_prob(colours(LEVELS)).exp().sum()) == pytest.approx(1, abs=1e-12)


def test_probabilities_in_single_precision_sum_to_one():
    exact = mixture_of(2, components=4, scale=0.05)
    single = DiscretizedLogisticMixture(
        *(part.float() for part in (exact.log_weights, exact.loc, exact.scale, exact.slopes))
    )
    x = colours(LEVELS, LEVELS)
    found = single.log_prob(x.float())
    assert float(found.double().exp().sum()) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(found.double(), exact.log_prob(x), rtol=1e-5, atol=1e-4)


# ---- formulas ------------------------------------------------------------------------------------------------


def reference(x: np.ndarray, outputs: np.ndarray, components: int) -> float:
    """log P of a colour ``x`` (r, g, b) in [-1, 1], term by term as in the appendix of the reference's code."""
    logits, means, log_scales, coefficients = np.split(outputs, np.cumsum([components, *[3 * components] * 2]))
    means, log_scales, coefficients = (
        part.reshape(components, 3) for part in (means, log_scales, np.tanh(coefficients))
    )
    log_p = log_softmax(logits)
    for m in range(components):
        centres = means[m].copy()
        centres[1] += coefficients[m, 0] * x[0]
        centres[2] += coefficients[m, 1] * x[0] + coefficients[m, 2] * x[1]
        for c in range(3):
            inverse = np.exp(-max(log_scales[m, c], -7.0))
            upper = inverse * (x[c] - centres[c] + 1 / 255) if x[c] < 0.999 else np.inf
            lower = inverse * (x[c] - centres[c] - 1 / 255) if x[c] > -0.999 else -np.inf
            if upper + lower > 0:  # in the lower tail the difference keeps its digits
                upper, lower = -lower, -upper
            log_p[m] += np.log(expit(upper) - expit(lower))
    return float(logsumexp(log_p))


def test_log_probabilities_are_those_of_the_reference():
    random = np.random.default_rng(0)
    likelihood = LogisticMixtureLikelihood(Constant(3), 1, (3, 1, 1), components=5).double()
    outputs = likelihood.network.weights.data
    assert len(outputs) == 51  # 50 in multiples of three; the last one is unused
    for _ in range(20):
        outputs.copy_(torch.from_numpy(random.normal(size=outputs.shape)))
        levels = random.choice([0, 1, 60, 128, 200, 254, 255], 3)
        found = likelihood(torch.zeros(1, dtype=torch.float64)).log_prob(torch.from_numpy(levels / 255).view(3, 1, 1))
        given = outputs.numpy().ravel()[:50].copy()
        given[5:20] += np.repeat([-0.8, -0.4, 0.0, 0.4, 0.8], 3)  # where the components start
        given[20:35] -= math.log(5)
        expected = reference(levels / 127.5 - 1, given, 5)
        assert float(found.detach()) == pytest.approx(expected, rel=1e-6)


def test_components_start_at_different_levels():
    likelihood = LogisticMixtureLikelihood(Constant(1), 1, (1, 1, 1), components=4)
    likelihood.network.weights.data.zero_()
    p = likelihood(torch.zeros(1))
    torch.testing.assert_close(p.loc.flatten().detach(), torch.tensor([0.125, 0.375, 0.625, 0.875]))
    torch.testing.assert_close(p.scale.flatten().detach(), torch.full((4,), 0.125))


def test_of_one_channel_it_is_a_mixture_of_discretized_logistics():
    torch.manual_seed(0)
    logits, loc, scale = torch.randn(2, 4, 3, 5), torch.rand(2, 4, 1, 3, 5), 0.1 * torch.rand(2, 4, 1, 3, 5) + 0.01
    ours = DiscretizedLogisticMixture(logits, loc, scale, torch.zeros(2, 4, 0, 3, 5))
    components = DiscretizedLogistic(*(part.squeeze(2).movedim(1, -1) for part in (loc, scale)))
    theirs = MixtureSameFamily(Categorical(logits=logits.movedim(1, -1)), components, validate_args=False)
    x = torch.randint(256, (2, 1, 3, 5)) / 255
    torch.testing.assert_close(ours.log_prob(x), theirs.log_prob(x[:, 0]).sum((1, 2)))
    torch.testing.assert_close(ours.mean[:, 0], theirs.mean)


def test_channels_depend_on_the_ones_before_them_and_not_on_later_ones():
    p = mixture_of(3, components=2, scale=0.05)
    few = colours(LEVELS[[20, 200]], LEVELS[[30, 220]], LEVELS[[40, 240]])
    log_p = p.log_prob(few).view(2, 2, 2)
    independent = DiscretizedLogisticMixture(p.log_weights[:1], p.loc[:1], p.scale[:1], 0 * p.slopes[:1]).log_prob(few)
    interaction = log_p[0, 0] + log_p[1, 1] - log_p[0, 1] - log_p[1, 0]  # 0 where the first two were independent
    assert float(interaction.abs().min()) > 0.1
    single = independent.view(2, 2, 2)
    torch.testing.assert_close(single[0, 0] + single[1, 1], single[0, 1] + single[1, 0])


# ---- at the outputs that trained models reach -----------------------------------------------------------------


@pytest.mark.parametrize("size", [1e-4, 1.0, 30.0, 300.0, 1e4])
@pytest.mark.parametrize("channels", [1, 3])
def test_log_probabilities_and_gradients_are_finite_and_exact_in_single_precision(channels, size):
    image = (channels, 6, 7)
    likelihood = LogisticMixtureLikelihood(Constant(*image), 1, image)
    generator = torch.Generator().manual_seed(0)
    outputs = size * torch.randn(1, sum(likelihood.sizes), 6, 7, generator=generator)
    x = torch.tensor([0.0, 1.0, 1 / 255, 254 / 255, 0.5, 0.2])[:, None].expand(1, channels, 6, 7)
    found = []
    for dtype in (torch.float32, torch.float64):
        given = outputs.to(dtype).requires_grad_()
        likelihood.network.forward = lambda z, given=given: given
        log_p = likelihood(torch.zeros(1, 1, dtype=dtype)).log_prob(x.to(dtype))
        (gradient,) = torch.autograd.grad(log_p.sum(), given)
        found.append((log_p.detach().double(), gradient.double()))
    (single, slope), (exact, exact_slope) = found
    assert single.isfinite().all()
    assert slope.isfinite().all()
    torch.testing.assert_close(single, exact, rtol=1e-4, atol=0.01)
    torch.testing.assert_close(slope, exact_slope, rtol=0.02, atol=0.02 * float(exact_slope.abs().max()))


def test_scales_have_the_smallest_value_of_the_reference():
    likelihood = LogisticMixtureLikelihood(Constant(1), 1, (1, 1, 1))
    likelihood.network.weights.data.fill_(-1e4)
    scale = likelihood(torch.zeros(1)).scale.detach()
    torch.testing.assert_close(scale, torch.full_like(scale, math.exp(-7) / 2))


# ---- samples and mean ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2])
def test_samples_are_levels_with_the_moments_of_the_probabilities(channels):
    p = mixture_of(channels, components=3, seed=1, scale=0.1)
    x = colours(*[LEVELS] * channels)
    probability = p.log_prob(x).exp()
    torch.manual_seed(0)
    drawn = p.sample((40_000,))
    torch.testing.assert_close(255 * drawn, (255 * drawn).round())
    assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1
    for one, other in itertools.combinations_with_replacement(range(channels), 2):
        exact = (probability * (x[:, one] * x[:, other]).flatten()).sum()
        estimate = (drawn[:, one] * drawn[:, other]).mean()
        assert abs(float(estimate - exact)) < 0.005
    exact = (probability[:, None] * x.flatten(1)).sum(0)
    torch.testing.assert_close(drawn.flatten(1).mean(0), exact, atol=0.006, rtol=0)


def test_samples_of_a_batch_have_its_shape_and_each_pixel_its_own_component():
    torch.manual_seed(0)
    logits = torch.tensor([30.0, 0.0]).view(2, 1, 1).repeat(3, 1, 4, 5)
    logits[:, :, 2:] *= -1  # the lower half takes the other component
    loc = torch.tensor([0.2, 0.8]).view(2, 1, 1, 1).expand(3, 2, 2, 4, 5)
    p = DiscretizedLogisticMixture(logits, loc, torch.full_like(loc, 1e-3), torch.zeros(3, 2, 1, 4, 5))
    drawn = p.sample((6,))
    assert drawn.shape == (6, 3, 2, 4, 5)
    assert float((drawn[..., :2, :] - 0.2).abs().max()) < 0.05
    assert float((drawn[..., 2:, :] - 0.8).abs().max()) < 0.05
    assert p.sample().shape == p.mean.shape == (3, 2, 4, 5)


@pytest.mark.parametrize("scale", [1e-3, 0.02, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_the_mean_is_exact_for_the_first_channel_and_near_for_the_second(scale, seed):
    p = mixture_of(2, components=3, seed=seed, scale=scale)
    x = colours(LEVELS, LEVELS)
    exact = (p.log_prob(x).exp()[:, None] * x.flatten(1)).sum(0)
    error = (p.mean.flatten() - exact).abs()
    assert float(error[0]) < 1 / 255
    assert float(error[1]) < 8 / 255
    assert not LogisticMixtureLikelihood.has_exact_mean


# ---- natural images ------------------------------------------------------------------------------------------


def patches(side: int, count: int) -> Tensor:
    """Square patches ``(N, 3, side, side)`` of the photographs that scikit-learn carries, in [0, 1]."""
    random = np.random.default_rng(0)
    found = []
    for photo in load_sample_images().images:
        tops, lefts = (random.integers(0, length - side, count // 2) for length in photo.shape[:2])
        found += [photo[top : top + side, left : left + side] for top, left in zip(tops, lefts, strict=True)]
    return torch.from_numpy(np.stack(found)).movedim(-1, 1).float() / 255


def fitted_bits(likelihood: Likelihood, train: Tensor, test: Tensor) -> float:
    """Bits per dimension of ``test``, with the likelihood's parameters fitted to ``train``; there are no latents."""
    optimizer = torch.optim.Adam(likelihood.parameters(), lr=0.1)
    for step in range(60):
        batch = train[torch.arange(step * 50, step * 50 + 50) % len(train)]
        optimizer.zero_grad()
        (-likelihood(torch.zeros(1)).log_prob(batch).mean()).backward()
        optimizer.step()
    with torch.no_grad():
        return float(-likelihood(torch.zeros(1)).log_prob(test).mean()) / test[0].numel() / math.log(2)


def test_it_beats_the_single_logistic_on_natural_patches():
    torch.manual_seed(0)
    images = patches(8, 1_500)
    images = images[torch.randperm(len(images))]
    for x in (images, images.mean(1, keepdim=True).mul(255).round().div(255)):
        train, test = x.split([1_300, 200])
        image = tuple(x.shape[1:])
        single = DiscretizedLogisticLikelihood(Constant(*image), 1, learnt="per_pixel")
        mixture = LogisticMixtureLikelihood(Constant(*image), 1, image, components=5)
        single_bits, bits = (fitted_bits(likelihood, train, test) for likelihood in (single, mixture))
        # Of another split, 400 steps with batches of 100 give 8.08 and 6.38 bits in colour, and 8.40 and 7.71 in grey.
        assert single_bits < (8.3 if x is images else 8.6)
        assert bits < single_bits - (1.0 if x is images else 0.4)
