# make quickstart   set up, then run the main job on embedded defaults (offline once set up)
# make test         set up, then run the tests
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: setup quickstart test test-slow lint types clean help

help:
	@sed -n 's/^# make/make/p' Makefile

setup: $(VENV)/.ready

# torch goes first and alone: a platform's own build of the pinned version, where pip finds one, then satisfies the rest.
$(VENV)/.ready: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed: make PYTHON=python3.12 ...")'
	@echo "Setting up $(VENV) with $(PYTHON): about 1.5 GB without CUDA builds, a few minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test,lint,notebooks,recipe]"
	@touch $@

quickstart: setup
	@echo "Both stages, the baselines and the table: some minutes to a quarter of an hour on 2 cores, about 250 MB in data/cache and runs"
	$(BIN)/pttrust benchmark --config configs/benchmark/quickstart.yaml

test: setup
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations=15

# What takes minutes rather than seconds.
test-slow: setup
	$(BIN)/python -m pytest -m slow --numprocesses 2 --durations=15

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

clean:
	rm -rf runs data/cache lightning_logs wandb .pytest_cache .mypy_cache .ruff_cache .hypothesis
