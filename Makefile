# Every target shares one virtual environment with all extras; it is made when absent.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(if $(shell command -v $(p)),$(p))))
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test check format nightly bench dashboard docs clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"routepact needs Python 3.11 to 3.13, found {v[0]}.{v[1]}; name one with: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,omx]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/routepact run city

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# One process a core, one thread a process: the tests that need two threads ask for them themselves.
test: $(STAMP) check
	NUMBA_NUM_THREADS=2 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not nightly"

# The peers that nightly tests compare with; pygambit is built from source and wants a C++ compiler.
nightly: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,omx,peers]'
	$(BIN)/python -m pytest -m nightly --timeout 5400

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python -m benchmarks

dashboard: $(STAMP)
	$(BIN)/routepact dashboard city

# API pages from the docstrings, into docs/_build/html; a warning is an error.
docs: $(STAMP)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache dist docs/_build
