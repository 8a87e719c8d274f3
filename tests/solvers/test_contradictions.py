"""A door whose solver lies: neither columns nor bounds are believed that others contradict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest

from batchprophet.models.mixed.milp.formulation import build_model
from batchprophet.models.mixed.milp.from_variables import decode, set_start
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.models.regimes import schedule_value
from batchprophet.solvers import highs_run
from batchprophet.solvers.highs import SolverError, Status, solve_model
from batchprophet.solvers.highs_run import Answer, ask
from tests.brute_force import brute_force
from tests.tiny_instances import tiny_instance


def knapsack():
    """Max 3·x1 + 2·x2 with 2·x1 + 2·x2 ≤ 3: 3 in binaries with x1, 4 relaxed with x1 + x2/2."""
    model = pyo.ConcreteModel(name="knapsack")
    model.x = pyo.Var([1, 2], domain=pyo.Binary)
    model.budget = pyo.Constraint(expr=2 * model.x[1] + 2 * model.x[2] <= 3)
    model.goal = pyo.Objective(expr=3 * model.x[1] + 2 * model.x[2], sense=pyo.maximize)
    return model


def started(first, second):
    model = knapsack()
    model.x[1].value, model.x[2].value = first, second
    return model


class Liar:
    """HiGHS, whose first answers (all, if `always`) are changed; it notes what it was asked."""

    def __init__(self, monkeypatch, *, always=False, **changes):
        self.changes, self.always, self.asked = changes, always, []
        monkeypatch.setattr(highs_run, "ask", self.ask)

    def ask(self, form, options, *, relax, start, progress):
        self.asked.append((dict(options), start))
        answer = ask(form, options, relax=relax, start=start, progress=progress)
        lies = self.always or len(self.asked) == 1
        return replace(answer, **self.changes) if lies else answer


#: What may be wrong, and what is said of it.
LIES = [
    ({"objective": 4.0}, "the objective 4.0 is not that of its columns, 3"),
    ({"objective": None}, "the objective None is not that of its columns, 3"),
    ({"objective": float("nan")}, "the objective nan is not that of its columns, 3"),
    ({"values": np.array([1.0, 1.0]), "objective": 5.0}, "its columns violate row budget: 4"),
    ({"values": np.array([1.5, 0.0]), "objective": 4.5}, "columns that are not integers"),
    ({"values": np.array([-1.0, 0.0]), "objective": -3.0}, "column x[1] = -1 is out of its bounds"),
    ({"values": np.array([np.nan, 0.0]), "objective": 3.0}, "columns that are not numbers"),
    ({"bound": 2.5}, "the bound 2.5 contradicts its objective 3"),
    ({"bound": 3.5}, "optimal with objective 3, but the bound is 3.5"),
    ({"bound": None}, "optimal, but without a bound"),
    ({"values": None, "objective": None}, "optimal, but without a solution"),
    ({"values": np.array([0.0, 1.0]), "objective": 2.0, "bound": 2.0},
     "the bound 2 contradicts the start's objective 3"),
    ({"status": "kInfeasible", "values": None, "objective": None, "bound": None},
     "infeasible, though the start satisfies every row"),
    ({"status": "kUnknown", "status_text": "Unknown", "log": "a\nb\nc\n"},
     "it ended with status 'Unknown': b / c"),
]  # fmt: skip


@pytest.mark.parametrize(("lie", "doubt"), LIES)
def test_a_lie_is_asked_again_without_the_start(monkeypatch, lie, doubt):
    liar = Liar(monkeypatch, **lie)
    result = solve_model(started(1, 0), warm_start=True)
    assert (result.status, result.objective, result.bound) == (Status.OPTIMAL, 3, 3)
    assert result.doubts == (doubt,)
    (_, first), (options, second) = liar.asked
    assert first.tolist() == [1, 0]
    assert second is None
    assert "presolve" not in options


@pytest.mark.parametrize(("lie", "doubt"), LIES)
def test_of_a_solver_that_lies_twice_nothing_is_believed(monkeypatch, lie, doubt):
    Liar(monkeypatch, always=True, **lie)
    with pytest.raises(SolverError) as error:
        solve_model(started(1, 0), warm_start=True)
    assert str(error.value) == f"HiGHS is not believed: {doubt}; solved again: {doubt}"


def test_without_a_start_it_is_asked_again_without_presolve(monkeypatch):
    liar = Liar(monkeypatch, bound=2.0)
    assert solve_model(knapsack()).objective == 3
    assert [options.get("presolve") for options, _ in liar.asked] == [None, "off"]


def test_a_start_that_is_not_feasible_contradicts_nothing(monkeypatch):
    liar = Liar(monkeypatch)
    assert solve_model(started(1, 1), warm_start=True).objective == 3
    assert len(liar.asked) == 1


def test_what_is_found_at_a_limit_is_checked_too(monkeypatch):
    Liar(monkeypatch, always=True, status="kTimeLimit", objective=7.0)
    with pytest.raises(SolverError, match=r"the objective 7\.0 is not that of its columns, 3"):
        solve_model(knapsack())


def test_an_interrupted_solve_that_contradicts_itself_is_not_begun_again(monkeypatch):
    liar = Liar(monkeypatch, status="kInterrupt", interrupted=True, bound=2.0)
    result = solve_model(knapsack())
    assert (result.status, result.values, result.bound) == (Status.NOTHING_AT_LIMIT, None, None)
    assert result.interrupted
    assert len(liar.asked) == 1


#: Lies about the LP relaxation, whose optimum is 4 with the row's dual value 1.
LP_LIES = [
    ({"values": np.array([1.0, 1.0]), "objective": 5.0}, "its columns violate row budget: 4"),
    ({"values": np.array([1.0, 0.0]), "objective": 3.0},
     "optimal with objective 3, but the bound is 4"),
    ({"objective": 5.0}, "the objective 5.0 is not that of its columns, 4"),
    ({"row_duals": np.array([0.0])}, "optimal with objective 4, but the bound is 5"),
    ({"row_duals": np.array([np.nan])}, None),
]  # fmt: skip


@pytest.mark.parametrize(("lie", "doubt"), LP_LIES)
def test_lies_about_a_relaxation(monkeypatch, lie, doubt):
    Liar(monkeypatch, **lie)
    result = solve_model(knapsack(), relax=True)
    assert result.objective == pytest.approx(4)
    assert result.bound == pytest.approx(4)
    assert result.doubts == (() if doubt is None else (doubt,))


def test_small_errors_of_floating_point_numbers_are_no_lies(monkeypatch):
    values = np.array([1 - 1e-7, 2e-7])
    Liar(monkeypatch, values=values, objective=3 * values[0] + 2 * values[1] + 1e-9)
    result = solve_model(knapsack())
    assert result.doubts == ()
    assert result.objective == pytest.approx(3, abs=1e-6)


@pytest.mark.parametrize("seed", [45, 50, 70, 92, 116, 172, 175, 180])
def test_poor_starts_of_tiny_weighted_instances_do_not_hide_the_optimum(seed):
    # From each HiGHS 1.16.0 came back with the start's columns and another objective, "optimal".
    rng = np.random.default_rng([9, seed])
    instance = tiny_instance([8, seed])
    weight = rng.choice([0.1, 2, 3.7, 10, 0.25, 1], instance.n)
    instance = instance.replace(weight=weight)
    start, end = np.zeros(instance.n, dtype=np.int64), 0
    for i in rng.permutation(instance.n):  # one after the other
        start[i] = max(end, instance.arrival[i])
        end = start[i] + instance.output[i]
    model = build_model(instance, objective="weighted", formulation="dense")
    assert set_start(instance, model, MixedSchedule(start))
    result = solve_model(model, warm_start=True, threads=1)
    optimum = float(brute_force(instance, "weighted")[0])
    assert (result.objective, result.bound) == pytest.approx((optimum, optimum))
    found = schedule_value(instance, decode(instance, model, result.value), "weighted")
    assert float(found) == pytest.approx(optimum)


def test_an_answer_is_plain_data():
    assert Answer(status="kTimeLimit").values is None
