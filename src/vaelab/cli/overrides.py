"""Checks of the command line before Hydra reads it, for errors that Hydra explains badly or does not find."""

import argparse
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from vaelab.checks import is_folder_name
from vaelab.cli.members import Members, needed_options, sections
from vaelab.commands import typed
from vaelab.errors import InputError
from vaelab.files import CONF

MULTIRUN = ("-m", "--multirun")
MANY = ("experiment", "logger", "callbacks")  # groups of which a run may have several members, or none


@dataclass(frozen=True)
class CommandLine:
    """The arguments of train.py as Hydra will read them.

    **Attributes**
        words: all arguments, the flags last, because one between the others would end their list.
        overrides: those that change the configuration, as far as Hydra can read them.
        members: the groups of this command.
        rest: the arguments without the flags and their values.
    """

    words: list[str]
    overrides: list[Override]
    members: Members
    rest: tuple[str, ...] = ()

    @classmethod
    def parse(cls, words: Sequence[str]) -> "CommandLine":
        """The arguments; an InputError where there is no such flag."""
        flags, others = _parse_flags(words)
        parser = OverridesParser.create()
        overrides = []
        for word in others:
            with suppress(HydraException):  # Hydra will reject it, and `explain` says why
                overrides.append(parser.parse_override(word))
        folders = [CONF, *([Path(flags.config_dir)] if flags.config_dir else [])]
        flags_alone = [word for word in words if word not in others]
        return cls([*others, *flags_alone], overrides, Members(tuple(folders)), tuple(others))

    @property
    def is_multirun(self) -> bool:
        """Whether the command starts a sweep."""
        return is_multirun(self.words)

    def check(self) -> None:
        """Raise an InputError for what Hydra would not explain."""
        self.members.check_names()
        for override in self.overrides:
            key = override.key_or_group
            if override.is_sweep_override() and not self.is_multirun:
                raise InputError(_not_a_sweep(override, self.words))
            if override.is_delete():
                self._check_deletion(override)
            elif self.members.is_group(key):
                self._check_member(override)
            elif key in sections() and not isinstance(override.value(), dict):
                raise InputError(
                    f"{override.input_line}: {key} is a section, whose options are set one by one: "
                    f"{_example_of(key)}; leave it out"
                )
            elif key == "ckpt" and isinstance(override.value(), list | dict | bool):
                raise InputError(f"{override.input_line}: ckpt must be the path of a checkpoint; leave it out")
            elif key == "name":
                _check_name(override)

    def _check_deletion(self, override: Override) -> None:
        key = override.key_or_group
        what = "a member of this group" if self.members.is_group(key) else "this option"
        if key == "logger":
            raise InputError(f"{override.input_line}: leave it out, or take logger=[] for metrics.csv alone")
        if (self.members.is_group(key) and key not in MANY) or key in needed_options():
            raise InputError(f"{override.input_line} removes {key}, and every run needs {what}: leave it out")

    def _check_member(self, override: Override) -> None:
        group, value = override.key_or_group, override.value()
        if group == "logger" and value is None:
            raise InputError(f"{override.input_line}: take logger=[] for metrics.csv alone")
        if group in MANY and not override.is_sweep_override():
            for member in value if isinstance(value, list) else [value]:
                if member is not None and member not in self.members.members(group):
                    raise InputError(self.members.unknown(group, str(member)))
            return
        if override.is_sweep_override() or isinstance(value, str):
            return
        members, options = self.members.members(group), self.members.all_options()
        # lr=1e-3 means optimizer.lr, and beta=2 means beta.weight.
        meant = sorted(option for option in options if option.endswith(f".{group}") or option == f"{group}.weight")
        if meant and isinstance(value, (int, float)):
            hint = f"did you mean {typeable(f'{meant[0]}={override.get_value_element_as_str()}')}?"
        else:
            hint = f"take {group}={self.members.default(group)}, or leave it out"
        raise InputError(f"{override.input_line}: the members of group {group!r} are {', '.join(members)}; {hint}")


def is_multirun(arguments: Sequence[str]) -> bool:
    """Whether the arguments start a sweep."""
    return any(argument in MULTIRUN or argument.startswith("hydra.mode=MULTI") for argument in arguments)


def _parse_flags(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Hydra's own flags, and the other arguments."""
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise InputError(f"{message}; {typed('train')} --help shows the command line")

    parser.error = refuse  # type: ignore[method-assign]  # it would print Hydra's usage
    flags, unknown = parser.parse_known_args(list(words))
    for word in unknown:
        name, _, value = word.lstrip("-").partition("=")
        value = value or next(iter(words[words.index(word) + 1 :]), "")  # --latent 3, as other programs take it
        if word.startswith("--") and value and not value.startswith("-") and "=" not in value:
            raise InputError(f"there is no flag {word}; options have no dashes: {typeable(f'{name}={value}')}")
        if word.startswith("-"):
            raise InputError(f"there is no flag {word}; {typed('train')} --help shows the command line")
    instead_of_a_run = [name for name in ("cfg", "info", "shell_completion", "run", "multirun") if getattr(flags, name)]
    if len(instead_of_a_run) > 1:
        raise InputError(f"--{' and --'.join(instead_of_a_run)} exclude each other: leave one of them out")
    if flags.config_dir and not Path(flags.config_dir).is_dir():
        raise InputError(
            f"--config-dir={flags.config_dir}: there is no such folder; it is the folder that holds folders of groups, "
            "such as prior/; without pieces of your own leave it out"
        )
    return flags, [*flags.overrides, *unknown]


def typeable(*words: str) -> str:
    """``words`` as they are typed in a shell, with as few quotes as possible."""
    return " ".join(
        f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word) for word in words
    )


def _not_a_sweep(override: Override, words: Sequence[str]) -> str:
    again = typeable(*shlex.split(typed("sweep")), *words)
    key, value = override.get_key_element(), override.get_value_string()
    as_list = f", or for a list {typeable(f'{key}=[{value}]')}" if "(" not in value else ""
    return f"{override.input_line} is a sweep of several values: {again}{as_list}"


def _check_name(override: Override) -> None:
    """A run's name is the plain name of a folder; of a sweep's several names `with_sweep_directory` complains."""
    if override.is_sweep_override():
        return
    value = override.value()
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not is_folder_name(str(value)):
        shown = repr(value) if isinstance(value, str) else override.get_value_element_as_str()
        raise InputError(f"name must be the plain name of a folder, such as name=two, got {shown}")


def _example_of(section: str) -> str:
    return f"{min(option for option in needed_options() if option.startswith(f'{section}.'))}=..."
