"""Networks: shapes, and that an image's result is its own."""

from functools import partial

import pytest
import torch

from vaelab.models.networks import Residual, conv_decoder, conv_encoder, mlp_decoder, mlp_encoder

ENCODERS = {
    "mlp": partial(mlp_encoder, hidden=[16, 8]),
    "linear": partial(mlp_encoder, hidden=[]),
    "conv": partial(conv_encoder, channels=[8, 16], hidden=[32]),
    "conv without hidden": partial(conv_encoder, channels=[8], hidden=[]),
    "resnet": partial(conv_encoder, channels=[8, 16], hidden=[32], blocks=2),
}
DECODERS = {
    "mlp": partial(mlp_decoder, hidden=[16, 8]),
    "linear": partial(mlp_decoder, hidden=[]),
    "conv": partial(conv_decoder, channels=[8, 16], hidden=[32]),
    "conv without hidden": partial(conv_decoder, channels=[8], hidden=[]),
    "resnet": partial(conv_decoder, channels=[8, 16], hidden=[32], blocks=2),
}


@pytest.mark.parametrize("image", [(1, 28, 28), (1, 4, 12)])
@pytest.mark.parametrize("network", ENCODERS.values(), ids=ENCODERS)
def test_encoders_put_out_so_many_numbers_per_image(network, image):
    assert network(7, image=image)(torch.rand(3, *image)).shape == (3, 7)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("image", [(1, 28, 28), (1, 4, 12)])
@pytest.mark.parametrize("network", DECODERS.values(), ids=DECODERS)
def test_decoders_take_any_leading_dimensions(network, image, channels):
    torch.manual_seed(0)
    decoder = network(5, channels, image=image)
    z = torch.randn(2, 3, 5)
    images = decoder(z)
    assert images.shape == (2, 3, channels, *image[1:])
    assert decoder(z[0, 0]).shape == (channels, *image[1:])
    torch.testing.assert_close(images[1, 2], decoder(z[1, 2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", ENCODERS.values(), ids=ENCODERS)
def test_an_images_code_does_not_depend_on_its_batch(network):
    torch.manual_seed(0)
    encoder, x = network(7, image=(1, 8, 8)), torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(encoder(x)[3], encoder(x[3:4])[0], rtol=1e-4, atol=1e-5)


def test_a_residual_block_begins_near_the_identity():
    """It adds to its input: with the last weights at zero it is the identity."""
    block = Residual(16)
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
def test_convolutions_that_cannot_be_are_refused(options, says):
    for make in (conv_encoder, partial(conv_decoder, 5)):
        with pytest.raises(ValueError, match=says):
            make(1, image=(1, 28, 28), hidden=[16], **options)
