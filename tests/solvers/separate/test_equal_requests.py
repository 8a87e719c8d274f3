"""Equal requests under separate batching: programs over patterns, their verifier, annealing."""

import math

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime, ConstantTime, UnitTime
from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.separate.feasibility import check_separate
from batchprophet.solvers.best_so_far import BestSoFar
from batchprophet.solvers.certificates.clock import Clock, OutOfMemory, OutOfTime
from batchprophet.solvers.certificates.file import read_certificate, write_certificate
from batchprophet.solvers.certificates.separate import equal_requests as verifier
from batchprophet.solvers.certificates.separate.equal_requests import SeparateEqualRequestsProof
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.recipe import Options
from batchprophet.solvers.separate.bounds.waits_and_stalls import waits_and_stalls
from batchprophet.solvers.separate.equal_requests.patterns import (
    Rules,
    below_grid,
    on_grid,
    patterns,
)
from batchprophet.solvers.separate.equal_requests.recipe import are_equal, equal_requests
from batchprophet.solvers.separate.equal_requests.tables import Times, path_on
from batchprophet.solvers.separate.few_classes import by_class
from batchprophet.solvers.separate.hindsight import begin
from tests.brute_force_separate import brute_force_separate


def tiny(seed):
    """A tiny instance of equal requests: any limits or none, all KV capacities, any arrivals."""
    rng = np.random.default_rng([21, seed])
    n = int(rng.integers(1, 5))
    s, o = int(rng.integers(1, 4)), int(rng.integers(2, 7 if n < 4 else 5))

    def limit(least, most):
        return None if rng.random() < 0.4 else int(rng.integers(least, most + 1))

    gpu = Gpu(
        kv_capacity=int(rng.integers(s + o, (s + o) * n + 2)),
        prompt_batch_requests=limit(1, n),
        prompt_batch_tokens=limit(s, s * n),
        token_batch_requests=limit(1, n),
        batch_time=ConstantTime(prompt=int(rng.integers(1, 5)), token=int(rng.integers(1, 4))),
    )
    arrival = rng.integers(0, int(rng.choice([1, 4, 12])), n)
    return Instance(gpu=gpu, arrival=arrival, prompt=[s] * n, output=[o] * n)


def stream(n, every, M=400, s=20, o=30):
    gpu = Gpu(
        kv_capacity=M,
        prompt_batch_requests=8,
        prompt_batch_tokens=200,
        token_batch_requests=16,
        batch_time=ConstantTime(prompt=3, token=1),
    )
    return Instance(gpu=gpu, arrival=[every * i for i in range(n)], prompt=[s] * n, output=[o] * n)


def before_the_engine(instance, work):
    """What is found and proved before the engine, with a limit on work."""
    search = BestSoFar(instance, "latency", math.inf)
    begin(search, None, Options(work_limit=work))
    by_class(search, Options(work_limit=work))
    return search.solution()


def latency(instance, schedule):
    return int((schedule.completion(instance) - instance.arrival).sum())


def bound_of(instance, batches, split):
    proof = SeparateEqualRequestsProof(batches=batches, split=split)
    return proof.bound(instance, "latency", Clock(None))


@pytest.mark.parametrize("block", range(10))
def test_tiny_instances_agree_with_brute_force(block):
    sharp = optimal = 0
    for seed in range(20 * block, 20 * block + 20):
        instance = tiny(seed)
        best = brute_force_separate(instance)[0]
        known, bound = [], []
        for found in equal_requests(instance, entries=10**6, steps=1):
            if found.schedule is not None:
                assert not check_separate(instance, found.schedule)
                known.append(latency(instance, found.schedule))
            if found.proof is not None:
                # Any split proves a bound, the one that was chosen the best of them.
                batches = found.proof.batches
                every = [bound_of(instance, batches, D) for D in range(instance.n + 1)]
                assert max(every) == every[found.proof.split] == found.bound <= best
                bound.append(found.bound)
        assert min(known) >= best
        optimal += min(known) == best
        sharp += max(bound) == best
    assert optimal >= 19  # of 20
    assert sharp >= 8


def test_a_grid_of_one_batch_is_exact_where_all_is_there():
    # No B_D: below the grid and on it are one condition then.
    proved = 0
    for seed in range(60):
        drawn = tiny(seed)
        gpu = Gpu(kv_capacity=drawn.gpu.kv_capacity, batch_time=drawn.gpu.batch_time)
        instance = Instance(
            gpu=gpu, arrival=[0] * drawn.n, prompt=drawn.prompt, output=drawn.output
        )
        best = brute_force_separate(instance)[0]
        assert bound_of(instance, 1, 0) == best
        rules = Rules(int(drawn.prompt[0]), int(drawn.output[0]), gpu.kv_capacity, drawn.n, drawn.n)
        law = gpu.batch_time
        times = Times(law.prompt, law.token, instance.arrival)
        assert path_on(patterns(on_grid(rules, 1), 10**5), times).total == best
        proved += 1
    assert proved == 60


def test_a_stream_is_certified_within_a_fifth():
    # Waits and stalls, where KV does not count, leave twice as much.
    instance = stream(40, 2)
    solution = before_the_engine(instance, 60_000)
    assert solution.gap < 0.2
    assert waits_and_stalls(instance).bound < 0.65 * solution.objective
    assert solution.certificate.proof.kind == "separate-equal-requests"
    again = before_the_engine(instance, 60_000)
    assert again.schedule == solution.schedule
    assert again.lower_bound == solution.lower_bound


def test_the_certificate_of_a_file(tmp_path):
    instance = stream(30, 2)
    solution = before_the_engine(instance, 5_000)
    path = tmp_path / "proof.json"
    write_certificate(solution.certificate, path)
    read = read_certificate(path)
    assert read.proof == solution.certificate.proof
    assert verify(read, instance).verified


def test_forged_proofs_prove_no_more_than_the_optimum():
    rng = np.random.default_rng(5)
    proved = refused = 0
    for seed in range(100):
        instance = tiny(seed)
        best = brute_force_separate(instance)[0]
        for _ in range(5):
            batches, split = int(rng.integers(0, 9)), int(rng.integers(0, instance.n + 3))
            try:
                value = bound_of(instance, batches, split)
            except InputError:
                refused += 1
                continue
            assert value <= best
            proved += 1
    assert proved > 90
    assert refused > 100


def test_more_memory_and_less_work_lower_the_bound():
    bounds = [bound_of(stream(20, 2, M), 5, 1) for M in (200, 300, 400, 600)]
    assert bounds == sorted(bounds, reverse=True)
    bounds = [bound_of(stream(n, 2), 5, 1) for n in (5, 10, 20, 30)]
    assert bounds == sorted(bounds)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": [1, 2]}, "are for equal lengths"),
        ({"output": [3, 2]}, "are for equal lengths"),
        ({"output": [1, 1]}, "are for equal lengths, with outputs of 2 or more tokens"),
        ({"batch_time": AffineTime(c0=1.0, c1=0.0, c2=0.0, c3=0.0)}, "found affine"),
    ],
)
def test_what_the_proof_is_not_for(change, message):
    law = change.get("batch_time", UnitTime())
    instance = Instance(
        gpu=Gpu(kv_capacity=9, batch_time=law),
        arrival=[0, 0],
        prompt=change.get("prompt", [2, 2]),
        output=change.get("output", [3, 3]),
    )
    with pytest.raises(InputError, match=message):
        bound_of(instance, 1, 0)
    assert not are_equal(instance)
    assert list(equal_requests(instance, entries=10**6)) == []


def test_numbers_out_of_range(monkeypatch):
    instance = stream(10, 2)
    with pytest.raises(InputError, match=r"proof.batches: expected 1 to 29, found 30"):
        bound_of(instance, 30, 0)
    with pytest.raises(InputError, match=r"proof.split: expected 0 to 10, found 11"):
        bound_of(instance, 5, 11)
    for change in ({"batches": 0}, {"split": -1}, {"batches": "5"}, {"more": 1}):
        record = SeparateEqualRequestsProof(batches=5, split=0).to_record()
        with pytest.raises(InputError):
            SeparateEqualRequestsProof.from_record(record | change)
    with pytest.raises(OutOfTime):
        SeparateEqualRequestsProof(batches=5, split=0).bound(instance, "latency", Clock(0.0))
    monkeypatch.setattr(verifier, "MOST_PATTERNS", 1000)
    with pytest.raises(OutOfMemory, match="more than 1,000 patterns"):
        bound_of(instance, 5, 0)
    monkeypatch.setattr(verifier, "MOST_PATTERNS", 10**6)
    monkeypatch.setattr(verifier, "MOST_ENTRIES", 1000)
    with pytest.raises(OutOfMemory, match="more than 1,000 entries"):
        bound_of(instance, 5, 0)


def test_too_many_patterns_are_not_listed():
    rules = Rules(1, 60, 10**6, together=8, running=10**6)
    assert patterns(below_grid(rules, 1), 10**6) is None
    assert patterns(below_grid(Rules(20, 30, 400, 8, 16), 4), 1000) is None
