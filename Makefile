# Everything goes into .venv; nothing else on the machine is touched.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check
INSTALLED := .venv/.installed
ORACLES := .venv/.oracles

NOTEBOOKS := $(patsubst docs/notebooks/%,build/notebooks/%,$(wildcard docs/notebooks/*.ipynb))

.PHONY: setup run test lint types bench docs

## setup: make .venv and install slmkit with all its extras; does nothing where nothing changed
setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("slmkit needs Python 3.11 or later; give one: make PYTHON=..." if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(PIP) -c constraints.txt torch
	$(PIP) -c constraints.txt -e '.[dev]'
	touch $@

# the packages that our codecs must match; their declared needs would break the rest
$(ORACLES): $(INSTALLED) tests/reference/requirements.txt
	$(PIP) --no-deps -r tests/reference/requirements.txt
	touch $@

## run: teach a small SpeechGPT to hear a question and speak the answer
run: setup
	$(BIN)/slmkit run recipes/speechgpt.yaml

## test: all tests, the slow ones too
test: $(ORACLES)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

## bench: measure against the bars, and write benchmarks/results
bench: setup
	$(BIN)/python -m benchmarks

## docs: build the site into build/site, warnings as errors; notebooks are run where they changed
docs: setup $(NOTEBOOKS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

build/notebooks/%.ipynb: docs/notebooks/%.ipynb
	$(BIN)/python -m website.notebooks $<
