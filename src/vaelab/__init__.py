"""Variational auto-encoders on PyTorch Lightning, configured by Hydra.

    import vaelab

    run = vaelab.train("latent=2", "beta.weight=4", "name=two")  # or vaelab.load("outputs/runs/two")
    run.metrics, run.encode(images), run.decode(z), run.sample(64), run.log_likelihood(images)
    table = vaelab.sweep("latent=2,10", "beta.weight=1,4")

The pieces of models are in `vaelab.models`. Each name is imported at its first use, because torch takes seconds.
"""

import time
import warnings
from typing import TYPE_CHECKING

from vaelab import models  # imports no torch
from vaelab.lazy import attributes

if TYPE_CHECKING:
    from vaelab.cli.python import compose, sweep, train
    from vaelab.errors import InputError, VaelabError
    from vaelab.runs.finished import Encoding, FinishedRun, load

STARTED = time.time()  # files that are older were not written by this process
# conf/hydra/launcher has files with the names of the plugins, so that users type hydra/launcher=joblib. Hydra checks
# such a file with the plugin's schema, and warns in every process of a sweep that it will stop doing so.
warnings.filterwarnings("ignore", message=r"\n'hydra/launcher/", category=UserWarning)

__version__ = "0.2.0"
__all__ = ["Encoding", "FinishedRun", "InputError", "VaelabError", "compose", "load", "models", "sweep", "train"]
_PLACES = {
    "vaelab.cli.python": ["compose", "sweep", "train"],
    "vaelab.errors": ["InputError", "VaelabError"],
    "vaelab.runs.finished": ["Encoding", "FinishedRun", "load"],
}
__getattr__ = attributes(__name__, _PLACES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
