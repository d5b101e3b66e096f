# Everything a developer or a first-time user runs. Needs python3 (3.11 or newer), pip and make.
#
#   make serve     install into .venv and serve local/root on 127.0.0.1:9900
#   make test      all tests that need only PyPI
#   make lint types docs package       what else .ci/run asks for
#   make clients crash                 real clients and power cuts; these install Debian packages or need root
#   make scoutfs   mount a double of ScoutFS on local/scoutfs until Ctrl-C; needs root
#   make bench     the table of the README
#   make clean     everything that make made, but not local/

PYTHON ?= python3
VENV ?= .venv
LISTEN ?= 127.0.0.1:9900
LOCAL ?= local
PYTEST_ARGS ?=
# Tests run in as many processes as there are cores; JOBS=0 runs them in one.
JOBS ?= auto
BENCH_ARGS ?=

BIN = $(VENV)/bin
PYTEST = $(BIN)/pytest --numprocesses $(JOBS) --maxprocesses 4
# pip of the outer Python fills the environment, so that it works where ensurepip is a package of its own.
INSTALL = $(PYTHON) -m pip --python $(BIN)/python --quiet --disable-pip-version-check install
DECLARED = setup.cfg pyproject.toml

.PHONY: serve test coverage lint format types docs package clients crash scoutfs bench sizes clean

serve: $(VENV)/.installed
	@exec $(BIN)/s3filters serve --listen $(LISTEN) --root $(LOCAL)/root --credentials $(LOCAL)/credentials.jsonl

test: $(VENV)/.test
	$(PYTEST) $(PYTEST_ARGS)

coverage: $(VENV)/.test
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.lint
	$(BIN)/mypy

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

package: $(VENV)/.lint
	rm -rf dist
	$(BIN)/check-manifest
	$(BIN)/python -m build --quiet
	$(BIN)/twine check --strict dist/*

clients: $(VENV)/.test
	PYTHON=$(PYTHON) tests/clients/setup.sh
	$(PYTEST) tests/clients -m client $(PYTEST_ARGS)

crash: $(VENV)/.test
	$(BIN)/pytest tests/crash -m crash $(PYTEST_ARGS)

# Serve it, from another terminal, with: make serve LOCAL=local/scoutfs
scoutfs: $(VENV)/.test
	mkdir -p $(LOCAL)/scoutfs
	@exec $(BIN)/python -m tests.scoutfs $(LOCAL)/scoutfs

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

# Shown, not enforced: the ten largest modules and functions.
sizes:
	@$(PYTHON) .ci/sizes.py

clean:
	rm -rf $(VENV) build dist docs/_build *.egg-info .coverage .coverage.* \
	    .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is as old as the declarations it was made from; editing the code needs no new installation.
$(BIN)/python:
	$(PYTHON) -m venv --without-pip $(VENV)

$(VENV)/.installed: $(DECLARED) | $(BIN)/python
	$(INSTALL) -e .
	@touch $@

$(VENV)/.test $(VENV)/.lint $(VENV)/.docs: $(VENV)/.%: $(DECLARED) | $(BIN)/python
	$(INSTALL) -e '.[$*]'
	@touch $@ $(VENV)/.installed
