"""The look that all figures share: sizes, colours, titles."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from PIL import Image

DPI = 100
FONT, LEAST_FONT = 10, 6.5  # points
INK = "#222222"
TRAIN, VAL = "#4878a8", "#d1603d"
TITLE_LINE, TITLE_MARGIN = 20, 14  # pixels


def latent_name(latent: int) -> str:
    """The name of a latent in every plot; latents are numbered from 0."""
    return f"z{latent}"


def canvas(width: float, height: float) -> Figure:
    """An empty figure of ``width`` by ``height`` screen pixels."""
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def chart(width: float, height: float, title: str = "") -> Figure:
    """A figure of ``width`` by ``height`` inches, for axes, under ``title``."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        title, size = fitted(title, width * DPI - 12)
        figure.suptitle(title, fontsize=size, color=INK, x=0.01, ha="left")
    return figure


def fitted(title: str, width: float) -> tuple[str, float]:
    """``title`` and a font size in points at which its longest line fits ``width`` pixels.

    A line that would be too small to read is shortened.
    """
    per_point = 0.62 * DPI / 72  # pixels that a letter is wide, at most
    longest = max(2, int(width / (per_point * LEAST_FONT)))
    lines = [line if len(line) <= longest else f"{line[: longest - 1]}…" for line in title.splitlines()]
    return "\n".join(lines), min(FONT, width / (per_point * max([1, *map(len, lines)])))


def title_height(title: str) -> int:
    """The pixels that the lines of ``title`` take above a grid of images."""
    return TITLE_MARGIN + TITLE_LINE * len(title.splitlines()) if title else 0


def text_width(text: str, size: float = FONT) -> float:
    """The pixels that ``text`` is wide at a font size of ``size`` points."""
    if not text.strip():
        return 0.0
    hinting = 1.05  # letters on the screen's pixels are wider than their outlines, by up to so much
    width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)
    return hinting * DPI / 72 * float(width)


def write(figure: Figure, x: float, y: float, text: str, size: float = FONT, align: str = "left") -> None:
    """Write ``text`` at ``x`` pixels from the left and, in the middle of its height, ``y`` pixels from the top."""
    width, height = figure.get_size_inches() * DPI
    figure.text(x / width, 1 - y / height, text, fontsize=size, color=INK, ha=align, va="center")


def dress(axes: Axes, title: str, x: str, y: str) -> None:
    """Give a chart its title, the names of its axes and the common look."""
    axes.set_title(title, fontsize=FONT, color=INK, loc="left")
    axes.set_xlabel(x, fontsize=FONT - 1)
    axes.set_ylabel(y, fontsize=FONT - 1)
    axes.tick_params(labelsize=FONT - 2)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def pixels(figure: Figure) -> np.ndarray:
    """The figure as uint8 ``(H, W, 3)``, which is what TensorBoard takes."""
    agg = FigureCanvasAgg(figure)
    agg.draw()
    return np.asarray(agg.buffer_rgba())[..., :3].copy()


def as_image(drawn: np.ndarray) -> Image.Image:
    """Pixels ``(H, W, 3)`` as an image; where all are grey it has one channel, in half the bytes."""
    is_grey = (drawn == drawn[..., :1]).all()
    return Image.fromarray(drawn[..., 0] if is_grey else drawn)
