"""The settings of an evaluation: their names, defaults, checks and meanings.

This is the only list of them; `scripts/evaluate.py` makes its options of it. It imports no torch, so that commands
which only read results start fast.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TypeVar

from vaelab.checks import number, one_of, whole
from vaelab.errors import InputError

T = TypeVar("T")
Check = Callable[[str, object], object]

ACTIVE_VARIANCE = 0.01  # Importance Weighted Autoencoders (Burda et al., 2016), section 5.2
PRECISIONS = ("auto", "32-true", "bf16-mixed")


def _setting(default: T, check: Check, meaning: str) -> T:
    return field(default=default, metadata={"check": check, "meaning": meaning})


def _whole_or_none(name: str, value: object) -> object:
    return None if value is None else whole(name, value)


def _betas_or_none(name: str, value: object) -> object:
    if value is not None and (not isinstance(value, Sequence) or isinstance(value, str) or not value):
        raise InputError(f"{name} must be a list of numbers such as [0.5,1,2], or null, got {value!r}")
    return value if value is None else tuple(number(f"each of {name}", beta, above=True) for beta in value)


@dataclass(frozen=True)
class Settings:
    """How many samples and images the parts of an evaluation use.

    **Raises**
        InputError: a setting has an invalid value.

    >>> Settings(nll_samples=500).aggregate_images
    10000
    """

    nll_samples: int = _setting(5_000, partial(whole, minimum=2), "importance samples of q(z|x) per test image in nll")
    prior_samples: int = _setting(
        100_000,
        partial(whole, minimum=0),
        "samples of p(z) beside them, shared by a batch, where log(their number) is 3 nats above the rate",
    )
    widen: float = _setting(
        1.0,
        partial(number, minimum=1),
        "factor by which every second sample of q(z|x) is farther from its mean, where there are none of p(z)",
    )
    precision: str = _setting(
        "auto",
        partial(one_of, words=PRECISIONS),
        "of the decoder in nll: 32-true, bf16-mixed, or auto: bfloat16 where it is fast and accurate",
    )
    chunk: int | None = _setting(None, _whole_or_none, "latents decoded at a time; null: what suits the device")
    active_variance: float = _setting(
        ACTIVE_VARIANCE, number, "variance of a latent's posterior mean above which it counts as active"
    )
    aggregate_images: int = _setting(10_000, partial(whole, minimum=2), "test images in q(z), at most")
    probe_images: int = _setting(10_000, partial(whole, minimum=10), "training images of the probes, at most")
    generated: int = _setting(
        10_000, partial(whole, minimum=10), "samples of the model, compared with as many test images"
    )
    amortization_images: int = _setting(256, whole, "test images whose posteriors are optimised")
    amortization_steps: int = _setting(300, whole, "steps of that optimisation")
    betas: tuple[float, ...] | None = _setting(
        None, _betas_or_none, "the points of a multi-rate model's curve; null: nine over its range"
    )

    def __post_init__(self) -> None:
        for name in NAMES:
            check(name, getattr(self, name))

    @classmethod
    def of_run(cls, options: Mapping[str, object]) -> "Settings":
        """The settings with which a run evaluates itself at its end.

        **Arguments**
            options: the section ``evaluation`` of the run's configuration. ``nll_samples`` may be 0 there, which
                leaves the nll out of the test; a part of the evaluation then takes 2.

        **Raises**
            InputError: an option has an invalid value; the message has its name as the user types it.
        """
        given = {name: options[name] for name in NAMES if name in options}
        if "nll_samples" in given:
            given["nll_samples"] = max(2, whole("evaluation.nll_samples", given["nll_samples"], 0))
        for name, value in given.items():
            check(name, value, "evaluation.")
        return cls(**given)  # type: ignore[arg-type]  # the values have just been checked


NAMES = tuple(setting.name for setting in fields(Settings))
MEANINGS: Mapping[str, str] = {setting.name: setting.metadata["meaning"] for setting in fields(Settings)}
_CHECKS: Mapping[str, Check] = {setting.name: setting.metadata["check"] for setting in fields(Settings)}


def check(name: str, value: object, prefix: str = "") -> None:
    """Raise an InputError where ``value`` is no value of the setting ``name``, which the user types with ``prefix``."""
    _CHECKS[name](f"{prefix}{name}", value)
