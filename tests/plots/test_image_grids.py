import numpy as np
import pytest
import torch

from vaelab.plots import image_grids, style


def test_a_sheet_holds_every_image_in_its_place():
    images = torch.arange(6).view(6, 1, 1, 1).expand(6, 1, 4, 5) / 5
    page = image_grids.sheet(images, columns=3)
    assert page.shape == (2 * (4 + image_grids.GAP) + image_grids.GAP, 3 * (5 + image_grids.GAP) + image_grids.GAP)
    assert page[image_grids.GAP, image_grids.GAP] == 0
    assert page[-image_grids.GAP - 1, -image_grids.GAP - 1] == 1
    assert page[0, 0] == np.float32(image_grids.GAP_GREY)


def test_pixels_outside_the_range_are_clipped():
    page = image_grids.sheet(torch.tensor([-3.0, 0.5, 7.0]).view(3, 1, 1, 1), columns=3)
    assert [page[image_grids.GAP, image_grids.GAP + index * (1 + image_grids.GAP)] for index in range(3)] == [0, 0.5, 1]


@pytest.mark.parametrize("count", [1, 7, 64])
def test_every_pixel_becomes_a_square_with_sharp_edges(count):
    torch.manual_seed(0)
    images = (torch.rand(count, 1, 28, 28) > 0.5).float()
    drawn = style.pixels(image_grids.grid(images))
    assert drawn.dtype == np.uint8
    page = image_grids.sheet(images, 8)
    assert drawn.shape == (page.shape[0] * image_grids.SCALE, page.shape[1] * image_grids.SCALE, 3)
    small = drawn[image_grids.SCALE // 2 :: image_grids.SCALE, image_grids.SCALE // 2 :: image_grids.SCALE, 0] / 255
    np.testing.assert_allclose(small, page, atol=0.01)
    blocks = drawn[..., 0].reshape(page.shape[0], image_grids.SCALE, page.shape[1], image_grids.SCALE)
    assert (blocks.max((1, 3)) == blocks.min((1, 3))).all()


def left_margin(drawn: np.ndarray) -> int:
    """White columns before the first ink."""
    return int(np.argmax((drawn < 200).any((0, 2))))


def test_the_labels_of_reconstructions_are_not_cut():
    images = torch.rand(8, 1, 28, 28)
    drawn = style.pixels(image_grids.reconstructions(images, images, "a title"))
    assert left_margin(drawn) > 2
    assert drawn.shape[1] > drawn.shape[0]


def test_each_row_has_its_name_to_its_left():
    images = torch.ones(5, 1, 28, 28)
    figure = image_grids.labelled_rows({"one": images, "two": 0.5 * images, "three": 0 * images})
    assert [text.get_text() for text in figure.texts] == ["one", "two", "three"]
    heights = [text.get_position()[1] for text in figure.texts]
    assert heights == sorted(heights, reverse=True)
    drawn = style.pixels(figure)
    middle = drawn[:, drawn.shape[1] // 2, 0]
    third = len(middle) // 3
    assert [middle[third // 2 + row * third] for row in range(3)] == [255, 128, 0]


def test_a_row_with_fewer_images_ends_in_the_page_s_grey():
    drawn = style.pixels(image_grids.labelled_rows({"five": torch.ones(5, 1, 28, 28), "two": torch.ones(2, 1, 28, 28)}))
    lower = drawn[-40, :, 0]
    assert (lower[-3 * 28 * 3 :] == lower[-1]).all()  # the page's grey where three images are missing


@pytest.mark.parametrize("name", ["x", "a rather long name, 1234 nats"])
def test_the_names_of_rows_are_not_cut(name):
    drawn = style.pixels(image_grids.labelled_rows({name: torch.zeros(4, 1, 28, 28)}))
    assert left_margin(drawn) > 2


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_the_names_of_columns_stand_above_them_and_never_overlap():
    rows = {"row": torch.zeros(4, 1, 28, 28)}
    names = ["-2.5", "-1.0", "1.0", "2.5"]
    assert texts(image_grids.labelled_rows(rows, columns=names)) == ["row", *names]
    narrow = {"row": torch.zeros(4, 1, 8, 8)}  # 30 pixels for each column
    assert texts(image_grids.labelled_rows(narrow, columns=["99.4 %"] * 4)) == ["row", "99.4 %", "99.4 %"]


# ---- colour --------------------------------------------------------------------------------------------------


def marked(count: int, height: int, width: int) -> torch.Tensor:
    """Images of different colours, each with a corner pixel of another colour."""
    torch.manual_seed(0)
    images = torch.rand(count, 3, 1, 1).expand(count, 3, height, width).clone()
    images[:, :, 0, 0] = 1 - images[:, :, -1, -1]
    images[:, :, -1, 0] = images[:, :, -1, -1].roll(1, 1)
    return images


def page_of(drawn: np.ndarray, top: int, scale: int) -> np.ndarray:
    """The page's pixels in [0, 1], below ``top`` screen pixels of a title."""
    return drawn[top + scale // 2 :: scale, scale // 2 :: scale] / 255


@pytest.mark.parametrize(("height", "width", "scale"), [(5, 9, 3), (9, 5, 3), (33, 47, 2), (64, 64, 2), (200, 130, 1)])
def test_a_grid_of_colour_images_has_the_colour_of_every_pixel(height, width, scale):
    images = marked(5, height, width)
    drawn = style.pixels(image_grids.grid(images, columns=3))
    page = page_of(drawn, 0, scale)
    pitch = (height + image_grids.GAP, width + image_grids.GAP)
    assert page.shape == (2 * pitch[0] + image_grids.GAP, 3 * pitch[1] + image_grids.GAP, 3)
    for index, image in enumerate(images):
        top, left = (image_grids.GAP + place * step for place, step in zip(divmod(index, 3), pitch, strict=True))
        found = page[top : top + height, left : left + width]
        np.testing.assert_allclose(found, image.movedim(0, -1), atol=0.003)
    np.testing.assert_allclose(page[0, 0], [image_grids.GAP_GREY] * 3, atol=0.003)


def test_rows_of_colour_images_have_their_colours():
    images = marked(4, 6, 10)
    figure = image_grids.labelled_rows({"one": images, "two": images.flip(0)[:3]}, "title", columns=list("abcd"))
    drawn = style.pixels(figure)
    height, width = 2 * 8 + 2, 4 * 12 + 2
    page = page_of(drawn[-3 * height :, -3 * width :], 0, 3)
    np.testing.assert_allclose(page[2:8, 2:12], images[0].movedim(0, -1), atol=0.003)
    np.testing.assert_allclose(page[10:16, 26:36], images[1].movedim(0, -1), atol=0.003)
    np.testing.assert_allclose(page[10:16, 40], image_grids.GAP_GREY, atol=0.003)


@pytest.mark.parametrize("channels", [2, 4])
def test_the_mean_of_channels_that_are_no_colours_is_drawn(channels):
    images = torch.rand(3, channels, 4, 6)
    page = image_grids.sheet(images, 3)
    np.testing.assert_allclose(page[2:6, 2:8], images[0].mean(0), atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(4, 7), (7, 4), (5, 5)])
def test_squares_hold_the_images_in_their_middle(height, width):
    images = torch.rand(2, 3, height, width)
    made = image_grids.squares(images)
    side = max(height, width)
    assert made.shape == (2, 3, side, side)
    top, left = (side - height) // 2, (side - width) // 2
    torch.testing.assert_close(made[:, :, top : top + height, left : left + width], images)
    assert float((made == image_grids.GAP_GREY).float().mean()) == pytest.approx(1 - height * width / side**2)


def test_a_figure_in_grey_has_one_channel_and_one_in_colour_has_three():
    assert style.as_image(style.pixels(image_grids.grid(torch.rand(2, 1, 5, 5)))).mode == "L"
    assert style.as_image(style.pixels(image_grids.grid(marked(2, 5, 5)))).mode == "RGB"
