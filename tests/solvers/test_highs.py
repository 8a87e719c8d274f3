"""The door to HiGHS: every status on the smallest model that has it."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest

from batchprophet.models.errors import InfeasibleError
from batchprophet.models.mixed.milp.formulation import build_model
from batchprophet.solvers.highs import SolverError, Status, UnboundedError, solve_model
from batchprophet.solvers.weak_duality import dual_bound


def knapsack(n=2, capacity=3):
    """Max 3·x1 + 2·x2 with 2·x1 + 2·x2 ≤ 3: 3 in binaries; 3 + 2/2 = 4 relaxed."""
    model = pyo.ConcreteModel(name="knapsack")
    model.x = pyo.Var(range(1, n + 1), domain=pyo.Binary)
    model.budget = pyo.Constraint(expr=sum(2 * x for x in model.x.values()) <= capacity)
    model.goal = pyo.Objective(
        expr=sum((4 - i) * x for i, x in model.x.items()), sense=pyo.maximize
    )
    return model


def market_split(rows=5, columns=40):
    """A feasible MILP that no branch and bound finishes in a test: some equal-sum rows."""
    rng = np.random.default_rng(3)
    weights = rng.integers(1, 100, (rows, columns)).tolist()
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(columns), domain=pyo.Binary)
    model.miss = pyo.Var(range(rows), ["over", "under"], bounds=(0, 10**4))
    model.split = pyo.Constraint(
        range(rows),
        rule=lambda model, r: (
            sum(w * model.x[j] for j, w in enumerate(weights[r]))
            + model.miss[r, "under"] - model.miss[r, "over"] == sum(weights[r]) // 2
        ),
    )  # fmt: skip
    model.goal = pyo.Objective(expr=sum(model.miss.values()))
    return model


def test_optimal():
    model = knapsack()
    result = solve_model(model)
    assert result.status is Status.OPTIMAL
    assert (result.objective, result.bound) == (3, 3)
    assert [result.value(x) for x in model.x.values()] == [1, 0]
    assert "HiGHS" in result.log
    assert result.row_duals is None
    assert not result.interrupted


def test_nothing_is_printed(capfd):
    solve_model(knapsack())
    assert capfd.readouterr() == ("", "")


def test_relaxation_and_its_bound_by_weak_duality():
    result = solve_model(knapsack(), relax=True)
    assert (result.status, result.objective) == (Status.OPTIMAL, 4)
    assert result.bound == pytest.approx(4)
    assert result.bound >= 4  # moved by what rounding can amount to
    assert dual_bound(result.form, result.row_duals) == pytest.approx(4)
    # Any multipliers give a bound, if a worse one: y = 0 takes everything, 3 + 2.
    assert dual_bound(result.form, np.zeros(1)) == pytest.approx(5)
    # One of the wrong sign for a ≤ row counts as 0.
    assert dual_bound(result.form, np.array([-7.0])) == pytest.approx(5)


@pytest.mark.parametrize("relax", [False, True])
def test_infeasible(relax):
    model = knapsack()
    model.all_of_them = pyo.Constraint(expr=model.x[1] + model.x[2] >= 2)
    with pytest.raises(InfeasibleError) as error:
        solve_model(model, relax=relax)
    assert str(error.value) == "the model is infeasible (proved by HiGHS)"


def test_a_constraint_that_nothing_can_satisfy_is_named():
    model = knapsack()
    model.x[1].fix(1)
    model.wrong = pyo.Constraint(expr=0 * model.x[2] >= 1)
    with pytest.raises(InfeasibleError, match=r"^knapsack: .*'wrong'"):
        solve_model(model)


@pytest.mark.parametrize("relax", [False, True])
def test_unbounded(relax):
    model = pyo.ConcreteModel()
    model.x = pyo.Var(domain=pyo.NonNegativeIntegers)
    model.y = pyo.Var(domain=pyo.NonNegativeIntegers)
    model.row = pyo.Constraint(expr=model.x - model.y <= 1)
    model.goal = pyo.Objective(expr=model.x + model.y, sense=pyo.maximize)
    with pytest.raises(UnboundedError) as error:
        solve_model(model, relax=relax)
    assert str(error.value) == "the model's objective is unbounded (proved by HiGHS)"


def test_no_time_at_all_finds_nothing_and_says_so():
    result = solve_model(market_split(), time_limit=0)
    assert result.status is Status.NOTHING_AT_LIMIT
    assert result.values is None
    assert result.objective is None


def test_an_lp_out_of_time_has_no_bound():
    result = solve_model(market_split(), relax=True, time_limit=0)
    assert result.status is Status.NOTHING_AT_LIMIT
    assert (result.bound, result.row_duals) == (None, None)


def test_a_warm_start_is_used():
    # Every second item, and the misses that follow; without it no time finds nothing.
    model = market_split()
    for j, x in model.x.items():
        x.value = j % 2
    for miss in model.miss.values():
        miss.value = 0
    for r, row in model.split.items():
        short = pyo.value(row.upper) - pyo.value(row.body)
        model.miss[r, "under"].value = max(0, short)
        model.miss[r, "over"].value = max(0, -short)
    given = pyo.value(model.goal)
    assert solve_model(model, time_limit=0).status is Status.NOTHING_AT_LIMIT
    warm = solve_model(model, time_limit=0, warm_start=True)
    assert warm.status is Status.FEASIBLE_AT_LIMIT
    assert warm.objective == pytest.approx(given)


def test_a_work_limit_is_deterministic():
    first, second = (solve_model(market_split(), work_limit=30, threads=1) for _ in range(2))
    assert first.status is Status.FEASIBLE_AT_LIMIT
    assert (first.objective, first.bound, first.nodes) == (
        second.objective, second.bound, second.nodes
    )  # fmt: skip
    assert np.array_equal(first.values, second.values)


def test_progress_is_told_and_its_exception_ends_the_solve():
    told = []
    result = solve_model(market_split(), time_limit=1.0, progress=told.append)
    assert result.status is Status.FEASIBLE_AT_LIMIT
    assert told
    assert all(state.seconds >= 0 for state in told)
    incumbents = [state.incumbent for state in told if state.incumbent is not None]
    assert incumbents == sorted(incumbents, reverse=True)

    def fail(state):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        solve_model(market_split(), time_limit=30, progress=fail)


def test_an_interrupt_returns_what_there_is():
    def interrupt_once_feasible(state):
        if state.incumbent is not None:
            raise KeyboardInterrupt

    result = solve_model(market_split(), time_limit=30, progress=interrupt_once_feasible)
    assert result.interrupted
    assert result.status is Status.FEASIBLE_AT_LIMIT
    assert result.seconds < 10


def test_changing_the_number_of_threads_is_no_error():
    values = [solve_model(knapsack(), threads=threads).objective for threads in (1, 2, 1)]
    assert values == [3, 3, 3]


def test_a_refused_option_is_an_error():
    with pytest.raises(SolverError, match=r"^HiGHS refuses option threads = -1: "):
        solve_model(knapsack(), threads=-1)


def test_a_limit_and_infeasibility_are_different_things():
    # Both requests at 0 do not fit together (M = 9), and no other start is offered.
    from batchprophet.models.instance import Gpu, Instance

    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[5, 5], output=[4, 4])
    with pytest.raises(InfeasibleError):
        solve_model(build_model(instance, latest=np.array([0, 0])))
