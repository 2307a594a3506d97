"""The state of one open page, which its views share."""

import logging
import traceback
from collections.abc import Awaitable, Callable, Sequence

import torch
from nicegui import ui
from nicegui.client import Client
from torch import Tensor

from vaelab.errors import VaelabError, describe_os_error, one_line
from vaelab.explore.opened import Opened
from vaelab.explore.session import ExploredRun
from vaelab.explore.texts import Texts
from vaelab.explore.worker import Newest, T

log = logging.getLogger(__name__)


class Tab:
    """One open page: which run it shows, with which image, latents and label.

    **Attributes**
        base: the run, as it was opened; ``run`` is it at the chosen β.
        shown: the runs that can be chosen: those that were named, and those that were opened from a sweep.
        image: what was drawn or chosen ``(C, H, W)``; None where there is none.
        z: the latents ``(D,)`` of the view that moves them.
        label: of the image, as far as it is known, which a model that is conditioned on labels needs.
        changed: called when the image, the label or β has changed.
        switched: called when the run has changed, with the view to show; the present one for "".
    """

    def __init__(self, opened: Opened, text: Texts, client: Client) -> None:
        self.opened = opened
        self.text = text
        self.client = client
        self.base: ExploredRun = opened.first
        self.run: ExploredRun = self.base
        self.shown = {name: opened.runs[name] for name in opened.named}
        self.image: Tensor | None = None
        self.z: Tensor = torch.zeros(0)
        self.label = 0
        self.changed: Callable[[], Awaitable[None]]
        self.switched: Callable[[str], Awaitable[None]]
        self.adopt(self.base)

    def adopt(self, run: ExploredRun, beta: float | None = None) -> None:
        """Show ``run``, which is open, with the same image where it has the right shape."""
        self.base = run
        self.shown[run.name] = run
        self.run = run if beta is None else run.at(beta)
        if self.image is None or tuple(self.image.shape) != run.shape:
            self.image = None if run.images is None else run.images[0][0]
            self.label = 0 if run.images is None else int(run.images[1][0])
        if run.run.classes is not None:
            self.label %= run.run.classes
        self.z = run.centre.clone()

    def newest(self, show: Callable[[T], None]) -> Newest[T]:
        """Computations of a view, whose results go to ``show`` as long as the page is open."""

        def guarded(result: T) -> None:
            if not self.client.is_deleted:
                show(result)

        return Newest(guarded, self.fail)

    def fail(self, error: Exception) -> None:
        """Say in one line what was wrong; the traceback of a bug goes to the terminal."""
        if self.client.is_deleted:
            return
        if isinstance(error, VaelabError):
            line = one_line(error)
        elif isinstance(error, OSError):
            line = describe_os_error(error)
        else:
            log.error("".join(traceback.format_exception(error)))
            line = self.text("bug", error=type(error).__name__)
        with self.client:
            ui.notify(line, type="negative", multi_line=True, close_button="×", position="top", timeout=8_000)


class View:
    """One of the page's views; it is built anew for another run.

    **Attributes**
        name: the key of its title in texts.py; with ``_says`` that of the sentence that explains it.
        page: the page of the documentation that the explanation links to.
    """

    name: str
    page: str

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.text = tab.text

    @staticmethod
    def fits(tab: Tab) -> bool:
        """Whether the run has what the view shows."""
        return True

    @property
    def says(self) -> str:
        """The sentence that explains it."""
        return self.text(f"{self.name}_says")

    def build(self) -> None:
        """Make the elements, within the view's part of the page."""
        raise NotImplementedError

    async def refresh(self) -> None:
        """Show the image, the label and β of now."""
        raise NotImplementedError


def in_order(run: ExploredRun, shown: Sequence[int]) -> list[int]:
    """The latents ``shown`` in the run's order."""
    wanted = set(shown)
    return [latent for latent in run.order if latent in wanted]
