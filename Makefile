# The targets below are all the set-up there is: the environment is made once, in .venv.
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

.PHONY: help env train test browser engines slurm tensorboard clean

help:  ## list the targets
	@echo "make env           make the environment (.venv) once; every target below does it by itself"
	@echo "make train         train model=vae latent=20; make train ARGS=\"latent=2 beta.weight=4\" passes overrides on"
	@echo "make test          lint, doctests and the test suite"
	@echo "make engines       sweeps on Slurm, Ray, joblib and submitit, with real jobs, in some minutes"
	@echo "make tensorboard   the curves and pictures of every run, in the browser"
	@echo "make clean         remove the environment (runs stay in outputs/)"

env: .venv/installed

# A file that pip finished, not the folder: an installation that was cut off is made again.
.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "error: $(PYTHON) is older than Python 3.10; name a newer one: make PYTHON=python3.11 env"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -e '.[tools,slurm,ray,search,test]'
	@touch $@

train: env
	@$(BIN)/python train.py $(ARGS)

test: env browser
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n auto --maxprocesses=4 $(ARGS)

# For the test that looks at TensorBoard. Where it cannot be installed that test is skipped, and says so.
browser:
	@{ command -v chromium && command -v chromedriver; } > /dev/null || { \
	  command -v apt-get > /dev/null && { [ "$$(id -u)" = 0 ] || sudo -n true 2> /dev/null; } \
	  && echo "installing chromium and chromium-driver" \
	  && as_root="$$([ "$$(id -u)" = 0 ] || echo sudo -n)" && $$as_root apt-get -qq update \
	  && DEBIAN_FRONTEND=noninteractive $$as_root apt-get -qq install -y --no-install-recommends \
	    chromium chromium-driver > /dev/null; } \
	  || echo "no chromium with chromedriver here, and no way to install them: TensorBoard's test will be skipped"

# Sweeps on Slurm, Ray, joblib and submitit, and under kill -9; installs Debian's Slurm where it may.
engines: env slurm
	$(BIN)/python -m pytest -m engine $(ARGS)

slurm:
	@{ command -v sbatch && [ -x /usr/sbin/slurmctld ] && [ -x /usr/sbin/munged ]; } > /dev/null || { \
	  command -v apt-get > /dev/null && { [ "$$(id -u)" = 0 ] || sudo -n true 2> /dev/null; } \
	  && echo "installing slurm-wlm and munge" \
	  && as_root="$$([ "$$(id -u)" = 0 ] || echo sudo -n)" && $$as_root apt-get -qq update \
	  && DEBIAN_FRONTEND=noninteractive $$as_root apt-get -qq install -y --no-install-recommends \
	    slurm-wlm munge > /dev/null; } \
	  || echo "no Slurm here, and no way to install it: its tests will be skipped"

tensorboard: env
	$(BIN)/tensorboard --logdir outputs

clean:
	rm -rf .venv
