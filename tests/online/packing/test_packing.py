"""Online packing: the reference values, recursions beside simulation, the identity on paths."""

from __future__ import annotations

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.online.coupling.bayes_selector import BayesSelector
from batchprophet.online.coupling.compensation import run_account
from batchprophet.online.coupling.estimate import ClosedForm
from batchprophet.online.coupling.infrequent_resolving import resolving_periods
from batchprophet.online.coupling.oracle import FormulaOracle
from batchprophet.online.packing.problem import (
    MULTI_SECRETARY,
    ONLINE_PACKING,
    PackingProblem,
    scaled,
)
from batchprophet.online.packing.program import packing_program
from batchprophet.online.packing.recursion import (
    RULES,
    exact_value,
    irt_probabilities,
    optimal_values,
)
from batchprophet.online.packing.simulation import draw_types, run_packing

#: docs/model/coupling.md §2: by exact recursion in another program.
REFERENCE = {"dp": 775.6761, "bayes": 774.6988, "resolve": 767.2869}


@pytest.mark.parametrize(("rule", "value"), REFERENCE.items())
def test_reference_values(rule: str, value: float) -> None:
    assert round(exact_value(ONLINE_PACKING, rule), 4) == value
    assert ONLINE_PACKING.fluid_value() == 800


def test_scaling_keeps_the_bayes_selector_near_the_optimum_and_lets_the_others_fall_behind() -> (
    None
):
    gaps = {}
    for k in (1, 2, 3):
        problem = scaled(ONLINE_PACKING, 200 * k)
        best = exact_value(problem, "dp")
        gaps[k] = {rule: best - exact_value(problem, rule) for rule in ("bayes", "resolve")}
    assert gaps[3]["bayes"] < 1.3
    assert gaps[3]["resolve"] > 1.6 * gaps[1]["resolve"]  # √3 = 1.73


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("problem", [ONLINE_PACKING, MULTI_SECRETARY], ids=["packing", "secretary"])
def test_simulation_covers_the_exact_value_and_the_identity_holds(
    problem: PackingProblem, rule: str
) -> None:
    rng = np.random.default_rng(7)
    optimal = optimal_values(problem) if rule == "dp" else None
    runs = []
    for _ in range(1500):
        types, uniforms = draw_types(problem, rng), rng.random(problem.horizon)
        runs.append(run_packing(problem, rule, types, uniforms, optimal))
    assert {run.residual for run in runs} == {0}
    assert min(run.smallest for run in runs) >= 0
    assert all((run.accepted.sum() + run.rejected.sum()) == run.by_period.sum() for run in runs)
    values = np.array([run.value for run in runs])
    error = values.std(ddof=1) / np.sqrt(values.size)
    assert abs(values.mean() - exact_value(problem, rule)) < 3.5 * error


@pytest.mark.parametrize("problem", [ONLINE_PACKING, MULTI_SECRETARY], ids=["packing", "secretary"])
def test_compiled_runs_are_those_of_the_core(problem: PackingProblem) -> None:
    problem = scaled(problem, 40)
    rule = BayesSelector(ClosedForm(problem.fluid_scores))
    for seed in range(10):
        types = draw_types(problem, np.random.default_rng(seed))
        run = run_packing(problem, "bayes", types, np.zeros(40))
        account = run_account(
            problem,
            FormulaOracle(problem.hindsight),
            rule,
            tuple(types.tolist()),
            np.random.default_rng(0),
        )
        assert (run.value, run.hindsight) == (account.value, account.hindsight)
        assert run.by_period.tolist() == [d.compensation for d in account.decisions]


def test_multi_secretary_accepts_where_the_closed_form_does() -> None:
    # Accept j iff b/t ≥ p̄_j − p_j/2, p̄_j the chance of a type at least as good (integer form).
    problem, better = MULTI_SECRETARY, np.cumsum(MULTI_SECRETARY.chances)
    for t in range(1, 60):
        for b in range(1, 60):
            for j in range(1, 4):
                scores = problem.fluid_scores(problem.horizon - t, ((b,), j))
                accepts = scores[True] <= scores[False]
                chance = int(better[j]) * 2 - problem.chances[j]
                assert accepts == (2 * b * problem.weight >= t * chance)


def test_the_regret_of_the_bayes_selector_obeys_its_theorem() -> None:
    # E[regret] ≤ r_max Σ_{j>1} 2/p_j for all T and B (arXiv 1901.05028).
    problem = scaled(MULTI_SECRETARY, 1000)
    rng = np.random.default_rng(0)
    regrets = []
    for _ in range(200):
        run = run_packing(problem, "bayes", draw_types(problem, rng), np.zeros(1000))
        regrets.append(run.hindsight - run.value)
    theorem = 10 * sum(2 * problem.weight / w for w in problem.chances[1:])
    assert np.mean(regrets) < theorem


def test_packing_programs_agree_with_a_linear_program() -> None:
    from scipy.optimize import linprog

    rng = np.random.default_rng(0)
    for _ in range(200):
        n = int(rng.integers(1, 6))
        uses = rng.integers(0, 2, size=(2, n))
        uses[0, uses.sum(axis=0) == 0] = 1
        rewards, counts = rng.integers(1, 6, size=(2, n))
        budgets = rng.integers(0, 12, size=2)
        program = packing_program(tuple(map(tuple, uses.tolist())), tuple(rewards.tolist()))
        x = program.solution(tuple(budgets.tolist()), tuple(counts.tolist()))
        assert (uses @ x <= budgets).all()
        result = linprog(-rewards, A_ub=uses, b_ub=budgets, bounds=[(0, c) for c in counts])
        assert int(rewards @ x) == pytest.approx(-result.fun)


def test_infrequent_resolving_ends_with_the_horizon() -> None:
    for horizon in (1, 2, 3, 10, 200, 10**6):
        spans = resolving_periods(horizon)
        assert spans[0][0] == horizon
        assert spans[-1][1:] == (0, False)
        assert [end for _, end, _ in spans[:-1]] == [begin for begin, _, _ in spans[1:]]
    trimmed = irt_probabilities(ONLINE_PACKING, (40, 40), 200, thresholds=True)
    plain = irt_probabilities(ONLINE_PACKING, (40, 40), 200, thresholds=False)
    margin = 200 ** (-1 / 4)
    assert ((trimmed == plain) | (plain < margin) | (plain > 1 - margin)).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budgets": (1, 1, 1)}, "expected one or two budgets with a row of uses each"),
        ({"chances": (1,)}, "expected as many chances and uses as rewards"),
        ({"uses": ((2, 1),)}, "expected uses of 0 or 1"),
        ({"uses": ((0, 1),)}, "expected every type to use a resource"),
        ({"horizon": 0}, "expected a horizon of at least 1"),
        ({"rewards": (0, 1)}, "expected chances and rewards of at least 1"),
    ],
)
def test_refusals(changes: dict[str, object], message: str) -> None:
    fields = {"horizon": 2, "budgets": (1,), "uses": ((1, 1),), "chances": (1, 1)}
    with pytest.raises(InputError, match=message):
        PackingProblem(**({"rewards": (9, 4)} | fields | changes))  # type: ignore[arg-type]


def test_budgets_stay_integers() -> None:
    with pytest.raises(InputError, match="stay integers, found 201"):
        scaled(ONLINE_PACKING, 201)
    with pytest.raises(InputError, match="expected one of dp, bayes"):
        exact_value(ONLINE_PACKING, "x")
