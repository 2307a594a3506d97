# Every target first makes the part of the environment .venv that it needs, if it is not there yet.
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

.PHONY: help env extras train test browser engines slurm gpu docs tensorboard clean

help:  ## list the targets
	@echo "make env           make the environment (.venv) with what training needs; the targets below do it by themselves"
	@echo "make extras        add all optional packages to it: loggers, launchers, exports, tests, documentation"
	@echo "make train         train model=vae latent=20; make train ARGS=\"latent=2 beta.weight=4\" passes overrides on"
	@echo "make test          lint, types, doctests and the test suite"
	@echo "make engines       sweeps on Slurm, Ray, joblib and submitit, with real jobs, in some minutes"
	@echo "make gpu           check by real runs what depends on the GPU of this machine, and print a table"
	@echo "make docs          the documentation with the API reference as a site: docs/_build/html/site.html"
	@echo "make tensorboard   the curves and plots of every run, in the browser"
	@echo "make clean         remove the environment (runs stay in outputs/)"

env: .venv/installed

extras: .venv/installed-extras

# Files that are written when pip has finished, not the folder: an installation that was cut off is made again.
.venv/installed: pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "error: $(PYTHON) is older than Python 3.10; name a newer one: make PYTHON=python3.11 env"; exit 1; }
	@echo "making the environment .venv with torch and Lightning: some minutes, 6 GB"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

.venv/installed-extras: .venv/installed
	@echo "adding the optional packages to .venv: some minutes, 1.2 GB"
	$(BIN)/python -m pip install --quiet -e '.[tools,explore,slurm,ray,search,wandb,mlflow,docs,test]'
	@touch $@

train: env
	@$(BIN)/python train.py $(ARGS)

test: extras browser
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto --maxprocesses=4 $(ARGS)

# For the tests that look at TensorBoard. Where it cannot be installed they are skipped, and say so.
browser:
	@{ command -v chromium && command -v chromedriver; } > /dev/null || { \
	  command -v apt-get > /dev/null && { [ "$$(id -u)" = 0 ] || sudo -n true 2> /dev/null; } \
	  && echo "installing chromium and chromium-driver" \
	  && as_root="$$([ "$$(id -u)" = 0 ] || echo sudo -n)" && $$as_root apt-get -qq update \
	  && DEBIAN_FRONTEND=noninteractive $$as_root apt-get -qq install -y --no-install-recommends \
	    chromium chromium-driver > /dev/null; } \
	  || echo "no chromium with chromedriver here, and no way to install them: TensorBoard's test will be skipped"

# Sweeps on Slurm, Ray, joblib and submitit, and under kill -9; installs Debian's Slurm where it may. Two files at a
# time, because many of these tests wait for a cluster.
engines: extras slurm
	$(BIN)/python -m pytest -m engine -n 2 --dist loadfile $(ARGS)

slurm:
	@{ command -v sbatch && [ -x /usr/sbin/slurmctld ] && [ -x /usr/sbin/munged ]; } > /dev/null || { \
	  command -v apt-get > /dev/null && { [ "$$(id -u)" = 0 ] || sudo -n true 2> /dev/null; } \
	  && echo "installing slurm-wlm and munge" \
	  && as_root="$$([ "$$(id -u)" = 0 ] || echo sudo -n)" && $$as_root apt-get -qq update \
	  && DEBIAN_FRONTEND=noninteractive $$as_root apt-get -qq install -y --no-install-recommends \
	    slurm-wlm munge > /dev/null; } \
	  || echo "no Slurm here, and no way to install it: its tests will be skipped"

gpu: env
	@$(BIN)/python scripts/gpu.py $(ARGS)

# A warning is an error, so that a link or a name that leads nowhere is found.
docs: extras
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

tensorboard: env
	$(BIN)/tensorboard --logdir outputs

clean:
	rm -rf .venv
