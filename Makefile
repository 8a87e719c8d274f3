# Everything from nothing: each target makes its own virtual environment in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ALONE := $(VENV)/.alone
READY := $(VENV)/.ready

.PHONY: demo test test-all lint types docs notebooks course clean

demo: $(ALONE)
	$(BIN)/batchprophet demo

# A file's tests share what they build and compile: they stay on one core.
test: lint types
	$(BIN)/pytest -n auto --dist loadfile -m "not slow"

test-all: lint types
	$(BIN)/pytest -n auto --dist loadfile --cov

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The site, without a warning: build/site/index.html
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Notebooks executed in place, from the first to the last; their outputs are committed.
notebooks: $(READY)
	$(BIN)/jupyter execute --inplace notebooks/*.ipynb

# Students' notebooks (no solutions, a checked cell for each answer), slides and hand-outs.
course: $(READY)
	$(BIN)/python docs/course.py build/course

# Checked as users get it: a regular install, from another folder.
types: $(READY)
	rm -rf build/lib build/typecheck
	$(BIN)/pip install --quiet --no-deps --target build/typecheck .
	cd build/typecheck && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p batchprophet

# The warning kept quiet is of setuptools: folders here may shadow installed packages of their
# names. Ours are never imported under their bare names (tests/test_house.py).
PIP := PYTHONWARNINGS="ignore:Editable installation" PIP_DISABLE_PIP_VERSION_CHECK=1 \
	$(BIN)/python -m pip install --quiet

# Byte code is compiled on all cores at once; pip would compile it on one. A file that cannot be
# compiled (a package may ship templates) is compiled, or fails, where it is imported.
COMPILE := $(BIN)/python -m compileall -qq -j 0 $(VENV) || true

# The package alone, which is all that a demo needs; then what tests and documentation need.
$(ALONE): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-compile --editable .
	$(COMPILE)
	touch $(ALONE)

$(READY): $(ALONE)
	$(PIP) --no-compile --editable ".[dev]"
	$(COMPILE)
	touch $(READY)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name '*.nb[ic]' -delete # compiled code: numba does not see changes in what it inlines
