"""Train, test and picture one model; `python train.py --help` shows the command line.

This file is that command line: it composes the configuration and tells errors in one line. What a run does is in
src/vaelab/run.py, whose heavy imports wait until there is something to run.
"""

import difflib
import os
import sys
import traceback
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vaelab.checks import Interrupted, Refused, cannot_use

CONF = Path(__file__).resolve().parent / "conf"


def main() -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on instead of printing a page
    check_name(sys.argv[1:])
    try:
        sys.argv[1:] = with_overrides_of_resumed_run(sys.argv[1:])
        compose()
    except Refused as error:  # of a multirun alone: a single run has left by now
        fail(f"a job of the multirun failed, the others went on; the first to fail: {error}")
    except (HydraException, OmegaConfBaseException) as error:
        fail(explain(error))
    except OSError as error:  # Hydra makes the directory before anybody is asked
        fail(cannot_use(error))


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def compose(config: DictConfig) -> None:
    composed = HydraConfig.get()
    values = OmegaConf.to_container(config, resolve=True)
    directory, here = Path(composed.runtime.output_dir), Path.cwd()
    from vaelab.run import Run, launch

    run = Run(
        config=values,
        overrides=list(composed.overrides.task),
        choices={group: member for group, member in composed.runtime.choices.items() if "/" not in group},
        directory=directory.relative_to(here) if directory.is_relative_to(here) else directory,
        multirun=composed.mode == RunMode.MULTIRUN,
    )
    try:
        launch(run)
    except Refused as error:
        if run.multirun and not isinstance(error, Interrupted):
            print(f"error: {run.directory}: {error}", file=sys.stderr)
            raise  # Hydra goes on with the other jobs and hands the first error on at the end
        fail(str(error))  # an exit, not an exception: Hydra would add lines of its own


def fail(line: str) -> None:
    if os.environ.get("VAELAB_TRACEBACK"):
        traceback.print_exc()
    print(f"error: {line}", file=sys.stderr)
    sys.exit(1)


def check_name(arguments: list[str]) -> None:
    """Before Hydra makes the directory: a name is the plain name of a folder."""
    for argument in arguments:
        option, _, name = argument.partition("=")
        name = name.strip("'\"")
        if option == "name" and (Path(name).name != name or not name.strip()):
            fail(f"name must be the plain name of a folder, got {name!r}")


def with_overrides_of_resumed_run(arguments: list[str]) -> list[str]:
    """`ckpt=X/checkpoints/last.ckpt` stands for the command that began run X, in X's own directory.

    What is typed beside it is added, and replaces what that command said of the same option.
    """
    typed = [argument for argument in arguments if argument.startswith("ckpt=")]
    if not typed or typed[-1] in ("ckpt=", "ckpt=null"):
        return arguments
    ckpt = typed[-1].removeprefix("ckpt=").strip("'\"")
    # A path may hold what means something in Hydra's grammar: a sweep's directories are full of = and commas.
    arguments = [argument for argument in arguments if argument not in typed] + [f"ckpt={quoted(ckpt)}"]
    directory = Path(ckpt).resolve().parent.parent
    saved = directory / ".hydra" / "overrides.yaml"
    if not saved.is_file():
        return arguments  # a checkpoint on its own: the command line has to say what it belongs to

    def option(argument: str) -> str:
        return argument.split("=", 1)[0].lstrip("+~")

    now = {option(argument) for argument in arguments}
    kept = [old for old in OmegaConf.load(saved) if option(old) not in {*now, "ckpt", "name"}]
    if not now & {"name", "hydra.run.dir"}:
        kept += [f"hydra.run.dir={quoted(str(directory))}", f"name={quoted(directory.name)}"]
    return kept + arguments


def quoted(text: str) -> str:
    """``text`` as one value in Hydra's grammar, whatever characters it has."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def explain(error: Exception) -> str:
    """Hydra's and OmegaConf's errors in one line, with what to type instead."""
    lines = [line.strip() for line in f"{error}\n{error.__cause__ or ''}".splitlines() if line.strip()]
    if lines[0].startswith("Could not override '"):
        option = lines[0].split("'")[1]
        close = difflib.get_close_matches(option, options(), n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return f"there is no option {option!r}; {hint}python train.py --cfg job prints them all"
    missing = next((line.split("Could not find '")[1].strip("'") for line in lines if "Could not find '" in line), None)
    if missing is not None:
        group, _, member = missing.partition("/")
        members = sorted(str(path.relative_to(CONF / group))[:-5] for path in (CONF / group).rglob("*.yaml"))
        return f"{group}={member}: the members of group {group!r} are {', '.join(members)}"
    if isinstance(error, OverrideParseException):
        return f"cannot read {error.override!r}: {lines[0]}; write option=value, and quote what the shell or Hydra eats"
    return "; ".join(dict.fromkeys(line for line in lines if line.strip("^ ")))


def options() -> set[str]:
    """Every option that the configuration files name, dotted, and every group."""
    top = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml"))
    found = set(top) | {f"{section}.{key}" for section in ("evaluation", "pictures") for key in top[section]}
    for file in CONF.glob("*/*.yaml"):
        group, top = file.parent.name, "@package _global_" in file.read_text(encoding="utf-8")
        found |= {group} | {key if top else f"{group}.{key}" for key in OmegaConf.load(file) if key != "defaults"}
    return found


if __name__ == "__main__":
    main()
