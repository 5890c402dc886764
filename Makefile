# The two commands: `make run` serves the page; `make test` checks and tests everything. Both set up what they need.
PYTHON ?= python3
UV_VERSION = 0.13.9
VENV = .venv
BIN = $(VENV)/bin
UV = $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt
WEB = $(shell find web -path web/node_modules -prune -o -type f -print 2>/dev/null)
PAGE = src/cellblock/static/index.html
# Tests at a time, and those in a browser: one more than two processors, for they wait as much as they work.
WORKERS ?= 3
BROWSERS ?= 3
SUITE = $(BIN)/pytest -q -n $(WORKERS) --dist loadfile --ignore=tests/e2e tests
PAGE_SUITE = $(BIN)/pytest -q -n $(BROWSERS) --dist loadfile tests/e2e

# As pip does: a company's own certificate authority is known to the system.
export UV_SYSTEM_CERTS = 1

.PHONY: run test test-all check static check-style check-types check-page setup setup-dev dist bench bench-long bench-web lock openapi clean

run: setup
	@exec $(BIN)/cellblock serve

setup: $(VENV)/.installed

setup-dev: $(VENV)/.installed-dev

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Cellblock needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 run"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "No virtual environment could be made. On Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(PAGE): $(WEB)
	@scripts/build-page

$(VENV)/.installed: $(BIN)/uv pyproject.toml constraints.txt hatch_build.py $(PAGE)
	@$(UV) -e '.'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed scripts/install-test-tools
	@$(UV) -e '.[dev,bench]'
	@scripts/install-test-tools
	@touch $@

# Everything static: format, lint, types, import contracts, documents and generated files fresh.
check: static
	$(BIN)/pytest -q -m docs --ignore=tests/e2e tests

# What reads the source and runs nothing of it, two at a time.
static: setup-dev
	@$(MAKE) --no-print-directory --jobs=2 --output-sync check-types check-page check-style

check-style:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

check-types:
	$(BIN)/mypy

check-page:
	cd web && npm run --silent check

# The documents are checked among the other tests: to collect them apart would take as long as to run them.
test: static
	$(SUITE) -m "not slow"
	$(PAGE_SUITE) -m "not slow"

test-all: static
	$(SUITE)
	$(PAGE_SUITE)

dist: setup
	@rm -rf dist
	$(BIN)/uv build --quiet
	@ls dist/*.whl

bench: setup-dev
	$(BIN)/python -m bench

# A thousand kernels in a row, and three hundred at once.
bench-long: setup-dev
	$(BIN)/python -m bench churn scale

bench-web: setup-dev
	$(BIN)/python -m bench.web

openapi: setup-dev
	$(BIN)/python scripts/write-generated
	cd web && npm run --silent types

lock: $(BIN)/uv
	$(BIN)/uv pip compile --quiet --upgrade --no-emit-index-url --universal --python-version 3.11 --no-header --no-annotate --all-extras -o constraints.txt pyproject.toml

clean:
	rm -rf $(VENV) web/node_modules src/cellblock/static dist
