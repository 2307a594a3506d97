"""Variational auto-encoders on PyTorch Lightning, configured by Hydra."""

import time
import warnings

STARTED = time.time()  # files that are older were not written by this process
# conf/hydra/launcher has files with the names of the plugins, so that users type hydra/launcher=joblib. Hydra checks
# such a file with the plugin's schema, and warns in every process of a sweep that it will stop doing so.
warnings.filterwarnings("ignore", message=r"\n'hydra/launcher/", category=UserWarning)

__version__ = "0.2.0.dev0"
