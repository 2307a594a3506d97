"""The view Sweep: the configurations of a sweep in the rate-distortion plane."""

from collections.abc import Mapping

from nicegui import ui
from nicegui.events import ValueChangeEventArguments
from torch import Tensor

from vaelab.explore.elements import COLOURS, Picture, Plane, box
from vaelab.explore.pictures import sheet_url
from vaelab.explore.sweep_plane import Point, SweepPlane, axis_text, preview
from vaelab.explore.tab import Tab, View
from vaelab.explore.worker import compute

Found = tuple[Point, tuple[Tensor, Tensor, Tensor] | None]
ACROSS = 8


class SweepView(View):
    name = "sweep"
    page = "sweeps"

    def __init__(self, tab: Tab) -> None:
        super().__init__(tab)
        self.previews = tab.newest(self.show)
        self.kept: dict[str, Found] = {}
        self.is_setting = False

    @staticmethod
    def fits(tab: Tab) -> bool:
        return bool(tab.opened.planes)

    def build(self) -> None:
        planes = self.tab.opened.planes
        with ui.element("div").classes("columns map"):
            with box():
                if len(planes) > 1:
                    names = {number: plane.name for number, plane in enumerate(planes)}
                    ui.select(names, value=0, on_change=self.choose_plane).props("dense outlined").classes("w-full")
                self.plane = Plane(self.text("sweep_label"), self.at, self.choose)
                self.plane.props("data-name=sweep")
                self.legend = ui.element("div").classes("legend")
                ui.label(self.text("sweep_note")).classes("caption")
            with ui.column().classes("gap-3 w-full"):
                with box():
                    self.title = ui.label().classes("font-semibold").props("data-name=configuration")
                    self.values = ui.label().classes("caption")
                    self.pictures = {
                        name: self._captioned(name) for name in ("originals", "reconstructions", "prior_samples")
                    }
                    self.button = ui.button(self.text("open"), on_click=self.open).props("outline dense no-caps")
                with box(self.text("axes")):
                    self.axes = ui.column().classes("w-full gap-0 px-4")
        self._use(planes[0])

    def _captioned(self, name: str) -> Picture:
        ui.label(self.text(name)).classes("caption")
        picture = Picture("wide", self.text(name))
        picture.props(f"data-name={name}")
        return picture

    async def choose_plane(self, event: ValueChangeEventArguments) -> None:
        self._use(self.tab.opened.planes[event.value])
        await self.refresh()

    def _use(self, plane: SweepPlane) -> None:
        self.shown, self.chosen = plane, plane.best
        first = next(iter(plane.axes), None)
        colours = {str(value): number for number, value in enumerate(plane.axes.get(first, []))} if first else {}
        colour = [colours.get(str(point.options[first]), 0) if first else 0 for point in plane.points]
        curves = [
            sorted((i for i, of in enumerate(colour) if of == one), key=lambda i: plane.points[i].rate)
            for one in sorted(set(colour))
        ]  # fmt: skip
        self.plane.set(
            points=[[point.rate, point.distortion, of] for point, of in zip(plane.points, colour, strict=True)],
            radius=6, isolines=True, curves=curves if len(plane.axes) > 1 else [], chosen=self.chosen,
            axes=[self.text("rate_axis"), self.text("distortion_axis")],
            names=[point.name for point in plane.points],
        )  # fmt: skip
        self._build_legend(colours)
        self._build_axes()

    def _build_legend(self, colours: Mapping[str, int]) -> None:
        self.legend.clear()
        with self.legend:
            for value, number in colours.items() if len(self.shown.axes) > 1 else ():
                ui.element("i").style(f"background: {COLOURS[number % len(COLOURS)]}")
                ui.label(axis_text(next(iter(self.shown.axes)), value))

    def _build_axes(self) -> None:
        self.sliders: dict[str, ui.slider] = {}
        self.axes.clear()
        with self.axes:
            if not self.shown.axes:
                ui.label(self.text("one_configuration")).classes("caption")
            for axis, values in self.shown.axes.items():
                ui.label(axis).classes("caption")
                slider = ui.slider(
                    min=0, max=len(values) - 1, step=1, value=0,
                    on_change=lambda event, axis=axis: self.slid(axis, event),
                )  # fmt: skip
                slider.props("snap markers").props(f"data-name=axis-{axis}")
                slider.props["marker-labels"] = [
                    {"value": number, "label": "none" if value is None else axis_text("", value)[1:]}
                    for number, value in enumerate(values)
                ]
                slider.props["aria-label"] = axis
                self.sliders[axis] = slider

    async def slid(self, axis: str, event: ValueChangeEventArguments) -> None:
        if self.is_setting or event.value is None:
            return
        wanted = {**self.shown.points[self.chosen].options, axis: self.shown.axes[axis][int(event.value)]}
        await self._choose(self.shown.nearest(wanted, axis))

    async def at(self, event: dict) -> None:
        if 0 <= int(event["index"]) < len(self.shown.points) and int(event["index"]) != self.chosen:
            await self._choose(int(event["index"]))

    async def choose(self, event: dict) -> None:
        if 0 <= int(event["index"]) < len(self.shown.points):
            await self._choose(int(event["index"]))
            await self.open()

    async def _choose(self, index: int) -> None:
        self.chosen = index
        self.plane.set(chosen=index)
        await self.refresh()

    async def refresh(self) -> None:
        point, opened = self.shown.points[self.chosen], self.tab.opened
        self._set_sliders(point)
        self._say(point)
        if point.name in self.kept:
            return self.show(self.kept[point.name])
        await self.previews.ask(lambda: (point, preview(opened.open_point(point))))

    def _say(self, point: Point) -> None:
        """Name a configuration, whose images may take a second."""
        self.title.text = point.name
        self.values.text = self.text(
            "point", rate=f"{point.rate:.1f}", distortion=f"{point.distortion:.1f}",
            elbo=f"{-point.rate - point.distortion:.1f}",
        )  # fmt: skip
        for picture in self.pictures.values():
            picture.show("")

    def _set_sliders(self, point: Point) -> None:
        self.is_setting = True
        for axis, slider in self.sliders.items():
            slider.value = self.shown.axes[axis].index(point.options[axis])
        self.is_setting = False

    def show(self, found: Found) -> None:
        point, images = found
        self.kept[point.name] = found
        for picture, shown in zip(self.pictures.values(), images or (None, None, None), strict=True):
            picture.show("" if shown is None else sheet_url(shown, ACROSS))

    async def open(self) -> None:
        """Make the chosen configuration the run of all views."""
        point, opened = self.shown.points[self.chosen], self.tab.opened
        try:
            run = await compute(lambda: opened.open_point(point))
        except Exception as error:
            return self.tab.fail(error)
        base = next(each for each in opened.runs.values() if each.run.directory == run.run.directory)
        self.tab.adopt(base, point.beta)
        await self.tab.switched("draw")
