"""Names of directories that every file system accepts and that are unique."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
def test_similar_words_have_different_names(left, right):
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
