"""Equal requests: the program over patterns, its verifier, spaced classes, lockstep."""

from fractions import Fraction

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.solvers.certificates.clock import Clock, NotProved, OutOfTime
from batchprophet.solvers.certificates.mixed.class_prices import ClassPriceProof
from batchprophet.solvers.certificates.mixed.equal_requests import EqualRequestsProof
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.mixed.bounds.class_prices import class_prices
from batchprophet.solvers.mixed.equal_requests import recipe
from batchprophet.solvers.mixed.equal_requests.counts import counts
from batchprophet.solvers.mixed.equal_requests.labels import NONE, Program, TooMany, releases
from batchprophet.solvers.mixed.equal_requests.patterns import below_grid, on_grid, patterns
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from batchprophet.solvers.mixed.search.spacing import spaced_schedule
from tests.brute_force import brute_force


def equal(M, s, o, arrival):
    n = len(arrival)
    return Instance(gpu=Gpu(kv_capacity=M), arrival=arrival, prompt=[s] * n, output=[o] * n)


def tiny(seed):
    """A tiny instance of equal requests, in no order of arrival."""
    rng = np.random.default_rng(seed)
    M = int(rng.integers(3, 20))
    s = int(rng.integers(1, max(2, M // 2)))
    o = int(rng.integers(1, min(7, M - s) + 1))
    arrival = rng.integers(0, 4) + rng.integers(0, rng.integers(1, 12), int(rng.integers(1, 6)))
    return equal(M, s, o, arrival.tolist())


def latency(instance, schedule):
    return int((schedule.completion(instance) - instance.arrival).sum())


def program(instance, rounds, grid=below_grid):
    s, o = int(instance.prompt[0]), int(instance.output[0])
    graph = patterns(grid(s, o, int(instance.gpu.kv_capacity), rounds), 10_000)
    table, arrival = counts(graph, instance.n), np.sort(instance.arrival)
    if grid is on_grid:
        arrival = -(-arrival // rounds) * rounds
    return Program(graph, table, releases(graph, table, arrival))


def is_proved(instance, value, rounds):
    try:
        EqualRequestsProof(value=value, rounds=rounds).bound(instance, "latency", Clock(None))
    except NotProved:
        return False
    return True


@pytest.mark.parametrize("block", range(10))
def test_tiny_instances_agree_with_brute_force(block):
    for seed in range(30 * block, 30 * block + 30):
        instance = tiny(seed)
        best, _ = brute_force(instance)
        found = recipe.equal_requests(instance)
        assert found.bound == latency(instance, found.schedule) == best
        assert not check_mixed(instance, found.schedule)
        base = int((instance.output - instance.arrival).sum())
        for rounds in range(1, int(instance.output[0]) + 1):
            # What the labels find on each grid is just what the verifier accepts, and no more.
            blocks = recipe._search(program(instance, rounds), NONE, None, lambda: False)
            assert blocks.total + base <= best
            assert is_proved(instance, blocks.total + base, rounds)
            assert not is_proved(instance, blocks.total + base + 1, rounds)
            on = program(instance, rounds, on_grid)
            starts = np.empty(instance.n, np.int64)
            order = np.argsort(instance.arrival, kind="stable")
            starts[order] = rounds * recipe._search(on, NONE, None, lambda: False).blocks
            assert not check_mixed(instance, MixedSchedule(starts))


def test_releases_that_hinder():
    # Streams about as fast as requests can be served: labels decide, and the verifier agrees.
    rng = np.random.default_rng(7)
    hindered = 0
    for _ in range(20):
        arrival = np.cumsum(rng.geometric(0.3, 12))
        instance = equal(24, 2, 9, arrival.tolist())
        found = recipe.equal_requests(instance)
        value = latency(instance, found.schedule)
        assert not check_mixed(instance, found.schedule)
        assert found.bound == value
        assert is_proved(instance, value, 1)
        assert not is_proved(instance, value + 1, 1)
        hindered += recipe._unhindered(program(instance, 1)) is None
    assert hindered > 5


@pytest.mark.parametrize(
    ("arrival", "optimum"),
    [([0] * 12, 1_104), ([0] * 20, 2_632), ([0] * 40, 9_177), (range(0, 900, 9), 7_662)],
)
def test_the_optimum_of_equal_requests(arrival, optimum):
    # Every ten rounds: 1,140, 3,700 − 1,000 = 2,700, 9,400 and, as a stream, 8,950.
    instance = equal(144, 8, 40, list(arrival))
    solution = solve(instance, time_limit=60.0)
    assert (solution.objective, solution.status) == (optimum, "optimal")
    assert is_proved(instance, optimum, 1)
    assert not is_proved(instance, optimum + 1, 1)


def test_coarse_grids_bound_where_patterns_are_many():
    # (50, 50) at M = 1,000: no grid of one round is small enough.
    instance = equal(1000, 50, 50, [0] * 40)
    found = recipe.equal_requests(instance, work=20_000_000)
    spaced = MixedSchedule(spaced_schedule(instance))
    assert found.rounds > 1
    assert is_proved(instance, found.bound, found.rounds)
    assert found.bound <= min(latency(instance, spaced), latency(instance, found.schedule))
    assert found.bound >= 0.8 * latency(instance, spaced)


def test_forged_proofs():
    refused = 0
    rng = np.random.default_rng(3)
    for seed in range(200):
        instance = tiny(seed)
        best, _ = brute_force(instance)
        for _ in range(5):
            value = best + int(rng.choice([1, 2, 7, 2**20, 2**53, 2**62]))
            rounds = int(rng.integers(1, 12))
            proof = EqualRequestsProof(value=value, rounds=rounds)
            with pytest.raises((NotProved, InputError)):
                proof.bound(instance, "latency", Clock(None))
            refused += 1
    assert refused == 1000


def test_what_the_proof_is_not_for():
    differ = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[1, 2], output=[3, 3])
    with pytest.raises(InputError, match="is for equal prompt and output lengths"):
        EqualRequestsProof(value=1, rounds=1).bound(differ, "latency", Clock(None))
    same = equal(9, 1, 3, [0, 0])
    with pytest.raises(InputError, match="expected 1 to the output length 3, found 4"):
        EqualRequestsProof(value=1, rounds=4).bound(same, "latency", Clock(None))
    late = equal(9, 1, 3, [0, 2**40])
    with pytest.raises(InputError, match="fewer or shorter requests"):
        EqualRequestsProof(value=2**62, rounds=1).bound(late, "latency", Clock(None))
    with pytest.raises(OutOfTime):
        EqualRequestsProof(value=9000, rounds=1).bound(
            equal(144, 8, 40, [0] * 40), "latency", Clock(0.0)
        )
    for record in ({"value": -1, "rounds": 1}, {"value": 1, "rounds": 0}, {"value": 1}):
        with pytest.raises(InputError):
            EqualRequestsProof.from_record({"kind": "equal-requests", **record})


def test_a_search_ends_when_it_is_told():
    with pytest.raises(TooMany):
        recipe._search(program(equal(9, 1, 3, [0, 5]), 1), NONE, None, lambda: True)


def test_spaced_schedules_are_feasible_and_depend_on_the_seed_only():
    rng = np.random.default_rng(5)
    for _ in range(30):
        M, count = int(rng.integers(20, 200)), int(rng.integers(1, 5))
        kinds = [(int(rng.integers(1, M // 3)), int(rng.integers(1, M // 2))) for _ in range(count)]
        rows = [kinds[c] for c in rng.integers(0, count, 30)]
        instance = Instance(
            gpu=Gpu(kv_capacity=M),
            arrival=rng.integers(0, int(rng.integers(1, 200)), 30),
            prompt=[s for s, _ in rows],
            output=[o for _, o in rows],
        )
        start = spaced_schedule(instance, seed=4)
        assert not check_mixed(instance, MixedSchedule(start))
        assert (start == spaced_schedule(instance, seed=4)).all()


def test_a_spacing_beyond_the_profile_is_no_schedule():
    # Four requests of 4 rounds with a spacing of 20: the third does not fit into 4 · 4 + 2 rounds.
    # It has no start then, and no run of a request may be put before the first round.
    from batchprophet.solvers.mixed.search.profile import nothing_held
    from batchprophet.solvers.mixed.search.spacing import FAR, PARTS, _place

    instance = equal(9, 3, 4, [0] * 4)
    held, start = nothing_held(instance, 17), np.zeros(4, np.int64)
    columns = np.array([0, 4]), instance.arrival, np.array([3]), np.array([4])
    far = np.array([[0], [20 * PARTS]])
    assert _place(*columns, 9, far, FAR, held, start) == FAR
    assert (start >= 0).all()
    held = nothing_held(instance, 17)
    near = np.array([[0], [4 * PARTS]])
    assert _place(*columns, 9, near, FAR, held, start) == 0 + 4 + 8 + 12


def test_spaced_schedules_are_for_few_classes():
    many = Instance(
        gpu=Gpu(kv_capacity=50), arrival=[0] * 8, prompt=range(1, 9), output=range(1, 9)
    )
    assert spaced_schedule(many) is None


@pytest.mark.parametrize(("s", "o", "m"), [(1, 16, 4), (1, 64, 8), (1, 256, 16), (8, 40, 3)])
def test_lockstep_loses_up_to_one_half(s, o, m):
    # docs/worst-cases.md: M = m peaks, n = m·N requests at 0; exact values of both schedules.
    N = 4 * m
    n, M = m * N, m * (s + o)
    instance = equal(M, s, o, [0] * n)
    lockstep = list_schedule(instance, instance.output)
    assert latency(instance, lockstep) == m * o * N * (N + 1) // 2
    d = -(-o * (2 * s + o) // (2 * (m - 1) * (s + o)))
    periodic = MixedSchedule(d * np.arange(n))
    assert not check_mixed(instance, periodic)
    ratio = Fraction(latency(instance, lockstep), latency(instance, periodic))
    assert ratio >= Fraction(o * (N + 1), 2 * o + d * (n - 1))
    area = s * o + o * (o + 1) // 2
    assert latency(instance, periodic) * 2 * M >= area * n * n
    assert (
        latency(instance, lockstep) * area * n < 2 * o * latency(instance, periodic) * (n + m) * M
    )


def test_work_limits_do_not_depend_on_the_clock():
    instance = equal(24, 2, 9, np.cumsum([1, 2, 3] * 8).tolist())
    one, two = (solve(instance, work_limit=20_000, threads=1) for _ in range(2))
    assert one.objective == two.objective
    assert one.lower_bound == two.lower_bound
    assert one.schedule == two.schedule


def few_classes(seed):
    """A tiny instance of one or two classes."""
    rng = np.random.default_rng(seed)
    M, n = int(rng.integers(4, 16)), int(rng.integers(2, 6))
    kinds = []
    for _ in range(2):
        s = int(rng.integers(1, M // 2))
        kinds.append((s, int(rng.integers(1, min(6, M - s) + 1))))
    rows = [kinds[c] for c in rng.integers(0, 2, n)]
    return Instance(
        gpu=Gpu(kv_capacity=M),
        arrival=rng.integers(0, 6, n),
        prompt=[s for s, _ in rows],
        output=[o for _, o in rows],
    )


@pytest.mark.parametrize("block", range(5))
def test_class_prices_bound_tiny_instances(block):
    sharp = 0
    for seed in range(20 * block, 20 * block + 20):
        instance = few_classes(seed)
        best, start = brute_force(instance)
        bound, proof = class_prices(instance, MixedSchedule(start), steps=200)
        assert bound <= best
        sharp += bound > int(instance.output.sum()) + Fraction(1, 2)
        read = ClassPriceProof.from_record(proof.to_record())
        assert read == proof
        assert read.bound(instance, "latency", Clock(None)) == bound
    assert sharp > 2


def test_random_class_prices_prove_no_more_than_the_optimum():
    rng = np.random.default_rng(11)
    positive = 0
    for seed in range(150):
        instance = few_classes(seed)
        best, _ = brute_force(instance)
        kinds = zip(instance.prompt.tolist(), instance.output.tolist(), strict=True)
        classes = tuple(sorted(set(kinds)))
        for _ in range(8):
            tables, rounds = int(rng.integers(1, 4)), int(rng.integers(0, 30))
            proof = ClassPriceProof(
                scale=int(rng.integers(1, 60)),
                classes=classes,
                weights=tuple(
                    tuple(tuple(rng.integers(0, 5, o).tolist()) for _, o in classes)
                    for _ in range(tables)
                ),
                multipliers=tuple(
                    tuple(rng.integers(0, 4, rounds).tolist()) for _ in range(tables)
                ),
            )
            bound = proof.bound(instance, "latency", Clock(None))
            assert bound <= best
            positive += bound > 0
    assert positive > 300


def test_forged_class_prices():
    instance = few_classes(1)
    schedule = MixedSchedule(brute_force(instance)[1])
    _, proof = class_prices(instance, schedule, steps=20)
    good = proof.to_record()
    first = good["weights"][0][0]
    forged = [
        {"scale": 0},
        {"classes": []},
        {"classes": [good["classes"][0]] * 2},
        {"classes": [[1]]},
        {"weights": []},
        {"weights": [[first[:-1]]]},
        {"weights": [[[-1] * len(first)]]},
        {"multipliers": [*good["multipliers"], []]},
        {"multipliers": [[-1]] * len(good["multipliers"])},
    ]
    for change in forged:
        with pytest.raises(InputError):
            ClassPriceProof.from_record({**good, **change})
    missing = equal(9, 8, 1, [0])
    with pytest.raises(InputError, match="the class 8, 1 is missing"):
        ClassPriceProof.from_record(good).bound(missing, "latency", Clock(None))
    large = ClassPriceProof(
        scale=1, classes=((8, 1),), weights=(((2**40,),),), multipliers=((2**40,),)
    )
    with pytest.raises(InputError, match="sums below"):
        large.bound(missing, "latency", Clock(None))
    long = ClassPriceProof(scale=1, classes=((8, 1),), weights=(((1,),),), multipliers=((0,),))
    with pytest.raises(InputError, match="fewer rounds"):
        long.bound(equal(9, 8, 1, [0, 2**40]), "latency", Clock(None))


def test_two_classes_are_scheduled_and_bounded():
    # 30 of (8, 40) and 30 of (5, 20) at 0, M = 144: greedy orders and a search over them: 9,890.
    instance = Instance(
        gpu=Gpu(kv_capacity=144), arrival=[0] * 60, prompt=[8, 5] * 30, output=[40, 20] * 30
    )
    start = spaced_schedule(instance)
    assert int((start + instance.output).sum()) <= 9_000
    bound, _ = class_prices(instance, MixedSchedule(start), steps=1500)
    assert bound >= 8_000
