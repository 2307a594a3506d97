"""The sentences of the page in both languages."""

import re
from pathlib import Path
from string import Formatter

import vaelab.explore
from vaelab.explore.page import VIEWS
from vaelab.explore.texts import LANGUAGES, TEXTS, Texts

SOURCES = "".join(path.read_text(encoding="utf-8") for path in Path(vaelab.explore.__file__).parent.glob("*.py"))


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_every_sentence_is_there_in_both_languages_with_the_same_values():
    for name, versions in TEXTS.items():
        assert len(versions) == len(LANGUAGES), name
        assert all(versions), name
        assert fields(versions[0]) == fields(versions[1]), name
        if not re.search(r"[一-鿿]", versions[1]):
            assert versions[0] == versions[1], f"{name} is not translated"


def test_every_sentence_that_the_page_asks_for_exists_and_none_is_left_over():
    asked = set(re.findall(r'text\(\s*"(\w+)"', SOURCES))
    assert asked <= set(TEXTS)
    mentioned = set(re.findall(r'"(\w+)"', SOURCES.replace(Path(vaelab.explore.texts.__file__).read_text("utf-8"), "")))
    says = {f"{view.name}{ending}" for view in VIEWS for ending in ("", "_says")} | {"elbo"}
    assert set(TEXTS) - mentioned - says == set()


def test_each_view_explains_itself_with_a_symbol():
    for view in VIEWS:
        for language in LANGUAGES:
            assert re.search(r"q\(z\|x\)|p\(x\|z\)|E\[z\|x\]|ε|KL", Texts(language)(f"{view.name}_says"))
