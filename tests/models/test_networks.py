"""Networks: shapes, error messages, and that the result for an image does not depend on its batch."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from vaelab.models.contracts import Network
from vaelab.models.layers import Style, mlp
from vaelab.models.networks import MLP, ConvNet, Doubling, FoldSamples, Halving, ResidualBlock

NETWORKS: dict[str, Callable[[tuple[int, int, int]], Network]] = {
    "mlp": lambda image: MLP(image, [16, 8]),
    "mlp with another decoder": lambda image: MLP(image, [16, 8], decoder_hidden=[12, 20, 6]),
    "linear": lambda image: MLP(image, []),
    "conv": lambda image: ConvNet(image, channels=[8, 16], hidden=[32]),
    "conv without hidden": lambda image: ConvNet(image, channels=[8], hidden=[]),
    "resnet": lambda image: ConvNet(image, channels=[8, 16], hidden=[32], blocks=2),
    "resnet, by size": lambda image: ConvNet(image, channels=None, hidden=[32], blocks=1),
}
IMAGES = [(1, 28, 28), (1, 4, 12), (3, 8, 8), (3, 33, 47), (2, 5, 2), (4, 1, 3)]


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_encoders_return_the_requested_number_of_outputs_per_image(make, image):
    assert make(image).encoder(7)(torch.rand(3, *image)).shape == (3, 7)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_decoders_take_any_leading_dimensions(make, image, channels):
    torch.manual_seed(0)
    decoder = make(image).decoder(5, channels)
    z = torch.randn(2, 3, 5)
    images = decoder(z)
    assert images.shape == (2, 3, channels * image[0], *image[1:])
    assert decoder(z[0, 0]).shape == (channels * image[0], *image[1:])
    torch.testing.assert_close(images[1, 2], decoder(z[1, 2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_the_outputs_for_an_image_do_not_depend_on_its_batch(make):
    torch.manual_seed(0)
    encoder, x = make((1, 8, 8)).encoder(7), torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(encoder(x)[3], encoder(x[3:4])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_a_network_builds_new_modules_at_every_call(make):
    network = make((1, 8, 8))
    first, second = network.encoder(7), network.encoder(7)
    assert {*first.parameters()}.isdisjoint(second.parameters())


# ---- any size -------------------------------------------------------------------------------------------------


def plain_conv(blocks: int) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder of 28 x 28 images by torch's own layers, as checkpoints of such images know them."""

    def after(channels: int) -> list[nn.Module]:
        return [ResidualBlock(channels)] if blocks else [nn.ReLU()]

    def norm(channels: int) -> list[nn.Module]:
        return [nn.GroupNorm(channels // 8, channels), nn.SiLU()] if blocks else []

    def before(channels: int) -> list[nn.Module]:
        return [ResidualBlock(channels), *norm(channels)] if blocks else [nn.ReLU()]

    style = Style("silu" if blocks else "relu")
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, 4, stride=2, padding=1), *after(32), nn.Conv2d(32, 64, 4, stride=2, padding=1), *after(64),
        *norm(64), nn.Flatten(), mlp([3136, 256, 40], style),
    )  # fmt: skip
    decoder = nn.Sequential(
        mlp([20, 256, 3136], style), nn.Unflatten(-1, (64, 7, 7)), *before(64),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), *before(32),
        nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
    )  # fmt: skip
    return encoder, FoldSamples(decoder)


@pytest.mark.parametrize("blocks", [0, 1])
def test_default_networks_of_28_x_28_images_have_the_weights_and_outputs_of_plain_layers(blocks):
    torch.manual_seed(0)
    encoder, decoder = plain_conv(blocks)
    torch.manual_seed(0)
    network = ConvNet((1, 28, 28), None, [256], "silu" if blocks else "relu", blocks)
    pairs = (network.encoder(40), encoder), (network.decoder(20, 1), decoder)
    for (ours, theirs), given in zip(pairs, (torch.rand(3, 1, 28, 28), torch.randn(2, 3, 20)), strict=True):
        found, expected = ours.state_dict(), theirs.state_dict()
        assert list(found) == list(expected)
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        assert torch.equal(ours(given), theirs(given))


@pytest.mark.parametrize(
    ("image", "channels"),
    [
        ((1, 28, 28), [32, 64]),
        ((1, 8, 8), [32]),
        ((1, 5, 7), [32]),
        ((3, 33, 47), [32, 64, 64]),
        ((3, 32, 32), [32, 64, 64]),
        ((3, 64, 64), [32, 64, 64, 64]),
        ((3, 16, 200), [32, 64, 64, 64, 64]),
    ],
)
def test_the_depth_follows_from_the_size_until_neither_side_is_longer_than_seven(image, channels):
    network = ConvNet(image, None, [16])
    assert network.channels == channels
    assert max(network.smallest[1:]) <= 7
    assert len(channels) == 1 or max(network.sizes[-2]) > 7


@pytest.mark.parametrize("side", range(1, 9))
def test_halving_rounds_up_and_doubling_is_its_transpose(side):
    """<halving(x), y> = <x, doubling(y)> with the same weights and without biases: so no row or column is lost."""
    torch.manual_seed(0)
    halving, doubling = Halving(2, 3).double(), Doubling(3, 2, (side, side + 1)).double()
    halving.bias.data.zero_()
    doubling.bias.data.zero_()
    doubling.weight.data.copy_(halving.weight.data)
    x = torch.randn(1, 2, side, side + 1, dtype=torch.float64)
    y = torch.randn(1, 3, (side + 1) // 2, side // 2 + 1, dtype=torch.float64)
    assert halving(x).shape == y.shape
    assert doubling(y).shape == x.shape
    torch.testing.assert_close((halving(x) * y).sum(), (x * doubling(y)).sum())


@pytest.mark.parametrize("image", [(1, 9, 13), (3, 7, 6)])
def test_every_pixel_of_an_odd_image_is_seen_and_drawn(image):
    torch.manual_seed(0)
    network = ConvNet(image, [8, 8], [32], "tanh")
    x = torch.rand(1, *image, requires_grad=True)
    network.encoder(5)(x).square().sum().backward()
    assert (x.grad != 0).all()
    decoder = network.decoder(5, 1)
    (drawn,) = decoder(torch.randn(1, 5))
    assert drawn.shape == image
    assert all((drawn[channel] - drawn[channel, 0, 0]).flatten()[1:].ne(0).all() for channel in range(image[0]))


def test_a_residual_block_with_zero_last_weights_is_the_identity():
    block = ResidualBlock(16)
    block.body[-1].weight.data.zero_()
    block.body[-1].bias.data.zero_()
    x = torch.randn(2, 16, 7, 7)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"channels": [8] * 6},
            r"\[8, 8, 8, 8, 8, 8\] halves the image 6 times, and 28 x 28 is one pixel after 5: take 5",
        ),
        ({"channels": []}, r"network\.channels must name at least one"),
        ({"channels": 8}, r"network\.channels must be a list"),
        ({"channels": [8, 0]}, r"each width in network\.channels must be a whole number"),
        ({"channels": [12], "blocks": 1}, r"multiples of 8"),
        ({"channels": [8], "blocks": -1}, r"network\.blocks must be a whole number"),
    ],
)
def test_impossible_convolutions_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        ConvNet((1, 28, 28), hidden=[16], **options)


@pytest.mark.parametrize("hidden", [400, "400", None, [16, -1], [1.5]])
def test_widths_that_are_no_list_of_whole_numbers_are_refused(hidden):
    with pytest.raises(ValueError, match=r"network\.hidden"):
        MLP((1, 28, 28), hidden)
    if hidden is not None:
        with pytest.raises(ValueError, match=r"network\.decoder_hidden"):
            MLP((1, 28, 28), [16], decoder_hidden=hidden)


@pytest.mark.parametrize(("own", "widths"), [(None, [5, 8, 16, 784]), ([], [5, 784]), ([600, 300], [5, 600, 300, 784])])
def test_the_decoder_has_the_widths_of_the_encoder_backwards_or_its_own(own, widths):
    network = MLP((1, 28, 28), [16, 8], decoder_hidden=own)
    built = {"encoder": network.encoder(5), "decoder": network.decoder(5, 1)}
    linear = {name: [m for m in module.modules() if isinstance(m, nn.Linear)] for name, module in built.items()}
    assert [linear["decoder"][0].in_features, *(m.out_features for m in linear["decoder"])] == widths
    assert [linear["encoder"][0].in_features, *(m.out_features for m in linear["encoder"])] == [784, 16, 8, 5]


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match=r"network\.activation must be one of relu, silu"):
        MLP((1, 28, 28), [16], activation="cubic")
