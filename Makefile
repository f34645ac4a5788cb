# The commands of this project. `make demo` shows it, `make test` proves it; each installs what it needs.
SHELL := /bin/sh
.DEFAULT_GOAL := help

# The newest Python from 3.11 on that is here; PYTHON=... overrides.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_CONSTRAINT=.ci/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip
PYTEST_ARGS ?=
# Test files that run side by side: most of the time a test waits for a server or a Windows to start.
TEST_JOBS ?= 2

.PHONY: help demo demo-windows test lint format check docs build bench clean windows-field-check

help:
	@echo "make demo    the main job, then a whole maintenance of three computers, on real parts   (KEEP=1 leaves it running)"
	@echo "make demo-windows   the same with a Windows computer, over WinRM (needs Wine)"
	@echo "make test    run the tests"
	@echo "make lint    ruff, mypy, import contracts"
	@echo "make check   lint, then test: what CI runs"
	@echo "make bench   compare with the stock restic client, side by side"
	@echo "make docs    write the generated pages again"
	@echo "make windows-field-check HOST=...   confirm on a real Windows computer what we rely on"
	@echo "make build   build the wheel"

$(VENV)/installed: pyproject.toml .ci/constraints.txt .ci/venv
	@.ci/venv "$(PYTHON)" $(VENV)
	@echo "Installing Python packages into $(VENV) ..."
	@$(PIP) install --quiet --editable '.[dev]'
	@touch $@

demo: $(VENV)/installed
	@$(BIN)/python -m tests.support.demo_school $(if $(KEEP),--keep)

demo-windows: $(VENV)/installed
	@$(BIN)/python -m tests.support.demo_windows $(if $(KEEP),--keep)

test: $(VENV)/installed
	@.ci/test-tools
	@$(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/installed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/installed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

check: lint test

docs: $(VENV)/installed
	@$(BIN)/python -m inventory.reference
	@$(BIN)/python -m configs.catalog_reference
	@$(BIN)/python -m tests.field.checklist

build: $(VENV)/installed
	@$(BIN)/python -m build --wheel

bench: $(VENV)/installed
	@.ci/test-tools
	@$(BIN)/python -m tests.support.bench $(BENCH_ARGS)

# What only a real Windows computer can show: docs/windows-field-checklist.md
windows-field-check: $(VENV)/installed
	@$(BIN)/python -m tests.field.windows_field_check $(HOST) $(if $(ACCOUNT),--account $(ACCOUNT)) $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
