"""Folders of a user's own pieces: YAML files in folders of groups, and Python modules beside those folders.

``--config-dir mine`` names such a folder. Python finds its modules without PYTHONPATH, in every process of a run,
because a run carries the names of its folders. This module imports no torch.
"""

import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib import import_module, invalidate_caches
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

from vaelab.errors import InputError, MissingPiece, one_line

UNIMPORTED = ("conftest", "docs", "examples", "scripts", "setup", "test", "tests")  # names that many folders have
USED: list[str] = []  # the folders that `use` put at the head of sys.path


def use(folders: Sequence[Path]) -> None:
    """Let Python find the modules in ``folders``, before all others.

    Modules of the same names that were imported from folders used before are forgotten, so that two runs with pieces of
    their own can be opened in one process. An object that was made of them stays as it is.

    **Raises**
        InputError: a module has the name of one that is installed, which it would replace everywhere.
    """
    wanted = [str(folder.resolve()) for folder in folders]
    if wanted == USED and sys.path[: len(wanted)] == wanted:
        return
    others = [entry for entry in sys.path if entry not in (*wanted, *USED)]
    for folder in map(Path, wanted):
        _check_names(folder, [entry for entry in others if Path(entry).resolve() != folder])
    left = [folder for folder in USED if folder not in wanted]
    sys.path[:], USED[:] = [*wanted, *others], wanted
    _forget(left)
    invalidate_caches()


def _forget(folders: Sequence[str]) -> None:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None and any(Path(file).is_relative_to(folder) for folder in folders):
            del sys.modules[name]


def modules_in(folder: Path) -> Iterator[str]:
    """The names of the modules and packages that lie directly in ``folder``, but for those of its own tests."""
    for path in sorted(folder.iterdir()):
        is_module = path.suffix == ".py" or (path / "__init__.py").is_file()
        if is_module and path.stem not in UNIMPORTED:
            yield path.stem


def _check_names(folder: Path, others: Sequence[str]) -> None:
    """Raise an InputError where a module of ``folder`` has the name of one that is installed, below ``others``.

    Those beside the program, train.py or a script, do not count: nothing imports them.
    """
    beside = Path(getattr(sys.modules.get("__main__"), "__file__", None) or ".").resolve().parent
    searched = [entry for entry in others if Path(entry).resolve() != beside]
    for name in modules_in(folder):
        is_built_in = name in sys.stdlib_module_names
        found = PathFinder.find_spec(name, searched)
        if is_built_in or (found is not None and found.origin is not None):
            whose = "of Python's own" if is_built_in or found is None else f"in {found.origin}"
            raise InputError(
                f"{folder / name}.py has the name of a module {whose}, and would replace it: rename it, such as "
                f"my_{name}.py, in each _target_ too"
            )


def load_module(where: str, path: str, name: str) -> ModuleType:
    """The module ``name``, which ``where``._target_=``path`` names.

    **Raises**
        MissingPiece: there is no such module, or it imports what does not exist, or its text is no Python; the message
            shows the line of the file. Any other exception is a bug in the module.
    """
    said = f"{where}._target_={path}"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise MissingPiece(f"{said}: there is no module {error.name!r}{_where_to_put(error.name)}") from error
        raise MissingPiece(f"{said}: {_line_of(error)}: {one_line(error)}") from error
    except ImportError as error:
        raise MissingPiece(f"{said}: {_line_of(error)}: {one_line(error)}") from error
    except SyntaxError as error:
        text = (error.text or "").strip()
        raise MissingPiece(f"{said}: {error.filename}, line {error.lineno}: {text}: {error.msg}") from error


def _where_to_put(module: str) -> str:
    top = module.partition(".")[0]
    if USED:
        return f" in {', '.join(USED)}: put {top}.py there, or name the folder where it is now with --config-dir FOLDER"
    return f": name the folder of {top}.py with --config-dir FOLDER"


def _line_of(error: BaseException) -> str:
    """The line of the innermost file that is not Python's import machinery: ``/mine/pieces.py, line 3: import x``."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    users = [frame for frame in frames if any(Path(frame.filename).is_relative_to(folder) for folder in USED)]
    frame = (users or frames)[-1]
    return f"{frame.filename}, line {frame.lineno}: {frame.line}"
