"""Hindsight under limits on a round of mixed batching: schedules, bounds, proofs, certificates."""

import numpy as np
import pytest

from batchprophet.game.level import level_of
from batchprophet.models.errors import InputError
from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.problem import is_limited
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.models.objectives import evaluate
from batchprophet.online.adversary.worst_case import find_worst_case
from batchprophet.online.mixed.judge import judge
from batchprophet.solvers.certificates.certificate import Certificate
from batchprophet.solvers.certificates.clock import Clock
from batchprophet.solvers.certificates.mixed.combinatorial import CombinatorialBound
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.limits import Budget, Incumbent
from batchprophet.solvers.mixed.bounds.combinatorial import all_bounds
from batchprophet.solvers.mixed.equal_requests.recipe import equal_requests
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from batchprophet.solvers.mixed.search.beam import widen
from batchprophet.solvers.mixed.search.place import place_all
from batchprophet.solvers.mixed.search.profile import (
    NOWHERE,
    add_run,
    earliest_start,
    is_within,
    limited_profile,
    longer,
    remove_run,
)
from batchprophet.solvers.mixed.search.recipe import improve_schedule
from batchprophet.solvers.mixed.search.spacing import spaced_schedule
from batchprophet.solvers.mixed.within_limits import within_limits
from batchprophet.solvers.replay import REPLAYS
from batchprophet.solvers.tail_latency import tail_latency_bound
from tests.brute_force import brute_force
from tests.tiny_instances import OBJECTIVES, tiny_limited_instance


def latency(instance, schedule):
    return int((schedule.completion(instance) - instance.arrival).sum())


def larger(seed, n=30, arrival=40):
    rng = np.random.default_rng(seed)
    prompt = rng.integers(1, 12, n)
    gpu = Gpu(kv_capacity=70, running_requests=int(rng.integers(2, 5)), batch_tokens=13)
    return Instance(
        gpu=gpu,
        arrival=rng.integers(0, arrival + 1, n),
        prompt=prompt,
        output=rng.integers(1, 20, n),
    )


def free(instance):
    return instance.replace(gpu=Gpu(kv_capacity=instance.gpu.kv_capacity))


def test_earliest_start_is_the_first_that_a_scan_over_all_rounds_finds():
    rng = np.random.default_rng(1)
    found = set()
    for _ in range(600):
        B, C, H, M = (int(x) for x in rng.integers((1, 2, 8, 10), (4, 8, 30, 40)))
        held = limited_profile(B, C, H)
        for _ in range(int(rng.integers(0, 9))):
            s, o, k = (int(x) for x in rng.integers((1, 1, 0), (C + 1, 6, H - 5)))
            add_run(held, s, o, k)
            if not is_within(held, M):
                remove_run(held, s, o, k)
        s, o, k = (int(x) for x in rng.integers((1, 1, 0), (C + 1, 7, H)))
        expected = NOWHERE
        for start in range(k, H - o + 1):
            trial = held.copy()
            add_run(trial, s, o, start)
            if is_within(trial, M):
                expected = start
                break
        assert earliest_start(held, M, s, o, k) == expected
        found.add(expected - k if expected >= 0 else NOWHERE)
    assert len(found) > 5


def test_a_profile_grows_by_empty_rounds():
    held = limited_profile(running=2, tokens=5, rounds=3)
    add_run(held, 4, 2, 1)
    assert longer(held, 2).tolist() == [[0, 0, 5, 6, 0, 0], [2, 2, 1, 1, 2, 2], [5, 5, 1, 4, 5, 5]]


def test_every_bound_is_at_most_the_optimum_and_the_checkers_routine_agrees():
    stronger = 0
    for seed in range(120):
        instance = tiny_limited_instance(seed, most_requests=4)
        for objective in OBJECTIVES:
            if objective == "tardiness":
                instance = instance.replace(deadline=instance.arrival + seed % 7)
            elif objective == "makespan":
                instance = instance.replace(deadline=None)
            best, _ = brute_force(instance, objective)
            bounds = dict(all_bounds(instance, objective))
            by_area = dict(all_bounds(free(instance), objective))
            for name, bound in bounds.items():
                again = CombinatorialBound(name=name).bound(instance, objective, Clock(None))
                if objective == "reward":
                    assert best <= bound
                    assert best <= again
                else:
                    assert bound <= best
                    assert again <= best
                assert float(again) == pytest.approx(float(bound), abs=1)
            extreme = min if objective == "reward" else max
            stronger += extreme(bounds.values()) != extreme(by_area.values())
    assert stronger > 60


def test_bounds_of_limits_say_what_they_are_of():
    gpu = Gpu(kv_capacity=40, running_requests=1, batch_tokens=6)
    instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[6, 1], output=[2, 3])
    found = dict(all_bounds(instance))
    assert found["running requests, shortest remaining first"] == 2 + 5
    assert found["token budget, shortest remaining first"] == 3  # 3/6 and 10/6
    with pytest.raises(InputError, match=r"expected an instance with gpu\.batch_tokens, found no"):
        CombinatorialBound(name="token budget, mean busy time").bound(
            free(instance), "latency", Clock(None)
        )


def of_kind(kind, seed):
    """A tiny instance, in which all are equal, or all but one are alike and of one token."""
    instance = tiny_limited_instance(seed, most_requests=4)
    if kind == "any":
        return instance
    n = 3 + seed % 2
    rng = np.random.default_rng(seed)
    s, o = int(instance.prompt.max()), int(rng.integers(1, 5))
    output = [o] * n if kind == "equal" else [5] + [1] * (n - 1)
    gpu = Gpu(kv_capacity=30, running_requests=1 + seed % 2, batch_tokens=s + seed % 3)
    arrival = rng.integers(0, 4, n)
    return Instance(gpu=gpu, arrival=arrival, prompt=[s] * n, output=output, horizon=12)


def check_solve(instance, objective):
    """Whether the solve proves what brute force finds, and its certificate no more."""
    if objective == "tardiness":
        instance = instance.replace(deadline=instance.arrival + 3)
    best, _ = brute_force(instance, objective)
    found = solve(instance, objective=objective, work_limit=20_000, threads=1)
    assert check_mixed(instance, found.schedule) == []
    assert (found.objective, found.bound) == (best, best)
    assert found.status == "optimal"
    if found.certificate is not None:
        said = verify(found.certificate, instance, value=best, replays=REPLAYS)
        assert said.verified, said.reason
        assert said.proved >= best if objective == "reward" else said.proved <= best


@pytest.mark.parametrize("kind", ["any", "equal", "one long"])
def test_the_solve_finds_the_optimum_of_brute_force(kind):
    """The engine proves the relaxation, the MILP the rest."""
    for seed in range(100, 104):
        check_solve(
            of_kind(kind, seed), OBJECTIVES[seed % len(OBJECTIVES)] if kind == "any" else "latency"
        )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["any", "equal", "one long"])
def test_the_solve_finds_the_optimum_of_brute_force_on_hundreds(kind):
    for seed in range(100):
        check_solve(of_kind(kind, seed), "latency")
        if kind == "any":
            check_solve(of_kind(kind, seed), OBJECTIVES[1 + seed % (len(OBJECTIVES) - 1)])


def test_schedule_searches_keep_the_limits_and_find_the_optimum_of_tiny_ones():
    missed = 0
    for seed in range(40):
        instance = tiny_limited_instance(seed + 500)
        best, _ = brute_force(instance)
        given = list_schedule(instance, instance.arrival)
        assert check_mixed(instance, given) == []
        found = improve_schedule(instance, given, time_limit=0, work_limit=20_000, seed=seed)
        assert check_mixed(instance, found) == []
        assert latency(instance, found) >= best
        missed += latency(instance, found) > best
        incumbent = Incumbent(instance, given, None)
        if widen(instance, Budget(0.0, 200_000, None), incumbent):
            assert incumbent.value == best
    assert missed == 0


def test_schedule_searches_of_larger_instances_keep_the_limits(monkeypatch):
    from batchprophet.solvers.mixed.search import recipe

    for seed, arrival in ((0, 40), (1, 0), (2, 300)):
        instance = larger(seed, arrival=arrival)
        given = list_schedule(instance, instance.arrival, skip=True)
        found = improve_schedule(instance, given, time_limit=0, work_limit=150_000, seed=seed)
        assert check_mixed(instance, found) == []
        assert latency(instance, found) < latency(instance, given)
        monkeypatch.setattr(recipe, "MOST_ANNEALED_REQUESTS", 10)  # windows, stretches, prices
        found = improve_schedule(instance, given, time_limit=0, work_limit=150_000, seed=seed)
        monkeypatch.undo()
        assert check_mixed(instance, found) == []
        assert latency(instance, found) <= latency(instance, given)


def test_placing_and_spacing_keep_the_limits():
    for seed in range(30):
        instance = larger(seed, n=12)
        order = np.random.default_rng(seed).permutation(12)
        assert check_mixed(instance, MixedSchedule(place_all(instance, order))) == []
    gpu = Gpu(kv_capacity=90, running_requests=4, batch_tokens=9)
    alike = Instance(gpu=gpu, arrival=[0] * 15, prompt=[6] * 15, output=[9] * 15)
    assert check_mixed(alike, MixedSchedule(spaced_schedule(alike))) == []


def test_proofs_of_the_relaxation_are_bounds_and_its_schedules_are_brought_within_limits():
    gpu = Gpu(kv_capacity=90, running_requests=4, batch_tokens=9)
    alike = Instance(gpu=gpu, arrival=[0] * 8, prompt=[6] * 8, output=[5] * 8)
    found = equal_requests(alike)
    assert check_mixed(alike, found.schedule) != []
    kept = within_limits(alike, found.schedule)
    assert check_mixed(alike, kept) == []
    assert found.bound <= solve(alike, work_limit=2000, threads=1).objective
    solution = solve(alike, work_limit=2000, threads=1)
    assert check_mixed(alike, solution.schedule) == []
    assert solution.bound <= solution.objective


def test_without_binding_limits_all_is_as_without_limits():
    for seed in range(4):
        instance = free(larger(seed, n=8))
        loose = instance.replace(gpu=Gpu(kv_capacity=70, running_requests=8, batch_tokens=69))
        assert not is_limited(loose)
        one, other = (solve(x, work_limit=300, threads=1) for x in (instance, loose))
        assert one.schedule == other.schedule
        names = {name for name, _ in one.bounds}
        assert [b for b in other.bounds if b[0] in names] == list(one.bounds)


def test_a_certificate_under_limits_is_none_without_them():
    instance = tiny_limited_instance(101)
    certificate = solve(instance, work_limit=2000, threads=1).certificate
    assert verify(certificate, instance, replays=REPLAYS).verified
    again = Certificate.from_record(certificate.to_record())
    assert verify(again, instance, replays=REPLAYS).verified
    seven = Gpu(kv_capacity=instance.gpu.kv_capacity, running_requests=7)
    for other in (free(instance), instance.replace(gpu=seven)):
        with pytest.raises(InputError, match="the certificate is another instance's"):
            verify(certificate, other)


def test_a_judge_has_a_feasible_hindsight_schedule_and_a_ratio_of_one_or_more():
    for seed in range(12):
        instance = tiny_limited_instance(seed + 40)
        best, _ = brute_force(instance)
        found = judge(instance, "mc-sf")
        assert check_mixed(instance, found.hindsight) == []
        assert found.ratio >= 1
        if found.proved:
            assert evaluate(instance, found.hindsight.completion(instance), "latency") == best


def test_families_take_limits_and_draw_what_they_drew():
    settings = {"n": 6, "running_requests": 2, "batch_tokens": 5}
    for name in ("arrival-model-1", "arrival-model-2", "lognormal-burst"):
        if name == "lognormal-burst":
            settings["batch_tokens"] = 16_000
        limited = make_instance(name, seed=3, settings=settings)
        plain = make_instance(name, seed=3, settings={"n": 6})
        assert (limited.gpu.running_requests, limited.gpu.batch_tokens) == (
            2,
            settings["batch_tokens"],
        )
        assert free(limited).gpu == plain.gpu
        for column in ("arrival", "prompt", "output"):
            assert np.array_equal(getattr(limited, column), getattr(plain, column))
    assert "running_requests" not in plain.provenance["settings"]
    with pytest.raises(InputError, match=r"^lognormal-burst: requests\[\d+\]\.prompt: must be at"):
        make_instance("lognormal-burst", settings={"batch_tokens": 2})


def test_what_has_no_limits_refuses_them_by_name():
    gpu = Gpu(kv_capacity=12, running_requests=2)
    with pytest.raises(InputError, match=r"^gpu\.running_requests: worst cases of mixed batching"):
        find_worst_case("mc-sf", n=4, kv_capacity=12, gpu=gpu, work_limit=1)
    with pytest.raises(InputError, match=r"^vary_limits: worst cases of mixed batching"):
        find_worst_case("mc-sf", n=4, kv_capacity=12, vary_limits=True, work_limit=1)
    four = Instance(gpu=gpu, arrival=[0] * 4, prompt=[1] * 4, output=[2] * 4)
    with pytest.raises(InputError, match=r"^play: .* drop running_requests from 'instance'$"):
        level_of(four)
    assert level_of(four.take([0, 1])).instance.n == 2  # two at once never bind


def test_bounds_on_the_tail_see_the_limits():
    tighter = 0
    for seed in range(40):
        instance = tiny_limited_instance(seed + 900)
        bound = tail_latency_bound(instance)
        tighter += bound > tail_latency_bound(free(instance))
        for rank in (instance.output, instance.arrival, -instance.output):
            schedule = list_schedule(instance, rank, skip=True)
            waits = schedule.completion(instance) - instance.arrival
            assert bound <= np.percentile(waits, 99) + 1e-9
    assert tighter > 5
