"""Imported first by the commands here: says in one line where the Python that runs them has no vaelab."""

import importlib.util
import sys

if importlib.util.find_spec("vaelab") is None:
    sys.exit(
        f"error: {sys.executable} has no vaelab: make env, then . .venv/bin/activate; or pip install . for this Python"
    )
