"""The view Move: a slider for each latent, and the image that is decoded from them."""

from collections.abc import Sequence

import torch
from nicegui import ui
from nicegui.events import ValueChangeEventArguments
from torch import Tensor

from vaelab.explore.elements import Picture, box, picks
from vaelab.explore.pictures import data_url
from vaelab.explore.tab import Tab, View, in_order
from vaelab.explore.worker import compute
from vaelab.plots.style import latent_name

SHOWN = 16  # sliders; the others are behind a button
COMPONENTS = 60  # components of a mixture that are shown
STEPS = 200  # steps of a slider


class MoveView(View):
    name = "move"
    page = "plots"

    def __init__(self, tab: Tab) -> None:
        super().__init__(tab)
        self.images = tab.newest(self.show)
        self.seed = 0
        self.drawn: Tensor | None = None  # a sample of the prior at temperature 1
        self.temperature = 1.0
        self.is_setting = False
        self.upper = False
        self.sliders: dict[int, tuple[ui.slider, ui.label]] = {}

    @property
    def says(self) -> str:
        return super().says if self.tab.base.model.has_continuous_latents else self.text("components_says")

    def build(self) -> None:
        run = self.tab.base
        self.upper, self.drawn, self.sliders = False, None, {}
        with ui.element("div").classes("columns two"):
            with box(self.text("decoded")):
                self.image = Picture("large", self.text("decoded"))
                self.image.props("data-name=decoded")
                if run.model.has_continuous_latents:
                    self._build_buttons()
            with box(self.text("latents" if run.model.has_continuous_latents else "components")):
                if not run.model.has_continuous_latents:
                    self.gallery = ui.element("div")
                    return
                if run.upper:
                    layers = {False: self.text("lower"), True: self.text("upper")}
                    ui.toggle(layers, value=False, on_change=self.choose_layer).props("dense no-caps")
                self.all_sliders = ui.element("div").classes("w-full")
                self._build_sliders()

    def _build_buttons(self) -> None:
        run = self.tab.base
        with ui.row().classes("gap-1"):
            centre = "prior_mean" if run.has_prior else "code_mean"
            ui.button(self.text(centre), on_click=self.to_centre).props("outline dense no-caps")
            ui.button(self.text("posterior_mean"), on_click=self.to_posterior).props("outline dense no-caps")
            sample = "prior_sample" if run.has_prior else "code_sample"
            ui.button(self.text(sample), on_click=self.to_sample).props("outline dense no-caps")
        if run.has_temperature:
            with ui.element("div").classes("slider w-full"):
                ui.label("T").tooltip(self.text("temperature"))
                slider = ui.slider(min=0, max=2, step=0.05, value=1, on_change=self.choose_temperature)
                slider.props["aria-label"] = self.text("temperature")
                self.heat_label = ui.label("1.00").classes("value")
            ui.label(self.text("temperature")).classes("caption")

    def _build_sliders(self) -> None:
        run = self.tab.base
        self.sliders = {}
        self.all_sliders.clear()
        latents = range(run.visible, run.latent) if self.upper else range(run.visible)
        order = in_order(run, latents)
        with self.all_sliders:
            self._build_group(order[:SHOWN])
            if order[SHOWN:]:
                with ui.expansion(self.text("more_latents", count=len(order) - SHOWN)).classes("w-full"):
                    self._build_group(order[SHOWN:])

    def _build_group(self, latents: Sequence[int]) -> None:
        run = self.tab.base
        with ui.element("div").classes("sliders"):
            for latent in latents:
                low, high = run.ranges[:, latent].tolist()
                with ui.element("div").classes("slider"):
                    name = ui.label(latent_name(latent))
                    if run.collapsed[latent]:
                        name.classes("is-collapsed").tooltip(self.text("is_collapsed"))
                    start = float(self.tab.z[latent])
                    low, high = min(low, start), max(high, start)
                    slider = ui.slider(
                        min=low, max=high, step=max(high - low, 1e-3) / STEPS, value=start,
                        on_change=lambda event, latent=latent: self.moved(latent, event),
                    )  # fmt: skip
                    slider.props["aria-label"] = latent_name(latent)
                    slider.props(f"data-name=slider-{latent}")
                    self.sliders[latent] = slider, ui.label(f"{start:.2f}").classes("value")

    async def choose_layer(self, event: ValueChangeEventArguments) -> None:
        self.upper = bool(event.value)
        self._build_sliders()
        await self.moved_to(self.tab.z)

    async def moved(self, latent: int, event: ValueChangeEventArguments) -> None:
        if self.is_setting or event.value is None:
            return
        self.tab.z[latent] = float(event.value)
        self.sliders[latent][1].text = f"{float(event.value):.2f}"
        await self.refresh()

    async def moved_to(self, z: Tensor) -> None:
        """Set all sliders."""
        self.tab.z = z.clone()
        self.is_setting = True
        for latent, (slider, value) in self.sliders.items():
            at = float(z[latent])
            slider.props["min"], slider.props["max"] = min(slider.props["min"], at), max(slider.props["max"], at)
            slider.value = at
            value.text = f"{at:.2f}"
        self.is_setting = False
        await self.refresh()

    async def to_centre(self) -> None:
        self.drawn = None
        await self.moved_to(self.tab.base.centre)

    async def to_posterior(self) -> None:
        image, run, label = self.tab.image, self.tab.run, self.tab.label
        if image is None:
            ui.notify(self.text("empty"), position="top")
            return
        try:
            look = await compute(lambda: run.look(image, label))
        except Exception as error:
            return self.tab.fail(error)
        self.drawn = None
        await self.moved_to(look.mean)

    async def to_sample(self) -> None:
        self.seed += 1
        run, seed = self.tab.run, self.seed
        try:
            self.drawn = (await compute(lambda: run.prior_latents(1, seed)))[0]
        except Exception as error:
            return self.tab.fail(error)
        await self.moved_to((self.temperature if run.has_temperature else 1) * self.drawn)

    async def choose_temperature(self, event: ValueChangeEventArguments) -> None:
        self.temperature = float(event.value or 0)
        self.heat_label.text = f"{self.temperature:.2f}"
        if self.drawn is not None:
            await self.moved_to(self.temperature * self.drawn)

    async def refresh(self) -> None:
        run, label, z = self.tab.run, self.tab.label, self.tab.z.clone()
        if not run.model.has_continuous_latents:
            return await self._refresh_components()
        if self.upper:
            return await self.images.ask(lambda: run.decode(run.from_upper(z[run.visible :]), label))
        await self.images.ask(lambda: run.decode(z, label))

    async def _refresh_components(self) -> None:
        run, count = self.tab.run, min(self.tab.run.latent, COMPONENTS)
        pictures = await compute(lambda: run.decode(torch.eye(run.latent)[:count]))
        self.gallery.clear()

        async def choose(component: int) -> None:
            self.show(pictures[component])

        with self.gallery:
            picks([data_url(picture) for picture in pictures], [str(index) for index in range(count)], choose)
        self.show(pictures[0])

    def show(self, image: Tensor) -> None:
        self.image.show(data_url(image))
