"""Admission to a separate-batching GPU: hindsight, control, the exact account, schedules."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from scipy.optimize import linprog

from batchprophet.models.errors import InputError
from batchprophet.models.objectives import reward
from batchprophet.models.separate.feasibility import check_separate
from batchprophet.online.coupling.bayes_selector import BayesSelector
from batchprophet.online.coupling.compensation import run_account
from batchprophet.online.coupling.estimate import SampledHindsight
from batchprophet.online.coupling.oracle import FormulaOracle, RecursionOracle
from batchprophet.online.environments import make_environment
from batchprophet.online.separate.admission.acceptance import RULES
from batchprophet.online.separate.admission.bound import hindsight
from batchprophet.online.separate.admission.clairvoyant import clairvoyant
from batchprophet.online.separate.admission.control import makespan
from batchprophet.online.separate.admission.exact import optimal_reward
from batchprophet.online.separate.admission.law import CRITICAL, KV_BINDING, PROTOTYPE, AdmissionLaw
from batchprophet.online.separate.admission.problem import (
    REJECT,
    SETTLE,
    AdmissionProblem,
    AdmissionState,
    as_path,
)
from batchprophet.online.separate.admission.regret_account import account, segment_edges
from batchprophet.online.separate.admission.replay import replayed, schedule_of
from batchprophet.online.separate.admission.simulation import make_log, run_admission
from batchprophet.online.separate.admission.state import compiled_law
from batchprophet.online.separate.admission.workloads import request_workloads

LAWS = {"prototype": PROTOTYPE, "kv-binding": KV_BINDING, "critical": CRITICAL}

#: Small enough for exact hindsight by recursion: two types, prompt batches of 2 take 2 slots.
TINY = AdmissionLaw(
    rates=(Fraction(1, 3), Fraction(1, 3)),
    prompt=(1, 2),
    output=(3, 2),
    reward=(5, 2),
    penalty=(1, 4),
    prompt_batch_requests=2,
    token_batch_requests=2,
    prompt_time=2,
)
TINY_KV = replace(TINY, kv_capacity=7, prompt_batch_tokens=3)

#: One prompt token completes type 2 in its prompt batch.
ONE_TOKEN = replace(PROTOTYPE, output=(5, 1, 7), kv_capacity=60, prompt=(3, 9, 2))


def paths(law: AdmissionLaw, T: int, count: int):  # type: ignore[no-untyped-def]
    for seed in range(count):
        rng = np.random.default_rng(seed)
        arrivals = law.draw(T, rng)
        yield arrivals, rng.random(int(arrivals.sum()))


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_aggregated_hindsight_is_the_linear_program(law: AdmissionLaw) -> None:
    work, T = request_workloads(law), 30
    for arrivals, _ in paths(law, T, 10):
        a, j = np.nonzero(arrivals)
        rows = [np.where(a >= u, work.total[j], 0) for u in range(T)]
        result = linprog(
            -np.array(law.reward)[j],
            A_ub=rows,
            b_ub=[work.unit * (T - u) for u in range(T)],
            bounds=[(0, c) for c in arrivals[a, j]],
        )
        assert float(hindsight(law, work, arrivals).value) == pytest.approx(-result.fun)


@pytest.mark.parametrize("law", [*LAWS.values(), TINY_KV, ONE_TOKEN])
def test_no_batch_does_more_work_than_its_time(law: AdmissionLaw) -> None:
    # Random compositions that keep the limits: their work is at most their time.
    work, rng = request_workloads(law), np.random.default_rng(0)
    M = law.kv_capacity or 10**9
    for _ in range(300):
        tokens, kv, done = 0, 0, 0
        for j in rng.integers(law.types, size=law.prompt_batch_requests):
            s = law.prompt[j]
            if tokens + s <= (law.prompt_batch_tokens or 10**9) and kv + s + 1 <= M:
                tokens, kv, done = tokens + s, kv + s + 1, done + int(work.prompt[j])
        assert done <= work.unit * law.prompt_time
        kv, done = 0, 0
        for j in rng.integers(law.types, size=law.token_batch_requests):
            if law.output[j] == 1:
                continue
            g = int(rng.integers(2, law.output[j] + 1))
            if kv + law.prompt[j] + g <= M:
                kv += law.prompt[j] + g
                done += int(work.token[j, law.output[j] - g + 1])
        assert done <= work.unit * law.token_time


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("law", [*LAWS.values(), ONE_TOKEN], ids=[*LAWS, "one token"])
def test_schedules_pass_the_independent_checker(law: AdmissionLaw, rule: str) -> None:
    work, T = request_workloads(law), 80
    for arrivals, uniforms in paths(law, T, 3):
        log = make_log(law, T)
        counts = run_admission(law, work, arrivals, rule, uniforms, np.array([0, T]), log=log)
        instance, schedule = law.instance(arrivals), schedule_of(law, arrivals, log)
        assert check_separate(instance, schedule, allow_rejected=True) == []
        served = schedule.served(instance)
        assert int(served.sum()) == int(counts.completed.sum())
        assert (schedule.ends(instance) <= T).all()
        late = int(log.accepted.sum()) - int(counts.completed.sum())
        assert late >= 0
        if late == 0:
            assert counts.earned(law) == int(instance.reward[served].sum())
        assert counts.earned(law) <= hindsight(law, work, arrivals).value


def test_a_whole_schedule_earns_the_reward_objective() -> None:
    arrivals = np.zeros((20, 3), dtype=np.int64)
    arrivals[0] = [2, 1, 1]
    log = make_log(PROTOTYPE, 20)
    work = request_workloads(PROTOTYPE)
    counts = run_admission(
        PROTOTYPE, work, arrivals, "bayes", np.zeros(4), np.array([0, 20]), log=log
    )
    instance = PROTOTYPE.instance(arrivals)
    completion = schedule_of(PROTOTYPE, arrivals, log).completion(instance)
    # One prompt batch, 3 slots; then 12 token batches for the longest: all done by 15.
    assert completion.tolist() == [9, 10, 15, 12] or completion.max() == 15
    assert reward(instance, completion) == counts.earned(PROTOTYPE) == 2 * 4 + 6 + 3


@pytest.mark.parametrize("rule", [*RULES, "clairvoyant"])
@pytest.mark.parametrize(
    "law", [*LAWS.values(), TINY, TINY_KV, ONE_TOKEN], ids=[*LAWS, "tiny", "tiny kv", "one token"]
)
def test_the_identity_is_exact_and_no_compensation_is_negative(
    law: AdmissionLaw, rule: str
) -> None:
    work = request_workloads(law)
    for T in (1, 7, 150):
        for arrivals, uniforms in paths(law, T, 4):
            known = hindsight(law, work, arrivals)
            edges = segment_edges(T, known)
            counts = run_admission(law, work, arrivals, rule, uniforms, edges, wanted=arrivals)
            outcome = account(law, work, known, edges, counts)
            assert outcome.residual == 0
            assert isinstance(outcome.residual, (int, Fraction))
            assert outcome.smallest >= 0
            assert sum(outcome.by_part.values()) == pytest.approx(float(outcome.regret))
            assert outcome.by_time.sum() == pytest.approx(float(outcome.regret))


@pytest.mark.parametrize("law", [TINY, TINY_KV], ids=["free", "limits"])
def test_exact_hindsight_accounts_decision_by_decision(law: AdmissionLaw) -> None:
    # V_off by recursion over every acceptance and every batch: compiled runs replayed.
    work, T = request_workloads(law), 9
    problem = AdmissionProblem(law=law, workloads=work, horizon=T)
    oracle = RecursionOracle(problem)
    for arrivals, uniforms in paths(law, T, 6):
        bound = hindsight(law, work, arrivals).value
        for rule in RULES:
            log = make_log(law, T)
            counts = run_admission(law, work, arrivals, rule, uniforms, np.array([0, T]), log=log)
            follow = partial(replayed, problem, log)
            found = run_account(
                problem, oracle, follow, as_path(arrivals), np.random.default_rng(0)
            )
            assert found.value == counts.earned(law)
            assert found.residual == 0
            assert min(d.compensation for d in found.decisions) >= 0
            assert all((d.compensation > 0) == d.disagrees for d in found.decisions)
            # Exact hindsight lies between every policy and the aggregated bound.
            assert found.value <= found.hindsight <= bound


@pytest.mark.parametrize("law", [TINY, TINY_KV], ids=["free", "limits"])
def test_exact_hindsight_is_that_of_the_milp(law: AdmissionLaw) -> None:
    problem = AdmissionProblem(law=law, workloads=request_workloads(law), horizon=9)
    oracle = RecursionOracle(problem)
    for arrivals, _ in paths(law, 9, 5):
        path = as_path(arrivals)
        exact = oracle.value(0, problem.initial_state(path), path)
        assert optimal_reward(law, arrivals) == exact


def test_regret_against_the_exact_optimum() -> None:
    environment = make_environment("separate-admission", {"benchmark": "exact"})
    outcomes = environment.experiment(14, environment.policies)(np.random.default_rng(0))
    for outcome in outcomes.values():
        assert outcome.residual == 0
        assert outcome.regret >= 0
    with pytest.raises(InputError, match="benchmark exact: expected horizons of at most 40"):
        environment.experiment(41, ("bayes",))


def test_the_control_of_the_core_is_the_compiled_one() -> None:
    work, T = request_workloads(KV_BINDING), 40
    problem = AdmissionProblem(law=KV_BINDING, workloads=work, horizon=T)
    for arrivals, uniforms in paths(KV_BINDING, T, 3):
        log = make_log(KV_BINDING, T)
        run_admission(KV_BINDING, work, arrivals, "accept-all", uniforms, np.array([0, T]), log=log)
        path, t = as_path(arrivals), 0
        S = problem.initial_state(path)
        rng = np.random.default_rng(0)
        while S.time < T:
            action = replayed(problem, log, t, S, rng)
            if not any(S.pending):
                assert problem.control(S) == action
            S, t = problem.next_state(t, action, S, path), t + 1


def sampled_rule(problem: AdmissionProblem, samples: int):  # type: ignore[no-untyped-def]
    estimate = SampledHindsight(
        problem=problem,
        oracle=FormulaOracle(problem.aggregated, exact=False),
        samples=samples,
        score="compensation",
    )
    select = BayesSelector(estimate)

    def rule(t: int, S: AdmissionState, rng: np.random.Generator):  # type: ignore[no-untyped-def]
        if S.time == problem.horizon:
            return SETTLE
        if not any(S.pending):
            return problem.control(S)
        return select(t, S, rng) if problem.completes(S) else REJECT

    return rule


def test_sampled_hindsight_is_near_the_closed_form() -> None:
    # With the aggregated hindsight of 8 sampled futures as potential, on the same paths.
    work, T = request_workloads(PROTOTYPE), 60
    problem = AdmissionProblem(law=PROTOTYPE, workloads=work, horizon=T)
    bounding = FormulaOracle(problem.aggregated, exact=False)
    sampled, closed, everything = 0, 0, 0
    for arrivals, uniforms in paths(PROTOTYPE, T, 3):
        rule, rng = sampled_rule(problem, 8), np.random.default_rng(1)
        S, t, path, edges = problem.initial_state(as_path(arrivals)), 0, as_path(arrivals), [0, T]
        while not S.settled:
            action = rule(t, S, rng)
            sampled += problem.reward(t, action, S, path)
            S, t = problem.next_state(t, action, S, path), t + 1
        assert bounding.value(t, S, path) == 0
        for name in ("bayes", "accept-all"):
            run = run_admission(PROTOTYPE, work, arrivals, name, uniforms, np.array(edges))
            closed += run.earned(PROTOTYPE) if name == "bayes" else 0
            everything += run.earned(PROTOTYPE) if name == "accept-all" else 0
    assert everything < sampled
    assert sampled > 0.9 * closed


def test_the_aggregated_value_from_the_start_is_the_bound() -> None:
    for law in LAWS.values():
        work, T = request_workloads(law), 50
        problem = AdmissionProblem(law=law, workloads=work, horizon=T)
        for arrivals, _ in paths(law, T, 4):
            path = as_path(arrivals)
            start = AdmissionState(
                0, path[0], 0, (0,) * 3, ((0,) * law.longest,) * 3, settled=False
            )
            value = problem.aggregated(0, start, path)
            assert value == pytest.approx(float(hindsight(law, work, arrivals).value))


def test_least_makespan_by_brute_force() -> None:
    # Prompts first, then token batches by longest remaining output (McNaughton).
    machine = compiled_law(replace(PROTOTYPE, token_batch_requests=2), request_workloads(PROTOTYPE))
    rng = np.random.default_rng(0)
    for _ in range(200):
        tokens = rng.integers(1, 7, size=int(rng.integers(1, 7)))
        left, batches = sorted(tokens.tolist(), reverse=True), 0
        while left:
            left = sorted([x - 1 for x in left[:2]] + left[2:], reverse=True)
            left, batches = [x for x in left if x], batches + 1
        assert makespan(machine, 0, int(tokens.sum()), int(tokens.max())) == batches


def test_those_who_look_at_the_state_complete_all_that_they_accept() -> None:
    work, T = request_workloads(PROTOTYPE), 300
    for arrivals, uniforms in paths(PROTOTYPE, T, 10):
        for rule in ("bayes", "resolve", "irt", "density-greedy"):
            counts = run_admission(PROTOTYPE, work, arrivals, rule, uniforms, np.array([0, T]))
            assert (counts.accepted.sum(axis=0) == counts.completed).all()


def test_a_policy_does_not_see_the_future() -> None:
    work, T = request_workloads(KV_BINDING), 120
    (arrivals, uniforms), *_ = paths(KV_BINDING, T, 1)
    for rule in RULES:
        logs = []
        for later in (0, 3):
            changed = arrivals.copy()
            changed[60:] = later
            u = np.resize(uniforms, int(changed.sum()))
            u[: int(arrivals[:60].sum())] = uniforms[: int(arrivals[:60].sum())]
            log = make_log(KV_BINDING, T)
            run_admission(KV_BINDING, work, changed, rule, u, np.array([0, T]), log=log)
            logs.append(log)
        assert (logs[0].accepted[:60] == logs[1].accepted[:60]).all()
        assert (logs[0].kind[:60] == logs[1].kind[:60]).all()


def test_the_bayes_selector_is_flat_and_the_others_are_not() -> None:
    environment = make_environment("separate-admission")
    regrets: dict[str, list[float]] = {"bayes": [], "static": [], "resolve": []}
    for T, count in ((1000, 25), (30_000, 12)):
        replicate = environment.experiment(T, tuple(regrets))
        found = [replicate(np.random.default_rng([T, k])) for k in range(count)]
        for rule, means in regrets.items():
            means.append(float(np.mean([float(outcomes[rule].regret) for outcomes in found])))
    assert max(regrets["bayes"]) < 75
    assert regrets["bayes"][1] < 1.25 * regrets["bayes"][0]
    assert regrets["static"][1] > 2.5 * regrets["static"][0]
    assert regrets["resolve"][1] > 2.5 * regrets["resolve"][0]


def test_a_clairvoyant_schedule_is_feasible_and_at_least_as_good_as_bayes() -> None:
    work, T = request_workloads(KV_BINDING), 200
    for arrivals, uniforms in paths(KV_BINDING, T, 3):
        edges = np.array([0, T])
        best = clairvoyant(KV_BINDING, work, arrivals, edges).earned(KV_BINDING)
        own = run_admission(KV_BINDING, work, arrivals, "bayes", uniforms, edges)
        assert own.earned(KV_BINDING) <= best <= hindsight(KV_BINDING, work, arrivals).value


def test_against_the_clairvoyant_the_identity_holds_as_well() -> None:
    environment = make_environment(
        "separate-admission", {"case": "kv-binding", "benchmark": "clairvoyant"}
    )
    outcomes = environment.experiment(100, ("bayes", "resolve"))(np.random.default_rng(0))
    for outcome in outcomes.values():
        assert outcome.residual == 0
        assert sum(outcome.by_part.values()) == pytest.approx(float(outcome.regret))
        assert outcome.by_time.sum() == pytest.approx(float(outcome.regret))


def test_settings_make_other_laws() -> None:
    environment = make_environment(
        "separate-admission",
        {
            "rates": "1,0.5",
            "prompt": "4,4",
            "output": "3,9",
            "reward": "1,5",
            "kv_capacity": "200",
            "prompt_batch_tokens": 20,
        },
    )
    outcomes = environment.experiment(200, environment.policies)(np.random.default_rng(0))
    assert {outcome.residual for outcome in outcomes.values()} == {0}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"rates": "1,2"},
            "prompt: expected 2 integers of at least 1, one per rate, found 1, 1, 1",
        ),
        ({"rates": "0,1,1"}, "rates: expected numbers above 0"),
        ({"output": "1,2"}, "output: expected 3 integers of at least 1"),
        ({"kv_capacity": 9}, "type 2: can never run, prompt . output = 14 tokens exceed"),
        ({"prompt": "1,1,9", "prompt_batch_tokens": 5}, "type 3: can never run, its prompt of 9"),
        ({"case": "x"}, "case: expected one of prototype, kv-binding, critical, found 'x'"),
        ({"penalty": "-1,0,0"}, "penalty: expected integers from 0"),
    ],
)
def test_refusals(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"separate-admission: {message}"):
        make_environment("separate-admission", settings)


def test_work_that_is_too_large_for_integers_is_refused() -> None:
    work = replace(request_workloads(PROTOTYPE), unit=2**60)
    with pytest.raises(InputError, match=r"expected work and time that stay below 2\^62 units"):
        hindsight(PROTOTYPE, work, np.zeros((4, 3), dtype=np.int64))


def random_law(rng: np.random.Generator) -> AdmissionLaw:
    K = int(rng.integers(1, 5))
    prompt, output = rng.integers(1, 12, size=K), rng.integers(1, 9, size=K)
    least = int((prompt + output).max())
    return AdmissionLaw(
        rates=tuple(Fraction(int(x), 10) for x in rng.integers(1, 12, size=K)),
        prompt=tuple(prompt.tolist()),
        output=tuple(output.tolist()),
        reward=tuple(rng.integers(1, 9, size=K).tolist()),
        penalty=tuple(rng.integers(0, 9, size=K).tolist()),
        prompt_batch_requests=int(rng.integers(1, 6)),
        token_batch_requests=int(rng.integers(1, 6)),
        prompt_batch_tokens=None if rng.random() < 0.5 else int(prompt.max() + rng.integers(20)),
        kv_capacity=None if rng.random() < 0.4 else least + int(rng.integers(40)),
        prompt_time=int(rng.integers(1, 4)),
        token_time=int(rng.integers(1, 3)),
    )


def test_random_laws_keep_every_rule() -> None:
    rng, T = np.random.default_rng(0), 50
    for _ in range(40):
        law = random_law(rng)
        work = request_workloads(law)
        arrivals = law.draw(T, rng)
        if not arrivals.any():
            continue
        uniforms, known = rng.random(int(arrivals.sum())), hindsight(law, work, arrivals)
        edges, instance = segment_edges(T, known), law.instance(arrivals)
        for rule in RULES:
            log = make_log(law, T)
            counts = run_admission(law, work, arrivals, rule, uniforms, edges, log=log)
            outcome = account(law, work, known, edges, counts)
            assert outcome.residual == 0
            assert outcome.smallest >= 0
            schedule = schedule_of(law, arrivals, log)
            assert check_separate(instance, schedule, allow_rejected=True) == []
            assert int(schedule.served(instance).sum()) == int(counts.completed.sum())
