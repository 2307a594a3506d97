"""Variational auto-encoders on PyTorch Lightning, configured by Hydra."""

import time
import warnings

STARTED = time.time()  # before anything is made: what is older was there already
# Our presets of launchers have their plugins' names, so that `hydra/launcher=joblib` is what one types. Hydra checks
# them against the plugins' own, and warns, in every process of a sweep, that it will not do so for ever.
warnings.filterwarnings("ignore", message=r"\n'hydra/launcher/", category=UserWarning)

__version__ = "0.1.0"
