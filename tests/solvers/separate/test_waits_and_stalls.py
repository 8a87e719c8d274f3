"""The bound of waits and stalls: against optima, any schedule, and a plain recursion."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime, ConstantTime
from batchprophet.models.durations import batch_durations
from batchprophet.models.errors import InputError
from batchprophet.models.families.registry import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.separate.problem import times_alone
from batchprophet.solvers.certificates.clock import Clock
from batchprophet.solvers.certificates.file import read_certificate, write_certificate
from batchprophet.solvers.certificates.separate.waits_and_stalls import WaitsAndStallsProof
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.separate import engine
from batchprophet.solvers.separate.bounds import waits_and_stalls as module
from batchprophet.solvers.separate.bounds.waits_and_stalls import waits_and_stalls, work_of
from batchprophet.solvers.separate.search.list_encodings import encodings_by_starts, list_encodings
from batchprophet.solvers.separate.search.schedule_builder import schedule_of
from tests.brute_force_separate import brute_force_separate
from tests.tiny_separate import tiny_separate


def latency(instance, schedule):
    return int((schedule.completion(instance) - instance.arrival).sum())


def is_below_the_optimum(seeds):
    """Whether all memories bound tiny optima; how often one is the optimum, not that alone is."""
    tight = 0
    for seed in seeds:
        instance = tiny_separate(seed)
        best, _ = brute_force_separate(instance)
        bounds = [waits_and_stalls(instance, memory).bound for memory in range(3)]
        assert max(bounds) <= best, seed
        tight += max(bounds) == best > sum(times_alone(instance))
    return tight


def test_it_is_below_the_optimum_of_tiny_instances():
    assert is_below_the_optimum(range(60)) >= 5


@pytest.mark.slow
def test_it_is_below_the_optimum_of_many_tiny_instances():
    assert is_below_the_optimum(range(100, 500)) >= 30


def few(seed, n=6):
    """Some requests whose prompts are limited by number and by tokens."""
    rng = np.random.default_rng([31, seed])
    return Instance(
        gpu=Gpu(
            kv_capacity=200,
            prompt_batch_requests=int(rng.integers(1, 4)),
            prompt_batch_tokens=int(rng.integers(5, 12)),
            batch_time=ConstantTime(prompt=int(rng.integers(1, 5)), token=int(rng.integers(1, 3))),
        ),
        arrival=np.sort(rng.integers(0, 12, n)) + 3,
        prompt=rng.integers(1, 6, n),
        output=rng.integers(1, 9, n),
    )


def plain_bound(instance, memory):
    """The cheapest walk by recursion over the last three prompt batches, word for word."""
    a, d = instance.arrival.tolist(), times_alone(instance)
    tau = batch_durations(instance).prompt_batch(1)
    end = max(a) + 40 * tau + 100

    def left_over(begin, p, batches):
        sizes = sorted(instance.prompt[i] for i in range(instance.n) if begin < a[i] <= p)
        count = 0
        while (
            len(sizes) > batches * instance.gpu.prompt_batch_requests
            or sum(sizes) > batches * instance.gpu.prompt_batch_tokens
        ):
            sizes.pop()
            count += 1
        return count

    @cache
    def to_go(before_that, before, p):
        """Least cost from a prompt batch at p on, after those two."""
        least = 0 if p >= max(a) else 10**9
        for S in range(p + tau, end if p < max(a) else p):
            cost = left = 0
            for i in range(instance.n):
                if p < a[i] <= S:
                    cost += S - a[i]
                elif a[i] <= p and memory == 0:
                    cost += tau * (a[i] + d[i] > S)
                elif before < a[i] <= p:
                    cost += tau * (p + d[i] > S)
                elif a[i] <= before and (memory == 1 or before_that < a[i]):
                    cost += tau * (a[i] + d[i] + tau > S)
                elif a[i] <= before:
                    cost += tau * (a[i] + d[i] + 2 * tau > S)
            if memory > 0:
                left = left_over(before, p, 1)
            if memory > 1:
                left = max(left, left_over(before_that, p, 2))
            least = min(least, cost + left * (S - p - tau) + to_go(before, p, S))
        return least

    first = min(a)
    costs = (
        sum(S - x for x in a if x <= S) + to_go(first - 2, first - 1, S) for S in range(first, end)
    )
    return sum(d) + min(costs)


@pytest.mark.parametrize("memory", [0, 1, 2])
def test_it_is_the_cheapest_walk(memory):
    above = 0
    for seed in range(12):
        instance = few(seed, n=4)
        bound = waits_and_stalls(instance, memory).bound
        assert bound == plain_bound(instance, memory), seed
        above += bound > sum(times_alone(instance))
    assert above > 6


def test_it_is_below_the_optimum_of_more_requests():
    ratios = []
    for seed in range(12):
        instance = few(seed)
        solution = solve(instance, model="separate", time_limit=60)
        assert solution.status == "optimal"
        bounds = [waits_and_stalls(instance, memory).bound for memory in range(3)]
        assert max(bounds) <= solution.objective
        ratios.append(max(bounds) / solution.objective)
    assert max(ratios) > 0.97


@pytest.mark.parametrize("seed", range(4))
def test_it_is_below_every_schedule(seed):
    instance = make_instance("separate-random", seed=seed, settings={"n": 60})
    values = [
        latency(instance, schedule_of(instance, each)) for _, each in list_encodings(instance)
    ]
    for memory in range(3):
        assert waits_and_stalls(instance, memory).bound <= min(values)


@pytest.mark.parametrize("memory", [0, 1, 2])
def test_a_short_memory_and_reach_only_weaken_it(memory, monkeypatch):
    instances = [few(seed, n=8) for seed in range(8)]
    full = [waits_and_stalls(instance, memory).bound for instance in instances]
    monkeypatch.setattr(module, "MOST_REMEMBERED", (0, 2, 2))
    monkeypatch.setattr(module, "REACH_ARRIVALS", (2, 2, 2))
    monkeypatch.setattr(module, "REACH_BATCHES", 2)
    short = [waits_and_stalls(instance, memory).bound for instance in instances]
    assert all(x <= y for x, y in zip(short, full, strict=True))
    assert sum(short) < sum(full)


def many(n=120):
    """Many requests on a GPU that is not overloaded; neither KV nor batch limits bind."""
    rng = np.random.default_rng(5)
    return Instance(
        gpu=Gpu(kv_capacity=10**6, batch_time=ConstantTime(prompt=6, token=1)),
        arrival=np.sort(rng.integers(0, 40 * n, n)),
        prompt=rng.integers(1, 50, n),
        output=rng.integers(1, 200, n),
    )


def test_its_walk_is_a_schedule_of_many_requests(monkeypatch):
    """Where no limit binds, the walk's prompt batches are nearly the best."""
    monkeypatch.setattr(engine, "has_class_bound", lambda instance, end: False)
    instance = many()
    found = waits_and_stalls(instance, 1)
    codes = [code for _, code in encodings_by_starts(instance, found.starts)]
    value = min(latency(instance, schedule_of(instance, code)) for code in codes)
    lists = min(
        latency(instance, schedule_of(instance, each)) for _, each in list_encodings(instance)
    )
    assert found.bound <= value <= 1.03 * found.bound
    assert value < lists
    solution = solve(instance, model="separate", work_limit=100_000)
    assert solution.objective <= value
    assert solution.bound >= found.bound


def test_the_verifier_recomputes_it_without_the_code_that_found_it(tmp_path):
    instances = [few(seed, n=8) for seed in range(20)]
    instances += [tiny_separate(seed) for seed in range(40)]
    instances += [make_instance("separate-random", seed=7, settings={"n": 50})]
    for instance in instances:
        for memory in range(3):
            found = waits_and_stalls(instance, memory)
            assert found.proof.bound(instance, "latency", Clock(None)) == found.bound
            shorter = replace(found.proof, remembered=2, reach=7)
            assert shorter.bound(instance, "latency", Clock(None)) <= found.bound
            assert WaitsAndStallsProof.from_record(found.proof.to_record()) == found.proof


def test_the_engine_certifies_it(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "has_class_bound", lambda instance, end: False)
    instance = many()
    solution = solve(instance, model="separate", work_limit=100_000)
    assert solution.certificate.proof.kind == "waits-and-stalls"
    assert solution.certificate.bound == solution.lower_bound
    path = tmp_path / "certificate.json"
    write_certificate(solution.certificate, path)
    certificate = read_certificate(path)
    verification = verify(certificate, instance, value=solution.objective)
    assert verification.verified, verification.reason
    bolder = verify(replace(certificate, bound=certificate.bound + 1), instance)
    assert not bolder.verified
    assert "not the bound" in bolder.reason


def test_what_is_no_such_proof_is_refused():
    record = WaitsAndStallsProof(memory=1, remembered=4, reach=9).to_record()
    for change, message in (
        ({"memory": 3}, "proof.memory: expected 0 to 2, found 3"),
        ({"remembered": -1}, "proof.remembered: expected an integer from 0"),
        ({"reach": 0}, "proof.reach: expected an integer from 1"),
        ({"price": 0}, "proof.price: unknown key"),
    ):
        with pytest.raises(InputError, match=f"^{message}"):
            WaitsAndStallsProof.from_record(record | change)
    huge = WaitsAndStallsProof(memory=2, remembered=900, reach=900_000)
    with pytest.raises(InputError, match=r"^proof.reach: out of range for the instance and the"):
        huge.bound(few(0), "latency", Clock(None))
    proof = WaitsAndStallsProof(memory=0, remembered=0, reach=9)
    affine = tiny_separate(1, law=AffineTime(c0=1, c1=0, c2=0, c3=0))
    with pytest.raises(InputError, match=r"^proof: waits-and-stalls take the unit and the const"):
        proof.bound(affine, "latency", Clock(None))


def test_times_that_are_not_slots_are_refused():
    affine = Instance(
        gpu=Gpu(kv_capacity=9, batch_time=AffineTime(c0=1.0, c1=0.1, c2=0.1, c3=0.0)),
        arrival=[0],
        prompt=[3],
        output=[2],
    )
    late = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 10**9], prompt=[3, 3], output=[2, 2])
    assert work_of(affine, 0) is None
    assert work_of(late, 0) is None
    assert solve(late, model="separate", time_limit=5).status == "optimal"
