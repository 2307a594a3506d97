"""Hydra's and OmegaConf's errors in one line, with what to type instead."""

import difflib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from vaelab.cli.arguments import quoted
from vaelab.cli.members import Members, sections
from vaelab.cli.overrides import MULTIRUN, CommandLine, typeable
from vaelab.commands import typed
from vaelab.errors import UnknownOption
from vaelab.files import CONF
from vaelab.runs.options import flatten, unresolved

OWN_GROUPS = ("metric", "plot")  # which have members in users' folders only
SUGGESTED = {"data": "folder"}  # where several members have the option: the one that it is most likely meant for
CLOSE = 0.75  # how alike a typed option and an existing one are, from 0 to 1, for "did you mean"
REJECTED = re.compile(r"Could not (override|append to config|delete from config)\b[^']*'([^']+)'")


@dataclass(frozen=True)
class Composed:
    """The configuration of a command without the options that Hydra rejects.

    **Attributes**
        options: the dotted names of all its options and sections.
        choices: group -> member.
    """

    options: set[str]
    choices: Mapping[str, str | None]


def explain(error: Exception, command: CommandLine) -> str:
    """The line for an error of Hydra or OmegaConf."""
    lines = [line.strip() for line in f"{error}\n{error.__cause__ or ''}".splitlines() if line.strip()]
    text = " ".join(lines)
    if (missing := re.search(r"Could not find '([^']+)'", text)) is not None:
        return _no_member(missing.group(1), command.members)
    if (rejected := REJECTED.search(text)) is not None:
        return _rejected(rejected.group(1), rejected.group(2), command)
    if (chosen := re.search(r"Multiple values for (\S+?)\.", text)) is not None:
        group = chosen.group(1)
        return f"+{group}=...: a run has one member of group {group!r}: write {group}=..., without +"
    if (merged := re.match(r"Error merging override (\S+)(.*)", text)) is not None:
        return f"{merged.group(1)}: {merged.group(2).split(' full_key')[0].strip()}; leave it out"
    if (config := re.match(r"Cannot find primary config '([^']+)'", text)) is not None:
        return f"--config-name={config.group(1)}: there is no such configuration in {CONF}; leave it out"
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override, lines[0])
    if (unresolved := re.search(r"Interpolation key '([^']+)' not found|(Recursive) interpolation", text)) is not None:
        return _unresolved(unresolved.group(1), command)
    return "; ".join(dict.fromkeys(line for line in lines if line.strip("^ ")))


def _no_member(path: str, members: Members) -> str:
    split = path.rpartition if path.startswith("hydra/") else path.partition
    group, _, member = split("/")
    return members.unknown(group, member)


def _unreadable(argument: str, reason: str) -> str:
    option, _, value = argument.partition("=")
    reason = reason.partition(": ")[2] if reason.startswith("Lexer") else reason
    if value and not set(value) & set("[]{}()$,'\""):
        return f"cannot read {argument!r}; write special characters in quotes: {typeable(f'{option}={quoted(value)}')}"
    return f"cannot read {argument!r}: {reason}; write {option}=value, with every bracket and quote closed"


def _unresolved(missing: str | None, command: CommandLine) -> str:
    """The line for an interpolation ``${...}`` that cannot be resolved, in an argument or in a configuration file."""
    words = [override.input_line for override in command.overrides if "${" in (override.input_line or "")]
    named = next((word for word in words if missing is None or f"{missing}" in str(word)), None)
    whose = f"{named}: " if named else ""
    if missing is None:
        return f"{whose}an option refers to itself; write a value"
    return f"{whose}there is no option {missing!r} to refer to; write a value, or the name of another option; {_hint()}"


def _rejected(how: str, option: str, command: CommandLine) -> str:
    kinds = {"append to config": Override.is_add, "delete from config": Override.is_delete}
    is_kind = kinds.get(how, lambda override: not override.is_delete())
    typed = next((found for found in command.overrides if found.key_or_group == option and is_kind(found)), None)
    value = "" if typed is None or typed.is_delete() else str(typed.input_line).partition("=")[2]
    if how == "append to config":
        return f"+{option}={value}: there is an option {option!r} already: {typeable(f'{option}={value}')}, without +"
    if how == "delete from config":
        return f"~{option}: there is no option {option!r} to remove: leave it out; {_hint()}"
    return no_option(option, value, command)


def _hint() -> str:
    return f"{typed('train')} --cfg job prints them all"


def no_option(option: str, value: str, command: CommandLine) -> str:
    """The line for an option that does not exist, or not in the chosen member of its group."""
    if option in OWN_GROUPS:
        return (
            f"{option}={value}: vaelab ships no member of the group {option!r}: name the folder of your own with "
            "--config-dir FOLDER"
        )
    composed = _compose(command)
    having = command.members.having(option)
    if having:  # a recipe may set an option that a model has; the model is what lacks it
        group = min(having, key=lambda name: name == "experiment")
        return _lacking(option, value, group, having[group], command, composed)
    close = _closest(option, {known for known in composed.options if not command.members.is_group(known)} - sections())
    if close is not None:
        return f"there is no option {option!r}; did you mean {typeable(f'{close}={value}')}? {_hint()}"
    close = _closest(option, command.members.all_options())
    if close is not None and (having := command.members.having(close)):
        group, members = next(iter(having.items()))
        example = typeable(f"{group}={members[0]}", f"{close}={value}")
        return f"there is no option {option!r}; did you mean {close!r} of {group}={_listed(members)}, as in {example}?"
    return f"there is no option {option!r}; leave it out; {_hint()}"


def _closest(option: str, candidates: set[str]) -> str | None:
    """The existing option that a mistyped one is most like: as a whole, or in its last part."""
    known = sorted(candidate for candidate in candidates if "_target_" not in candidate and candidate != "hydra")
    close = difflib.get_close_matches(option, known, n=1, cutoff=CLOSE)
    if close or "." in option:
        return close[0] if close else None
    ends = sorted(
        (candidate for candidate in known if candidate.rpartition(".")[2] == option), key=lambda name: name.count(".")
    )
    return ends[0] if ends else None


def _lacking(option: str, value: str, group: str, members: list[str], command: CommandLine, composed: Composed) -> str:
    """The line for an option that other members of ``group`` have."""
    name = option.removeprefix(f"{group}.")
    swept = next(
        (found for found in command.overrides if found.key_or_group == group and found.is_choice_sweep()), None
    )
    if swept is not None:
        lack = [member for member in swept.sweep_string_iterator() if member not in members]
        have = [member for member in swept.sweep_string_iterator() if member in members]
        if lack and have:
            return (
                f"{group}={_listed(lack)} has no option {name!r}: sweep them with two commands and one name: "
                f"{_two_commands(group, lack, have, option, command)}"
            )
    chosen = composed.choices.get(group)
    selecting = _selecting(group, command, composed)
    if selecting is not None:
        own = _listed(sorted(command.members.options(group, str(chosen)) - {f"{group}._target_"}))
        return (
            f"{group}={chosen}, which {selecting} selects, has no option {name!r}: "
            f"leave {option} out; it has {own or 'no options'}"
        )
    suggested = SUGGESTED.get(group)
    example = suggested if suggested in members else members[0]
    typed = typeable(f"{group}={example}", f"{option}={value}")
    verb = "has" if len(members) == 1 else "have"
    lacking = f"{group}={chosen}" if chosen else f"this run's {group}"
    return (
        f"{lacking} has no option {name!r}; {group}={_listed(members)} {verb} it: take {typed}, or leave {option} out"
    )


def _selecting(group: str, command: CommandLine, composed: Composed) -> str | None:
    """The typed choice, such as ``model=multirate``, that selects the member of ``group``; None: none does."""
    typed_groups = {override.key_or_group for override in command.overrides}
    if group in typed_groups:
        return None
    chosen = composed.choices.get(group)
    selecting = (
        f"{other}={member}"
        for other, member in composed.choices.items()
        if chosen is not None
        and other in typed_groups
        and command.members.selected(other, str(member)).get(group) == chosen
    )
    return next(selecting, None)


def _two_commands(group: str, lack: list[str], have: list[str], option: str, command: CommandLine) -> str:
    """A sweep over members that lack ``option``, and one over those that have it, in the same directory."""
    words = [word for word in command.words if word not in MULTIRUN]
    name = [] if any(word.startswith("name=") for word in words) else ["name=sweep"]
    option_of = {override.input_line: override.key_or_group for override in command.overrides}
    others = [word for word in words if option_of.get(word) not in (group, option)]
    with_option = [word for word in words if option_of.get(word) == option]
    first = [*shlex.split(typed("sweep")), *name, *others, f"{group}={','.join(lack)}"]
    second = [*shlex.split(typed("sweep")), *name, *others, f"{group}={','.join(have)}", *with_option]
    return f"{typeable(*first)} && {typeable(*second)}"


def _listed(members: Sequence[str]) -> str:
    return ", ".join(members)


def search_path(members: Members) -> list[str]:
    """The override by which Hydra finds the groups of ``--config-dir`` too."""
    folders = ",".join(quoted(f"file://{folder.absolute()}") for folder in members.own_folders)
    return [f"hydra.searchpath=[{folders}]"] if folders else []


def _compose(command: CommandLine) -> Composed:
    """Compose the command without the options that do not exist, and with the first value of each axis."""
    words = [word for override in command.overrides if (word := _first_value(override)) is not None]
    searched = search_path(command.members)
    while True:
        try:
            with initialize_config_dir(str(CONF), version_base="1.3"):
                return _composed(compose("config", overrides=[*searched, *words], return_hydra_config=True))
        except (HydraException, OmegaConfBaseException) as error:
            rejected = REJECTED.search(f"{error} {error.__cause__ or ''}")
            kept = [word for word in words if rejected is not None and _key(word) != rejected.group(2)]
            words = kept if len(kept) < len(words) else []


def _composed(config: DictConfig) -> Composed:
    choices = dict(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    content = unresolved(config)
    inner = {name for name, value in content.items() if isinstance(value, Mapping)}
    return Composed(set(flatten(content)) | inner, choices)


def _first_value(override: Override) -> str | None:
    """The override with one value, or None where it has a number of an interval."""
    if not override.is_sweep_override():
        return override.input_line
    if not override.is_discrete_sweep():
        return None
    return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def unknown_option(
    error: UnknownOption, words: Sequence[str], choices: Mapping[str, str | None], members: Members
) -> str:
    """The line for an option that a piece does not take: who set it, and which member has it."""
    group, _, name = error.option.partition(".")
    typed = next((word for word in words if _key(word) == error.option), None)
    if typed is not None:
        having = [member for member in members.having(error.option).get(group, []) if member != choices.get(group)]
        value = typed.partition("=")[2]
        others = f"; {group}={_listed(having)} {'has' if len(having) == 1 else 'have'} it" if having else ""
        take = f", or take {typeable(f'{group}={having[0]}', f'{error.option}={value}')}" if having else ""
        return f"{_chosen(group, choices)} has no option {name!r}{others}: leave {typed} out{take}"
    setter = next((other for other in choices if error.option in members.options(other, str(choices[other]))), None)
    if setter is None:
        return str(error)
    if setter == group and error.meant:
        return f"{group}={choices[group]} sets {error.option}, which {error.target} does not take: it has {error.meant}"
    if setter == group:
        return (
            f"{group}={choices[group]} sets {error.option}, which {error.target} does not take: "
            f"remove it, {' '.join([*_targets(group, words), f'~{error.option}'])}"
        )
    return (
        f"{setter}={choices[setter]} sets {error.option}, which {_chosen(group, choices)} does not have: "
        f"leave {_chosen(group, choices)} out, or take another {setter}"
    )


def _targets(group: str, words: Sequence[str]) -> list[str]:
    """The words that name another class for ``group``, which stay when one of its options is removed."""
    return [word for word in words if _key(word) == f"{group}._target_"]


def _chosen(group: str, choices: Mapping[str, str | None]) -> str:
    return f"{group}={choices[group]}" if choices.get(group) else group
