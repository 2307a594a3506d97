"""jobs."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from omegaconf import OmegaConf
from yaml import YAMLError

from vaelab.errors import InputError
from vaelab.locks import is_locked
from vaelab.runs.directory import COMPOSED, LOCK
from vaelab.runs.options import NOT_TRAINING, flatten, is_among
from vaelab.runs.results import RESULTS, read_state

USED = 0.05  # nats of KL from which on a latent says something: the variance of its mean alone may be drift
NO_AXIS = (
    "name", "seed", "pictures", "hydra", "trainer.log_every_n_steps", "evaluation.parts", "evaluation.chunk",
)  # fmt: skip
# Of test images, which are drawn once whether or not the training's are drawn anew.
PIXELS = {
    "none": "grey pixels", "threshold": "pixels cut at one half", "static": "drawn binary pixels",
    "dynamic": "drawn binary pixels",
}  # fmt: skip


def jobs_in(sweep: Path) -> Iterator[Path]:
    """The directories of runs below ``sweep``, however deep."""
    if not sweep.is_dir():
        raise InputError(f"{sweep} is no directory; sweeps lie in outputs/sweeps/")
    for directory, folders, files in os.walk(sweep):
        if RESULTS in files or ".hydra" in folders or LOCK in files:
            if Path(directory) == sweep:
                raise InputError(
                    f"{sweep} is a single run; the report is of a sweep's directory, with a run in each folder"
                )
            folders.clear()
            yield Path(directory)
        else:
            folders[:] = [folder for folder in folders if not folder.startswith(".")]


def read_job(sweep: Path, directory: Path) -> tuple[dict, dict[str, object], dict[str, str]]:
    """A job's row, its configuration as dotted options, and its choices of groups."""
    cell = read_state(directory)
    if cell.results is None:
        status = "running" if is_locked(directory / LOCK) else "cut off"
        if (directory / RESULTS).exists():
            status = "damaged"
        overrides, config, results = *_composition(directory), {}
    else:
        results = cell.results
        status = results.get("status", "damaged")
        overrides, config = results.get("overrides", []), results.get("config", {})
        if not config:  # of a run from before results.json held it
            _, config = _composition(directory)
    choices = results.get("choices", {})
    words = (word.lstrip("+~").partition("=") for word in overrides)
    options = {name: value for name, _, value in words if not is_no_axis(name)}
    if Path(options.get("ckpt", "").strip("'\"")).parts[-3:-1] == (directory.name, "checkpoints"):
        del options["ckpt"]  # a job that went on by its own
    validation = {f"validation_{name}": results.get("validation", {}).get(name) for name in ("elbo", "distortion")}
    row = {
        "sweep": sweep.name,
        "job": str(directory.relative_to(sweep)),
        "directory": directory,
        "status": status,
        "error": results.get("error"),
        "kind": kind_of(results) if status == "completed" else None,
        "seed": results.get("seed", config.get("seed")),
        "parameters": results.get("parameters"),
        "tested_epoch": results.get("tested", {}).get("epoch"),
        "commit": results.get("commit"),
        "options": options,
        **validation,
        "test": {**results.get("test", {}), **_units(results)},
    }
    return row, flatten(config), choices


def _units(results: dict) -> dict[str, int]:
    latents = results.get("evaluation", {}).get("latents", {})
    found = {"used_units": sum(kl > USED for kl in latents["kl_per_latent"])} if "kl_per_latent" in latents else {}
    return found | ({"linear_kept": latents["linear_kept"]} if "linear_kept" in latents else {})


def _composition(directory: Path) -> tuple[list[str], dict]:
    """What .hydra says of a run that has no results yet; nothing where that is damaged or not written yet."""
    try:
        config = OmegaConf.to_container(OmegaConf.load(directory / COMPOSED))
        overrides = OmegaConf.to_container(OmegaConf.load((directory / COMPOSED).with_name("overrides.yaml")))
    except (OSError, YAMLError):
        return [], {}
    return list(overrides), dict(config)


def composition(config: dict[str, object]) -> str:
    """All that ``config`` says of how a run was trained, as one word; 1 and 1.0 are the same number."""
    said = {option: value for option, value in config.items() if not is_among(option, NOT_TRAINING)}
    numbers = {name: float(value) for name, value in said.items() if type(value) is int}
    return json.dumps({**said, **numbers}, sort_keys=True, default=str)


def is_no_axis(option: str) -> bool:
    return any(option == name or option.startswith((f"{name}.", f"{name}/")) for name in NO_AXIS)


def kind_of(results: dict) -> str:
    """What the nats of a run are nats of: only within the same kind do they compare."""
    data = results["data"]
    pixels = PIXELS[data["binarize"]]
    given = results.get("config", {}).get("model", {}).get("classes")
    words = [str(results.get("likelihood")), pixels, f"{data['test']:,} test images of {data['name']}"]
    return ", ".join([*words, "given their labels"] if given else words)


def shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
