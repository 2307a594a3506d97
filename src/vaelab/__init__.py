"""Variational auto-encoders on PyTorch Lightning, configured by Hydra."""

import time

STARTED = time.time()  # before anything is made: what is older was there already
__version__ = "0.1.0"
