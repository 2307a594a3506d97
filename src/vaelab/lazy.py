"""Names of a package that are imported at their first use, so that the package itself is imported fast."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def attributes(package: str, places: Mapping[str, Sequence[str]]) -> Callable[[str], object]:
    """The function ``__getattr__`` of ``package`` (PEP 562).

    **Arguments**
        places: module -> the names that are in it.

    >>> attributes("numbers", {"math": ["pi"]})("pi")
    3.141592653589793
    """
    modules = {name: module for module, names in places.items() for name in names}

    def find(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(modules[name]), name)

    return find
