"""The theorems that every batching regime must keep, tried on random tiny instances.

A regime is here by its entry in `CASES`: how to draw an instance, and an optimum found without the
package. The toy regime of `tests.toy_regime` is one of them, registered for the test alone.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import batchprophet as bp
from batchprophet.models.batch_time import AffineTime
from batchprophet.models.errors import DoesNotFinish
from batchprophet.models.files import read_schedule, write_json
from batchprophet.models.regimes import check, regime_of, schedule_value
from batchprophet.models.regimes import regime as rules
from batchprophet.online.conformance import check_policy
from batchprophet.online.regimes import regime as online
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.regimes import recipe
from batchprophet.solvers.replay import REPLAYS
from tests import toy_regime
from tests.brute_force import brute_force
from tests.brute_force_continuous import brute_force_continuous
from tests.brute_force_separate import brute_force_separate
from tests.tiny_continuous import tiny_continuous
from tests.tiny_instances import tiny_instance
from tests.tiny_separate import random_laws, tiny_separate

SEEDS = range(40)


@dataclass(frozen=True)
class Case:
    """A regime, how to draw a tiny instance of it, and its optimum by brute force."""

    draw: Callable[[int], bp.Instance]
    optimum: Callable[[bp.Instance, str], Any]
    registered: Callable[[], Any] = nullcontext
    objectives: tuple[str, ...] = ("latency", "weighted", "tardiness", "makespan", "reward")


def toy_optimum(instance, objective):
    """Brute force by time: at each free moment any request that is there, or a round of idling."""
    latest = int(instance.arrival.max() + instance.output.sum())

    def best(done, time, start):
        if len(done) == instance.n:
            return schedule_value(instance, toy_regime.ToySchedule(start), objective)
        values = []
        if time < latest:
            values.append(best(done, time + 1, start))
        for i in range(instance.n):
            if i not in done and instance.arrival[i] <= time < latest:
                begun = [time if j == i else k for j, k in enumerate(start)]
                values.append(best(done | {i}, time + int(instance.output[i]), begun))
        return min((each for each in values if each is not None), default=None)

    return best(frozenset(), 0, [0] * instance.n)


CASES = {
    "mixed": Case(tiny_instance, lambda *a: brute_force(*a)[0]),
    "separate": Case(
        lambda seed: tiny_separate(seed, law=random_laws(seed)),
        lambda *a: brute_force_separate(*a)[0],
    ),
    "continuous": Case(
        lambda seed: tiny_continuous(seed, most_requests=2, most_prompt=3),
        lambda *a: brute_force_continuous(*a)[0],
    ),
    "toy": Case(
        lambda seed: tiny_instance(seed, most_requests=3),
        toy_optimum,
        toy_regime.registered,
        ("latency", "weighted", "makespan"),
    ),
}


@pytest.fixture(params=sorted(CASES))
def model(request):
    with CASES[request.param].registered():
        yield request.param


def certified_optimum(model, instance, objective, **options):
    """Solve, and check what must hold of any solution; return it."""
    solution = solve(instance, model=model, objective=objective, work_limit=2_000, **options)
    assert not check(instance, solution.schedule, allow_rejected=objective == "reward")
    value = schedule_value(instance, solution.schedule, objective)
    assert solution.objective == value
    better = value <= solution.bound if objective == "reward" else value >= solution.bound
    assert better
    return solution


@pytest.mark.parametrize("seed", SEEDS)
def test_bound_optimum_and_schedule_are_in_order(model, seed):
    case = CASES[model]
    instance = case.draw(seed)
    for objective in case.objectives:
        optimum = case.optimum(instance, objective)
        solution = certified_optimum(model, instance, objective)
        assert solution.status == "optimal"
        assert solution.objective == optimum


@pytest.mark.parametrize("seed", SEEDS[:15])
def test_no_policy_is_below_the_bound(model, seed):
    instance = CASES[model].draw(seed)
    solution = certified_optimum(model, instance, "latency")
    for name in online(model).registry.by_default or ["the only one"]:
        try:
            schedule = online(model).simulate(instance, name, seed=seed)
        except DoesNotFinish:
            continue
        assert not check(instance, schedule)
        assert schedule_value(instance, schedule, "latency") >= solution.objective
        figures = rules(model).measure(instance, schedule)
        assert figures.total_latency == schedule_value(instance, schedule, "latency")
        again = certified_optimum(model, instance, "latency", warm_start=schedule)
        assert again.objective == solution.objective


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_the_formulations_agree(model, seed):
    instance = CASES[model].draw(seed)
    expected = CASES[model].optimum(instance, "latency")
    for form in recipe(model).formulations:
        if form != "batch-sequence" and isinstance(instance.gpu.batch_time, AffineTime):
            with pytest.raises(bp.InputError, match="takes the unit and the constant law"):
                certified_optimum(model, instance, "latency", formulation=form)
            continue
        solution = certified_optimum(model, instance, "latency", formulation=form)
        assert solution.objective == expected, form


@pytest.mark.parametrize("seed", SEEDS[:15])
def test_a_schedule_comes_back_from_its_file(model, seed, tmp_path):
    instance = CASES[model].draw(seed)
    solution = certified_optimum(model, instance, "latency")
    write_json(solution.to_record(), tmp_path / "solution.json")
    schedule = read_schedule(tmp_path / "solution.json", instance)
    assert regime_of(schedule) is rules(model)
    assert schedule_value(instance, schedule, "latency") == solution.objective
    assert bp.check(instance, tmp_path / "solution.json").feasible


@pytest.mark.parametrize("seed", SEEDS)
def test_a_certificate_proves_its_bound_and_no_more(model, seed):
    instance = CASES[model].draw(seed)
    for objective in CASES[model].objectives:
        certificate = solve(instance, model=model, objective=objective, work_limit=500).certificate
        if certificate is None:
            assert model == "toy" or objective == "reward"
            continue
        assert verify(certificate, instance, replays=REPLAYS).verified
        step = -1 if objective == "reward" else 1
        optimum = CASES[model].optimum(instance, objective)
        if optimum + step >= 0:
            forged = replace(certificate, bound=optimum + step)
            assert not verify(forged, instance, replays=REPLAYS).verified


def test_the_same_seed_and_work_give_the_same(model):
    instance = CASES[model].draw(3)
    one, two = (solve(instance, model=model, work_limit=300, seed=5) for _ in range(2))
    assert (one.objective, one.bound, one.method) == (two.objective, two.bound, two.method)
    assert np.array_equal(one.schedule.completion(instance), two.schedule.completion(instance))


def test_default_policies_conform(model):
    for name in online(model).registry.by_default:
        assert check_policy(name, model=model, trials=3) == []


def test_a_regime_of_one_s_own_is_solved_checked_and_written_from_outside(tmp_path):
    with toy_regime.registered():
        instance = bp.Instance(
            gpu=bp.Gpu(kv_capacity=9), arrival=[0, 0, 2], prompt=[3, 1, 2], output=[4, 2, 1]
        )
        solved = bp.solve(instance, model="toy")
        assert solved.solution.status == "optimal"
        solved.save(tmp_path / "solution.json")
        assert bp.check(instance, tmp_path / "solution.json").feasible
        overlapping = toy_regime.ToySchedule(instance.arrival)
        assert not bp.check(instance, overlapping).feasible
        assert "toy" in (tmp_path / "solution.json").read_text()
    with pytest.raises(bp.InputError, match="model: expected"):
        bp.solve(instance, model="toy")
