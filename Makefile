# make run      install what is missing and run the desk
# make test     the tests, without browser and chaos tests
# make lint     style and import contracts
# make bench    the benchmarks
# make clean    remove what these commands made; your data in var/ and your keys in .env stay

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run test lint bench clean
.DEFAULT_GOAL := run

run: .venv/.runtime
	@$(BIN)/python manage.py desk

test: .venv/.development
	@$(BIN)/python -m pytest -n auto -q

lint: .venv/.development
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

bench: .venv/.development
	@$(BIN)/python -m tests.benchmarks all --size small

clean:
	@rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis test-results
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.runtime: requirements.txt | $(BIN)/python
	@echo "Installing what the desk needs; this takes about half a minute, once …"
	@$(PIP) -r requirements.txt
	@touch $@

.venv/.development: requirements.txt requirements-dev.txt | $(BIN)/python
	@echo "Installing what the tests need; this takes about a minute, once …"
	@$(PIP) -r requirements-dev.txt
	@touch $@ .venv/.runtime

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit("Paperdesk needs Python 3.11 or newer, this is " + v if sys.version_info < (3, 11) else 0)'
	@echo "Making a Python environment in .venv …"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv module is missing. On Debian: apt-get install python3-venv"; exit 1; }
