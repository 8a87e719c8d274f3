"""Memory prices: any prices prove a bound, exactly, and good ones prove the LP's."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.models.objectives import total_latency
from batchprophet.solvers.certificates.mixed.certified_prices import certified_value, fits_64_bits
from batchprophet.solvers.certificates.mixed.price_blocks import MemoryPrices
from batchprophet.solvers.mixed.bounds.combinatorial import starts_at_arrival
from batchprophet.solvers.mixed.bounds.fluid_prices import fluid_prices
from batchprophet.solvers.mixed.bounds.kv_area import mean_busy_time
from batchprophet.solvers.mixed.bounds.linear_relaxation import linear_relaxation
from batchprophet.solvers.mixed.bounds.memory_prices import (
    busy_boundaries,
    memory_price_bound,
    round_prices,
)
from batchprophet.solvers.mixed.bounds.priced_starts import cheapest_starts, held_tokens
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from tests.brute_force import brute_force
from tests.strategies import random_instance
from tests.tiny_instances import tiny_instance


def random_prices(rng, *, last=30, scale=64, dearest=40):
    """Blocks anywhere, prices often 0 and often far too high."""
    cuts = rng.choice(last, size=int(rng.integers(2, 8)), replace=False)
    boundaries = tuple(sorted(cuts.tolist()))
    prices = rng.integers(0, dearest, len(boundaries) - 1) * rng.integers(0, 2)
    return MemoryPrices(boundaries=boundaries, prices=tuple(prices.tolist()), scale=scale)


def price(prices, t):
    """u_t of round t, by looking for its block."""
    for j, p in enumerate(prices.prices):
        if prices.boundaries[j] < t <= prices.boundaries[j + 1]:
            return Fraction(p, prices.scale)
    return Fraction(0)


def by_definition(instance, prices):
    """The bound with every sum written out and every start tried, up to where prices end."""
    last = max(prices.boundaries[-1], int(instance.arrival.max()))
    u = [price(prices, t) for t in range(last + int(instance.output.max()) + 2)]
    total = -instance.gpu.kv_capacity * sum(u)
    columns = (instance.arrival.tolist(), instance.prompt.tolist(), instance.output.tolist())
    for a, s, o in zip(*columns, strict=True):
        total += min(
            k + o - a + sum(u[t] * (s + t - k) for t in range(k + 1, k + o + 1))
            for k in range(a, last + 1)
        )
    return total


def test_the_certified_value_is_the_definition():
    for seed in range(400):
        rng = np.random.default_rng([1, seed])
        instance = random_instance(rng, 5, capacity=(6, 30), last_arrival=20)
        prices = random_prices(rng)
        assert certified_value(instance, prices) == by_definition(instance, prices)


def test_unlimited_integers_give_the_same_value():
    # The same prices over a scale of 2^80 leave 64 bits; the bound they prove is the same.
    for seed in range(100):
        rng = np.random.default_rng([2, seed])
        instance = random_instance(rng, 4, capacity=(6, 30), last_arrival=20)
        near = random_prices(rng, dearest=10)
        far = MemoryPrices(
            boundaries=near.boundaries, prices=tuple(p << 80 for p in near.prices), scale=64 << 80
        )
        assert fits_64_bits(instance, near)
        assert not fits_64_bits(instance, far)
        assert certified_value(instance, far) == certified_value(instance, near)


def test_time_may_begin_anywhere():
    # Everything 2^40 rounds later: 64 bits still do, since only differences of times count.
    rng = np.random.default_rng(3)
    instance = random_instance(rng, 6, last_arrival=20)
    prices = random_prices(rng)
    later = MemoryPrices(
        boundaries=tuple(b + 2**40 for b in prices.boundaries),
        prices=prices.prices,
        scale=prices.scale,
    )
    moved = instance.replace(arrival=instance.arrival + 2**40)
    assert fits_64_bits(moved, later)
    assert certified_value(moved, later) == certified_value(instance, prices)
    assert memory_price_bound(moved).value == memory_price_bound(instance).value


def test_any_prices_are_a_bound_and_the_best_found_are_one_too():
    # Weak duality asks nothing of the prices but u ≥ 0: random ones, and the search's own with
    # every price tampered with. 1,000 instances against exhaustive search.
    for seed in range(1000):
        instance = tiny_instance([4, seed])
        optimum, _ = brute_force(instance)
        rng = np.random.default_rng([5, seed])
        assert certified_value(instance, random_prices(rng)) <= optimum
        found = memory_price_bound(instance, blocks=16, steps=20)
        assert starts_at_arrival(instance) - 1e-6 <= found.value <= optimum
        factors = rng.integers(0, 3, len(found.prices.prices)).tolist()
        tampered = MemoryPrices(
            boundaries=found.prices.boundaries,
            prices=tuple(p * f for p, f in zip(found.prices.prices, factors, strict=True)),
            scale=found.prices.scale,
        )
        assert certified_value(instance, tampered) <= optimum


def test_the_search_evaluates_what_the_certificate_proves():
    for seed in range(100):
        rng = np.random.default_rng([6, seed])
        instance = random_instance(rng, 30, capacity=(20, 60), last_arrival=60)
        b = np.arange(0, 200, 7)
        u = rng.random(b.size - 1) * rng.integers(0, 2, b.size - 1)
        start = np.empty(instance.n, dtype=np.int64)
        columns = (instance.arrival, instance.prompt, instance.output)
        costs = cheapest_starts(*columns, b, u, start)
        value = costs - instance.gpu.kv_capacity * float(u @ np.diff(b))
        exact = certified_value(instance, round_prices(instance, b, u))
        assert float(exact) == pytest.approx(value, abs=1e-6)
        # The starts cost what was said: their tokens, priced block by block, and their latency.
        held = np.empty(u.size)
        held_tokens(start, instance.prompt, instance.output, b, held)
        latency = total_latency(instance, MixedSchedule(start).completion(instance))
        assert latency + float(u @ held) == pytest.approx(costs)


def test_the_bound_is_never_above_the_linear_relaxation_and_comes_close():
    # The Lagrangian dual of the memory rows equals the LP, since each request's polytope is
    # integral: no prices pass it, and with a block per round the best ones reach it.
    for seed in range(12):
        rng = np.random.default_rng([7, seed])
        instance = random_instance(rng, 12, capacity=(15, 25), last_arrival=15)
        relaxed = linear_relaxation(instance)
        found = memory_price_bound(instance, blocks=256, steps=1000)
        assert float(found.value) <= relaxed + 1e-6
        assert float(found.value) >= 0.99 * relaxed


def test_fluid_prices_already_prove_about_the_mean_busy_time_bound():
    # In the limit of fine blocks the priced bound at the fluid dual is at least that bound: the
    # fluid relaxation only forgets which tokens of a request are held when.
    for seed in range(10):
        instance = make_instance("arrival-model-1", seed=seed)
        schedule = list_schedule(instance, instance.volume)
        b = busy_boundaries(instance, schedule, 10**5)  # a block per round
        value = certified_value(instance, round_prices(instance, b, fluid_prices(instance, b)))
        assert value >= 0.99 * mean_busy_time(instance)


def test_blocks_follow_the_schedule():
    # Runs in rounds 1-4, 3-6 and 101-102: eight busy rounds in two stretches; four blocks of two
    # busy rounds, and the idle stretch.
    gpu = Gpu(kv_capacity=20)
    instance = Instance(gpu=gpu, arrival=[0, 2, 100], prompt=[1, 1, 1], output=[4, 4, 2])
    boundaries = busy_boundaries(instance, MixedSchedule([0, 2, 100]), 4)
    assert boundaries.tolist() == [0, 2, 4, 6, 100, 102]


def test_limits():
    instance = make_instance("lognormal-burst", seed=1, settings={"n": 200})
    longer = memory_price_bound(instance, blocks=128, steps=30)
    assert longer.value == memory_price_bound(instance, blocks=128, steps=30).value
    # No time: the better of zero prices and the fluid ones, on the first level.
    at_once = memory_price_bound(instance, time_limit=0)
    assert at_once.evaluations == 3
    assert 0 < at_once.value <= longer.value
    # A listener that has heard enough after five steps (the first is told before any step).
    told = []
    stopped = memory_price_bound(instance, keep_going=lambda v: told.append(v) or len(told) < 5)
    assert len(told) == 5
    assert stopped.evaluations == 7
    assert float(stopped.value) == pytest.approx(told[-1], rel=1e-6)
    schedule = list_schedule(instance, instance.volume)
    assert longer.value <= total_latency(instance, schedule.completion(instance))


def test_a_schedule_that_is_optimal_ends_the_search():
    # One request: its latency is its output length, and no price can better that.
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[3], prompt=[2], output=[4])
    assert memory_price_bound(instance).value == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"blocks": 0}, "blocks: expected at least 1, found 0"),
        ({"steps": -1}, "steps: expected at least 0, found -1"),
        ({"time_limit": -1.0}, "time_limit: expected at least 0 seconds, found -1.0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[3], prompt=[2], output=[4])
    with pytest.raises(InputError) as error:
        memory_price_bound(instance, **arguments)
    assert str(error.value) == message


GOOD = {"kind": "memory-prices", "scale": 4, "boundaries": [0, 3, 5], "prices": [3, 1]}


def test_records_keep_every_digit():
    prices = MemoryPrices(boundaries=(0, 3, 5), prices=(3, 2**90), scale=2**70)
    assert MemoryPrices.from_record(prices.to_record()) == prices
    assert MemoryPrices.from_record(GOOD).to_record() == GOOD


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "cuts"}, "kind: expected 'memory-prices', found 'cuts'"),
        ({"extra": 1}, "extra: unknown key"),
        ({"scale": None}, "scale: expected an integer of at least 0, found None"),
        ({"scale": 3}, "scale: expected a power of two, found 3"),
        ({"scale": 0}, "scale: expected a power of two, found 0"),
        ({"prices": [3, -1]}, "prices[1]: expected an integer of at least 0, found -1"),
        ({"prices": [3, 1.5]}, "prices[1]: expected an integer of at least 0, found 1.5"),
        ({"prices": [3, True]}, "prices[1]: expected an integer of at least 0, found True"),
        ({"prices": 3}, "prices: expected a list of integers, found 3"),
        (
            {"prices": [3]},
            "boundaries: expected one more than there are prices, and a price; found "
            "3 boundaries and 1 prices",
        ),
        (
            {"boundaries": [0, 3, 3]},
            "boundaries[2]: expected more than boundaries[1] = 3, found 3",
        ),
    ],
)
def test_bad_records_are_refused(changes, message):
    with pytest.raises(InputError) as error:
        MemoryPrices.from_record({**GOOD, **changes})
    assert str(error.value) == message


def test_a_missing_key_is_named():
    with pytest.raises(InputError, match=r"^prices: missing$"):
        MemoryPrices.from_record({key: GOOD[key] for key in GOOD if key != "prices"})
