"""What the options of a run mean for each other: which of them change the training, and how two runs differ.

The lists below are the only ones of their kind. A name that ends with a dot stands for a section: all options below
it and the group of that name.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from vaelab.checks import image_shape
from vaelab.errors import InputError
from vaelab.evaluation.settings import NAMES

# Groups that results.json names one by one.
GROUPS = ("model", "network", "posterior", "likelihood", "prior", "loss")

# The metrics of a user's own in results.json, under ``evaluation``.
OWN = "own"

# Options that change neither the weights nor a metric, whatever their values.
INERT = (
    "name", "pictures.", "plot.", "metric.", "hydra.", "logger.", "callbacks.lr_monitor.",
    "callbacks.step_checkpoints.", "trainer.log_every_n_steps", "evaluation.parts", "evaluation.chunk",
)  # fmt: skip
# The same data or checkpoint may lie at two paths; whether they are the same is checked where they are read.
COSMETIC = (*INERT, "ckpt", "data.root", "data.cache")
# Options that change what is measured, and where a run is computed, but not what is trained.
MEASURING = tuple(f"evaluation.{setting}" for setting in NAMES)
PLACEMENT = ("trainer.accelerator", "trainer.devices", "trainer.strategy", "trainer.compile")
NOT_TRAINING = (*COSMETIC, *MEASURING, *PLACEMENT)

# Sections that the weights and the optimizer's state depend on: a checkpoint goes on only under the same.
STRUCTURE = ("latent", "network", "posterior", "likelihood", "prior", "model", "optimizer")
# Options within them with which a run may go on all the same, such as a lower rate after it diverged.
RATES = ("lr", "adam_lr")


def to_plain_dict(config: DictConfig | ListConfig) -> dict:
    """``config`` as plain values, with its interpolations resolved.

    **Raises**
        InputError: it is a list.
    """
    content = OmegaConf.to_container(config, resolve=True)
    if not isinstance(content, dict):
        raise InputError(f"expected options with names, got {str(content)[:50]!r}")
    return content


def resolve(config: DictConfig) -> dict:
    """A composed configuration as plain values, with the shape of its images in ``data.shape``.

    **Raises**
        InputError: the shape is wrong, or it is not given and the image set cannot find it.
    """
    data = config.get("data")
    if not isinstance(data, DictConfig) or "_target_" not in data:
        return to_plain_dict(config)
    if data.get("shape") is None:
        from vaelab.runs.pieces import find_shape  # imports torch, which takes seconds

        with open_dict(data):
            data.shape = find_shape(to_plain_dict(data))
    values = to_plain_dict(config)
    image_shape("data.shape", values["data"]["shape"])
    return values


def unresolved(config: DictConfig) -> dict:
    """``config`` as plain values, with its interpolations as they stand."""
    content = OmegaConf.to_container(config, resolve=False)
    assert isinstance(content, dict)
    return content


def read_config(path: Path) -> dict:
    """The configuration in the YAML file ``path``, as plain values."""
    return to_plain_dict(OmegaConf.load(path))


def is_among(option: str, names: Sequence[str]) -> bool:
    """Whether ``option`` is one of ``names``, or belongs to one that ends with a dot.

    >>> is_among("pictures.every", COSMETIC), is_among("hydra/launcher", COSMETIC), is_among("seed", COSMETIC)
    (True, True, False)
    """
    path = f"{option.replace('/', '.')}."
    return option in names or any(name.endswith(".") and path.startswith(name) for name in names)


def flatten(config: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """A configuration as dotted options.

    >>> flatten({"data": {"name": "mnist", "val": 10}, "seed": 0})
    {'data.name': 'mnist', 'data.val': 10, 'seed': 0}
    """
    options: dict[str, object] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            options |= flatten(value, f"{prefix}{name}.")
        else:
            options[f"{prefix}{name}"] = value
    return options


def differences(
    there: Mapping[str, object], here: Mapping[str, object], ignored: Sequence[str] = COSMETIC
) -> list[str]:
    """The options in which two configurations differ, with both values.

    An option that is null counts as one that is missing: older versions had fewer options.

    >>> differences({"epochs": 5, "name": "a"}, {"epochs": 50, "name": "b"})
    ['epochs=5 there, 50 here']
    """
    left, right = flatten(there), flatten(here)
    missing = "nothing"
    return [
        f"{option}={left.get(option, missing)} there, {right.get(option, missing)} here"
        for option in sorted(left.keys() | right.keys())
        if left.get(option) != right.get(option) and not is_among(option, ignored)
    ]


def own_options(config: Mapping[str, dict], group: str) -> dict[str, dict]:
    """What ``metric=...`` or ``plot=...`` chose: where it stands -> its options.

    A file of the group describes one object. Where its first line is ``# @package metric.<name>``, several can be
    chosen together: ``metric=[first,second]``.

    >>> own_options({"metric": {"_target_": "pieces.Spread", "images": 9}}, "metric")
    {'metric': {'_target_': 'pieces.Spread', 'images': 9}}
    """
    section = config.get(group)
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise InputError(f"{group} must be the name of a file in {group}/ of --config-dir FOLDER, got {section!r}")
    if "_target_" in section:
        return {group: section}
    for name, options in section.items():
        if not isinstance(options, Mapping) or "_target_" not in options:
            raise InputError(f"{group}.{name} lacks _target_, the class that it is made of")
    return {f"{group}.{name}": options for name, options in section.items()}


def evaluation_parts(config: Mapping[str, dict]) -> list[str]:
    """The parts of the evaluation that a run ends with, by ``evaluation.parts``."""
    parts = config["evaluation"]["parts"]
    if not isinstance(parts, list):
        raise InputError(
            f"evaluation.parts must be a list, such as [latents, aggregate], or [] for none, got {parts!r}"
        )
    return parts
