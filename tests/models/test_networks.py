"""Networks: shapes, error messages, and that the result for an image does not depend on its batch."""

from collections.abc import Callable

import pytest
import torch

from vaelab.models.contracts import Network
from vaelab.models.networks import MLP, ConvNet, ResidualBlock

NETWORKS: dict[str, Callable[[tuple[int, int, int]], Network]] = {
    "mlp": lambda image: MLP(image, [16, 8]),
    "linear": lambda image: MLP(image, []),
    "conv": lambda image: ConvNet(image, channels=[8, 16], hidden=[32]),
    "conv without hidden": lambda image: ConvNet(image, channels=[8], hidden=[]),
    "resnet": lambda image: ConvNet(image, channels=[8, 16], hidden=[32], blocks=2),
}
IMAGES = [(1, 28, 28), (1, 4, 12), (3, 8, 8)]


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


def test_a_residual_block_with_zero_last_weights_is_the_identity():
    block = ResidualBlock(16)
    block.body[-1].weight.data.zero_()
    block.body[-1].bias.data.zero_()
    x = torch.randn(2, 16, 7, 7)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"channels": [8, 8, 8]}, r"network\.channels=\[8, 8, 8\] halves the image 3 times"),
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


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match=r"network\.activation must be one of relu, silu"):
        MLP((1, 28, 28), [16], activation="cubic")
