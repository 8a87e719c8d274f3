"""The side-by-side benchmark under test: where it is, how it is run, what its methods get."""

import importlib.util
import os
import subprocess
import sys

import pytest

from tests.paths import ROOT

BENCHMARKS = ROOT / "benchmarks" / "hindsight"

#: Options that make the command quick.
SMALL = ("--seeds", "100", "--time-limit", "20", "--threads", "1")

needs_ortools = pytest.mark.skipif(
    importlib.util.find_spec("ortools") is None,
    reason='CP-SAT needs ortools: pip install "batchprophet[benchmarks]"',
)


def command(*words, folder):
    return subprocess.run(
        [sys.executable, BENCHMARKS / "side_by_side.py", *words],
        cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )  # fmt: skip


def a_case(methods, instance, model, **changes):
    settings = {"time_limit": 30.0, "threads": 1} | changes
    first = methods.first_schedule(instance, model)
    return methods.Case(instance=instance, warm_start=first, **settings)
