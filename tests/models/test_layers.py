"""Gated layers by hand, the moments of initialisations, and the default's weights, which are those that torch draws."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d

from vaelab.models.layers import Gated, Style, mlp
from vaelab.models.networks import MLP, ConvNet

IMAGE = (2, 8, 8)
X = torch.rand(3, *IMAGE, generator=torch.Generator().manual_seed(0))
GATED = Style(gated=True)


def gated(linear, gate: Gated, x: torch.Tensor, **options) -> torch.Tensor:
    a, b = (linear(x, layer.weight, layer.bias, **options) for layer in (gate.value, gate.gate))
    return a / (1 + torch.exp(-b))


def product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return torch.einsum("...i,oi->...o", x, weight) + bias


def test_a_gated_mlp_is_the_formula():
    torch.manual_seed(0)
    network = mlp([5, 4, 3, 2], GATED)
    first, second, last = network
    x = torch.randn(6, 5)
    expected = product(gated(product, second, gated(product, first, x)), last.weight, last.bias)
    torch.testing.assert_close(network(x), expected)


def test_gated_convolutions_are_the_formula():
    torch.manual_seed(0)
    network = ConvNet(IMAGE, [4, 6], [5], gated=True)
    first, second, _, dense = network.encoder(3)
    features = gated(conv2d, second, gated(conv2d, first, X, stride=2, padding=1), stride=2, padding=1)
    hidden = gated(product, dense[0], features.flatten(1))
    torch.testing.assert_close(
        nn.Sequential(first, second, nn.Flatten(), dense)(X), product(hidden, dense[1].weight, dense[1].bias)
    )
    decoder = network.decoder(3, 1)
    dense, _, first, last = decoder.body
    z = torch.randn(7, 3)
    small = gated(product, dense[1], gated(product, dense[0], z)).view(7, 6, 2, 2)
    middle = gated(conv_transpose2d, first, small, stride=2, padding=1)
    expected = conv_transpose2d(middle, last.weight, last.bias, stride=2, padding=1)
    torch.testing.assert_close(decoder(z), expected)


@pytest.mark.parametrize("make", [lambda: MLP(IMAGE, [7], gated=True), lambda: ConvNet(IMAGE, [4], [7], gated=True)])
def test_a_gated_network_has_no_other_activation(make):
    modules = [*make().encoder(3).modules(), *make().decoder(3, 1).modules()]
    assert not any(isinstance(module, nn.ReLU) for module in modules)
    assert any(isinstance(module, Gated) for module in modules)


def test_residual_blocks_have_gates_in_the_fully_connected_layers_alone():
    encoder = ConvNet(IMAGE, [8, 8], [5, 4], blocks=1, gated=True).encoder(3)
    gates = [module.value for module in encoder.modules() if isinstance(module, Gated)]
    assert [type(layer) for layer in gates] == [nn.Linear, nn.Linear]


def layers(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))]


@pytest.mark.parametrize("is_gated", [False, True])
def test_he_and_glorot_have_their_moments(is_gated):
    """Mean 0 and the variance of the formula; the bound of a uniform distribution is √3 standard deviations."""
    torch.manual_seed(0)
    for init in ("he", "glorot"):
        wide = MLP((1, 20, 20), [300], gated=is_gated, init=init)
        conv = ConvNet((3, 16, 16), [48, 64], [100], gated=is_gated, init=init)
        made = [*layers(wide.encoder(40)), *layers(wide.decoder(40, 1)), *layers(conv.encoder(40))]
        made += layers(conv.decoder(40, 1))
        for layer in made:
            weight, transposed = layer.weight.detach(), isinstance(layer, nn.ConvTranspose2d)
            taps = math.prod(weight.shape[2:])
            outputs, inputs = (weight.shape[1], weight.shape[0]) if transposed else weight.shape[:2]
            fan_in, fan_out = inputs * taps, outputs * taps
            variance = 2 / fan_in if init == "he" else 2 / (fan_in + fan_out)
            error = 5 / math.sqrt(weight.numel())
            assert abs(float(weight.mean())) < error * math.sqrt(variance)
            assert float(weight.var()) == pytest.approx(variance, rel=2 * error)
            assert (float(weight.abs().max()) <= math.sqrt(3 * variance)) == (init == "glorot")
            assert not layer.bias.any()


def test_torchs_initialisation_is_untouched():
    """The same weights as those of the layers made one after the other, and the same names."""
    torch.manual_seed(3)
    encoder, decoder = MLP((1, 4, 4), [8, 5]).encoder(6), MLP((1, 4, 4), [8, 5]).decoder(3, 1)
    torch.manual_seed(3)
    expected = [nn.Linear(*sizes) for sizes in ((16, 8), (8, 5), (5, 6), (3, 5), (5, 8), (8, 16))]
    for layer, other in zip([*layers(encoder), *layers(decoder)], expected, strict=True):
        assert torch.equal(layer.weight, other.weight)
        assert torch.equal(layer.bias, other.bias)
    assert [name for name in encoder.state_dict() if "weight" in name] == ["1.0.weight", "1.2.weight", "1.4.weight"]
    torch.manual_seed(3)
    decoder = ConvNet((1, 4, 4), [2], []).decoder(3, 1)
    torch.manual_seed(3)
    dense, convolution = nn.Linear(3, 8), nn.ConvTranspose2d(2, 1, 4, stride=2, padding=1)
    assert torch.equal(decoder.body[0][0].weight, dense.weight)
    assert torch.equal(decoder.body[3].weight, convolution.weight)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"init": "xavier"}, r"network\.init must be one of torch, he, glorot, got 'xavier'"),
        ({"gated": "yes"}, r"network\.gated must be true or false, got 'yes'"),
    ],
)
def test_unknown_styles_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        MLP(IMAGE, [4], **options)
