"""The page: the bar at the top, where the run is chosen, and the views."""

import math
from pathlib import Path

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from vaelab.explore.opened import Opened
from vaelab.explore.page_compare import CompareView
from vaelab.explore.page_draw import DrawView
from vaelab.explore.page_map import MapView
from vaelab.explore.page_move import MoveView
from vaelab.explore.page_sweep import SweepView
from vaelab.explore.tab import Tab, View
from vaelab.explore.texts import LANGUAGES, Texts

CSS = Path(__file__).with_name("page.css")
VIEWS: tuple[type[View], ...] = (DrawView, MoveView, MapView, CompareView, SweepView)
ICONS = {"draw": "draw", "move": "tune", "map": "scatter_plot", "compare": "view_column", "sweep": "show_chart"}
BETA_STEPS = 60  # steps of the slider over a multi-rate model's range


class Page:
    """One open page.

    **Arguments**
        opened: what the explorer was started with.
        text: the sentences in the reader's language.
        documented: whether the pages of the documentation can be read here.
    """

    def __init__(self, opened: Opened, text: Texts, documented: bool) -> None:
        self.tab = Tab(opened, text, ui.context.client)
        self.text = text
        self.documented = documented
        self.tab.changed, self.tab.switched = self.refresh, self.switch
        self.views = {view.name: view(self.tab) for view in VIEWS}
        self.built: set[str] = set()
        self.is_setting = False
        self.label_select: ui.select | None = None

    async def build(self) -> None:
        ui.add_css(CSS)
        self.top = ui.row().classes("top")
        names = self._fitting()
        self.current = "sweep" if self.tab.opened.planes and not self.tab.opened.named else "draw"
        with ui.tabs() as self.tabs:
            self.heads = {name: ui.tab(name, self.text(name), ICONS[name]) for name in self.views}
        self.tabs.classes("views").props("dense no-caps align=left inline-label outside-arrows mobile-arrows")
        self.tabs.value = self.current
        self.tabs.on_value_change(self.show_view)
        self.panels = {name: ui.column().classes("panel") for name in self.views}
        self._build_top()
        for name, head in self.heads.items():
            head.set_visibility(name in names)
        await self.refresh()

    def _fitting(self) -> list[str]:
        return [name for name, view in self.views.items() if view.fits(self.tab)]

    def _build_top(self) -> None:
        self.top.clear()
        tab = self.tab
        with self.top:
            ui.label("vaelab").classes("title")
            if len(tab.shown) > 1:
                select = ui.select(list(tab.shown), value=tab.base.name, on_change=self.choose_run)
                select.props("dense outlined options-dense").style("min-width: 140px; max-width: 70vw")
                select.props["aria-label"] = self.text("run")
                select.props("data-name=run")
            else:
                ui.label(tab.base.name)
            self._build_beta()
            self._build_label()
            ui.space()
            for code, name in LANGUAGES.items():
                if code != self.text.language:
                    ui.link(name, f"/?lang={code}").classes("caption")

    def _build_beta(self) -> None:
        betas = self.tab.base.model.betas
        if betas is None:
            return
        low, high = map(math.log, betas)
        beta = self.tab.run.run.beta or 1.0
        with ui.row().classes("items-center gap-2 no-wrap").style("width: 240px"):
            ui.label("β")
            slider = ui.slider(min=low, max=high, step=(high - low) / BETA_STEPS, value=math.log(beta))
            slider.on_value_change(self.choose_beta).props("data-name=beta")
            slider.props["aria-label"] = "beta"
            self.beta_label = ui.label(f"{beta:.2f}").classes("caption")

    def _build_label(self) -> None:
        classes = self._classes()
        self.label_select = None
        if not classes:
            return
        select = ui.select(list(range(classes)), value=None, label="y", on_change=self.choose_label)
        select.props("dense outlined options-dense").style("min-width: 70px").props("data-name=label")
        select.props["aria-label"] = self.text("class")
        self.label_select = select

    def _classes(self) -> int:
        """How many labels there are for the conditional models that are shown; 0 where there is none."""
        shown = (self.tab.base, *self.tab.shown.values())
        return max(run.run.classes or 0 for run in shown)

    async def choose_run(self, event: ValueChangeEventArguments) -> None:
        run = self.tab.shown.get(event.value)
        if run is not None and run is not self.tab.base:
            self.tab.adopt(run)
            await self.switch()

    async def choose_beta(self, event: ValueChangeEventArguments) -> None:
        low, high = self.tab.base.model.betas or (1.0, 1.0)
        beta = min(max(math.exp(event.value), low), high)
        self.tab.run = self.tab.base.at(beta)
        self.beta_label.text = f"{beta:.2f}"
        await self.refresh()

    async def choose_label(self, event: ValueChangeEventArguments) -> None:
        if event.value is not None and not self.is_setting:
            self.tab.label = int(event.value)
            await self.refresh()

    async def show_view(self, event: ValueChangeEventArguments) -> None:
        """Show another view."""
        self.current = event.value
        await self.refresh()

    async def switch(self, view: str = "") -> None:
        """Show another run, in ``view``: every view is built anew when it is looked at."""
        self.built.clear()
        self._build_top()
        fitting = self._fitting()
        for name, head in self.heads.items():
            head.set_visibility(name in fitting)
        wanted = view or self.current
        if wanted not in fitting:
            wanted = "draw"
        if wanted != self.current:
            self.tabs.value = wanted  # which shows it
            return
        await self.refresh()

    async def refresh(self) -> None:
        """Bring the view that is looked at up to date."""
        for name, panel in self.panels.items():
            panel.set_visibility(name == self.current)
        if self.label_select is not None:
            self.is_setting = True
            self.label_select.value = self.tab.label if self.tab.label < self._classes() else None
            self.is_setting = False
        view, panel = self.views[self.current], self.panels[self.current]
        if self.current not in self.built:
            panel.clear()
            with panel:
                self._build_explanation(view)
                view.build()
            self.built.add(self.current)
        await view.refresh()

    def _build_explanation(self, view: View) -> None:
        """The sentence that explains a view, with a link to the documentation."""
        with ui.element("p").classes("says"):
            ui.label(view.says + " ").style("display: inline")
            if self.documented:
                ui.link(self.text("docs"), f"/docs/{view.page}.md", new_tab=True)
