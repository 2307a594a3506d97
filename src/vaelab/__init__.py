"""Variational auto-encoders on PyTorch Lightning, configured by Hydra."""

import time
import warnings

STARTED = time.time()  # files and folders that are older were there before the command
# The presets in conf/hydra/launcher have the names of the plugins' own configurations, so that users can type
# `hydra/launcher=joblib`. Hydra then warns, in every process of a sweep, that it will stop merging the two.
warnings.filterwarnings("ignore", message=r"\n'hydra/launcher/", category=UserWarning)

__version__ = "0.2.0.dev0"
