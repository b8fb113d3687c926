# The platform's verbs. `make` alone lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

# Ignore the user's PYTHON… variables, which could change where Python finds modules or how it behaves.
unexport $(filter-out PYTHONIOENCODING PYTHONUTF8 PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE, \
  $(filter PYTHON%,$(.VARIABLES)))
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# Found once, when it is first needed.
ifeq ($(origin PYTHON),undefined)
PYTHON = $(eval PYTHON := $(shell for v in 3.13 3.12 3.11 3; do \
  python$$v -E -c '$(NEW_ENOUGH)' 2>/dev/null && echo python$$v && break; done))$(PYTHON)
endif
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NEED_PYTHON := Python 3.11 or newer is needed. Install it, or name one: make PYTHON=/path/to/python3.12
CHECK_PYTHON = "$(PYTHON)" -E -c '$(NEW_ENOUGH)' 2>/dev/null || { echo "$(NEED_PYTHON)" >&2; exit 1; }
# The installed Python, without modules from the current folder or from the user's home.
OURS := $(BIN)/python -P -s
UV := $(BIN)/python -I commands/packages.py

# An environment only works in the folder where it was created, and with the Python that created it. Otherwise, reinstall.
BASE := import sys; print(sys.base_prefix, *sys.version_info[:2])
ifneq ($(shell test "$$(cat $(READY) 2>/dev/null)" = "$$(pwd -P)" && $(BIN)/python -E -c '' 2>/dev/null && echo usable),usable)
.PHONY: $(READY)
else ifneq ($(origin PYTHON),file)
ifneq ($(shell "$(PYTHON)" -E -c '$(BASE)' 2>/dev/null),$(shell $(BIN)/python -E -c '$(BASE)'))
.PHONY: $(READY)
endif
endif

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / && $$1 != "help" {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock requirements-lineage.lock pyproject.toml
	@$(CHECK_PYTHON)
	@echo "Installing into $(VENV) (once; about a minute)"
	@"$(PYTHON)" -I -m venv --clear $(VENV)
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
# dbt-colibri requires a compiled parser of 60 MB for speed, but works without it.
	@$(UV) pip install --quiet --python $(BIN)/python --target $(VENV)/lineage --no-deps --require-hashes -r requirements-lineage.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
# Use a relative path: Python reads this file in the locale's encoding, which may not have every letter of the folder's name.
	@echo ../../../.. | tee $(VENV)/lib/python*/site-packages/_local_data_platform.pth > /dev/null
	@pwd -P > $@

PROFILE ?= local
# Python without packages: with -S and -P it finds only its standard library, and then this folder.
PLATFORM = $(CHECK_PYTHON); "$(PYTHON)" -s -S -P -c 'import runpy, sys; sys.path.append("."); \
  runpy.run_module("commands", run_name="__main__", alter_sys=True)' --profile "$(PROFILE)"
# If S3_ENDPOINT_URL is set, as in a shell of `make dev`, verbs use the platform of that S3. Otherwise, or with a PROFILE,
# they use the one in Docker.
NAMED := $(filter command environment,$(firstword $(origin PROFILE)))
DEV_SHELL := $(if $(NAMED),,$(S3_ENDPOINT_URL))
VERB = $(if $(DEV_SHELL),$(OURS) -m commands --dev,$(PLATFORM))
INSTALLED = $(if $(DEV_SHELL),$(READY))

# Pass values to Python through the environment, so that make and the shell do not interpret them.
export TYPED_FLOW = $(value FLOW)
export TYPED_PARAMETERS = $(value PARAMETERS)
export TYPED_FILE = $(value FILE)
export TYPED_STREAM = $(value STREAM)
export TYPED_Q = $(value Q)
export TYPED_ENGINE = $(value ENGINE)
export TYPED_MINUTES = $(value MINUTES)
export TYPED_SEED = $(value SEED)
# Some shells set a variable NAME themselves.
export TYPED_NAME = $(if $(filter command,$(firstword $(origin NAME))),$(value NAME))
export TYPED_YES = $(value YES)
export TYPED_APPLY = $(value APPLY)
export TYPED_TAKEOVER = $(value TAKEOVER)
export TYPED_TO = $(value TO)
export TYPED_FROM = $(value FROM)
export TYPED_TAG = $(value TAG)
export TYPED_KEY = $(value KEY)
export TYPED_ONLY = $(value ONLY)
export TYPED_MART = $(value MART)
REMOVE_SOURCE = $(filter command,$(firstword $(origin REMOVE)))
export TYPED_PROJECT = $(value PROJECT)

##@ Getting started

.PHONY: demo
demo: $(READY) ## Run the pipeline once on the files in localstack/landing, without Docker
	@$(OURS) -m commands.embedded demo

.PHONY: dev
dev: $(READY) ## Run the platform without Docker; Ctrl-C stops it
	@$(OURS) -m commands.embedded dev $(ARGS)

.PHONY: up
up: ## Build and start the platform in Docker: make up [PROFILE=rehearsal]
	@$(PLATFORM) up --yes="$$TYPED_YES" --takeover="$$TYPED_TAKEOVER"

.PHONY: drop
drop: $(INSTALLED) ## Upload a file and follow the run it starts: make drop FILE=a.csv STREAM=name
	@$(VERB) drop $${TYPED_STREAM:+--stream="$$TYPED_STREAM"} -- "$$TYPED_FILE"

OF_PROFILE = $(if $(filter command environment,$(firstword $(origin PROFILE))),--profile="$(PROFILE)")
.PHONY: source
source: $(READY) ## Load a file and build a tested table from it: make source FILE=orders.csv
	@$(OURS) -m commands.sources $(if $(REMOVE_SOURCE),remove --yes="$$TYPED_YES" -- "$$TYPED_NAME",add --name="$$TYPED_NAME" \
	  --key="$$TYPED_KEY" --mart="$$TYPED_MART" --from="$$TYPED_FROM" $(OF_PROFILE) --yes="$$TYPED_YES" -- "$$TYPED_FILE")

.PHONY: sources
sources: $(READY) ## List the sources, and whether their files are generated or edited by hand
	@$(OURS) -m commands.sources list $(OF_PROFILE)

.PHONY: sample
sample: $(READY) ## Restore the sample data and its models, or remove them with REMOVE=1
	@$(OURS) -m commands.sample $(if $(REMOVE_SOURCE),remove,restore) --yes="$$TYPED_YES"

.PHONY: sql
sql: $(INSTALLED) ## Query the published tables, or open a prompt: make sql [Q="show tables"]
	@$(VERB) sql $${TYPED_Q:+-- "$$TYPED_Q"}

.PHONY: down
down: $(INSTALLED) ## Stop the platform and keep its data
	@$(VERB) down

##@ Runs

.PHONY: run
run: $(INSTALLED) ## Run a deployment and follow its log: make run FLOW=full_pipeline
	@$(VERB) run $${TYPED_PARAMETERS:+--parameters="$$TYPED_PARAMETERS"} -- "$$TYPED_FLOW"

.PHONY: status
status: $(INSTALLED) ## Show open incidents, the sensor's position, and running and parked batches
	@$(VERB) cursor show $(ARGS)

.PHONY: cursor
cursor: $(INSTALLED) ## Move the sensor's cursor, or retry or drop parked batches (docs/sensor.md)
	@$(VERB) cursor $(ARGS)

.PHONY: remove-file
remove-file: $(INSTALLED) ## Remove a file and its rows: make remove-file FILE=inbound/orders/bad.csv
	@$(VERB) remove-file --yes="$$TYPED_YES" -- "$$TYPED_FILE"

.PHONY: compact
compact: $(INSTALLED) ## Merge raw's small files into large ones: make compact [STREAM=name]
	@$(VERB) compact -- "$$TYPED_STREAM"

.PHONY: dbt
dbt: $(if $(NAMED),,$(READY)) ## Run a dbt command on the platform's data: make dbt ARGS="test"
	@$(if $(NAMED),$(PLATFORM) dbt,$(OURS) -m blocks.dbt_command) $(ARGS)

.PHONY: alerts
alerts: $(INSTALLED) ## Show alerts sent to the local receiver, newest last
	@$(VERB) alerts list $(ARGS)

.PHONY: alert-test
alert-test: $(INSTALLED) ## Send a test alert and wait until it arrives
	@$(VERB) alerts test

##@ The platform

.PHONY: ps
ps: $(INSTALLED) ## List the services and their health
	@$(VERB) ps

.PHONY: logs
logs: $(INSTALLED) ## Follow the services' logs until Ctrl-C: make logs [SERVICE=worker]
	@$(VERB) logs $(SERVICE)

.PHONY: reset
reset: $(INSTALLED) ## Stop the platform and delete its data after you confirm; YES=1 confirms
	@$(VERB) reset --yes="$$TYPED_YES"

.PHONY: backup
backup: $(INSTALLED) ## Back up all state that cannot be rebuilt: make backup TO=platform.tar
	@$(VERB) backup -- "$$TYPED_TO"

.PHONY: restore
restore: $(INSTALLED) ## Restore the platform from a backup: make restore FROM=platform.tar
	@$(VERB) restore --yes="$$TYPED_YES" -- "$$TYPED_FROM"

.PHONY: adopt
adopt: $(INSTALLED) ## Reuse volumes of another clone or an earlier version: make adopt PROJECT=name
	@$(VERB) adopt -- "$$TYPED_PROJECT"

.PHONY: verify-offline
verify-offline: $(INSTALLED) ## Start a temporary copy without internet access and check that it works
	@$(VERB) verify-offline

##@ Production and other environments

.PHONY: doctor
doctor: $(INSTALLED) ## Check a profile's connections (read-only): make doctor PROFILE=production
	@$(VERB) doctor $(ARGS)

.PHONY: image
image: $(INSTALLED) ## Build a production image from the latest commit: make image TAG=2027-01-31
	@$(VERB) image -- "$$TYPED_TAG"

.PHONY: promote
promote: $(INSTALLED) ## Show what deploying a profile would change; APPLY=1 deploys it
	@$(VERB) promote --apply="$$TYPED_APPLY" --takeover="$$TYPED_TAKEOVER" $(ARGS)

##@ Failure testing

.PHONY: scenario
scenario: $(READY) ## List failure scenarios, or run one on a separate platform: NAME=worker-killed
	@$(OURS) -m commands.scenarios scenario $${TYPED_ENGINE:+--engine="$$TYPED_ENGINE"} -- "$$TYPED_NAME"

.PHONY: soak
soak: $(READY) ## Inject random failures while files arrive, then check for lost or extra rows
	@$(OURS) -m commands.scenarios soak $${TYPED_ENGINE:+--engine="$$TYPED_ENGINE"} \
	  $${TYPED_MINUTES:+--minutes="$$TYPED_MINUTES"} $${TYPED_SEED:+--seed="$$TYPED_SEED"}

##@ Development

.PHONY: lint
lint: $(READY) ## Run ruff, mypy, import-linter, and dbt's parser for both targets
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m commands.dbt_parse

SIDE_BY_SIDE := --numprocesses auto --dist loadfile --no-loadscope-reorder
EVERY_EXAMPLE := --hypothesis-profile=exhaustive

# Run the linters in parallel, because the tests leave a processor idle while they wait for containers.
.PHONY: test
test: $(READY) ## Run the linters and all tests except the exhaustive ones
	@$(MAKE) --no-print-directory --jobs=2 lint examples

.PHONY: test-all
test-all: $(READY) ## Run the linters and all tests, including the exhaustive ones
	@$(MAKE) --no-print-directory --jobs=2 lint every-example

# The platform's tests run on the sample, not on the user's own content.
.PHONY: examples every-example
examples: $(READY)
	@$(OURS) -m commands.sample test $(SIDE_BY_SIDE) -m "not exhaustive" $(ARGS)
every-example: $(READY)
	@$(OURS) -m commands.sample test $(SIDE_BY_SIDE) $(EVERY_EXAMPLE) $(ARGS)

.PHONY: coverage
coverage: $(READY) ## Run every test and report lines without coverage; fail below 80%
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(SIDE_BY_SIDE) $(EVERY_EXAMPLE) $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --fail-under=80

.PHONY: e2e
e2e: $(READY) ## Run the platform's tests on a profile's systems: make e2e PROFILE=rehearsal
	@$(BIN)/pytest tests/e2e/test_platform.py --profile $(PROFILE) $(ARGS)

.PHONY: bench-load
bench-load: $(READY) ## Load 10 million rows with the mock Airbyte, and compare it with DuckDB's COPY
	@$(BIN)/python benchmarks/airbyte_load.py $(ARGS)

.PHONY: bench
bench: $(READY) ## Benchmark build and run times against a lower bound: make bench [ONLY=history]
	@$(BIN)/python -m benchmarks --only="$$TYPED_ONLY" $(ARGS)

# The packages in the images: only for Linux, without development tools.
IMAGE_LOCK = $(UV) pip compile --quiet --python-version 3.13 --python-platform linux --generate-hashes \
  --no-emit-index-url --no-header --no-annotate -c requirements.lock

.PHONY: install
install: $(READY) ## Create .venv from requirements.lock

.PHONY: lock
lock: $(READY) ## Update the lock files from pyproject.toml: make lock [ARGS=--upgrade]
	@$(UV) pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-emit-index-url --no-header $(ARGS) -o requirements.lock pyproject.toml
	@$(IMAGE_LOCK) --extra embedded -o requirements-platform.lock pyproject.toml
	@$(IMAGE_LOCK) -o services/airbyte/requirements.lock services/airbyte/requirements.in
	@$(IMAGE_LOCK) -o services/snowflake/requirements.lock services/snowflake/requirements.in
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate --no-emit-package sqlglotc $(ARGS) -o requirements-lineage.lock requirements-lineage.in
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate $(ARGS) -o requirements-audit.lock requirements-audit.in

.PHONY: pin
pin: $(READY) ## Pin third-party images by digest; ARGS=--update updates the digests
	@$(AUDIT) pindock run --dir . $(ARGS)

LOCKS := requirements.lock requirements-platform.lock requirements-lineage.lock services/airbyte/requirements.lock services/snowflake/requirements.lock
# The audit tools have their own environment, because they are not in the locks that they check.
AUDIT = $(UV) run --quiet --isolated --no-project --python $(BIN)/python --with-requirements requirements-audit.lock

.PHONY: sbom
sbom: $(READY) ## Write CycloneDX SBOMs to data/sbom/
	@for lock in $(LOCKS); do \
	  file=data/sbom/$$(echo "$${lock%.lock}" | tr / -).cdx.json && mkdir -p data/sbom && \
	  $(AUDIT) cyclonedx-py requirements --output-reproducible --output-file "$$file" "$$lock" && \
	  echo "wrote $$file" || exit 1; \
	done

.PHONY: audit
audit: $(READY) ## Check locked packages for known vulnerabilities; fails if it cannot check
	@mkdir -p data/audit; failed=; for lock in $(LOCKS); do \
	  report=data/audit/$$(echo "$${lock%.lock}" | tr / -).json; rm -f "$$report"; echo "$$lock"; \
	  $(AUDIT) pip-audit --strict --disable-pip --require-hashes --progress-spinner off --format json \
	    --output "$$report" $(ARGS) --requirement "$$lock" && continue; failed=1; \
	  if [ -s "$$report" ]; then echo "Packages in $$lock have known vulnerabilities, listed in $$report. Upgrade: make lock ARGS=--upgrade" >&2; \
	  else echo "The vulnerability service did not answer for $$lock, so its packages are unchecked. Try again later." >&2; fi; \
	done; test -z "$$failed"
