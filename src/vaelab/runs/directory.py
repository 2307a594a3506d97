"""A run's directory: where its files are, who may write to it, and how it is freed for another attempt."""

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import OmegaConf

from vaelab.errors import InputError
from vaelab.files import write_text
from vaelab.runs.results import EVALUATION_LOCK, RESULTS, read_state

LAST = Path("checkpoints") / "last.ckpt"
BEST = Path("checkpoints") / "best.ckpt"
LOCK = ".lock"
LOCKS = (LOCK, EVALUATION_LOCK)
COMPOSED = Path(".hydra") / "config.yaml"
OVERRIDES = Path(".hydra") / "overrides.yaml"
FOLDERS = Path(".hydra") / "folders.yaml"  # where the user's own pieces were
FIGURES = "figures"


def check_free(directory: Path, resumes: bool) -> None:
    """Raise an InputError where another run's files lie in ``directory``.

    A run that resumes may use its own directory. An empty one is free (Hydra makes it beforehand), and so is that of a
    job which was refused before it started.
    """
    if not resumes and directory.is_dir() and any(not _is_disposable(file) for file in directory.iterdir()):
        last = directory / LAST
        longer = " epochs=... (more than it has)" if read_state(directory).is_complete else ""
        go_on = "delete it: it holds no checkpoint to go on from"
        if last.exists():
            go_on = f"go on with it: ckpt={last}{longer}"
        raise InputError(
            f"{directory} exists already, and nothing there was touched; take another name (name=...), or {go_on}"
        )


def _is_disposable(file: Path) -> bool:
    is_failed = file.name == RESULTS and not read_state(file.parent).is_complete
    return file.name in LOCKS or ".part" in file.suffixes or is_failed


def claim(directory: Path, resumes: bool) -> None:
    """Make ``directory`` this run's own; an OSError where it cannot be written to."""
    directory.mkdir(parents=True, exist_ok=True)
    check_free(directory, resumes)
    probe = directory / ".writable"
    probe.touch()
    probe.unlink()


def another_place(error: OSError) -> str:
    """What to type where a run's directory cannot be made: a name does not help where its folder is not writable."""
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT):
        return f"change to a folder where you may write, or name one: hydra.run.dir={Path.home() / 'vaelab-run'}"
    return "choose another place with name=... or hydra.run.dir=..."


def write_composition(
    directory: Path, config: Mapping[str, object], overrides: list[str], folders: Sequence[Path] = ()
) -> None:
    """Write the configuration, the overrides and the folders of own pieces; keep the results of an earlier attempt."""
    (directory / COMPOSED).parent.mkdir(exist_ok=True)
    named = [str(folder.absolute()) for folder in folders]
    for file, content in ((OVERRIDES, overrides), (COMPOSED, dict(config)), (FOLDERS, named)):
        if content or file != FOLDERS:
            write_text(directory / file, OmegaConf.to_yaml(OmegaConf.create(content)))
    keep_aside(directory / RESULTS)


def folders_of(directory: Path) -> tuple[Path, ...]:
    """Where the user's own pieces of the run in ``directory`` were; empty where it has none."""
    path = directory / FOLDERS
    return tuple(Path(str(folder)) for folder in OmegaConf.load(path)) if path.is_file() else ()


def keep_aside(old: Path) -> None:
    """Rename a file or folder of an earlier attempt, such as its results.json, so that it is not overwritten."""
    if not old.exists():
        return
    number = 1
    while (kept := old.with_name(f"{old.stem}.before-{number}{old.suffix}")).exists():
        number += 1
    old.rename(kept)


def clear_for_restart(directory: Path) -> None:
    """Free ``directory`` of what an attempt that was cut off left there; its results and checkpoints are kept aside."""
    for old in (directory / RESULTS, directory / LAST.parent):
        keep_aside(old)
    for events in directory.glob("events.out.tfevents.*"):  # TensorBoard would draw them under the new curves
        events.unlink()


def release(directory: Path, is_ours: bool = True) -> None:
    """Remove ``directory`` where it is empty and ``is_ours``, and its parent folders where nothing else is in them."""
    if not directory.is_dir() or any(file.name not in LOCKS for file in directory.iterdir()):
        return
    for lock in LOCKS:
        (directory / lock).unlink(missing_ok=True)
    if not is_ours:
        return
    for folder in (directory, *(parent for parent in directory.parents if parent.name in ("runs", "outputs"))):
        try:
            folder.rmdir()
        except OSError:  # it is not empty: it belongs to other runs too
            return
