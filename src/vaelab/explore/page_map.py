"""The view Map: the plane of latents with the posterior means of test images, and paths between two of them."""

from functools import partial

from nicegui import ui
from nicegui.events import ValueChangeEventArguments
from torch import Tensor

from vaelab.explore.elements import COLOURS, Picture, Plane, box, captioned
from vaelab.explore.latent_map import WAYS, LatentMap, latent_map, paths, planes
from vaelab.explore.pictures import data_url, sheet_url
from vaelab.explore.session import ExploredRun
from vaelab.explore.tab import Tab, View
from vaelab.explore.worker import compute
from vaelab.plots.style import latent_name

ENDS = (0, 2)  # the test images of the first path
QUICK, SLOW = WAYS[:-1], WAYS[-1:]
MOST = 2  # runs whose paths are shown


class MapView(View):
    name = "map"
    page = "plots"

    def __init__(self, tab: Tab) -> None:
        super().__init__(tab)
        self.maps = tab.newest(self.show_map)
        self.images = tab.newest(self.show_image)
        self.asked = 0  # how often paths were asked for
        self.map: LatentMap | None = None
        self.ends = ENDS

    @staticmethod
    def fits(tab: Tab) -> bool:
        return tab.base.model.has_continuous_latents and tab.base.encoded is not None

    def build(self) -> None:
        run = self.tab.base
        self.map, self.ends = None, ENDS
        self.plane: Plane
        self.choices = planes(run)
        self.choice = self.choices[0]
        with ui.element("div").classes("columns map"):
            with box():
                with ui.row().classes("items-center gap-2 w-full"):
                    self._build_choice()
                    ui.button(self.text("whole"), on_click=lambda: self.plane.show_all()).props("flat dense no-caps")
                self.plane = Plane(self.text("map_label"), self.at, self.at, self.drag)
                self.plane.props("data-name=map")
                self._build_legend()
                self.caption = ui.label().classes("caption")
            with ui.column().classes("gap-3 w-full"):
                with box(self.text("under_pointer")), ui.row().classes("gap-4"):
                    self.decoded, self.nearest = (
                        captioned("small", name, self.text(name)) for name in ("decoded", "nearest")
                    )
                with box(self.text("paths")):
                    ui.label(self.text("paths_note")).classes("caption")
                    self.rows = ui.column().classes("w-full gap-1")

    def _build_choice(self) -> None:
        if len(self.choices) < 2:
            return
        names = {
            number: self.text("pca") if choice is None else " × ".join(map(latent_name, choice))
            for number, choice in enumerate(self.choices)
        }
        select = ui.select(names, value=0, on_change=self.choose).props("dense outlined options-dense")
        select.props["aria-label"] = self.text("plane")

    def _build_legend(self) -> None:
        with ui.element("div").classes("legend"):
            for label in self.tab.base.classes_seen[: len(COLOURS)]:
                ui.element("i").style(f"background: {COLOURS[label % len(COLOURS)]}")
                ui.label(str(label))

    async def choose(self, event: ValueChangeEventArguments) -> None:
        self.choice = self.choices[event.value]
        await self.refresh()

    async def refresh(self) -> None:
        run, choice = self.tab.run, self.choice
        await self.maps.ask(lambda: latent_map(run, choice))
        await self._refresh_paths()

    def show_map(self, found: LatentMap) -> None:
        self.map = found
        colours = found.labels.tolist()
        points = [
            [round(x, 4), round(y, 4), colour] for (x, y), colour in zip(found.points.tolist(), colours, strict=True)
        ]
        classes = self.tab.base.classes_seen
        self.plane.set(
            points=points, circles=[list(circle) for circle in found.contours], axes=list(found.axes),
            shadows=[] if found.prior is None else found.prior.tolist(), equal=self.tab.base.visible > 1,
            names=[str(colour) for colour in colours] if classes else [],
        )  # fmt: skip
        prior = "contours_note" if found.contours else "" if found.prior is None else "shadows_note"
        self.caption.text = self.text("map_note", count=len(points)) + (self.text(prior) if prior else "")

    async def at(self, event: dict) -> None:
        """Decode the point under the pointer."""
        if self.map is None:
            return
        run, label, found, point = self.tab.run, self.tab.label, self.map, (float(event["x"]), float(event["y"]))

        def work() -> tuple[Tensor, Tensor | None]:
            image = run.decode(found.latents(point), label)
            return image, None if run.images is None else run.images[0][found.nearest(point)]

        await self.images.ask(work)

    def show_image(self, found: tuple[Tensor, Tensor | None]) -> None:
        self.decoded.show(data_url(found[0]))
        self.nearest.show("" if found[1] is None else data_url(found[1]))

    async def drag(self, event: dict) -> None:
        """Paths between the test images that are nearest to the ends of the line."""
        if self.map is None:
            return
        first = self.map.nearest((float(event["x0"]), float(event["y0"])))
        last = self.map.nearest((float(event["x1"]), float(event["y1"])))
        if first != last:
            self.ends = first, last
            await self._refresh_paths()

    async def _refresh_paths(self) -> None:
        """Show the paths of all runs; the slow ones come last, and the pointer is followed in between."""
        (first, last), label = self.ends, self.tab.label
        count = 0 if self.tab.run.images is None else len(self.tab.run.images[0])
        if max(first, last) >= count:
            return
        self.asked += 1
        asked, found = self.asked, [(run, dict[str, Tensor]()) for run in [self.tab.run, *self._others()][:MOST]]
        for ways in (QUICK, SLOW):
            for run, images in found:
                work = partial(paths, run, first, last, label, ways)
                try:
                    images |= await compute(work)
                except Exception as error:
                    return self.tab.fail(error)
                if asked != self.asked or self.tab.client.is_deleted:
                    return
            self.show_paths(found)

    def _others(self) -> list[ExploredRun]:
        """The other runs that can be chosen and have the same test images, auto-encoders first."""
        base = self.tab.base
        alike = [run for run in self.tab.shown.values() if run is not base and MapView._is_alike(base, run)]
        return sorted(alike, key=lambda run: run.has_prior)

    @staticmethod
    def _is_alike(one: ExploredRun, other: ExploredRun) -> bool:
        if one.images is None or other.images is None or not other.model.has_continuous_latents:
            return False
        return other.run.classes is None and one.images[0].shape == other.images[0].shape

    def show_paths(self, found: list[tuple[ExploredRun, dict[str, Tensor]]]) -> None:
        self.rows.clear()
        with self.rows:
            for number, (run, images) in enumerate(found):
                if len(found) > 1:
                    ui.label(run.name).classes("caption")
                for way in images if not number else list(images)[1:]:
                    with ui.element("div").classes("way"):
                        ui.label(self.text(way))
                        Picture(name=f"{run.name}: {self.text(way)}").show(sheet_url(images[way], len(images[way])))
