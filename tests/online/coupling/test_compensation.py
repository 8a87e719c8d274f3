"""The coupling: compensations, the pathwise identity, oracles, estimates, the Bayes selector."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pyomo.environ as pyo
import pytest

from batchprophet.models.errors import InputError, PolicyError
from batchprophet.online.coupling.bayes_selector import BayesSelector
from batchprophet.online.coupling.compensation import compensation, run_account
from batchprophet.online.coupling.estimate import ClosedForm, SampledHindsight
from batchprophet.online.coupling.oracle import FormulaOracle, FormulationOracle, RecursionOracle
from batchprophet.online.packing.problem import ONLINE_PACKING, PackingProblem, scaled

#: One seat, two periods: an offer of 4 comes first, then one of 9.
SEAT = PackingProblem(horizon=2, budgets=(1,), uses=((1, 1),), chances=(1, 1), rewards=(9, 4))
LATE_NINE = (1, 0)


def milp(problem: PackingProblem):  # type: ignore[no-untyped-def]  # a formulation
    """The packing problem from decision t on, request by request."""

    def formulate(t, S, path):  # type: ignore[no-untyped-def]
        b, j = S
        to_come = path[t:] if j is not None else ()
        model = pyo.ConcreteModel()
        model.REQUESTS = pyo.RangeSet(0, len(to_come) - 1)
        model.x = pyo.Var(model.REQUESTS, domain=pyo.Binary)
        model.slack = pyo.Var(range(len(b)), domain=pyo.NonNegativeReals)

        @model.Constraint(range(len(b)))
        def budget(model, k):  # type: ignore[no-untyped-def]
            used = sum(problem.uses[k][to_come[i]] * model.x[i] for i in model.REQUESTS)
            return used + model.slack[k] == b[k]

        model.goal = pyo.Objective(
            expr=sum(problem.rewards[to_come[i]] * model.x[i] for i in model.REQUESTS),
            sense=pyo.maximize,
        )
        return model

    return formulate


def rules(problem: PackingProblem, oracle):  # type: ignore[no-untyped-def]
    return {
        "always": lambda t, S, rng: all(
            b >= row[S[1]] for b, row in zip(S[0], problem.uses, strict=True)
        ),
        "never": lambda t, S, rng: False,
        "fluid": BayesSelector(ClosedForm(problem.fluid_scores)),
        "vote": BayesSelector(SampledHindsight(problem=problem, oracle=oracle, samples=5)),
        "mean": BayesSelector(
            SampledHindsight(problem=problem, oracle=oracle, samples=5, score="compensation")
        ),
    }


def test_taking_the_first_offer_costs_hindsight_five() -> None:
    S = SEAT.initial_state(LATE_NINE)
    oracle = RecursionOracle(SEAT)
    assert compensation(SEAT, oracle, 0, True, S, LATE_NINE) == 5
    assert compensation(SEAT, oracle, 0, False, S, LATE_NINE) == 0
    account = run_account(SEAT, oracle, lambda t, S, rng: S[0] == (1,), LATE_NINE, rng_of(0))
    assert (account.hindsight, account.value, account.regret, account.residual) == (9, 4, 5, 0)
    assert account.rows()[0] == {
        "time": 0,
        "action": True,
        "satisfying": [False],
        "compensation": 5,
    }
    assert [d.t for d in account.disagreements] == [0]


@pytest.mark.parametrize("name", ["always", "never", "fluid", "vote", "mean"])
def test_the_identity_holds_and_compensations_are_not_negative(name: str) -> None:
    problem = scaled(ONLINE_PACKING, 40)
    exact = FormulaOracle(problem.hindsight)
    rule = rules(problem, exact)[name]
    for seed in range(20):
        rng = rng_of(seed)
        account = run_account(problem, exact, rule, problem.draw(rng), rng)
        assert account.residual == 0
        assert isinstance(account.residual, int)
        assert min(d.compensation for d in account.decisions) >= 0
        # Exactly the disagreements cost something.
        assert all((d.compensation > 0) == d.disagrees for d in account.decisions)
        assert all(d.satisfying for d in account.decisions)


def test_three_ways_to_hindsight_agree() -> None:
    problem = scaled(ONLINE_PACKING, 15)
    recursion = RecursionOracle(problem)
    program = FormulationOracle(milp(problem), integral=True)
    for seed in range(8):
        path = problem.draw(rng_of(seed))
        S, t = problem.initial_state(path), 0
        while actions := problem.actions(t, S, path):
            expected = recursion.value(t, S, path)
            assert problem.hindsight(t, S, path) == expected
            if t % 5 == 0:
                assert program.value(t, S, path) == expected
            S, t = problem.next_state(t, actions[0], S, path), t + 1


def test_any_bound_that_ends_at_zero_telescopes() -> None:
    # A poor potential: all requests to come are served, whatever the budgets. It even gives
    # negative compensations nowhere, but never calls a rejection free.
    problem = scaled(ONLINE_PACKING, 40)

    def everything(t, S, path):  # type: ignore[no-untyped-def]
        return sum(problem.rewards[j] for j in path[t:]) if S[1] is not None else 0

    potential = FormulaOracle(everything, exact=False)
    path = problem.draw(rng_of(3))
    account = run_account(problem, potential, lambda t, S, rng: False, path, rng_of(0))
    assert account.residual == 0
    assert account.regret == sum(problem.rewards[j] for j in path)


def test_the_fluid_problem_is_a_potential_and_its_fractions_stay_exact() -> None:
    problem = scaled(ONLINE_PACKING, 20)
    fluid = FormulaOracle(problem.fluid_to_go, exact=False)
    for seed in range(5):
        path = problem.draw(rng_of(seed))
        account = run_account(problem, fluid, rules(problem, None)["fluid"], path, rng_of(0))
        assert account.residual == 0
        assert isinstance(account.residual, Fraction)
        exact = problem.hindsight(0, problem.initial_state(path), path)
        assert account.value <= exact


def test_the_bayes_selector_takes_the_fluid_problem_as_well() -> None:
    # As an oracle it needs one future only, since it looks at none.
    problem = scaled(ONLINE_PACKING, 40)
    fluid = FormulaOracle(problem.fluid_to_go, exact=False)
    rule = BayesSelector(
        SampledHindsight(problem=problem, oracle=fluid, samples=1, score="compensation")
    )
    regret = []
    for seed in range(20):
        path = problem.draw(rng_of(seed))
        oracle = FormulaOracle(problem.hindsight)
        regret.append(run_account(problem, oracle, rule, path, rng_of(seed)).regret)
    assert np.mean(regret) < 20  # of a hindsight value of about 155


def test_sampled_futures_are_those_of_all_actions() -> None:
    # With common futures at least one action is satisfying on each: the votes against sum up to
    # at most K − 1 of K … for two actions their scores sum up to at most 1.
    problem = scaled(ONLINE_PACKING, 20)
    estimate = SampledHindsight(problem=problem, oracle=FormulaOracle(problem.hindsight), samples=7)
    S = problem.initial_state(problem.draw(rng_of(0)))
    scores = estimate.scores(0, S, rng_of(5))
    assert sum(scores.values()) <= 1
    assert scores == estimate.scores(0, S, rng_of(5))


def test_many_samples_agree_with_the_exact_probability() -> None:
    # One seat, an offer of 4 now: accepting is regretted iff the next offer is the 9, p = 1/2.
    estimate = SampledHindsight(
        problem=SEAT, oracle=RecursionOracle(SEAT), samples=4000, score="vote"
    )
    scores = estimate.scores(0, ((1,), 1), rng_of(0))
    assert scores[True] == pytest.approx(0.5, abs=0.03)
    # Rejecting is regretted iff the next is not better: a 4 serves as well, so never.
    assert scores[False] == 0.0


def test_refusals() -> None:
    with pytest.raises(InputError, match="samples: expected at least 1, found 0"):
        SampledHindsight(problem=SEAT, oracle=RecursionOracle(SEAT), samples=0)
    with pytest.raises(InputError, match="score: expected 'vote' or 'compensation', found 'x'"):
        SampledHindsight(problem=SEAT, oracle=RecursionOracle(SEAT), score="x")  # type: ignore[arg-type]
    with pytest.raises(PolicyError, match=r"decision 1: expected one of \[False\], found True"):
        run_account(SEAT, RecursionOracle(SEAT), lambda t, S, rng: True, LATE_NINE, rng_of(0))


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)
