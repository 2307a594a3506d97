"""The jobs of a sweep: their directories, configurations and results."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from omegaconf import OmegaConf
from yaml import YAMLError

from vaelab.errors import InputError
from vaelab.evaluation.metrics import DISENTANGLEMENT, METRICS, own_values
from vaelab.locks import is_locked
from vaelab.runs.directory import COMPOSED, LOCK, OVERRIDES
from vaelab.runs.migrate import migrate
from vaelab.runs.options import INERT, NOT_TRAINING, OWN, flatten, is_among
from vaelab.runs.results import RESULTS, read_state

USED = 0.05  # nats of KL from which a latent counts as used: below, the KL may be noise in the posterior's variance
FIRST_VERSION = "0.1.0"  # the version of runs whose results do not name one
# Test images are binarised once, whether or not the training images are drawn again in every epoch.
PIXELS = {
    "none": "grey pixels", "threshold": "pixels cut at one half", "static": "drawn binary pixels",
    "dynamic": "drawn binary pixels",
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One run of one seed.

    **Attributes**
        status: "completed" or "failed", as results.json says; "running", "cut off" or "damaged" where there is none.
        results: the content of results.json; for a run that has none yet, the overrides and configuration in .hydra.
        beta: the point of a multi-rate run's curve that this is; None: it is a run of its own.
    """

    sweep: Path
    directory: Path
    status: str
    results: dict
    beta: float | None = None

    @cached_property
    def config(self) -> dict[str, object]:
        """The configuration as dotted options, in today's words; empty where it is unknown."""
        return flatten(migrate(self.results.get("config", {})))

    @property
    def choices(self) -> dict[str, str]:
        """The member of each group of the configuration."""
        return self.results.get("choices", {})

    @property
    def version(self) -> str:
        return self.results.get("versions", {}).get("vaelab", FIRST_VERSION)

    @cached_property
    def overrides(self) -> dict[str, str]:
        """The options that were given for this job and that may change its results, as typed."""
        words = (word.lstrip("+~").partition("=") for word in self.results.get("overrides", []))
        options = {name: value for name, _, value in words if is_axis(name)}
        if Path(options.get("ckpt", "").strip("'\"")).parts[-3:-1] == (self.directory.name, "checkpoints"):
            del options["ckpt"]  # it resumed from its own checkpoint
        return options

    @property
    def training_options(self) -> dict[str, object]:
        """The options of the configuration that the weights depend on."""
        return {option: value for option, value in self.config.items() if not is_among(option, NOT_TRAINING)}

    def value(self, option: str) -> object:
        """The value of ``option``: a group's member, a value of the configuration, else the word that was typed."""
        if option == "ckpt":  # the configuration of a run that resumed names its own checkpoint
            return self.overrides.get(option)
        if option in self.choices:
            return self.choices[option]
        return self.config[option] if option in self.config else self.overrides.get(option)

    def knows(self, option: str) -> bool:
        """Whether the configuration settles ``option``; a multi-rate run without a curve yet has no one β."""
        return bool(self.config) and not (option == "beta.weight" and "beta.low" in self.config and self.beta is None)

    def row(self) -> dict[str, object]:
        """The columns of the table that do not depend on what was swept."""
        results, validation = self.results, self.results.get("validation", {})
        return {
            "sweep": self.sweep.name,
            "job": str(self.directory.relative_to(self.sweep)),
            "directory": self.directory,
            "curve_beta": self.beta,
            "status": self.status,
            "error": results.get("error"),
            "group": group_name(results) if self.status == "completed" else None,
            "seed": results.get("seed", self.config.get("seed")),
            "parameters": results.get("parameters"),
            "tested_epoch": results.get("tested", {}).get("epoch"),
            "commit": results.get("commit"),
            "version": self.version,
            **{f"validation_{name}": validation.get(name) for name in ("elbo", "distortion")},
        }

    def metrics(self) -> dict[str, object]:
        """The metrics on the test images, without those whose definition has changed since."""
        evaluation, found = self.results.get("evaluation", {}), dict(self.results.get("test", {}))
        latents, disentanglement = (evaluation.get(part, {}) for part in ("latents", "disentanglement"))
        if "kl_per_latent" in latents:
            found["used_units"] = sum(kl > USED for kl in latents["kl_per_latent"])
        if "linear_kept" in latents:
            found["linear_kept"] = latents["linear_kept"]
        found |= {name: disentanglement[name] for name in DISENTANGLEMENT if name in disentanglement}
        found |= own_values(evaluation.get(OWN, {}))
        return {name: value for name, value in found.items() if is_comparable(name, self.version)}


def is_comparable(metric: str, version: str) -> bool:
    """Whether ``metric`` had today's definition in this ``version`` of vaelab."""
    return metric not in METRICS or _order(version) >= _order(METRICS[metric].since)


def _order(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def is_axis(option: str) -> bool:
    """Whether jobs that differ in ``option`` are different configurations; seeds are averaged over."""
    return option != "seed" and not is_among(option, INERT)


def jobs_in(sweep: Path) -> Iterator[Path]:
    """The directories of runs below ``sweep``, at any depth.

    **Raises**
        InputError: ``sweep`` is no directory, or is itself a run.
    """
    if not sweep.is_dir():
        raise InputError(f"{sweep} is no directory; give a sweep's directory, such as outputs/sweeps/latent")
    for directory, folders, files in os.walk(sweep):
        if RESULTS in files or ".hydra" in folders or LOCK in files:
            if Path(directory) == sweep:
                raise InputError(
                    f"{sweep} is a single run; give the directory of a sweep, which has one folder per run"
                )
            folders.clear()
            yield Path(directory)
        else:
            folders[:] = [folder for folder in folders if not folder.startswith(".")]


def read_job(sweep: Path, directory: Path) -> Job:
    """The run in ``directory``, finished or not."""
    results = read_state(directory).results
    if results is not None:
        if not results.get("config"):  # of a run from before results.json held it
            results = {**results, "config": _composition(directory)["config"]}
        return Job(sweep, directory, results.get("status", "damaged"), results)
    status = "running" if is_locked(directory / LOCK) else "cut off"
    if (directory / RESULTS).exists():
        status = "damaged"
    return Job(sweep, directory, status, _composition(directory))


def _composition(directory: Path) -> dict:
    """Overrides and configuration of a run without results, by .hydra; empty where that is damaged or missing."""
    try:
        config = OmegaConf.to_container(OmegaConf.load(directory / COMPOSED))
        overrides = OmegaConf.to_container(OmegaConf.load(directory / OVERRIDES))
    except (OSError, YAMLError):
        config, overrides = {}, []
    return {
        "config": config if isinstance(config, dict) else {},
        "overrides": overrides if isinstance(overrides, list) else [],
    }


def group_name(results: Mapping) -> str:
    """What the metrics of a run depend on besides the model: only where that is equal are they comparable."""
    data = results["data"]
    words = [
        str(results.get("likelihood")),
        PIXELS.get(data["binarize"], str(data["binarize"])),
        f"{data['test']:,} test images of {data['name']}",
    ]
    is_conditional = results.get("config", {}).get("model", {}).get("classes")
    return ", ".join([*words, "given their labels"] if is_conditional else words)


def as_text(value: object) -> str:
    """The value of an option, or of a metric, in tables and plots."""
    return f"{value:g}" if isinstance(value, float) else str(value)
