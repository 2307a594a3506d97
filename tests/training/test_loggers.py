"""What TensorBoard's event files hold."""

import io
import threading

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vaelab.training import loggers
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


def test_an_interrupt_within_a_log_call_does_not_hold_up_the_end(tmp_path, monkeypatch):
    """As Ctrl-C does where it hits ``Queue.put`` after the event is in the queue, but before the writer is woken."""
    monkeypatch.setattr(loggers, "FLUSH_SECONDS", 1)
    files = TensorBoardFiles(tmp_path, 0, has_bound=True)
    files.log_metrics({"loss/train": 1.0}, step=1)
    queue = files.experiment._get_file_writer().event_writer._async_writer._byte_queue
    queue.join()  # the writer has it, and waits for the next one

    def interrupt() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(queue.not_empty, "notify", interrupt)
        with pytest.raises(KeyboardInterrupt):
            files.log_metrics({"loss/train": 2.0}, step=2)
    ending = threading.Thread(target=files.finalize, args=("interrupted",), daemon=True)
    ending.start()
    ending.join(60)
    assert not ending.is_alive()
