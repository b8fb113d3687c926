# The platform's verbs. `make` alone lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

PYTHON ?= $(shell for v in 3.13 3.12 3.11 3; do \
  python$$v -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo python$$v && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(shell sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.lock)

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed. Install it, or name one: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Installing into $(VENV) (once; about a minute)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: demo
demo: $(READY) ## The whole pipeline on real data, once, without Docker
	@$(BIN)/python -m services.embedded demo

.PHONY: dev
dev: $(READY) ## The same services in the foreground until Ctrl-C (Prefect 4200, S3 4566, Airbyte 8006)
	@$(BIN)/python -m services.embedded dev

.PHONY: dbt
dbt: $(READY) ## Any dbt command on the platform's data: make dbt ARGS="show --select dim_airlines"
	@$(BIN)/python -m blocks.dbt_command $(ARGS)

.PHONY: lint
lint: $(READY) ## ruff, mypy and import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: test
test: lint ## Lint, then every test
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --fail-under=90

.PHONY: bench-load
bench-load: $(READY) ## 10 million flights through the mock Airbyte, beside DuckDB's COPY
	@$(BIN)/python benchmarks/airbyte_load.py $(ARGS)

.PHONY: install
install: $(READY) ## Create .venv from requirements.lock

.PHONY: lock
lock: $(READY) ## Bring requirements.lock up to pyproject.toml; with ARGS=--upgrade, to the newest versions
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-emit-index-url --no-header $(ARGS) -o requirements.lock pyproject.toml
