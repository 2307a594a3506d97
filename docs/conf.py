"""The documentation as a site, by Sphinx: `make docs`. The pages below api/ are made of the docstrings."""

import re
from collections.abc import Iterator

from sphinx.application import Sphinx

import vaelab

project = "vaelab"
release = vaelab.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
suppress_warnings = ["toc.not_included"]  # the report of a sweep, which a page links to
html_theme = "furo"
html_title = f"vaelab {release}"
root_doc = "site"
default_role = "py:obj"  # `Inference` in a docstring links to the class, where the site has it
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_use_rtype = False
napoleon_use_param = False

SECTION = re.compile(r"^\*\*(Arguments|Attributes|Raises|Returns|References|Example)\*\*$")
BAR = re.compile(r"(?<![\w\\|])\|(?=[^\s|])")  # as in |x|, which reStructuredText takes for a substitution
SEVERAL = re.compile(r"^(\s+)(\w+(?:, \w+)+): (.*)$")  # a line for several arguments


def sections(lines: list[str]) -> Iterator[str]:
    """Lines with the headings of sections as napoleon reads them; a reference is an item of a list."""
    section = ""
    for line in lines:
        found = SECTION.match(line)
        if found:
            section = found[1]
            yield ".. rubric:: References" if section == "References" else f"{section}:"
            yield from [""] * (section == "References")
        elif line and not line.startswith(" "):
            section = ""
            yield line
        elif section == "References" and line:
            yield f"- {line.strip()}"
        elif section in ("Arguments", "Attributes") and (several := SEVERAL.match(line)):
            yield from (f"{several[1]}{name}: {several[3]}" for name in several[2].split(", "))
        elif section == "Example" and line:
            is_code = ">>>" not in line
            yield from ["    .. code-block:: python", ""] * is_code
            section = "code" if is_code else ""
            yield f"    {line}" if is_code else line
        else:
            yield f"    {line}" if section == "code" and line else line


def process(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Called by autodoc with the lines of each docstring, before napoleon."""
    lines[:] = [line if ">>>" in line else BAR.sub(r"\|", line) for line in sections(lines)]


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", process, priority=400)
