"""The view Draw: an image of the user or of the test set, its reconstruction and its posterior."""

import torch
from nicegui import ui
from nicegui.events import UploadEventArguments
from torch import Tensor

from vaelab.data.decode import MODES
from vaelab.explore import drawing
from vaelab.explore.elements import DrawCanvas, Picture, box, captioned, numbers, picks
from vaelab.explore.pictures import bars, data_url, probabilities, sheet_url
from vaelab.explore.session import Look
from vaelab.explore.tab import Tab, View
from vaelab.explore.worker import compute

SHOWN_LATENTS = 20
SHOWN_COMPONENTS = 12
PICKED = 12  # test images of a class
GREY = 1  # channels


class DrawView(View):
    name = "draw"
    page = "theory"

    def __init__(self, tab: Tab) -> None:
        super().__init__(tab)
        self.looks = tab.newest(self.show)
        self.invert = False
        self.canvas: DrawCanvas | None = None

    def build(self) -> None:
        with ui.element("div").classes("columns"):
            self._build_input()
            self._build_result()
            with box(self.text("posterior")):
                self.note = ui.label().classes("caption")
                self.chart = ui.html(sanitize=False).classes("w-full")
                with ui.expansion(self.text("more")).classes("w-full") as self.more:
                    self.rest = ui.html(sanitize=False).classes("w-full")

    def _build_input(self) -> None:
        run = self.tab.base
        with box(self.text("input" if run.shape[0] == GREY else "pick")):
            self.canvas = None
            if run.shape[0] == GREY:
                self.canvas = DrawCanvas(self.text("canvas"), self.drawn)
                self.canvas.props("data-name=canvas")
                ui.button(self.text("clear"), on_click=self.clear).props("flat dense no-caps icon=backspace")
            if run.images is None:
                ui.label(self.text("no_images")).classes("caption")
            else:
                self._build_picks()
            if run.shape[0] in MODES:
                self._build_upload()

    def _build_upload(self) -> None:
        with ui.expansion(self.text("file")).classes("w-full"):
            ui.switch(self.text("invert"), on_change=lambda event: setattr(self, "invert", event.value))
            upload = ui.upload(
                label=self.text("choose_file"), auto_upload=True, max_file_size=drawing.MAX_BYTES,
                on_upload=self.uploaded, on_rejected=self.rejected,
            )  # fmt: skip
            upload.props('accept="image/*" flat bordered').classes("w-full")

    def _build_picks(self) -> None:
        run = self.tab.base
        if run.classes_seen:
            options = {-1: self.text("all"), **{label: str(label) for label in run.classes_seen}}
            select = ui.select(options, value=-1, label=self.text("test_images"))
            select.props("dense outlined options-dense").classes("w-full")
            select.on_value_change(lambda event: self.pick_from(event.value))
        else:
            ui.label(self.text("test_images")).classes("caption")
        self.thumbnails = ui.element("div")
        self.pick_from(-1)

    def _build_result(self) -> None:
        with box(self.text("result")):
            with ui.row().classes("gap-4 items-start"):
                self.input, self.output = (
                    captioned("big", name, self.text(name)) for name in ("image", "reconstruction")
                )
            self.samples_caption = ui.label(self.text("samples")).classes("caption")
            self.samples = Picture("wide", self.text("samples"))
            self.samples.props("data-name=samples")
            self.values = ui.element("div").classes("w-full").props("data-name=values")
            with ui.row().classes("items-center gap-3"):
                self.nll_button = ui.button(self.text("nll"), on_click=self.nll).props("outline dense no-caps")
                self.nll_value = ui.label().classes("caption").props("data-name=nll")
            self.nll_button.set_visibility(self.tab.base.model.has_bound)

    def pick_from(self, label: int) -> None:
        """Show test images of a class; of all for -1."""
        images = self.tab.base.images
        assert images is not None
        x, labels = images
        self.chosen = torch.arange(len(x)) if label < 0 else (labels == label).nonzero()[:, 0]
        self.chosen = self.chosen[:PICKED]
        self.thumbnails.clear()
        with self.thumbnails:
            names = [self.text("test_image", label=int(labels[index])) for index in self.chosen]
            picks([data_url(x[index]) for index in self.chosen], names, self.picked)

    async def picked(self, number: int) -> None:
        images = self.tab.base.images
        assert images is not None
        index = int(self.chosen[number])
        if self.canvas is not None:
            self.canvas.clear_strokes()
        await self._use(images[0][index], int(images[1][index]))

    async def drawn(self, strokes: object) -> None:
        if not strokes:
            self._empty()
            return
        try:
            image = drawing.from_strokes(strokes, self.tab.base.shape)
        except Exception as error:
            return self.tab.fail(error)
        await self._use(image)

    def clear(self) -> None:
        if self.canvas is not None:
            self.canvas.clear_strokes()
        self._empty()

    def _empty(self) -> None:
        self.tab.image = None
        self._blank()

    async def uploaded(self, event: UploadEventArguments) -> None:
        try:
            content = await event.file.read()
            shape, invert = self.tab.base.shape, self.invert
            image = await compute(lambda: drawing.from_file(content, event.file.name, shape, invert))
        except Exception as error:
            return self.tab.fail(error)
        finally:
            event.sender.reset()  # type: ignore[attr-defined]
        await self._use(image)

    def rejected(self) -> None:
        ui.notify(self.text("too_large", limit=drawing.MAX_BYTES >> 20), type="negative", position="top")

    async def _use(self, image: Tensor, label: int | None = None) -> None:
        self.tab.image = image
        if label is not None:
            self.tab.label = label
        await self.tab.changed()

    def _blank(self) -> None:
        for picture in (self.input, self.output, self.samples):
            picture.show("")
        self.values.clear()
        self.nll_value.text = ""
        self.note.text = self.text("empty")
        self.chart.content = self.rest.content = ""

    async def refresh(self) -> None:
        image, run, label = self.tab.image, self.tab.run, self.tab.label
        if image is None:
            return self._blank()
        await self.looks.ask(lambda: (run.look(image, label), run.order, run.collapsed))

    def show(self, found: tuple[Look, list[int], list[bool]]) -> None:
        look, order, collapsed = found
        self.input.show(data_url(look.image))
        self.output.show(data_url(look.reconstruction))
        self.samples.show("" if look.samples is None else sheet_url(look.samples, len(look.samples)))
        self.samples_caption.set_visibility(look.samples is not None)
        self.nll_value.text = ""
        self.values.clear()
        with self.values:
            numbers({f"{self.text(name)}": f"{value:.1f}" for name, value in look.metrics.items()})
        self._show_latents(look, order, collapsed)

    def _show_latents(self, look: Look, order: list[int], collapsed: list[bool]) -> None:
        if not self.tab.run.model.has_continuous_latents:
            self.note.text = self.text("components_note")
            self.chart.content = probabilities(look.mean, SHOWN_COMPONENTS)
            self.more.set_visibility(False)
            return
        dead = sum(collapsed)
        note = "bars_note" if look.kl is not None else "bars_note_plain" if look.std is not None else "code_note"
        self.note.text = self.text(note) + (self.text("collapsed_note", count=dead) if dead else "")
        first, rest = order[:SHOWN_LATENTS], order[SHOWN_LATENTS:]
        self.chart.content = bars(look.mean, look.std, look.kl, first, collapsed)
        self.more.set_visibility(bool(rest))
        self.rest.content = bars(look.mean, look.std, look.kl, rest, collapsed) if rest else ""

    async def nll(self) -> None:
        image, run, label = self.tab.image, self.tab.run, self.tab.label
        if image is None:
            ui.notify(self.text("empty"), position="top")
            return
        try:
            value, error = await compute(lambda: run.nll(image, label))
        except Exception as problem:
            return self.tab.fail(problem)
        self.nll_value.text = self.text("nll_value", value=f"{value:.2f}", error=f"{error:.2f}")
