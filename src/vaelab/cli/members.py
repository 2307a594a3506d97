"""What the configuration files name: the groups, their members, and the options that each member has."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from vaelab.errors import InputError, one_line
from vaelab.files import CONF
from vaelab.runs.options import flatten, to_plain_dict, unresolved

PACKAGE = re.compile(r"^#\s*@package\s+(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Members:
    """The members of all groups.

    **Arguments**
        folders: where the groups are: the project's own ``conf``, and what ``--config-dir`` names.
    """

    folders: tuple[Path, ...] = (CONF,)

    @property
    def own_folders(self) -> list[Path]:
        """The folders of the user's own members."""
        return [folder for folder in self.folders if folder.resolve() != CONF.resolve()]

    def own(self) -> dict[str, list[str]]:
        """The user's own members of each group, such as ``{"network": ["mine"]}``."""
        found = {group: Members(tuple(self.own_folders)).members(group) for group in self.groups()}
        return {group: members for group, members in found.items() if members}

    def check_names(self) -> None:
        """Raise an InputError where the user's own member has the name of a shipped one, which Hydra would take."""
        for folder in self.own_folders:
            for file in sorted(folder.glob("*/**/*.yaml")):
                path = file.relative_to(folder)
                if (CONF / path).is_file():
                    renamed = path.with_name(f"my_{path.name}")
                    raise InputError(
                        f"{file} has the name of a file that vaelab ships, which would be taken instead: rename it, "
                        f"such as {renamed}, for {path.parent.as_posix()}={renamed.stem}"
                    )

    def groups(self) -> list[str]:
        """The names of all groups, but those of Hydra."""
        found = {child.name for folder in self.folders for child in folder.iterdir() if child.is_dir()}
        return sorted(group for group in found - {"hydra"} if self.members(group))

    def is_group(self, name: str) -> bool:
        """Whether ``name`` is a group, such as ``beta`` or ``hydra/launcher``."""
        return bool(self.members(name)) and name != "hydra"

    def members(self, group: str) -> list[str]:
        """The names that ``group`` can be set to, such as ``seed/vae`` of ``experiment``."""
        paths = (
            path.relative_to(folder / group) for folder in self.folders for path in (folder / group).rglob("*.yaml")
        )
        return sorted({path.with_suffix("").as_posix() for path in paths})

    def unknown(self, group: str, member: str) -> str:
        """The line for a ``member`` that ``group`` does not have."""
        known = self.members(group)
        longer = [name for name in known if member and name.startswith(member)]
        close = [*difflib.get_close_matches(member, known, n=1, cutoff=0.6), *longer]
        hint = f"; did you mean {group}={close[0]}?" if close else ""
        return f"{group}={member}: the members of group {group!r} are {', '.join(known)}{hint}"

    def default(self, group: str) -> str:
        """The member that ``config.yaml`` selects; for a group that it does not set, the first one."""
        defaults = _read(CONF / "config.yaml")[1]["defaults"]
        assert isinstance(defaults, list)
        chosen = [entry[group] for entry in defaults if isinstance(entry, Mapping) and group in entry]
        if chosen and isinstance(chosen[0], list):
            return f"[{','.join(chosen[0])}]"
        return str(chosen[0]) if chosen else self.members(group)[0]

    def options(self, group: str, member: str) -> set[str]:
        """The options that ``group=member`` sets, as they are typed: ``beta.warmup``."""
        options: set[str] = set()
        for folder in self.folders:
            path = folder / group / f"{member}.yaml"
            if path.is_file():
                package, content = _read(path)
                named = flatten({name: value for name, value in content.items() if name != "defaults"})
                prefix = {"_global_": "", None: f"{group}."}.get(package, f"{package}.")
                options |= {f"{prefix}{name}" for name in named}
                for base in _bases(content):
                    options |= self.options(group, base)
        return options

    def selected(self, group: str, member: str) -> dict[str, str]:
        """The members of other groups that ``group=member`` selects, as ``override /beta: range`` does."""
        found: dict[str, str] = {}
        for path in (folder / group / f"{member}.yaml" for folder in self.folders):
            defaults = _read(path)[1].get("defaults", []) if path.is_file() else []
            assert isinstance(defaults, list)
            for entry in defaults:
                found |= {
                    str(key).removeprefix("override /"): str(value)
                    for key, value in (entry.items() if isinstance(entry, Mapping) else ())
                    if str(key).startswith("override /")
                }
        return found

    def having(self, option: str) -> dict[str, list[str]]:
        """The members that have ``option``: of the group that it begins with, else of every group."""
        head = option.partition(".")[0]
        groups = [head] if "." in option and self.is_group(head) else self.groups()
        found = {group: [name for name in self.members(group) if self._has(group, name, option)] for group in groups}
        return {group: names for group, names in found.items() if names}

    def _has(self, group: str, member: str, option: str) -> bool:
        return any(f"{named}.".startswith(f"{option}.") for named in self.options(group, member))

    def all_options(self) -> set[str]:
        """Every option that any member has, and those of ``config.yaml``."""
        return {
            *_options_of_config(),
            *(option for group in self.groups() for member in self.members(group)
              for option in self.options(group, member)),
        }  # fmt: skip


def own_member(group: str, member: str, folders: Sequence[Path], config: Mapping[str, object]) -> dict:
    """The options of a user's own ``group=member``, whose ``${...}`` refer to the options of ``config``.

    **Raises**
        InputError: none of ``folders`` has it.
    """
    members = Members(tuple(folders))
    for folder in folders:
        file = folder / group / f"{member}.yaml"
        if file.is_file():
            return dict(to_plain_dict(OmegaConf.create({**config, group: _read(file)[1]}))[group])
    there = ", ".join(members.members(group)) or "none"
    where = ", ".join(map(str, folders)) or "--config-dir FOLDER, which is missing"
    raise InputError(f"{group}={member}: there is no such file; the members of group {group!r} in {where} are {there}")


def sections() -> set[str]:
    """The sections of ``config.yaml``, which hold options and have no value: ``evaluation``, ``pictures``."""
    return {name for name, value in _read(CONF / "config.yaml")[1].items() if isinstance(value, Mapping)} - {"hydra"}


def needed_options() -> set[str]:
    """The options of every run, which cannot be removed: those of ``config.yaml`` and of the trainer."""
    members = Members()
    return {*_options_of_config(), *members.options("trainer", "default"), *members.options("accelerator", "auto")}


def _options_of_config() -> set[str]:
    content = {
        name: value for name, value in _read(CONF / "config.yaml")[1].items() if name not in ("defaults", "hydra")
    }
    return set(flatten(content)) | sections()


def _bases(content: Mapping[str, object]) -> Iterator[str]:
    """The members of the same group that a member starts from."""
    defaults = content.get("defaults", [])
    assert isinstance(defaults, list)
    yield from (entry for entry in defaults if isinstance(entry, str) and entry != "_self_")


@cache
def _read(file: Path) -> tuple[str | None, Mapping[str, object]]:
    """The package that a configuration file names, and its options, with their interpolations as they stand."""
    text = file.read_text(encoding="utf-8")
    package = PACKAGE.search(text)
    try:
        content = OmegaConf.create(text)
    except YAMLError as error:
        raise InputError(f"{file} is no YAML: {one_line(error)}") from error
    return package.group(1) if package else None, unresolved(content) if isinstance(content, DictConfig) else {}
