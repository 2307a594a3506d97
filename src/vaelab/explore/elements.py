"""Elements of the page that NiceGUI lacks: a canvas to draw on, a plane of points, images with sharp pixels."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from nicegui import ui
from nicegui.element import Element
from nicegui.events import GenericEventArguments

COLOURS = (
    "#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#c9a227", "#b07aa1", "#ff6f91", "#9c755f", "#8a8f98",
)  # fmt: skip
Handler = Callable[[dict], Awaitable[None]]


class DrawCanvas(Element, component="draw_canvas.js"):
    """A canvas to draw on.

    **Arguments**
        label: for those who do not see it.
        on_strokes: called with the strokes, while and after they are drawn.
    """

    def __init__(self, label: str, on_strokes: Callable[[object], Awaitable[None]]) -> None:
        super().__init__()
        self.props["label"] = label

        async def strokes(event: GenericEventArguments) -> None:
            await on_strokes(event.args)

        self.on("strokes", strokes)

    def clear_strokes(self) -> None:
        """Make it black again, without a call of ``on_strokes``."""
        self.run_method("clear")


class Plane(Element, component="plane.js"):
    """Points in a plane with axes; see plane.js for its properties.

    **Arguments**
        label: for those who do not see it.
        on_at, on_choose, on_drag: called with x, y and index, or with x0, y0, x1 and y1.
    """

    def __init__(self, label: str, on_at: Handler, on_choose: Handler, on_drag: Handler | None = None) -> None:
        super().__init__()
        self.props["label"] = label
        self.props["points"] = []
        self.props["colours"] = COLOURS
        self.props["drags"] = on_drag is not None
        self._listen("at", on_at)
        self._listen("choose", on_choose)
        if on_drag is not None:
            self._listen("drag", on_drag)

    def _listen(self, name: str, handler: Handler) -> None:
        async def handle(event: GenericEventArguments) -> None:
            await handler(event.args)

        self.on(name, handle)

    def set(self, **properties: object) -> None:
        """Set properties of plane.js, which draws itself again."""
        for name, value in properties.items():
            self.props[name] = value
        self.update()

    def show_all(self) -> None:
        """Undo all zooming."""
        self.run_method("reset")


class Picture(Element):
    """An image whose pixels are squares.

    **Arguments**
        classes: its size, as page.css names it.
    """

    def __init__(self, classes: str = "", name: str = "") -> None:
        super().__init__("img")
        self.classes(f"picture {classes}")
        self.show("", name)

    def show(self, url: str, name: str | None = None) -> None:
        """Show a data URL; nothing for ""."""
        if url:
            self.props["src"] = url
        else:
            self.props.pop("src", None)
        if name is not None:
            self.props["alt"] = name
        self.set_visibility(bool(url))


def captioned(classes: str, name: str, caption: str) -> Picture:
    """A picture called ``name`` on the page, above its caption."""
    with ui.column().classes("gap-1"):
        picture = Picture(classes, caption)
        picture.props(f"data-name={name}")
        ui.label(caption).classes("caption")
    return picture


def box(title: str = "") -> ui.column:
    """A framed part of a view, under its title."""
    made = ui.column().classes("box")
    if title:
        with made:
            heading(title)
    return made


def heading(text: str) -> None:
    with ui.element("h2"):
        ui.label(text)


def picks(urls: Sequence[str], names: Sequence[str], choose: Callable[[int], Awaitable[None]]) -> None:
    """Small pictures in a row, each a button that calls ``choose`` with its number."""
    with ui.element("div").classes("picks"):
        for index, (url, name) in enumerate(zip(urls, names, strict=True)):
            button = ui.element("button").classes("pick")
            button.props["aria-label"] = name
            button.props["type"] = "button"

            async def chosen(_: GenericEventArguments, index: int = index) -> None:
                await choose(index)

            button.on("click", chosen)
            with button:
                Picture(name="").show(url)


def numbers(values: Mapping[str, str]) -> None:
    """Numbers with their names below them."""
    with ui.element("div").classes("numbers"):
        for name, value in values.items():
            with ui.element("div").classes("number"):
                with ui.element("b"):
                    ui.label(value)
                with ui.element("span"):
                    ui.label(name)
