"""Constraints of a caller on the MILPs: against brute force, and what must be refused."""

import itertools
import logging
from functools import cache

import numpy as np
import pyomo.environ as pyo
import pytest

import batchprophet as bp
from batchprophet.models.batch_time import AffineTime, ConstantTime
from batchprophet.models.errors import InfeasibleError, InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.regimes import check
from batchprophet.solvers.constrained import NoScheduleFound

SMALL = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
ALIKE = Instance(gpu=Gpu(kv_capacity=50), arrival=[0] * 3, prompt=[3] * 3, output=[2] * 3)


def drawn(seed, most=3, law=None):
    """A tiny instance, and a window in which nothing may run."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, most + 1))
    prompt, output = rng.integers(1, 4, n), rng.integers(1, 4, n)
    M = int((prompt + output).max() + rng.integers(0, 5))
    gpu = Gpu(kv_capacity=M, **({} if law is None else {"batch_time": law}))
    first = int(rng.integers(0, 5))
    window = (first, first + int(rng.integers(1, 5)))
    instance = Instance(gpu=gpu, arrival=rng.integers(0, 5, n), prompt=prompt, output=output)
    return instance, window, int(rng.integers(1, 3))


def solve(instance, extend, model="mixed", **options):
    """Solve with constraints; what must hold of every answer is looked at here."""
    solved = bp.solve(instance, model=model, extend=extend, work_limit=2_000, **options)
    assert not check(instance, solved.schedule)
    solution = solved.solution
    assert solution.bound <= solution.objective
    assert solution.certificate.bound <= solution.bound
    return solved


# Mixed batching


def mixed_brute_force(instance, allowed, end):
    best = None
    for start in itertools.product(*(range(a, end) for a in instance.arrival.tolist())):
        schedule = bp.MixedSchedule(list(start))
        if allowed(start) and not check(instance, schedule):
            value = int((schedule.completion(instance) - instance.arrival).sum())
            best = value if best is None else min(best, value)
    return best


def closed(instance, window):
    """No request runs in rounds first + 1 … last."""
    o = instance.output.tolist()

    def allowed(start):
        return all(k + o[i] <= window[0] or k >= window[1] for i, k in enumerate(start))

    def window_closed(model):
        rounds = range(window[0] + 1, window[1] + 1)
        model.closed = pyo.Constraint(
            [t for t in rounds if t in model.ROUNDS], rule=lambda m, t: m.A[t] == 0
        )

    return allowed, window_closed


def capped(instance, most):
    o = instance.output.tolist()

    def allowed(start):
        rounds = [t for i, k in enumerate(start) for t in range(k + 1, k + o[i] + 1)]
        return all(rounds.count(t) <= most for t in set(rounds))

    def cap(model):
        model.cap = pyo.Constraint(model.ROUNDS, rule=lambda m, t: m.A[t] <= most)

    return allowed, cap


def in_turn(instance):
    """The last request starts once the first is complete."""
    last, o = instance.n - 1, int(instance.output[0])

    def allowed(start):
        return last == 0 or start[last] >= start[0] + o

    def order(model):
        starts = {i: sum(t * model.x[j, t] for j, t in model.STARTS if j == i) for i in (0, last)}
        if last:
            model.order = pyo.Constraint(expr=starts[last] >= starts[0] + o)
        else:
            model.any = pyo.Constraint(expr=starts[0] >= 0)

    return allowed, order


def seeds(count, quick=4):
    """Seeds, of which all but the first few are for the long run of the tests."""
    long = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(quick, count)]
    return [*range(quick), *long]


@pytest.mark.parametrize("seed", seeds(12))
@pytest.mark.parametrize("kind", ["closed", "capped", "in turn"])
def test_mixed_is_brute_force(seed, kind):
    instance, window, most = drawn(seed)
    allowed, extend = {
        "closed": lambda: closed(instance, window),
        "capped": lambda: capped(instance, most),
        "in turn": lambda: in_turn(instance),
    }[kind]()
    solved = solve(instance, extend)
    end = 8 + int(instance.output.sum())
    value = mixed_brute_force(instance, allowed, min(end, 16))
    assert allowed(solved.schedule.start.tolist())
    assert (solved.solution.objective, solved.solution.status) == (value, "optimal")
    assert solved.constrained.exact
    free = bp.solve(instance, work_limit=2_000).solution
    assert free.status == "optimal"
    assert free.objective <= value


# Separate batching: every sequence of batches and pauses


def separate_brute_force(instance, law, allowed, end):
    n, M = instance.n, instance.gpu.kv_capacity
    a, s, o = (x.tolist() for x in (instance.arrival, instance.prompt, instance.output))

    @cache
    def least(t, tokens):
        """Least sum of completions of those that are not complete."""
        if all(g == x for g, x in zip(tokens, o, strict=True)):
            return 0
        if t >= end:
            return float("inf")
        best = least(t + 1, tokens)
        for kind, length in (("prompt", law.prompt), ("token", law.token)):
            may = [
                i for i in range(n)
                if (tokens[i] == 0 and a[i] <= t if kind == "prompt" else 0 < tokens[i] < o[i])
            ]  # fmt: skip
            for size in range(1, len(may) + 1):
                for members in itertools.combinations(may, size):
                    after = tuple(g + (i in members) for i, g in enumerate(tokens))
                    held = sum(s[i] + after[i] for i in range(n) if after[i] and tokens[i] < o[i])
                    if held <= M and allowed(kind, t, t + length, members):
                        done = [i for i in members if after[i] == o[i]]
                        best = min(best, (t + length) * len(done) + least(t + length, after))
        return best

    return least(0, (0,) * n) - sum(a)


def separate_cases(instance, window, most, form):
    first, last = window

    def open_window(kind, begin, end, members):
        return end <= first or begin >= last

    def few(kind, begin, end, members):
        return kind == "prompt" or len(members) <= most

    def keep_open(model):
        model.closed = pyo.ConstraintList()
        model.closed.add(model.u[model.u.index_set().first()] >= 0)
        if form != "batch-sequence":
            for batches, length in ((model.u, model.tau_P), (model.v, model.tau_D)):
                for t, batch in batches.items():
                    if t < last and t + length > first:
                        model.closed.add(batch == 0)
            return
        model.before = pyo.Var(model.BATCHES, domain=pyo.Binary)
        E = 100
        for b in model.BATCHES:
            model.closed.add(model.S[b] + model.D[b] <= first + E * (1 - model.before[b]))
            model.closed.add(model.S[b] >= last * (1 - model.before[b]))

    def cap(model):
        model.cap = pyo.ConstraintList()
        model.cap.add(model.u[model.u.index_set().first()] >= 0)
        for t in {t for _, t in model.y}:
            model.cap.add(sum(y for (_, k), y in model.y.items() if k == t) <= most)

    def cap_stages(model):
        model.cap = pyo.ConstraintList()
        model.cap.add(model.u[model.u.index_set().first()] >= 0)
        for t in model.TOKENS:
            jobs = [q for (_, g, k), q in model.q.items() if k == t and g]
            if jobs:
                model.cap.add(sum(jobs) <= most)

    return [(open_window, keep_open), (few, cap_stages if form == "stages" else cap)]


@pytest.mark.parametrize("seed", seeds(12))
@pytest.mark.parametrize("form", ["time-expanded", "stages", "classes", "batch-sequence"])
def test_separate_is_brute_force(seed, form):
    law = (ConstantTime(prompt=2, token=1), ConstantTime(prompt=1, token=2))[seed % 2]
    instance, window, most = drawn(seed + 100, most=2, law=law)
    for allowed, extend in separate_cases(instance, window, most, form):
        solved = solve(instance, extend, "separate", formulation=form)
        value = separate_brute_force(instance, law, allowed, 40)
        assert (solved.solution.objective, solved.solution.status) == (value, "optimal")
        for batch, end in zip(
            solved.schedule.batches, solved.schedule.ends(instance).tolist(), strict=True
        ):
            assert allowed(batch.kind, batch.start, end, batch.requests)


def test_microseconds():
    # The GPU must wait for a time that no left-shifted schedule has.
    law = AffineTime(c0=1, c1=0.1, c2=0.1, c3=0.01)
    instance = SMALL.replace(gpu=Gpu(kv_capacity=9, batch_time=law))

    def late(model):
        model.late = pyo.Constraint(expr=model.S[0] >= 12_345)

    solved = solve(instance, late, "separate")
    assert solved.schedule.batches[0].start == 12_345
    assert solved.solution.status == "optimal"


# Continuous batching


@pytest.mark.parametrize("seed", seeds(8))
def test_continuous_keeps_a_window_closed(seed):
    # With one batch per round that may hold everything, continuous batching without chunks of
    # prompts is mixed batching: a request that is not stopped completes at its start + o.
    instance, (first, last), most = drawn(seed + 200, most=2)
    whole = instance.replace(gpu=Gpu(kv_capacity=int(instance.peak.sum()), chunked_prefill=False))

    def keep_open(model):
        model.before = pyo.Var(model.BATCHES, domain=pyo.Binary)
        model.closed = pyo.ConstraintList()
        for b in model.BATCHES:
            model.closed.add(model.S[b] + model.D[b] <= first + 60 * (1 - model.before[b]))
            model.closed.add(model.S[b] >= last * (1 - model.before[b]))

    def cap(model):
        model.cap = pyo.Constraint(
            model.BATCHES,
            rule=lambda m, b: sum(m.x[i, b] + m.y[i, b] for i in m.REQUESTS) <= most,
        )

    solved = solve(whole, keep_open, "continuous")
    assert solved.solution.status == "optimal"
    # Requests may pause in the window here, and nothing else is scarce.
    waits = 0
    for a, o in zip(instance.arrival.tolist(), instance.output.tolist(), strict=True):
        a = last if first <= a < last else a
        waits += a + o + (last - first if a < first < a + o else 0)
    assert solved.solution.objective == waits - int(instance.arrival.sum())
    capped = solve(whole, cap, "continuous")
    assert all(len(b.prefill) + len(b.decode) <= most for b in capped.schedule.batches)
    rule = ConstantTime(prompt=1, token=1)
    assert rule.prompt == 1


# What is said, and what is refused


def one_by_one(model):
    model.one = pyo.Constraint(model.ROUNDS, rule=lambda m, t: m.A[t] <= 1)


def test_the_default_horizon_is_moved_until_it_is_long_enough():
    # Three alike take 6 rounds at most without idle time; four rounds apart, the last ends at 10.
    def apart(model):
        spans = [[x for (_, t), x in model.x.items() if k - 1 <= t < k + 3] for k in model.ROUNDS]
        model.apart = pyo.Constraint(
            range(len(spans)),
            rule=lambda _, k: sum(spans[k]) <= 1 if spans[k] else pyo.Constraint.Skip,
        )

    solved = solve(ALIKE, apart)
    assert (solved.solution.objective, solved.solution.status) == (2 + 6 + 10, "optimal")
    assert solved.constrained.complete
    assert solved.constrained.latest >= 10
    with pytest.raises(InfeasibleError, match=r"ends by 9 obeys the constraints.*longer horizon"):
        bp.solve(ALIKE, extend=apart, horizon=9)
    assert bp.solve(ALIKE, extend=apart, horizon=10).constrained.given


def test_what_no_schedule_obeys_is_said():
    def never(model):
        model.never = pyo.Constraint(
            expr=sum(model.x[i, t] for i, t in model.STARTS if i == 0) == 0
        )

    with pytest.raises(InfeasibleError, match=r"no schedule that ends by .* obeys"):
        bp.solve(SMALL, extend=never)
    with pytest.raises(NoScheduleFound, match="allow more time"):
        bp.solve(ALIKE, extend=one_by_one, time_limit=0)


def test_a_schedule_that_breaks_the_constraints_is_no_answer():
    best = bp.solve(ALIKE).schedule
    assert bp.solve(ALIKE, extend=one_by_one, warm_start=best).solution.objective == 2 + 4 + 6
    apart = bp.MixedSchedule([0, 2, 4])
    kept = bp.solve(ALIKE, extend=one_by_one, warm_start=apart, work_limit=0)
    assert kept.solution.objective == 12


def test_only_additions_are_taken():
    def said(extend, model="mixed", instance=SMALL):
        with pytest.raises(InputError) as error:
            bp.solve(instance, model=model, extend=extend, time_limit=5)
        return str(error.value)

    def without_memory(model):
        one_by_one(model)
        model.memory.deactivate()

    def other_memory(model):
        model.memory[1].set_value(model.A[1] >= 0)

    def longer(model):
        one_by_one(model)
        model.m[1].setub(99)

    def other_goal(model):
        one_by_one(model)
        model.goal.set_value(-model.x[0, 0])

    def squared(model):
        model.squared = pyo.Constraint(expr=model.A[1] * model.A[2] <= 1)

    def either(model):
        model.p = pyo.BooleanVar()
        model.either = pyo.LogicalConstraint(expr=model.p)

    def beyond(model):
        model.far = pyo.Constraint(expr=model.x[0, 999] == 0)

    assert "memory(1)" not in said(without_memory)
    assert "constraints to stay, found memory[1] changed" in said(without_memory)
    assert "constraints to stay, found memory[1] changed" in said(other_memory)
    assert "values of m[1] to stay or become fewer" in said(longer)
    assert "expected the objective to stay" in said(other_goal)
    assert said(squared) == "extend: expected linear constraints, found squared"
    assert "found p, a BooleanVar" in said(either) or "LogicalConstraint" in said(either)
    assert "beyond failed (KeyError:" in said(beyond)
    misspelt = said(lambda model: model.batch[1])
    assert "no attribute 'batch'; the model has REQUESTS, " in misspelt.replace("\n", " ")
    assert " A, m" in misspelt
    assert said(lambda model: None) == "extend: expected <lambda> to add a constraint, found none"
    with pytest.raises(InputError, match="horizon: expected at least 4, by which"):
        bp.solve(SMALL, extend=one_by_one, horizon=3)
    with pytest.raises(InputError, match=r"horizon: expected with constraints \(extend\)"):
        bp.solve(SMALL, horizon=9)


def test_a_variable_that_is_bounded_on_one_side_is_no_promise():
    # c[1] is at least its completion: a lower limit on it says nothing of the schedule.
    def late(model):
        model.late = pyo.Constraint(expr=model.c[1] >= 10)

    with pytest.raises(InputError, match=r"breaks late: expected 10 to ∞, found \d;"):
        bp.solve(SMALL, model="continuous", extend=late, horizon=30)


def test_fixed_and_narrowed_variables_count():
    def not_at_once(model):
        model.x[0, 0].fix(0)
        model.A[3].setub(1)

    solved = solve(SMALL, not_at_once)
    assert solved.constrained.constraints == ("x[0,0]", "A[3]")
    assert solved.schedule.start[0] > 0
    running = (solved.schedule.start < 3) & (solved.schedule.completion(SMALL) >= 3)
    assert running.sum() <= 1


def test_own_variables_and_fractions_are_within_a_tolerance():
    def shares(model):
        model.share = pyo.Var(bounds=(0, 1))
        model.least = pyo.Constraint(expr=0.1 * model.A[1] + model.share == 0.7)

    solved = solve(SMALL, shares)
    assert not solved.constrained.exact
    assert "to within 1e-6" in solved.summary()


def test_all_objectives():
    instance = ALIKE.replace(weight=[1, 2, 3], reward=[5, 1, 2], horizon=5)
    weighted = bp.solve(instance, extend=one_by_one, objective="weighted", work_limit=1000)
    assert (weighted.solution.objective, weighted.solution.status) == (
        6 * 1 + 4 * 2 + 2 * 3,
        "optimal",
    )
    makespan = bp.solve(instance, extend=one_by_one, objective="makespan", work_limit=1000)
    assert (makespan.solution.objective, makespan.solution.status) == (6, "optimal")
    reward = bp.solve(instance, extend=one_by_one, objective="reward", work_limit=1000)
    assert (reward.solution.objective, reward.solution.status) == (7, "optimal")
    # The third is not served in time: it runs after the horizon, of which no constraint speaks.
    assert sorted(reward.schedule.completion(instance).tolist())[-1] > 5
    free = bp.solve(instance.replace(weight=[1, 0, 3]), extend=one_by_one, objective="weighted",
                    work_limit=1000)  # fmt: skip
    assert not free.constrained.complete
    assert "the solver's bound is not used" in free.summary()


def test_an_error_of_pyomo_is_said_once(caplog):
    def no_row(model):
        model.none = pyo.Constraint(model.ROUNDS, rule=lambda m, t: sum([]) <= 1)

    def warned(model):
        logging.getLogger("pyomo.core").warning("of mine")
        no_row(model)

    with pytest.raises(InputError, match=r"no_row failed .*return Constraint\.Feasible"):
        bp.solve(SMALL, extend=no_row)
    assert not caplog.records
    with pytest.raises(InputError, match="warned failed"):
        bp.solve(SMALL, extend=warned)
    assert [record.message for record in caplog.records] == ["of mine"]
