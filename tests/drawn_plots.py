"""Plots of small models, for the tests of what they show."""

from functools import cache

import pytest
from compositions import module_of, small_data

from vaelab.data.datamodule import ImageDataModule
from vaelab.plots import image_grids
from vaelab.plots.run_plots import RunPlots


@cache
def digits() -> ImageDataModule:
    data = small_data()
    data.setup()
    return data


def plots_of(*overrides: str, data: ImageDataModule | None = None, **options) -> RunPlots:
    """The plots of an untrained model, with the test images of ``data``."""
    return RunPlots(module_of(*overrides).eval().evaluated(data or digits()), "a title", **options)


def calls_of(monkeypatch: pytest.MonkeyPatch, name: str) -> list[tuple]:
    """The positional arguments of all calls of a function of image_grids, from now on."""
    calls = []
    original = getattr(image_grids, name)

    def recorded(*arguments, **options):
        calls.append(arguments)
        return original(*arguments, **options)

    monkeypatch.setattr(image_grids, name, recorded)
    return calls
