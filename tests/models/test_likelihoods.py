"""Likelihoods against torch.distributions, numerical integration, and mpmath where trained models put them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import mpmath
import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, ContinuousBernoulli, Distribution, Laplace, Normal

from vaelab.models.contracts import Likelihood, Network
from vaelab.models.distributions import pairwise_log_prob
from vaelab.models.likelihoods import (
    BernoulliLikelihood,
    ContinuousBernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    GaussianLikelihood,
    LaplaceLikelihood,
    LogisticMixtureLikelihood,
)
from vaelab.models.networks import MLP, ConvNet


class Row(nn.Module):
    """A decoder whose outputs are the latents themselves, as an image of one row."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z[..., None, None, :]


class Halves(nn.Module):
    """A decoder whose two channels are the two halves of the latents, each an image of one row."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z.unflatten(-1, (2, 1, -1))


class Given(Network):
    """Decoders without weights: the latents are the parameters of the likelihood."""

    def encoder(self, outputs: int) -> nn.Module:
        return nn.Flatten()

    def decoder(self, latent: int, channels: int) -> nn.Module:
        self.channels = channels
        return Row() if channels == 1 else Halves()


GIVEN = Given()
LOGITS = torch.tensor([[-3.0, -0.4, 0.0, 0.02, 1.5, 6.0]])


def test_bernoulli_is_torchs_on_binary_images():
    x = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 0.0]).view(1, 1, 1, 6)
    ours = BernoulliLikelihood(GIVEN, 6)(LOGITS).log_prob(x)
    torch.testing.assert_close(ours, Bernoulli(logits=LOGITS).log_prob(x.view(1, 6)).sum(-1))


def test_bernoulli_on_grey_pixels_is_the_cross_entropy():
    x = torch.tensor([0.1, 0.9, 0.5, 0.0, 1.0, 0.3]).view(1, 1, 1, 6)
    p = torch.sigmoid(LOGITS)
    expected = (x.view(1, 6) * p.log() + (1 - x.view(1, 6)) * (1 - p).log()).sum(-1)
    torch.testing.assert_close(BernoulliLikelihood(GIVEN, 6)(LOGITS).log_prob(x), expected)


def test_continuous_bernoulli_is_torchs_where_that_does_not_clamp():
    x = torch.tensor([0.1, 0.9, 0.5, 0.0, 1.0, 0.3]).view(1, 1, 1, 6)
    ours = ContinuousBernoulliLikelihood(GIVEN, 6)(LOGITS).log_prob(x)
    torch.testing.assert_close(ours, ContinuousBernoulli(logits=LOGITS).log_prob(x.view(1, 6)).sum(-1))


@pytest.mark.parametrize("learnt", [False, True])
def test_gaussian_is_torchs(learnt):
    x = torch.rand(1, 1, 1, 6)
    ours = GaussianLikelihood(GIVEN, 6, sigma=0.3, learnt=learnt)(LOGITS).log_prob(x)
    torch.testing.assert_close(ours, Normal(torch.sigmoid(LOGITS), 0.3).log_prob(x.view(1, 6)).sum(-1))


@pytest.mark.parametrize("logit", [-11_000.0, -30.0, -3.0, 0.0, 0.01, 2.0, 90.0])
def test_continuous_bernoulli_integrates_to_one(logit):
    x = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    x = (1 - (1 - x) ** 3) if logit > 0 else x**3  # closer where the mass is
    z = torch.full((20_001, 1), logit, dtype=torch.float64)
    density = ContinuousBernoulliLikelihood(GIVEN, 1)(z).log_prob(x.view(-1, 1, 1, 1)).exp()
    assert math.isclose(float(torch.trapezoid(density, x)), 1.0, abs_tol=1e-5)


@pytest.mark.parametrize("sigma", [0.1, 1.0])
def test_gaussian_integrates_to_one(sigma):
    x = torch.linspace(-12 * sigma, 1 + 12 * sigma, 100_001, dtype=torch.float64)
    z = torch.full((100_001, 1), 0.7, dtype=torch.float64)
    density = GaussianLikelihood(GIVEN, 1, sigma=sigma)(z).log_prob(x.view(-1, 1, 1, 1)).exp()
    assert math.isclose(float(torch.trapezoid(density, x)), 1.0, abs_tol=1e-6)


def test_bernoulli_sums_to_one():
    z = torch.full((2, 1), 0.8)
    log_p = BernoulliLikelihood(GIVEN, 1)(z).log_prob(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1))
    assert math.isclose(float(log_p.exp().sum()), 1.0, rel_tol=1e-6)


def test_the_best_sigma_is_the_root_mean_squared_error():
    """There the gradient by log σ is zero."""
    x = torch.rand(1, 1, 1, 6)
    error = float((x.view(6) - torch.sigmoid(LOGITS[0])).square().mean().sqrt())
    likelihood = GaussianLikelihood(GIVEN, 6, sigma=error, learnt=True)
    likelihood(LOGITS).log_prob(x).sum().backward()
    assert abs(float(likelihood.log_scale.grad)) < 1e-5


def test_laplace_is_torchs_and_integrates_to_one():
    x = torch.rand(1, 1, 1, 6)
    ours = LaplaceLikelihood(GIVEN, 6, scale=0.3, learnt=False)(LOGITS).log_prob(x)
    torch.testing.assert_close(ours, Laplace(torch.sigmoid(LOGITS), 0.3).log_prob(x.view(1, 6)).sum(-1))
    axis = torch.linspace(-6, 7, 200_001, dtype=torch.float64)
    z = torch.full((200_001, 1), 0.7, dtype=torch.float64)
    density = LaplaceLikelihood(GIVEN, 1, scale=0.3, learnt=False)(z).log_prob(axis.view(-1, 1, 1, 1)).exp()
    assert math.isclose(float(torch.trapezoid(density, axis)), 1.0, abs_tol=1e-6)


def test_the_best_laplace_scale_is_the_mean_absolute_error():
    x = torch.rand(1, 1, 1, 6)
    error = float((x.view(6) - torch.sigmoid(LOGITS[0])).abs().mean())
    likelihood = LaplaceLikelihood(GIVEN, 6, scale=error, learnt=True)
    likelihood(LOGITS).log_prob(x).sum().backward()
    assert abs(float(likelihood.log_scale.grad)) < 1e-5


def test_discretized_logistic_likelihood_sums_to_one_over_256_levels():
    levels = torch.arange(256, dtype=torch.float64).view(-1, 1, 1, 1) / 255
    z = torch.full((256, 1), -1.3, dtype=torch.float64)
    log_p = DiscretizedLogisticLikelihood(GIVEN, 1, scale=0.05, learnt=False)(z).log_prob(levels)
    assert math.isclose(float(log_p.exp().sum()), 1.0, rel_tol=1e-6)


@pytest.mark.parametrize("kind", [GaussianLikelihood, LaplaceLikelihood, DiscretizedLogisticLikelihood])
def test_a_scale_per_pixel_is_the_decoders_second_block_of_channels(kind):
    network = Given()
    option = "sigma" if kind is GaussianLikelihood else "scale"
    likelihood = kind(network, 12, learnt="per_pixel", floor=0.02, **{option: 0.3})
    assert network.channels == 2
    z = torch.randn(5, 12)
    base = likelihood(z).base_dist
    torch.testing.assert_close(base.loc.flatten(1), torch.sigmoid(z[:, :6]))
    torch.testing.assert_close(base.scale.flatten(1), 0.02 + 0.3 * z[:, 6:].exp())
    assert likelihood(z).event_shape == (1, 1, 6)
    assert float(kind(network, 12, learnt="per_pixel", floor=0.02)(-50 + z).base_dist.scale.min()) > 0.0199


@pytest.mark.parametrize("learnt", ["pixel", 1, None])
def test_a_scale_is_fixed_learnt_or_per_pixel(learnt):
    with pytest.raises(ValueError, match=r"likelihood\.learnt must be true or false, or per_pixel, got"):
        GaussianLikelihood(GIVEN, 6, learnt=learnt)


LIKELIHOODS = [
    BernoulliLikelihood, ContinuousBernoulliLikelihood, GaussianLikelihood, LaplaceLikelihood,
    DiscretizedLogisticLikelihood,
]  # fmt: skip


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_outputs_at_gives_about_the_requested_mean(kind):
    images = torch.tensor([[0.1, 0.3, 0.5, 0.6, 0.8, 0.95]])
    likelihood = kind(GIVEN, 6)
    mean = likelihood(likelihood.outputs_at(images)).mean.flatten(1)
    assert (mean.argsort() == images.argsort()).all()
    if kind is not ContinuousBernoulliLikelihood:  # whose mean is not its parameter
        torch.testing.assert_close(mean, images, atol=0.1 if kind is DiscretizedLogisticLikelihood else 1e-5, rtol=0)


# ---- at the outputs that trained models reach -----------------------------------------------------------------
#
# `python train.py experiment=short epochs=30 data.train=5000 likelihood=...`, on MNIST with seed 0 in float32: the
# smallest and the largest decoder output, rounded outwards, over all test images with a sampled latent each. 300 steps
# are few: the full training goes on in the same direction. So the tests go to BEYOND times these values.

BEYOND = 10
FLOAT = 2.0**-23  # the step of a float32 from 1

mpmath.mp.dps = 60
Mp = mpmath.mpf


def sigmoid(value: Mp) -> Mp:
    return 1 / (1 + mpmath.exp(-value))


def bernoulli(x: Mp, logit: Mp) -> Mp:
    return x * logit - mpmath.log1p(mpmath.exp(logit))


def continuous_bernoulli(x: Mp, logit: Mp) -> Mp:
    return x * logit + (mpmath.log(logit / mpmath.expm1(logit)) if logit else 0)


def normal(x: Mp, output: Mp, scale: Mp) -> Mp:
    return -(((x - sigmoid(output)) / scale) ** 2) / 2 - mpmath.log(scale) - mpmath.log(2 * mpmath.pi) / 2


def laplace(x: Mp, output: Mp, scale: Mp) -> Mp:
    return -abs(x - sigmoid(output)) / scale - mpmath.log(2 * scale)


def discretized_logistic(x: Mp, output: Mp, scale: Mp) -> Mp:
    half, loc = Mp(1) / 510, sigmoid(output)
    if x < half:
        return mpmath.log(sigmoid((x + half - loc) / scale))
    if x > 1 - half:
        return mpmath.log(sigmoid((loc - x + half) / scale))
    distance = abs(x - loc)  # in the lower tail, where the difference keeps its digits
    return mpmath.log(sigmoid((half - distance) / scale) - sigmoid((-half - distance) / scale))


@dataclass(frozen=True)
class Reached:
    """A likelihood and how far its training went.

    **Attributes**
        outputs: the range of the decoder's first output.
        scales: the range of the scale, with that of the second output where it has one.
    """

    make: Callable[[Network, int], Likelihood]
    oracle: Callable[..., Mp]
    outputs: tuple[float, float]
    scales: tuple[float, ...] = ()
    second: tuple[float, float] | None = None


LOCATION_SCALE = {
    "gaussian": Reached(partial(GaussianLikelihood, learnt=True), normal, (-30, 9), (0.31,)),
    "laplace": Reached(LaplaceLikelihood, laplace, (-34, 16), (0.098,)),
    "discretized logistic": Reached(DiscretizedLogisticLikelihood, discretized_logistic, (-26, 10), (0.21,)),
}
PER_PIXEL = {
    "gaussian": Reached(partial(GaussianLikelihood, learnt="per_pixel"), normal, (-53, 9), (0.01, 22), (-58, 4)),
    "laplace": Reached(partial(LaplaceLikelihood, learnt="per_pixel"), laplace, (-55, 16), (0.01, 53), (-50, 7)),
    "discretized logistic": Reached(
        partial(DiscretizedLogisticLikelihood, learnt="per_pixel", floor=0.001),
        discretized_logistic, (-15, 8), (0.005, 3_000), (-4, 11),
    ),
}  # fmt: skip
LOGITS_REACHED = {
    "bernoulli": Reached(BernoulliLikelihood, bernoulli, (-30, 8)),
    "continuous bernoulli": Reached(ContinuousBernoulliLikelihood, continuous_bernoulli, (-10_800, 90)),
}
PIXELS = torch.tensor([0.0, 1 / 255, 64 / 255, 128 / 255, 254 / 255, 1.0])


def along(low: float, high: float) -> torch.Tensor:
    """Values from BEYOND times ``low`` to BEYOND times ``high``, also small ones and those in between."""
    fractions = torch.tensor([1e-6, 1e-3, 0.03, 0.1, 0.3, 0.5, 1.0, 3.0, float(BEYOND)])
    return torch.cat([low * fractions.flip(0), torch.zeros(1), high * fractions])


def pixel_by_pixel(likelihood: Likelihood, *outputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """log p(x|z) of each pixel for each output, and its gradients by the outputs: each ``(outputs, pixels)``."""
    z = [output[:, None].expand(-1, len(PIXELS)).clone().requires_grad_() for output in outputs]
    px = likelihood(torch.cat(z, -1))
    log_px = px.base_dist.log_prob(PIXELS.view(1, 1, -1)).flatten(1)
    torch.testing.assert_close(px.log_prob(PIXELS.view(1, 1, -1)), log_px.sum(1))
    return log_px.detach(), *torch.autograd.grad(log_px.sum(), z)


def exactly(oracle: Callable[..., Mp], *columns: torch.Tensor) -> torch.Tensor:
    """``oracle(x, *values)`` of every pixel and every row of values ``(rows, pixels)``, in float64."""
    rows = [
        [oracle(Mp(float(x)), *map(Mp, row)) for x in PIXELS]
        for row in zip(*(c.tolist() for c in columns), strict=True)
    ]
    return torch.tensor([[float(value) for value in row] for row in rows], dtype=torch.float64)


def derivative(oracle: Callable[..., Mp], argument: int, *columns: torch.Tensor) -> torch.Tensor:
    """The derivative of ``oracle`` by the argument of this number, by differences in arbitrary precision."""
    step = Mp(10) ** -20

    def slope(x: Mp, *values: Mp) -> Mp:
        up, down = list(values), list(values)
        up[argument] += step
        down[argument] -= step
        return (oracle(x, *up) - oracle(x, *down)) / (2 * step)

    return exactly(slope, *columns)


def assert_near(found: torch.Tensor, expected: torch.Tensor, atol: torch.Tensor | float, rtol: float = 4e-6) -> None:
    """Within ``rtol`` of it, and ``atol``, which may differ from row to row."""
    error = (found.double() - expected).abs()
    allowed = rtol * expected.abs() + torch.as_tensor(atol, dtype=torch.float64).reshape(-1, 1)
    assert (error <= allowed).all(), (error / allowed).max()


@pytest.mark.parametrize("name", LOGITS_REACHED)
def test_log_density_and_gradient_are_exact_at_the_logits_that_trained_models_reach(name):
    reached = LOGITS_REACHED[name]
    logits = along(*reached.outputs)
    log_px, slope = pixel_by_pixel(reached.make(GIVEN, len(PIXELS)), logits)
    assert_near(log_px, exactly(reached.oracle, logits), atol=1e-6 + FLOAT * logits.abs())  # the rounding of x l
    assert_near(slope, derivative(reached.oracle, 0, logits), atol=2e-7)


@pytest.mark.parametrize("name", LOCATION_SCALE)
@pytest.mark.parametrize("times", [1 / BEYOND, 1.0, BEYOND])
def test_log_density_and_gradients_are_exact_at_the_outputs_and_the_scale_that_trained_models_reach(name, times):
    reached = LOCATION_SCALE[name]
    likelihood = reached.make(GIVEN, len(PIXELS))
    with torch.no_grad():
        likelihood.log_scale.copy_(torch.tensor(reached.scales[0] * times).log())
    outputs = along(*reached.outputs)
    scale = likelihood.log_scale.detach().exp().expand_as(outputs)
    log_px, slope = pixel_by_pixel(likelihood, outputs)
    check_location_scale(reached, outputs, scale, log_px, slope)
    likelihood(outputs[:, None].expand(-1, len(PIXELS))).log_prob(PIXELS.view(1, 1, -1)).sum().backward()
    by_scale = derivative(reached.oracle, 1, outputs, scale) * scale.double()[:, None]
    assert float(likelihood.log_scale.grad) == pytest.approx(float(by_scale.sum()), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("name", PER_PIXEL)
def test_log_density_and_gradients_are_exact_at_the_scales_per_pixel_that_trained_models_reach(name):
    reached = PER_PIXEL[name]
    likelihood = reached.make(GIVEN, 2 * len(PIXELS))
    pairs = torch.cartesian_prod(
        along(*reached.outputs), torch.tensor([3 * reached.second[0], *reached.second, 0.0, 15.0])
    )
    outputs, seconds = pairs.unbind(1)
    scale = likelihood.floor + (likelihood.log_scale + seconds).exp()
    assert float(scale.min()) <= reached.scales[0]
    assert float(scale.max()) >= reached.scales[1]
    log_px, slope, second_slope = pixel_by_pixel(likelihood, outputs, seconds)
    check_location_scale(reached, outputs, scale, log_px, slope)
    by_second = derivative(reached.oracle, 1, outputs, scale) * (scale.double() - likelihood.floor)[:, None]
    assert_near(second_slope, by_second, atol=8 * FLOAT / scale**2, rtol=2e-4)


def check_location_scale(
    reached: Reached, outputs: torch.Tensor, scale: torch.Tensor, log_px: torch.Tensor, slope: torch.Tensor
) -> None:
    """The location is known to a float32's last digit, which the scale divides: hence the tolerances."""
    assert_near(log_px, exactly(reached.oracle, outputs, scale), atol=2e-6 + 4 * FLOAT / scale)
    exact = derivative(reached.oracle, 0, outputs, scale)
    if reached.oracle is laplace:  # there is no slope where the pixel is the location
        is_kink = (PIXELS - outputs.sigmoid()[:, None]).abs() < 1e-6
        slope, exact = slope.masked_fill(is_kink, 0), exact.masked_fill(is_kink, 0)
    assert_near(slope, exact, atol=8 * FLOAT * (1 / scale + 1 / scale**2), rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 0.3, 1.0, 30.0, 3_000.0, 3e5])
def test_the_mean_of_a_discretized_logistic_is_exact_at_any_scale(scale):
    outputs = along(-15, 8)
    likelihood = DiscretizedLogisticLikelihood(GIVEN, len(outputs), scale=scale, learnt=False)
    scale = float(likelihood.log_scale.exp())
    locs = [sigmoid(Mp(output)) for output in outputs.tolist()]
    softplus = [[mpmath.log1p(mpmath.exp((loc - by) / scale)) for by in (0, 1)] for loc in locs]
    exact = torch.tensor([float(scale * (above - below)) for above, below in softplus])
    torch.testing.assert_close(likelihood(outputs[None]).mean.flatten(), exact, rtol=1e-5, atol=1e-6)


def images_reached(reached: Reached, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """``count`` rows of 784 outputs over the reached range, and as many images."""
    generator = torch.Generator().manual_seed(0)
    low, high = reached.outputs
    outputs = low + (high - low) * torch.rand(count, 784, generator=generator)
    grey = torch.rand(count, 784, generator=generator)
    return outputs, torch.where(torch.rand(count, 784, generator=generator) < 0.2, grey, (outputs > 0).float())


def in_float64(px: Distribution, x: torch.Tensor) -> torch.Tensor:
    """log p(x|z) of every image for every row of outputs, one by one."""
    return px.base_dist.log_prob(x.view(-1, 1, 1, 1, 784).double()).flatten(2).sum(-1)


@pytest.mark.parametrize(
    ("name", "tolerance"), [("bernoulli", 0.01), ("continuous bernoulli", 0.05), ("gaussian", 0.01)]
)
def test_pairwise_densities_of_images_are_exact_at_the_outputs_that_trained_models_reach(name, tolerance):
    """Of images of 784 pixels: the continuous Bernoulli's terms are of the order of 4e6 nats and nearly cancel."""
    reached = {**LOGITS_REACHED, **LOCATION_SCALE}[name]
    likelihood = reached.make(GIVEN, 784)
    outputs, x = images_reached(reached, 20)
    exact = in_float64(likelihood(outputs.double()), x)
    with torch.no_grad():
        found = pairwise_log_prob(likelihood(outputs), x.view(-1, 1, 1, 784))
        own = likelihood(outputs).log_prob(x.view(-1, 1, 1, 784))
    assert found.dtype == torch.float32
    rounding = exact.abs() * FLOAT  # of the result itself
    assert ((found - exact).abs() <= tolerance + rounding).all()
    assert ((own - exact.diagonal()).abs() <= tolerance + rounding.diagonal()).all()


@pytest.mark.parametrize("network", [MLP((1, 4, 4), [8]), ConvNet((1, 4, 4), [2], [])], ids=["mlp", "conv"])
@pytest.mark.parametrize("kind", [BernoulliLikelihood, GaussianLikelihood, LaplaceLikelihood])
def test_an_output_bias_at_the_mean_makes_the_first_mean_that_of_the_images(kind, network):
    """At weights of zero the mean is that of the training images for every z, within 1e-3 of black and white pixels."""
    images = torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    images[:, :, 0], images[:, :, 1] = 0, 1
    likelihood = kind(network, 3, output_bias="mean")
    likelihood.start_from_images(images, torch.Generator())
    for parameter in likelihood.network.parameters():
        parameter.data.zero_()
    mean = likelihood(torch.randn(5, 3)).mean
    torch.testing.assert_close(mean, images.mean(0).clamp(1e-3, 1 - 1e-3).expand(5, -1, -1, -1))


def test_an_output_bias_is_the_same_as_a_bias_of_the_last_layer():
    """The paper's: the last layer's bias begins at logit(mean). With the same gradients the outputs stay the same."""
    torch.manual_seed(0)
    likelihood = BernoulliLikelihood(MLP((1, 4, 4), [8]), 3, output_bias="mean")
    likelihood.start_from_images(torch.rand(20, 1, 4, 4), torch.Generator())
    plain = BernoulliLikelihood(MLP((1, 4, 4), [8]), 3)
    plain.load_state_dict({name: value for name, value in likelihood.state_dict().items() if name != "offset"})
    with torch.no_grad():
        plain.network[0][-1].bias += likelihood.offset.flatten()
    z, x = torch.randn(6, 3), torch.rand(6, 1, 4, 4)
    for piece in (likelihood, plain):
        optimizer = torch.optim.Adam(piece.parameters(), lr=0.01)
        for _ in range(20):
            optimizer.zero_grad()
            (-piece(z).log_prob(x).mean()).backward()
            optimizer.step()
    torch.testing.assert_close(likelihood.outputs(z), plain.outputs(z), rtol=1e-4, atol=1e-4)


def test_the_mean_image_is_the_offset_of_the_location_alone():
    likelihood = GaussianLikelihood(MLP((3, 4, 4), [8]), 3, learnt="per_pixel", mean="identity", output_bias="mean")
    images = torch.rand(20, 3, 4, 4)
    likelihood.start_from_images(images, torch.Generator())
    torch.testing.assert_close(likelihood.offset, torch.cat([images.mean(0), torch.zeros(3, 4, 4)]))
    assert "offset" not in GaussianLikelihood(MLP((3, 4, 4), [8]), 3).state_dict()


# ---- several channels ----------------------------------------------------------------------------------------

COLOUR = (3, 5, 7)
OF_COLOUR = {
    "bernoulli": BernoulliLikelihood,
    "continuous bernoulli": ContinuousBernoulliLikelihood,
    "gaussian": GaussianLikelihood,
    "gaussian, per pixel": partial(GaussianLikelihood, learnt="per_pixel"),
    "laplace": LaplaceLikelihood,
    "laplace, per pixel": partial(LaplaceLikelihood, learnt="per_pixel"),
    "discretized logistic": DiscretizedLogisticLikelihood,
    "discretized logistic, per pixel": partial(DiscretizedLogisticLikelihood, learnt="per_pixel"),
    "logistic mixture": partial(LogisticMixtureLikelihood, image=COLOUR),
}


@pytest.mark.parametrize("make", OF_COLOUR.values(), ids=OF_COLOUR)
@pytest.mark.parametrize("network", [MLP(COLOUR, [8]), ConvNet(COLOUR, None, [8])], ids=["mlp", "conv"])
def test_likelihoods_of_colour_images_train_and_generate(make, network):
    torch.manual_seed(0)
    likelihood = make(network, 4)
    x = torch.rand(2, *COLOUR).mul(255).round().div(255)
    z = torch.randn(3, 2, 4)
    px = likelihood(z)
    assert (px.batch_shape, px.event_shape) == ((3, 2), COLOUR)
    log_px = px.log_prob(x)
    assert log_px.shape == (3, 2)
    assert px.mean.shape == px.sample().shape == (3, 2, *COLOUR)
    log_px.mean().backward()
    assert all(weight.grad.isfinite().all() and weight.grad.any() for weight in likelihood.parameters())
    single = torch.stack([likelihood(z[sample]).log_prob(x) for sample in range(3)])
    torch.testing.assert_close(log_px, single, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("make", [make for name, make in OF_COLOUR.items() if name != "logistic mixture"])
def test_channels_of_simple_likelihoods_are_independent(make):
    """log p(x|z) of a colour image is the sum over its channels, each with its own part of the decoder's outputs."""

    class Outputs(Network):
        def __init__(self, image: tuple[int, ...]) -> None:
            self.image = image

        def encoder(self, outputs: int) -> nn.Module:
            return nn.Flatten()

        def decoder(self, latent: int, channels: int) -> nn.Module:
            return nn.Unflatten(-1, (channels * self.image[0], *self.image[1:]))

    torch.manual_seed(0)
    parameters = 2 if getattr(make, "keywords", {}).get("learnt") == "per_pixel" else 1
    outputs, x = torch.randn(4, parameters, *COLOUR), torch.rand(4, *COLOUR)
    whole = make(Outputs(COLOUR), parameters * math.prod(COLOUR))(outputs.flatten(1)).log_prob(x)
    single = make(Outputs((1, *COLOUR[1:])), parameters * math.prod(COLOUR[1:]))
    parts = [single(outputs[:, :, channel].flatten(1)).log_prob(x[:, channel : channel + 1]) for channel in range(3)]
    torch.testing.assert_close(whole, sum(parts))
