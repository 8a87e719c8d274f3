"""Fixtures of more than one file: the scripts of the side-by-side benchmark as modules."""

import importlib
import sys

import pytest

from tests.side_by_side import BENCHMARKS


@pytest.fixture(scope="module")
def benchmarks():
    """Import a module of the scripts' folder, which is searched as it is when they run."""
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def methods(benchmarks):
    return benchmarks("methods")


@pytest.fixture
def record(benchmarks):
    return benchmarks("record")
