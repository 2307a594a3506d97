"""The words of a command line, before Hydra reads them. Without torch."""

from contextlib import suppress
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from omegaconf import OmegaConf

from vaelab.errors import InputError
from vaelab.files import PROJECT
from vaelab.sweeps import names

CONF = PROJECT / "conf"
MULTIRUN = ("-m", "--multirun")
SWEEPS = Path("outputs") / "sweeps"


def check_name(arguments: list[str]) -> None:
    """Before Hydra makes the directory: a name is the plain name of a folder."""
    for argument in arguments:
        option, _, name = argument.partition("=")
        name = name.strip("'\"")
        if option == "name" and (Path(name).name != name or not name.strip()):
            raise InputError(f"name must be the plain name of a folder, got {name!r}")


def with_overrides_of_resumed_run(arguments: list[str]) -> list[str]:
    """`ckpt=X/checkpoints/last.ckpt` stands for the command that began run X, in X's own directory.

    What is typed beside it is added, and replaces what that command said of the same option. In a multirun it is where
    every job begins from.
    """
    typed = [argument for argument in arguments if argument.startswith("ckpt=")]
    if not typed or typed[-1] in ("ckpt=", "ckpt=null"):
        return arguments
    ckpt = typed[-1].removeprefix("ckpt=").strip("'\"")
    if is_multirun(arguments) and not Path(ckpt).is_file():
        return arguments  # several of them, or a mistake
    # A path may hold what means something in Hydra's grammar: a sweep's directories are full of = and commas.
    arguments = [f"ckpt={quoted(ckpt)}" if argument == typed[-1] else argument for argument in arguments
                 if argument not in typed[:-1]]  # fmt: skip
    if is_multirun(arguments):
        return arguments
    directory = Path(ckpt).resolve().parent.parent
    saved = directory / ".hydra" / "overrides.yaml"
    if not saved.is_file():
        return arguments  # a checkpoint on its own: the command line has to say what it belongs to

    def option(argument: str) -> str:
        return argument.split("=", 1)[0].lstrip("+~")

    now = {option(argument) for argument in arguments}
    kept = [old for old in map(str, OmegaConf.load(saved)) if option(old) not in {*now, "ckpt", "name"}]
    if not now & {"name", "hydra.run.dir"}:
        kept += [f"hydra.run.dir={quoted(str(directory))}", f"name={quoted(directory.name)}"]
    return kept + arguments


def is_multirun(arguments: list[str]) -> bool:
    return any(argument in MULTIRUN or argument.startswith("hydra.mode=MULTI") for argument in arguments)


def with_sweep_directory(arguments: list[str]) -> tuple[list[str], Path | None]:
    """The words of a multirun with the directory that follows from them, unless they say which.

    So the same command again finds what is complete already, and a longer axis adds to it.
    """
    # A flag between the words would end their list.
    arguments = ["-m", *(argument for argument in arguments if argument not in MULTIRUN)]
    parser = OverridesParser.create()
    words = [argument for argument in arguments if not argument.startswith("-") and "=" in argument]
    try:
        parsed = {override.key_or_group: override for override in map(parser.parse_override, words)}
    except HydraException:
        return arguments, None  # which Hydra explains
    added: list[str] = []
    if "hydra.sweep.dir" in parsed:
        setup_globals()  # for ${now:...}
        typed = OmegaConf.create({"directory": str(parsed["hydra.sweep.dir"].value())})
        sweep = Path(typed.directory)
    elif "name" in parsed:
        if parsed["name"].is_sweep_override():
            raise InputError(
                "in a multirun name=... is the sweep's, and has one value; its jobs are named after their overrides"
            )
        sweep = SWEEPS / str(parsed["name"].value())
    else:
        task = [override for override in parsed.values() if not override.is_hydra_override()]
        axes = [override.get_key_element() for override in task if override.is_sweep_override()]
        fixed = {
            override.get_key_element(): override.get_value_element_as_str()
            for override in task
            if not override.is_sweep_override()
        }
        sweep = SWEEPS / names.sweep_name(axes, [f"{option}={value}" for option, value in fixed.items()])
        named = ",".join(quoted(option) for option in fixed if option != "seed")
        added = [f"hydra.job.config.override_dirname.exclude_keys=[{named}]"]
    added.append(f"hydra.sweep.dir={quoted(str(sweep.absolute()))}")  # an engine's worker may start elsewhere
    at = max((index for index, argument in enumerate(arguments) if argument in words), default=-1) + 1
    return [*arguments[:at], *added, *arguments[at:]], sweep


def remove_empty(sweep: Path) -> None:
    """What Hydra made of a sweep before it found a word that it does not know."""
    (sweep / "multirun.yaml").unlink(missing_ok=True)
    with suppress(OSError):
        sweep.rmdir()


def quoted(text: str) -> str:
    """``text`` as one value in Hydra's grammar, whatever characters it has."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
