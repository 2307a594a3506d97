"""From the configuration to objects: checks that an option exists before Hydra calls the class that reads it."""

import difflib
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from vaelab import own
from vaelab.checks import flag, image_shape, shown
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError, MissingPiece, UnknownOption, VaelabError, one_line
from vaelab.models.contracts import Likelihood, Network, Posterior, Prior

LIBRARIES = ("torch", "lightning")
CONTRACTS: Mapping[str, type] = {"network": Network, "posterior": Posterior, "likelihood": Likelihood, "prior": Prior}
INITIALISE = "must call super().__init__() in its __init__, before it sets an attribute"
Made = TypeVar("Made")


def make_piece(where: str, config: Mapping[str, object], contract: type[Made]) -> Made:
    """The object that ``config`` describes.

    **Arguments**
        where: its place on the command line, such as ``prior``.
        contract: the class that it must be an instance of.

    **Raises**
        InputError: a class does not exist, an option does not belong to it, its value is wrong, or what it makes does
            not keep ``contract``. An exception of another type, from inside a class, is a bug there: it is raised as
            it is, with the piece in a note.
    """
    made = _make(where, config)
    if not isinstance(made, contract):
        raise InputError(
            f"{where}._target_={config.get('_target_')} must make a {contract.__module__}.{contract.__qualname__}, "
            f"got {type(made).__name__}"
        )
    return made


def make_factory(where: str, config: Mapping[str, object]) -> Callable:
    """The function that ``config`` describes by ``_partial_: true``, such as an optimizer that lacks its parameters."""
    made = _make(where, config)
    if not callable(made):
        raise InputError(f"{where} must be a function of what it lacks: set {where}._partial_=true")
    return made


def find_shape(data: Mapping[str, object]) -> list[int]:
    """The shape ``[C, H, W]`` of the images that the section ``data`` describes, by its class.

    **Raises**
        InputError: the class does not exist, an option does not belong to it, or it does not know the shape.
    """
    _check_targets("data", data)
    image_set = locate("data", str(data["_target_"]))
    options = {name: value for name, value in data.items() if not name.startswith("_") and name != "shape"}
    if not (isinstance(image_set, type) and issubclass(image_set, ImageDataModule)):
        return ImageDataModule.find_shape()
    return image_shape(f"{data['_target_']}.find_shape: the shape", image_set.find_shape(**options))


def _make(where: str, config: Mapping[str, object]) -> object:
    _check_targets(where, config)
    try:
        return instantiate(config, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if cause is None:
            raise InputError(f"{where}: {one_line(error)}") from error
        if "before Module.__init__() call" in str(cause):
            raise InputError(f"{_innermost_piece(where, config, str(error))} {INITIALISE}") from cause
        if not isinstance(cause, VaelabError):
            note_piece(cause, _innermost_piece(where, config, str(error)))
        raise cause from None


def _innermost_piece(where: str, config: Mapping[str, object], message: str) -> str:
    """Where the constructor that failed stands, by Hydra's message, which ends with ``full_key: posterior.network``."""
    inner = message.partition("full_key: ")[2].strip()
    node: object = config
    for name in inner.split(".") if inner else ():
        node = node.get(name) if isinstance(node, Mapping) else None
    target = (node if isinstance(node, Mapping) else config).get("_target_")
    return f"{where}.{inner} ({target})" if inner else f"{where} ({target})"


def call_library(where: str, function: Callable[..., Made], *arguments: object, **options: object) -> Made:
    """Call a library's constructor with nothing but the user's options: what it rejects is the user's input."""
    try:
        return function(*arguments, **options)
    except (TypeError, ValueError) as error:
        if isinstance(error, VaelabError) or not is_of_library(function):
            raise
        fixed = function.keywords if isinstance(function, functools.partial) else {}
        taken = ", ".join(f"{name}={value}" for name, value in fixed.items()) or "these options"
        raise InputError(f"{where} does not take {taken}: {one_line(error)}") from error


def name_of(piece: object) -> str:
    """The class of ``piece`` with its module, as messages name it."""
    return f"{type(piece).__module__}.{type(piece).__qualname__}"


def note_piece(error: BaseException, piece: str) -> None:
    """Say in a note of ``error`` in which piece it arose; notes are printed below the traceback."""
    # BaseException.add_note is Python 3.11's.
    error.__notes__ = [*getattr(error, "__notes__", ()), f"in {piece}"]  # type: ignore[attr-defined]


def is_of_library(function: Callable) -> bool:
    """Whether ``function`` is this project's, torch's or Lightning's, and not a user's own."""
    function = function.func if isinstance(function, functools.partial) else function
    return function.__module__.split(".")[0] in (*LIBRARIES, "vaelab")


def _check_targets(where: str, config: object) -> None:
    """Check every ``_target_`` in ``config``, from the inside out."""
    if not isinstance(config, Mapping):
        return
    for name, value in config.items():
        _check_targets(f"{where}.{name}", value)
    if "_target_" in config:
        _check_wiring(where, config)
        function = locate(where, str(config["_target_"]))
        _check_class(where, function)
        _check_options(where, function, config)


def _check_wiring(where: str, config: Mapping[str, object]) -> None:
    """Raise an InputError where an option that is a piece itself, or one of Hydra's own, has another value."""
    group = where.rpartition(".")[2]
    for name in ("_partial_", "_recursive_"):
        if name in config:
            flag(f"{group}.{name}", config[name])
    for name in CONTRACTS.keys() & config.keys():
        made = config[name]
        is_piece = isinstance(made, Mapping) and ("_target_" in made or name != "network")  # posterior=none has none
        if not is_piece:
            raise InputError(f"{group}.{name} is a piece, which {name}=... chooses, got {shown(made)}: leave it out")


def _check_class(where: str, function: Callable) -> None:
    """Raise an InputError where a class does not derive from the contract of its place, or lacks a method of it."""
    if not inspect.isclass(function):
        return
    named = f"{where}._target_={function.__module__}.{function.__qualname__}"
    contract = CONTRACTS.get(where.rpartition(".")[2])
    if contract is not None and not issubclass(function, contract):
        raise InputError(f"{named} must derive from {contract.__module__}.{contract.__qualname__}")
    if missing := sorted(getattr(function, "__abstractmethods__", ())):
        raise InputError(f"{named} lacks {', '.join(missing)}, which its base class demands: define it")


def locate(where: str, path: str) -> Callable:
    """The class or function at ``path``, such as ``vaelab.models.priors.StandardNormal``."""
    name = path.rpartition(".")[2]
    module = own.load_module(where, path, path.rpartition(".")[0]) if "." in path else None
    found = getattr(module, name, None)
    if not callable(found):
        close = difflib.get_close_matches(name, vars(module) if module else (), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise MissingPiece(f"{where}._target_={path}: there is no such class or function{hint}")
    return found


def _check_options(where: str, function: Callable, config: Mapping[str, object]) -> None:
    try:
        has_none = inspect.isclass(function) and function.__init__ is torch.nn.Module.__init__
        parameters = [] if has_none else list(inspect.signature(function).parameters.values())
    except ValueError:  # a class written in C does not say what it takes
        return
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        known = {parameter.name for parameter in parameters if parameter.kind is not parameter.POSITIONAL_ONLY}
        _check_known(where, known, config)
    _check_complete(where, parameters, config)


def _check_known(where: str, known: set[str], config: Mapping[str, object]) -> None:
    group, target = _typed(where), str(config["_target_"])
    for option in config:
        if option not in known and not option.startswith("_"):
            meant = next(iter(difflib.get_close_matches(option, known - config.keys(), n=1)), None)
            hint = f"; did you mean {meant}?" if meant else f"; leave {group}.{option} out"
            raise UnknownOption(
                f"{where} has no option {option!r}: {target} does not read it{hint}", f"{group}.{option}", target, meant
            )


def _typed(where: str) -> str:
    """How the section ``where`` is typed: a piece by its own group, a logger or a callback by its place."""
    return where if where.startswith(("logger.", "callbacks.")) else where.rpartition(".")[2]


def _check_complete(where: str, parameters: list[inspect.Parameter], config: Mapping[str, object]) -> None:
    """Raise an InputError where an option is missing that has no default."""
    group = _typed(where)
    for parameter in parameters:
        is_needed = parameter.default is parameter.empty and parameter.kind is not parameter.POSITIONAL_ONLY
        is_variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if is_needed and not is_variadic and parameter.name not in config and not config.get("_partial_"):
            raise InputError(
                f"{where} lacks the option {parameter.name!r}, which {config['_target_']} needs: "
                f"say ++{group}.{parameter.name}=..., or leave ~{group}.{parameter.name} out"
            )


def make_optimizer(factory: Callable, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer for ``parameters``; an InputError where torch rejects its options."""
    optimizer = call_library("optimizer", factory, parameters)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise InputError(f"optimizer must make a torch.optim.Optimizer, got {type(optimizer).__name__}")
    return optimizer
