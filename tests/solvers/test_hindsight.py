"""The recipe: optimal where it says so, never worse than what it was given, within its limits."""

from __future__ import annotations

import time

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.mixed.list_scheduling.incumbents import ORDERS, list_schedules
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from tests.brute_force import brute_force
from tests.tiny_instances import OBJECTIVES, tiny_instance

SMALL = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])


def arrival_model_2(seed, most=100):
    """T~U{40..60}, Poisson rate ~U[0.5, 1.5], M~U{30..50}, s~U{1..5}, o~U{1..M−s}."""
    rng = np.random.default_rng(seed)
    rounds, rate, M = rng.integers(40, 61), rng.uniform(0.5, 1.5), int(rng.integers(30, 51))
    arrival = np.repeat(np.arange(rounds), rng.poisson(rate, rounds))[:most]
    s = rng.integers(1, 6, arrival.size)
    o = [int(rng.integers(1, M - size + 1)) for size in s]
    return Instance(gpu=Gpu(kv_capacity=M), arrival=arrival, prompt=s, output=o)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("formulation", ["auto", "running-sum"])
def test_tiny_instances_are_solved_to_the_optimum(objective, formulation):
    for seed in range(25):
        instance = tiny_instance([20, seed], most_requests=5)
        solution = solve(instance, objective=objective, formulation=formulation)
        assert solution.objective == brute_force(instance, objective)[0]
        assert solution.status == "optimal"


def test_serial_list_scheduling_over_all_orders_misses_the_optimum():
    # A false friend: no order of these six, scheduled serially, is better than 45; waiting on
    # purpose shrinks a wedge at another's completion and gives 44.
    instance = Instance(
        gpu=Gpu(kv_capacity=12), arrival=[0] * 6, prompt=[1, 1, 1, 1, 2, 1],
        output=[3, 1, 10, 4, 8, 4],
    )  # fmt: skip
    orders = [np.random.default_rng(k).permutation(6) for k in range(3000)]
    lists = [list_schedule(instance, o, skip=skip) for o in orders for skip in (False, True)]
    assert min(int(schedule.completion(instance).sum()) for schedule in lists) == 45
    solution = solve(instance)
    assert (solution.objective, solution.status) == (44, "optimal")


def test_smaller_first_is_a_rule_that_loses():
    # A false friend: with "s and o both smaller may start first" the best is 29; without, 26.
    instance = Instance(
        gpu=Gpu(kv_capacity=9), arrival=[0] * 5, prompt=[5, 4, 2, 3, 5], output=[4, 1, 3, 6, 1]
    )
    solution = solve(instance)
    assert (solution.objective, solution.status) == (26, "optimal")
    start = solution.schedule.start
    smaller_later = [
        (i, j)
        for i in range(5) for j in range(5)
        if instance.prompt[i] <= instance.prompt[j] and instance.output[i] <= instance.output[j]
        and i != j and start[i] > start[j]
    ]  # fmt: skip
    assert smaller_later


def test_a_schedule_that_the_bounds_prove_needs_no_milp():
    # Nobody waits: Σ o is reached.
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 4], prompt=[3, 1], output=[4, 2])
    solution = solve(instance)
    assert solution.method == "list schedule by output; bound: starts at arrival"
    assert (solution.status, solution.log) == ("optimal", "")


def test_the_result_says_who_found_and_who_proved():
    solution = solve(SMALL, formulation="dense")
    assert solution.method.startswith("list schedule by output; MILP (dense form): solved to ")
    assert {name for name, _ in solution.bounds} >= {"starts at arrival", "LP relaxation"}
    assert "HiGHS" in solution.log


def test_never_worse_than_the_warm_start():
    # The optimum of the false friend, given, in no time at all: it comes back.
    instance = Instance(
        gpu=Gpu(kv_capacity=12), arrival=[0] * 6, prompt=[1, 1, 1, 1, 2, 1],
        output=[3, 1, 10, 4, 8, 4],
    )  # fmt: skip
    given = MixedSchedule([0, 0, 10, 0, 3, 1])
    solution = solve(instance, warm_start=given, time_limit=0)
    assert solution.objective == 44
    assert solution.schedule == given
    assert solution.method.startswith("the warm start; bound: ")
    again = solve(instance, warm_start=given)
    assert (again.objective, again.status) == (44, "optimal")


def test_a_warm_start_beyond_the_horizon_is_no_obstacle():
    solution = solve(SMALL, warm_start=MixedSchedule([1000, 2000]))
    assert (solution.objective, solution.status) == (7, "optimal")


def test_a_work_limit_gives_the_same_every_time():
    instance = arrival_model_2(2, most=7)
    for formulation in ("auto", "dense"):
        settings = {"work_limit": 2, "time_limit": 0, "threads": 1, "formulation": formulation}
        first, second = (solve(instance, seed=4, **settings) for _ in range(2))
        assert first.schedule == second.schedule
        assert first.bound == second.bound
        assert first.bounds == second.bounds


def test_a_large_instance_gets_a_schedule_and_a_bound():
    rng = np.random.default_rng(1)
    n = 5_000
    instance = Instance(
        gpu=Gpu(kv_capacity=16_000), arrival=np.sort(rng.integers(0, 20_000, n)),
        prompt=rng.integers(1, 1000, n), output=rng.integers(1, 300, n),
    )  # fmt: skip
    began = time.perf_counter()
    solution = solve(instance, time_limit=5)
    assert time.perf_counter() - began < 20
    assert "MILP" not in solution.method  # far too large for it
    assert 0 < solution.bound <= solution.objective
    assert check_mixed(instance, solution.schedule) == []


def test_progress_never_gets_worse():
    instance = arrival_model_2(3, most=8)
    told = []
    solution = solve(instance, progress=told.append, time_limit=20)
    assert {progress.phase for progress in told} >= {"list schedules", "combinatorial bounds"}
    values = [progress.incumbent for progress in told]
    bounds = [progress.bound for progress in told if progress.bound is not None]
    assert values == sorted(values, reverse=True)
    assert all(b <= a + 1e-6 * a for a in values for b in bounds)
    assert [p.seconds for p in told] == sorted(p.seconds for p in told)
    assert values[-1] == solution.objective


def test_an_interrupt_returns_what_there_is():
    instance = arrival_model_2(4, most=16)

    def interrupt_after_bounds(progress):
        if progress.phase not in ("list schedules", "combinatorial bounds"):
            raise KeyboardInterrupt

    solution = solve(instance, time_limit=60, progress=interrupt_after_bounds)
    assert solution.seconds < 30
    assert "interrupted" in solution.method
    assert solution.bound is not None


def test_reward_of_an_instance_on_which_nothing_can_be_earned():
    instance = SMALL.replace(horizon=1)
    solution = solve(instance, objective="reward")
    assert (solution.objective, solution.bound, solution.status) == (0, 0, "optimal")


def test_first_schedules_try_every_order():
    names = {name for name, _ in list_schedules(SMALL, "reward", MixedSchedule([0, 4]))}
    names |= {name for name, _ in list_schedules(SMALL, "weighted")}
    names |= {name for name, _ in list_schedules(SMALL, "makespan")}
    late = SMALL.replace(deadline=[3] * SMALL.n)
    names |= {name for name, _ in list_schedules(late, "tardiness")}
    assert names >= {f"list schedule by {order}" for order in ORDERS}
    assert "the warm start" in names


def test_bad_arguments_are_refused():
    refused = [
        ({"model": "both"}, "model: expected 'mixed', 'separate' or 'continuous', found 'both'"),
        ({"objective": "speed"},
         "objective: expected one of latency, weighted, tardiness, makespan, reward; found "
         "'speed'"),
        ({"formulation": "sparse"},
         "formulation: expected one of auto, dense, running-sum; found 'sparse'"),
        ({"time_limit": -1}, "time_limit: expected at least 0 seconds, found -1"),
        ({"time_limit": float("nan")}, "time_limit: expected at least 0 seconds, found nan"),
        ({"work_limit": -1}, "work_limit: expected from 0 to 2^31 − 1 nodes, found -1"),
        ({"objective": "reward"},
         "horizon: the reward objective needs one, found none in the instance"),
        ({"warm_start": MixedSchedule([0, 2])},
         "warm_start: expected a feasible schedule: KV capacity 9 exceeded by 1 token in round 4 "
         "(10 tokens held)"),
    ]  # fmt: skip
    for arguments, message in refused:
        with pytest.raises(InputError) as error:
            solve(SMALL, **arguments)
        assert str(error.value) == message
