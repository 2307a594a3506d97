"""What TensorBoard's event files hold."""

import io

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vaelab.training.loggers import PLOT_WIDTH, TensorBoardFiles


def events(directory) -> EventAccumulator:
    read = EventAccumulator(str(directory))
    read.Reload()
    return read


def test_a_wide_plot_is_averaged_to_twice_a_thumbnails_width(tmp_path):
    files = TensorBoardFiles(tmp_path, 0, has_bound=True)
    stripes = np.zeros((300, 2 * PLOT_WIDTH, 3), np.uint8)
    stripes[:, ::2] = 255  # leaving out every second column would make it black or white
    small = np.full((40, 60, 3), 7, np.uint8)
    files.log_plot("wide", stripes, 1)
    files.log_plot("small", small, 1)
    files.save()
    wide, same = (
        np.asarray(Image.open(io.BytesIO(events(tmp_path).Images(f"plots/{name}")[0].encoded_image_string)))
        for name in ("wide", "small")
    )
    assert wide.shape == (150, PLOT_WIDTH, 3)
    assert abs(wide.astype(int) - 128).max() < 30
    assert np.array_equal(same, small)
