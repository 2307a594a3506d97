"""Generated commands: mistyped options, and values of any kind, are accepted or refused in one line."""

import contextlib
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from compositions import composed
from conftest import SMALL, train_here
from hydra._internal.hydra import Hydra
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from vaelab import checks
from vaelab.cli.arguments import quoted
from vaelab.cli.members import Members, needed_options
from vaelab.cli.overrides import CommandLine
from vaelab.errors import InputError
from vaelab.runs import processes
from vaelab.runs.options import flatten

# Without shrinking: each example of the first kind composes a configuration, and the words say enough as they are.
few = settings(max_examples=12, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
many = settings(max_examples=300, deadline=None, derandomize=True, database=None)

OPTIONS = sorted(option for option in flatten(composed(*SMALL)) if "_target_" not in option and option != "name")
EVERY_OPTION = sorted(option for option in Members().all_options() if "_target_" not in option)
LETTERS = st.sampled_from("abcdefghijklmnopqrstuvwxyz_.")


@pytest.fixture(scope="module", autouse=True)
def _without_training() -> Iterator[None]:
    """A command that is accepted ends before its training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hydra, "get_mode", lambda *arguments, **options: None)  # it would compose twice
        patch.setattr(processes, "execute", lambda *arguments: None)
        patch.setattr(processes, "launch_processes", lambda *arguments: None)
        patch.setattr(processes, "claim", lambda *arguments: None)
        patch.setattr(processes, "write_composition", lambda *arguments: None)
        yield


def outcome(*words: str) -> str:
    """The error's line of a command, or "" where it is accepted; the command leaves nothing."""
    with tempfile.TemporaryDirectory() as folder:
        status, out, err = train_here(Path(folder), *words)
        left = [path for path in Path(folder).rglob("*") if path.is_file() and path.name != ".lock"]
    assert not left, (words, left)
    assert (status != 0) == bool(err), (words, out, err)
    lines = err.splitlines()
    assert len(lines) <= 1, (words, err)
    assert not err or err.startswith("error: "), (words, err)
    return err.strip()


@st.composite
def typos(draw: st.DrawFn) -> str:
    """An option with a letter missing, added, replaced, or exchanged with its neighbour."""
    option = draw(st.sampled_from(OPTIONS))
    at = draw(st.integers(1, len(option) - 2))
    letter = draw(LETTERS)
    return draw(
        st.sampled_from(
            [
                option[:at] + option[at + 1 :],
                option[:at] + letter + option[at:],
                option[:at] + letter + option[at + 1 :],
                option[:at] + option[at + 1] + option[at] + option[at + 2 :],
            ]
        )
    )


@few
@given(typos(), st.sampled_from(["1", "0.5", "abc", "[1,2]", "null"]))
def test_a_mistyped_option_is_named_with_one_that_exists(typed, value):
    known = {*OPTIONS, *EVERY_OPTION, *needed_options()}
    assume(typed not in known and not Members().is_group(typed) and not any(f"{typed}." in name for name in known))
    assume(".." not in typed and not typed.endswith("."))
    line = outcome(*SMALL, f"{typed}={value}")
    assert repr(typed) in line or f"no option {typed.partition('.')[2]!r}" in line
    if "did you mean " in line:
        suggested = shlex.split(line.partition("did you mean ")[2].partition("?")[0])[-1]
        assert any(suggested.strip("'").partition("=")[0] == name for name in known), line


WORDS = st.text(alphabet="abcxyzäß_-/.,: '\"\\[]{}()$=+~", max_size=8)
NUMBERS = st.sampled_from([-1, 0, 1, 2, 3, 10**12, 10**30, -(10**30), 0.0, -0.5, 0.5, 1.5, 1e-30, 1e300])
SINGLE = st.one_of(
    NUMBERS.map(str), st.sampled_from(["null", "true", "false", "nan", "inf", "-inf", "''"]), WORDS.map(quoted)
)
VALUES = st.one_of(SINGLE, st.lists(SINGLE, max_size=3).map(lambda items: f"[{','.join(items)}]"), st.just("{a:1}"))


@few
@given(st.sampled_from(OPTIONS), VALUES)
def test_a_value_of_any_kind_is_accepted_or_refused_in_a_line(option, value):
    line = outcome(*SMALL, f"{option}={value}")
    assert not line or option.rpartition(".")[2] in line or value in line, line


@few
@given(st.sampled_from(EVERY_OPTION), st.sampled_from(["+", "++", "~", ""]), SINGLE)
def test_options_of_all_members_with_any_prefix(option, prefix, value):
    outcome(*SMALL, f"{prefix}{option}" if prefix == "~" else f"{prefix}{option}={value}")


@many
@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())))
def test_checks_return_what_they_promise_or_name_the_value(value):
    for check, kind in ((checks.whole, int), (checks.number, float), (checks.flag, bool)):
        message = ""
        try:
            made = check("option", value)
            assert type(made) is kind
            assert made == value
        except InputError as error:
            message = str(error)
        assert not message or (message.startswith("option must be ") and checks.shown(value) in message)


@many
@given(st.text(max_size=20))
def test_a_name_is_a_folder_in_the_current_one_or_refused(name):
    with contextlib.suppress(InputError):
        CommandLine.parse([f"name={quoted(name)}"]).check()
        assert Path("here", name).parent == Path("here")
        assert Path(name).name == name


@many
@given(st.text(alphabet="abcdefghij-=", min_size=1, max_size=8))
def test_a_flag_that_does_not_exist_is_one_line(flag):
    word = f"--x{flag}"
    with pytest.raises(InputError, match="there is no flag") as raised:
        CommandLine.parse([word])
    assert word in str(raised.value)
    assert "\n" not in str(raised.value)
