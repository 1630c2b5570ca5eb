# Everything runs from a clean checkout with Python 3.11 or newer, and nothing else.

PYTHON ?= python3
PORT ?= 8000
ARGS ?=
QUICK ?=

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --quiet --no-input --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup demo test screenshots coverage bench check docs format requirements schema clean

help: ## List the commands.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/base.stamp ## Install the service into .venv; .venv/bin/python is its interpreter.
	@echo "Ready: $(PY)"

# exec, so that a signal to make reaches the program and not only a shell before it.
demo: $(VENV)/base.stamp ## Load demo data and serve it on 127.0.0.1; PORT=8000 changes the port.
	@exec env PORT="$(PORT)" scripts/demo.sh

test: $(VENV)/test.stamp ## Run the whole suite on each database there is; ARGS="-k word" goes to pytest.
	@exec $(PY) -m tests.run $(ARGS)

screenshots: $(VENV)/test.stamp ## Take the pictures of the pages in docs/screenshots; wants chromium.
	$(PY) -m pytest -q tests/browser/test_screenshots.py --screenshots docs/screenshots

coverage: $(VENV)/test.stamp ## Run the suite and fail where a line or branch of the engine is in no test.
	@exec $(PY) -m tests.run --coverage $(ARGS)

bench: $(VENV)/bench.stamp ## Measure what the engine costs and saves; QUICK=1 takes two minutes.
	@exec $(PY) -m benchmarks.run $(if $(filter-out 0,$(QUICK)),--quick) $(ARGS)

check: $(VENV)/check.stamp docs ## Lint, check formatting, types and import contracts, audit dependencies, look for secrets, build the docs.
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(BIN)/lint-imports --no-cache
	$(PY) scripts/audit.py
	$(PY) scripts/find_secrets.py

# Strict: a link that leads nowhere, or a page that nothing leads to, is an error.
docs: $(VENV)/docs.stamp ## Build the documentation into build/site; nothing in it is loaded from elsewhere.
	@$(PY) -m sphinx --quiet --fail-on-warning --keep-going --jobs 2 --doctree-dir build/doctrees docs build/site
	@echo "Built: build/site/index.html"

format: $(VENV)/check.stamp ## Format the code and apply the fixes that are safe.
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

requirements: $(VENV)/check.stamp ## Pin the newest allowed dependencies.
	$(PIP) install uv
	$(PY) scripts/pin.py

schema: $(VENV)/check.stamp ## Write docs/reference/openapi.yaml, the contract of the API, as the code has it.
	$(PY) manage.py spectacular --validate --fail-on-warn --file docs/reference/openapi.yaml

clean: ## Remove what the commands above have built, .venv included; databases stay.
	rm -rf build $(VENV) *.egg-info

# A stamp is newer than what it was installed from, so that a second run has nothing to do.
$(VENV)/%.stamp: requirements/%.txt pyproject.toml $(VENV)/pip.stamp
	@echo "Installing $< into $(VENV)"
	@$(PIP) install --requirement $<
	@$(PIP) install --no-deps --editable .
	@touch $@

$(VENV)/bench.stamp: benchmarks/requirements.txt $(VENV)/test.stamp
	@$(PIP) install --requirement $<
	@touch $@

$(VENV)/pip.stamp: $(PY)
	@$(PY) -m pip --version > $@ 2>/dev/null || { $(PYTHON) scripts/create_venv.py $(VENV) && $(PY) -m pip --version > $@; }

$(PY):
	@$(PYTHON) scripts/create_venv.py $(VENV)
