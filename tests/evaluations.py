"""Evaluations of small models, which take a moment."""

from functools import cache
from pathlib import Path

from compositions import module_of, small_data

from vaelab.data.datamodule import ImageDataModule
from vaelab.data.factors import Shapes
from vaelab.evaluation.evaluated_model import Evaluation
from vaelab.evaluation.settings import Settings

QUICK = Settings(
    nll_samples=20,
    prior_samples=500,
    aggregate_images=100,
    probe_images=200,
    generated=100,
    amortization_images=10,
    amortization_steps=20,
)


@cache
def read_data(test: int = 150) -> ImageDataModule:
    data = small_data(test=test)
    data.setup()
    return data


def evaluation(
    *overrides: str, settings: Settings = QUICK, classifiers: Path = Path("unused"), test: int = 150
) -> Evaluation:
    """An untrained model with ``overrides``, on ``test`` test images; ``classifiers`` is for the part samples."""
    return Evaluation.of(module_of(*overrides).eval().evaluated(read_data(test)), settings, classifiers)


def evaluation_of_shapes(*overrides: str) -> Evaluation:
    """An untrained model with ``overrides`` of images whose factors are known."""
    data = Shapes(size=8, number=600, batch_size=50, eval_batch_size=100, val=50)
    data.setup()
    return Evaluation.of(module_of("data=shapes", "data.size=8", *overrides).eval().evaluated(data), QUICK)
