"""The arguments of the command line, before Hydra reads them. Imports no torch, so that --help is fast."""

from contextlib import suppress
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from omegaconf import OmegaConf

from vaelab.cli.overrides import MULTIRUN, is_multirun
from vaelab.errors import InputError
from vaelab.runs.directory import folders_of
from vaelab.sweeps import names

SWEEPS = Path("outputs") / "sweeps"


def with_overrides_of_resumed_run(arguments: list[str]) -> list[str]:
    """Add the overrides that run X was started with to `ckpt=X/checkpoints/last.ckpt`, and X's own directory.

    Other arguments replace those overrides of the same option. In a multirun nothing is added: every job starts from
    the checkpoint.
    """
    typed = [argument for argument in arguments if argument.startswith("ckpt=")]
    if not typed or typed[-1] in ("ckpt=", "ckpt=null"):
        return arguments
    ckpt = typed[-1].removeprefix("ckpt=").strip("'\"")
    if is_multirun(arguments) and not Path(ckpt).is_file():
        return arguments  # several of them, or a mistake
    # Quoted, because a sweep's directories hold = and commas, which have a meaning in Hydra's grammar.
    quoted_ckpt = f"ckpt={quoted(ckpt)}"
    arguments = [quoted_ckpt if argument == typed[-1] else argument
                 for argument in arguments if argument not in typed[:-1]]  # fmt: skip
    if is_multirun(arguments):
        return arguments
    directory = Path(ckpt).resolve().parent.parent
    saved = directory / ".hydra" / "overrides.yaml"
    if not saved.is_file():
        return arguments  # a checkpoint outside a run: the command line has to name the model
    old = list(map(str, OmegaConf.load(saved)))
    folder = _folder_of_resumed_run(arguments, directory)
    # Where ~x removes an option that the run added by +x=..., both are left out.
    typed_now = [word for word in arguments if not (word[:1] == "~" and any(_adds(word, other) for other in old))]
    return [*_saved_overrides(old, directory, {_option(argument) for argument in arguments}), *typed_now, *folder]


def _folder_of_resumed_run(arguments: list[str], directory: Path) -> list[str]:
    """The flag for the folder of own pieces of the run in ``directory``, unless the arguments have it."""
    if any(argument.startswith(("--config-dir", "-cd")) for argument in arguments):
        return []
    folders = folders_of(directory)
    for folder in folders:
        if not folder.is_dir():
            raise InputError(
                f"{directory} has pieces of its own, which were in {folder}, and that folder is gone: bring it back, "
                "or name the folder where they are now with --config-dir FOLDER"
            )
    return [f"--config-dir={folder}" for folder in folders[:1]]


def _adds(removal: str, word: str) -> bool:
    return word.startswith("+") and _option(word) == _option(removal)


def _saved_overrides(old: list[str], directory: Path, typed: set[str]) -> list[str]:
    """The overrides of the run for options that are not ``typed``, and the run's directory and name."""
    kept = [word for word in old if _option(word) not in {*typed, "ckpt", "name"}]
    if not typed & {"name", "hydra.run.dir"}:
        kept += [f"hydra.run.dir={quoted(str(directory))}", f"name={quoted(directory.name)}"]
    return kept


def _option(argument: str) -> str:
    return argument.split("=", 1)[0].lstrip("+~")


def with_sweep_directory(arguments: list[str]) -> tuple[list[str], Path | None]:
    """The arguments of a multirun with the directory that follows from them, unless they name one.

    So the same command again finds the jobs that are complete, and a longer axis adds jobs to the same sweep. The
    directory is None where Hydra cannot read the arguments.
    """
    # A flag between the overrides would end their list.
    arguments = ["-m", *(argument for argument in arguments if argument not in MULTIRUN)]
    parser = OverridesParser.create()
    overrides = [argument for argument in arguments if not argument.startswith("-") and "=" in argument]
    try:
        parsed = {override.key_or_group: override for override in map(parser.parse_override, overrides)}
    except HydraException:
        return arguments, None  # Hydra's own message follows
    added: list[str] = []
    if (sweep := _named_sweep(parsed)) is None:
        sweep, added = _derived_sweep([override for override in parsed.values() if not override.is_hydra_override()])
    added.append(f"hydra.sweep.dir={quoted(str(sweep.absolute()))}")  # a launcher's process may start elsewhere
    arguments = [_as_axis(argument, parsed) for argument in arguments]
    overrides = [_as_axis(override, parsed) for override in overrides]
    at = max((index for index, argument in enumerate(arguments) if argument in overrides), default=-1) + 1
    return [*arguments[:at], *added, *arguments[at:]], sweep


def _as_axis(argument: str, parsed: dict[str, Override]) -> str:
    """``beta.warmup=0.1`` as a sweep over one value, where the group ``beta`` is swept; other arguments unchanged.

    Hydra checks fixed options before it knows which member of the group a job has, and members differ in options.
    """
    option, _, value = argument.partition("=")
    group, override = parsed.get(option.partition(".")[0]), parsed.get(option)
    if group is None or override is None or not group.is_sweep_override() or override.is_sweep_override():
        return argument
    return f"{option}=choice({value})"


def _named_sweep(parsed: dict[str, Override]) -> Path | None:
    """The directory of a sweep that ``hydra.sweep.dir`` or ``name`` gives."""
    if "hydra.sweep.dir" in parsed:
        setup_globals()  # for ${now:...}
        return Path(OmegaConf.create({"directory": str(parsed["hydra.sweep.dir"].value())}).directory)
    if "name" not in parsed:
        return None
    if parsed["name"].is_sweep_override():
        raise InputError("in a multirun name=... names the sweep and has one value; jobs are named by their options")
    return SWEEPS / str(parsed["name"].value())


def _derived_sweep(overrides: list[Override]) -> tuple[Path, list[str]]:
    """The directory of a sweep without a name, and the override that keeps its fixed options out of jobs' names."""
    axes = [override.get_key_element() for override in overrides if override.is_sweep_override()]
    fixed = {
        override.get_key_element(): override.get_value_element_as_str()
        for override in overrides
        if not override.is_sweep_override() and names.is_named(override.get_key_element())
    }
    sweep = SWEEPS / names.sweep_name(axes, [f"{option}={value}" for option, value in fixed.items()])
    named = ",".join(quoted(option) for option in fixed if option != "seed")
    return sweep, [f"hydra.job.config.override_dirname.exclude_keys=[{named}]"]


def remove_empty(sweep: Path) -> None:
    """Remove the directory that Hydra made for a sweep before it found an option that does not exist."""
    (sweep / "multirun.yaml").unlink(missing_ok=True)
    with suppress(OSError):  # not empty: they belong to other sweeps too
        for folder in (sweep, *(parent for parent in sweep.parents if parent.name in ("sweeps", "outputs"))):
            folder.rmdir()


def quoted(text: str) -> str:
    """``text`` as one value in Hydra's grammar, with any characters."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
