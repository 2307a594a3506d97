"""Tensors as pictures of the page: PNG in a data URL, and bars as SVG."""

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO

import numpy as np
from PIL import Image
from torch import Tensor

from vaelab.plots.image_grids import sheet, visible
from vaelab.plots.style import latent_name

ROW, NAME, NATS, WIDTH = 18, 34, 62, 320  # of a bar's chart, in its own units
BAR_REACH = 3.5  # standard deviations of the prior that the chart is wide at least


def data_url(image: Tensor) -> str:
    """``image`` ``(C, H, W)`` in [0, 1] as a PNG of its own size, for the attribute src."""
    return _url(visible(image[None])[0].movedim(0, -1).numpy())


def sheet_url(images: Tensor, columns: int) -> str:
    """Images ``(N, C, H, W)`` side by side, ``columns`` in a row, as a PNG for the attribute src."""
    return _url(sheet(images, columns))


def _url(page: np.ndarray) -> str:
    pixels = np.ascontiguousarray((255 * page).round().astype(np.uint8))
    made, file = Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels), BytesIO()
    made.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def bars(mean: Tensor, std: Tensor | None, kl: Tensor | None, order: Sequence[int], collapsed: Sequence[bool]) -> str:
    """The posterior of each latent as SVG: a bar from mean - std to mean + std, a line at the mean, its KL beside it.

    **Arguments**
        mean, std, kl: ``(D,)``; see `Look`.
        order: which latents are shown, from the top.
        collapsed: which of all latents are marked.
    """
    spread = [0.0] * len(mean) if std is None else std.tolist()
    centres = mean.tolist()
    reach = max([BAR_REACH, *(abs(centres[latent]) + spread[latent] for latent in order)])
    middle, scale = NAME + (WIDTH - NAME - NATS) / 2, (WIDTH - NAME - NATS) / 2 / reach
    height = ROW * len(order)
    parts = [f'<line class="axis" x1="{middle}" x2="{middle}" y1="0" y2="{height}"/>']
    for row, latent in enumerate(order):
        at, y = middle + scale * centres[latent], ROW * (row + 0.5)
        half = max(scale * spread[latent], 1.0)
        kind = "bar collapsed" if collapsed[latent] else "bar"
        parts.append(f'<text class="name" x="{NAME - 6}" y="{y + 4}">{latent_name(latent)}</text>')
        parts.append(
            f'<rect class="{kind}" x="{at - half:.1f}" y="{y - 5}" width="{2 * half:.1f}" height="10" rx="2"/>'
        )
        parts.append(f'<line class="mean" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 7}" y2="{y + 7}"/>')
        if kl is not None:
            parts.append(f'<text class="nats" x="{WIDTH - 2}" y="{y + 4}">{float(kl[latent]):.2f}</text>')
    for value in (-round(reach - 0.5), 0, round(reach - 0.5)):
        parts.append(f'<text class="tick" x="{middle + scale * value:.1f}" y="{height + 11}">{value}</text>')
    return f'<svg class="bars" viewBox="0 0 {WIDTH} {height + ROW - 4}" role="img">{"".join(parts)}</svg>'


def probabilities(mean: Tensor, count: int) -> str:
    """The ``count`` most probable components of a mixture as SVG bars, by their probabilities ``mean`` ``(M,)``."""
    order = mean.argsort(descending=True)[:count].tolist()
    wide = WIDTH - NAME - NATS
    parts = []
    for row, component in enumerate(order):
        y, share = ROW * (row + 0.5), float(mean[component])
        parts.append(f'<text class="name" x="{NAME - 6}" y="{y + 4}">{escape(str(component))}</text>')
        parts.append(
            f'<rect class="bar" x="{NAME}" y="{y - 5}" width="{max(1.0, wide * share):.1f}" height="10" rx="2"/>'
        )
        parts.append(f'<text class="nats" x="{WIDTH - 2}" y="{y + 4}">{100 * share:.1f} %</text>')
    return f'<svg class="bars" viewBox="0 0 {WIDTH} {ROW * len(order)}" role="img">{"".join(parts)}</svg>'
