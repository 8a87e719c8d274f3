"""The engine: optimal on tiny instances, on one thread and on two, by the clock and by work."""

import numpy as np
import pytest

from batchprophet.models.families import make_instance
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.mixed import engine
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from tests.brute_force import brute_force
from tests.strategies import random_instance


@pytest.mark.parametrize("seed", range(30))
def test_optimal_on_tiny_instances(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    instance = random_instance(rng, n, capacity=(4, 14), last_arrival=int(rng.integers(0, 9)))
    best, _ = brute_force(instance)
    for limits in ({"time_limit": 30}, {"time_limit": 30, "threads": 1}, {"work_limit": 20_000}):
        solution = solve(instance, **limits)
        assert (solution.objective, solution.status) == (best, "optimal"), limits


def test_engine_and_milp_agree():
    instance = make_instance("arrival-model-2", seed=1, settings={"n": 7, "kv_capacity": 16})
    by_engine, by_milp = solve(instance), solve(instance, formulation="dense")
    assert by_engine.status == by_milp.status == "optimal"
    assert by_engine.objective == by_milp.objective


def test_a_time_limit_is_kept():
    instance = make_instance("arrival-model-1", seed=100)
    solution = solve(instance, time_limit=1)  # compiles where it has not yet
    solution = solve(instance, time_limit=3)
    assert solution.seconds < 8
    assert solution.status == "feasible"
    assert {name for name, _ in solution.bounds} >= {
        engine.CONFIGURATIONS,
        "KV area, mean busy time",
    }


def test_the_same_work_gives_the_same_solution():
    instance = make_instance("arrival-model-2", seed=5)
    first, second = (solve(instance, work_limit=2_000, seed=3) for _ in range(2))
    assert first.schedule == second.schedule
    assert first.bounds == second.bounds


def test_an_interrupt_returns_what_there_is():
    instance = make_instance("arrival-model-1", seed=100)

    def interrupt(progress):
        if progress.phase == "schedule search":
            raise KeyboardInterrupt

    solution = solve(instance, time_limit=60, progress=interrupt)
    assert solution.seconds < 30
    assert "interrupted" in solution.method


def test_a_failing_worker_is_no_secret(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("a defect")

    monkeypatch.setattr(engine.configuration, "configuration_prices", fail)
    instance = make_instance("arrival-model-1", seed=100, settings={"n": 8})
    with pytest.raises(RuntimeError, match="a defect"):
        solve(instance, time_limit=30)


def test_never_worse_than_what_it_was_given():
    instance = make_instance("arrival-model-1", seed=101)
    given = list_schedule(instance, instance.volume, skip=True)
    value = int((given.completion(instance) - instance.arrival).sum())
    assert solve(instance, warm_start=given, work_limit=500).objective <= value
