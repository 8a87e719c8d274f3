"""What a command does not use is not loaded: loading it is most of what a short command takes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

RUN_AND_LIST = """
import sys
from batchprophet.cli import run
code = run(sys.argv[1:])
print("\\n".join(["modules:", *sys.modules]), file=sys.stderr)
sys.exit(code)
"""

#: Slow to load, a second for the slowest.
HEAVY = ("pyomo", "highspy", "networkx", "scipy.stats", "scipy.sparse", "matplotlib", "jinja2")


@pytest.fixture
def four(tmp_path):
    """Four requests whose list schedule is proved optimal under mixed batching at once."""
    requests = [(0, 2, 1), (3, 3, 4), (0, 4, 1), (1, 1, 3)]
    path = tmp_path / "four.json"
    record = {
        "format": "batchprophet-instance",
        "version": 1,
        "name": "four",
        "gpu": {"kv_capacity": 9},
        "requests": [dict(zip(("arrival", "prompt", "output"), r, strict=True)) for r in requests],
    }
    path.write_text(json.dumps(record))
    return str(path)


def loaded_by(*words):
    done = subprocess.run(
        [sys.executable, "-c", RUN_AND_LIST, *words], capture_output=True, check=True, text=True
    )
    return set(done.stderr.partition("modules:\n")[2].split())


@pytest.mark.parametrize("model", ["mixed", "separate"])
def test_a_solve_without_milp_loads_no_modelling_language_and_no_pictures(four, model):
    loaded = loaded_by("solve", four, "--model", model)
    assert (
        "batchprophet.solvers.mixed.list_scheduling.list_schedule" in loaded or model == "separate"
    )
    assert not loaded & set(HEAVY)


def test_mixed_batching_does_not_load_the_engine_of_separate_batching(four):
    loaded = loaded_by("solve", four)
    assert not [name for name in loaded if name.startswith("batchprophet.solvers.separate.")]


def test_a_milp_loads_the_modelling_language(four):
    # So that the test above can fail.
    assert {"pyomo", "highspy"} <= loaded_by("solve", four, "--objective", "makespan")


@pytest.mark.parametrize("words", [["policies"], ["make", "--list"], ["--help"]])
def test_what_is_listed_needs_no_compiler(words):
    assert not loaded_by(*words) & {"numba", *HEAVY}


def test_a_simulation_loads_no_solver(four):
    assert not loaded_by("simulate", four, "--policy", "mc-sf") & set(HEAVY)


def test_the_growth_of_regret_needs_no_law_of_scipy_stats():
    code = "import sys, batchprophet.online.growth; print('scipy.stats' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "False\n"
