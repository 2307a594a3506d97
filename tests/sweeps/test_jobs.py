"""Names that every file system takes and that never mean two things, and locks that a killed process frees."""

import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaelab import locks
from vaelab.runs import directory, options, results
from vaelab.sweeps import names

VALUE = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=300)
OPTION = st.sampled_from(["latent", "beta.weight", "network.hidden", "data.root", "+trainer.x", "~model", "seed"])
WORDS = st.lists(st.tuples(OPTION, VALUE).map("=".join), max_size=8, unique=True)
RESERVED = set('<>:"/\\|?*')


@settings(max_examples=300)
@given(WORDS)
def test_a_name_is_one_folder_on_every_file_system(words):
    name = names.directory_name(words)
    assert 0 < len(name.encode()) <= 143
    assert name.isascii()
    assert name.isprintable()
    assert not RESERVED & set(name)
    assert name[-1] not in ". "
    assert name not in (".", "..")


@settings(max_examples=300)
@given(WORDS, st.randoms())
def test_a_name_does_not_depend_on_the_order_of_the_words(words, random):
    shuffled = list(words)
    random.shuffle(shuffled)
    assert names.directory_name(shuffled) == names.directory_name(words)


@settings(max_examples=300)
@given(WORDS, WORDS)
def test_two_sets_of_words_have_two_names_even_where_case_does_not_count(left, right):
    same = sorted(left) == sorted(right)
    assert (names.directory_name(left).lower() == names.directory_name(right).lower()) == same


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (["a=1", "b=2"], ["a=1,b=2"]),
        (["a=x"], ["a=X"]),
        (["a=1."], ["a=1"]),
        (["a=[1,2]"], ["a=(1,2)"]),
        (["a=1/2"], ["a=1_2"]),
        (["a=é"], ["a=è"]),
        (["a=" + "1" * 300], ["a=" + "1" * 301]),
        (["a= 1"], ["a=1"]),
        ([], [""]),
    ],
)
def test_what_looks_the_same_is_told_apart(left, right):
    assert names.directory_name(left) != names.directory_name(right)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["latent=2", "beta.weight=0.5", "seed=1"], "beta.weight=0.5,latent=2,seed=1"),
        (["model=ae", "optimizer.lr=1e-3"], "model=ae,optimizer.lr=1e-3"),
        (["+trainer.gradient_clip_val=1"], "+trainer.gradient_clip_val=1"),
    ],
)
def test_short_plain_words_are_the_name(words, name):
    assert names.directory_name(words) == name


def test_a_sweeps_name_does_not_change_with_a_longer_axis_or_more_seeds():
    name = names.sweep_name(["latent", "beta.weight"], ["epochs=5", "seed=1"])
    assert name == names.sweep_name(["beta.weight", "latent", "seed"], ["epochs=5"])
    assert name != names.sweep_name(["latent"], ["epochs=5", "beta.weight=1"])
    assert names.sweep_name(["seed"], []) == "seed"


def test_differences_name_the_option_and_leave_out_what_does_not_matter():
    there = {"name": "a", "data": {"root": "/x", "val": 10}, "pictures": {"every": 5}, "epochs": 2}
    here = {"name": "b", "data": {"root": "/y", "val": 20}, "pictures": {"every": 1}, "epochs": 2, "lr": 1}
    assert options.differences(there, here) == [
        "data.val=10 there, 20 here", "lr=nothing there, 1 here",
    ]  # fmt: skip
    measured = {"evaluation": {"nll_samples": 10, "ema": None}}
    assert options.differences(there, there | measured, options.NOT_TRAINING) == [
        "evaluation.ema=nothing there, None here"
    ]


def test_one_process_at_a_time_holds_a_lock_and_kill_9_frees_it(tmp_path):
    lock = tmp_path / "deep" / ".lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import time; from pathlib import Path; from vaelab.cells import locked\n"
         f"with locked(Path({str(lock)!r})) as mine:\n print(mine, flush=True); time.sleep(60)"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout.readline() == "True\n"
    with locks.locked(lock) as mine:
        assert not mine
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with locks.locked(lock) as mine:
        assert mine
    with locks.locked(lock, wait=True) as mine:
        assert mine


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"status": "failed"}'])
def test_what_is_damaged_or_failed_is_not_complete(tmp_path, content):
    (tmp_path / directory.RESULTS).write_text(content)
    assert not results.read_state(tmp_path).is_complete


def test_a_complete_cell_is_found_without_torch():
    code = "import sys, vaelab.cells; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_where_nothing_can_be_written_nobody_is_kept_out(tmp_path):
    (tmp_path / "file").touch()
    with locks.locked(tmp_path / "file" / ".lock") as mine:
        assert mine
