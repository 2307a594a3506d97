"""The view Compare: several runs side by side, on the same image and the same noise."""

from nicegui import ui
from torch import Tensor

from vaelab.explore.elements import Picture, box, numbers
from vaelab.explore.pictures import data_url, sheet_url
from vaelab.explore.session import ExploredRun, Look
from vaelab.explore.sweep_plane import preview
from vaelab.explore.tab import Tab, View

Found = list[tuple[ExploredRun, Look, tuple[Tensor, Tensor, Tensor] | None]]
MOST = 8  # runs side by side


class CompareView(View):
    name = "compare"
    page = "sweeps"

    def __init__(self, tab: Tab) -> None:
        super().__init__(tab)
        self.looks = tab.newest(self.show)

    @staticmethod
    def fits(tab: Tab) -> bool:
        return len(tab.shown) > 1

    def build(self) -> None:
        self.note = ui.label().classes("caption")
        self.cards = ui.element("div").classes("columns cards").props("data-name=cards")

    def _runs(self) -> list[ExploredRun]:
        """The open runs whose images have the same shape, the chosen one first at its β."""
        base = self.tab.base
        others = [run for run in self.tab.shown.values() if run is not base and run.shape == base.shape]
        return [self.tab.run, *others][:MOST]

    async def refresh(self) -> None:
        image, label = self.tab.image, self.tab.label
        if image is None:
            self.note.text = self.text("empty")
            self.cards.clear()
            return
        runs = self._runs()
        await self.looks.ask(lambda: [(run, run.look(image, label), preview(run)) for run in runs])

    def show(self, found: Found) -> None:
        left_out = len(self.tab.shown) - len(found)
        notes = [self.text("left_out", count=left_out)] if left_out > 0 else []
        if len({run.group for run, _, _ in found}) > 1:
            notes.append(self.text("other_nats"))
        self.note.text = " ".join(notes)
        self.cards.clear()
        with self.cards:
            for run, look, shown in found:
                with box(run.name):
                    self._build_card(run, look, shown)

    def _build_card(self, run: ExploredRun, look: Look, shown: tuple[Tensor, Tensor, Tensor] | None) -> None:
        with ui.row().classes("gap-4 items-start"):
            for name, image in (("image", look.image), ("reconstruction_short", look.reconstruction)):
                with ui.column().classes("gap-1"):
                    Picture("medium", self.text(name)).show(data_url(image))
                    ui.label(self.text(name)).classes("caption")
        if look.samples is not None:
            ui.label(self.text("samples")).classes("caption")
            Picture("wide", self.text("samples")).show(sheet_url(look.samples, len(look.samples)))
        if shown is not None and run.has_prior:
            ui.label(self.text("prior_samples")).classes("caption")
            Picture("wide", self.text("prior_samples")).show(sheet_url(shown[2], len(shown[2])))
        values = {self.text(name): f"{value:.1f}" for name, value in look.metrics.items()}
        if look.kl is not None:
            values[self.text("used")] = f"{run.latent - sum(run.collapsed)} / {run.latent}"
        numbers(values)
