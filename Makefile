# Everything one does with this project. Needs Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Empty means unset, but gunicorn reads this one before our settings do.
ifeq ($(strip $(WEB_CONCURRENCY)),)
unexport WEB_CONCURRENCY
endif
.DEFAULT_GOAL := help

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: PYTHON=python3.12 make run"; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: requirements.txt $(VENV)/.made
	@echo "installing what the service runs on (once) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "installing what the tests need (once) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

run: $(VENV)/.installed ## Run the service (RELOAD=1 restarts it on every change)
	@$(BIN)/python config.py
	@$(BIN)/gunicorn

# More processes than cores, since tests wait for disks and sockets; one file stays in one of them.
TEST_PROCESSES ?= 4
# Tests start many servers. Where Python is told to keep no compiled modules, as in many containers,
# each of them compiles all modules again.
test test-clients test-qdrant: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.installed-dev ## Run the test suite
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

tests/clients/node_modules/.installed: tests/clients/package-lock.json
	@echo "installing clients of other languages (once) …"
	@cd tests/clients && npm ci --ignore-scripts --no-progress
	@touch $@

# Without npm or node the Python client still runs, and the summary says what did not.
test-clients: $(VENV)/.installed-dev $(if $(shell command -v npm),tests/clients/node_modules/.installed) ## Run Sentry's own clients against a running service
	@$(BIN)/python -m pytest tests/clients

# Without QDRANT_TEST_URL (and QDRANT_TEST_API_KEY, if it wants one) the summary says what did not run.
# Its collections are named tests-… and removed again.
test-qdrant: $(VENV)/.installed-dev ## Run the tests of the index against a real Qdrant, QDRANT_TEST_URL
	@$(BIN)/python -m pytest tests/memory/vectors -m live_qdrant

lint: $(VENV)/.installed-dev ## Check style, types and the layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

figures: $(VENV)/.installed-dev ## Print the size and shape of app/: lines, functions, floors, duplicates
	@$(BIN)/python -m benchmarks.figures

# `make bench only=--help` lists the parts; record=1 adds the figures to benchmarks/history.jsonl.
bench: $(VENV)/.installed-dev ## Measure what the service costs (only=ingest for one part, only=--help)
	@$(BIN)/python -m benchmarks $(only) $(if $(record),--record)

chaos: $(VENV)/.installed-dev ## Kill, fill and break it, and count what is lost
	@$(BIN)/python -m benchmarks.chaos

scenarios: $(VENV)/.installed-dev ## Play what people meet: a broken Sentry, a bad deploy, a customer who writes, a first hour, a bad day
	@$(BIN)/python -m benchmarks.scenarios

lock: ## Compile requirements*.in into the locked files (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" -q requirements.in -o requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" -q requirements-dev.in -o requirements-dev.txt

.PHONY: help figures run test test-clients test-qdrant lint bench chaos scenarios lock
