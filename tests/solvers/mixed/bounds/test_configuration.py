"""The configuration bound: any prices are valid, the pricing is exact, the bound is strong."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.solvers.mixed.bounds import configuration
from batchprophet.solvers.mixed.bounds.column_types import column_types
from batchprophet.solvers.mixed.bounds.configuration import SCALE, configuration_prices
from batchprophet.solvers.mixed.bounds.configuration_pricing import (
    heaviest_configuration,
    workspace,
)
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from tests.brute_force import brute_force
from tests.strategies import random_instance


def is_configuration(members, M):
    """By the definition: KV tokens in the round in which each member completes."""
    return all(sum(w + r for w, rr in members if rr >= r) <= M for _, r in members)


def heaviest_by_hand(weights, M):
    """Try all multisets of up to M // 2 members, growing feasible ones only."""
    best = 0
    grown = [()]
    for _ in range(M // 2):
        grown = [
            (*members, item)
            for members in grown
            for item in weights
            if (not members or item >= members[-1]) and is_configuration((*members, item), M)
        ]
        best = max([best, *(sum(weights[item] for item in members) for members in grown)])
    return best


def test_pricing_is_exact():
    rng = np.random.default_rng(1)
    for _ in range(150):
        M = int(rng.integers(3, 9))
        every = [(w, r) for w in range(1, M + 1) for r in range(M - w + 1)]
        kept = rng.choice(len(every), size=min(len(every), int(rng.integers(1, 8))), replace=False)
        items = sorted((every[i] for i in kept), key=lambda item: (-item[1], item[0]))
        size, to_go = np.array(items, dtype=np.int64).T.copy()
        price = rng.integers(0, 6, size=len(items))
        work = workspace(len(items), M)
        weight, members = heaviest_configuration(price, size, to_go, M, work)
        assert weight == heaviest_by_hand(dict(zip(items, price.tolist(), strict=True)), M)
        chosen = [items[q] for q in work.chosen[:members]]
        assert is_configuration(chosen, M)
        assert sum(int(price[items.index(item)]) for item in chosen) == weight


def bound_by_hand(instance, price):
    """The Lagrangian by its formula, with pricing by enumeration; price[t][q] as integers."""
    types = column_types(instance)
    M, T = instance.gpu.kv_capacity, len(price) - 1
    items = list(zip(types.size.tolist(), types.to_go.tolist(), strict=True))
    total = 0
    for i in range(instance.n):
        s, o, a = int(instance.prompt[i]), int(instance.output[i]), int(instance.arrival[i])
        costs = []
        for k in range(a, T + a + 1):
            paid = sum(
                int(price[k + j][items.index((s + j, o - j))])
                for j in range(1, o + 1)
                if k + j <= T
            )
            costs.append((k + o - a) * SCALE + paid)
        total += min(costs)
    for t in range(1, T + 1):
        total -= heaviest_by_hand(dict(zip(items, price[t].tolist(), strict=True)), M)
    return Fraction(total, SCALE)


def test_the_bound_is_the_lagrangian_of_its_prices():
    rng = np.random.default_rng(2)
    for _ in range(12):
        instance = random_instance(rng, 3, capacity=(4, 7), last_arrival=3)
        schedule = list_schedule(instance, instance.output)
        found = configuration_prices(instance, schedule, work_limit=60)
        assert found.bound == max(0, bound_by_hand(instance, found.price))


def test_bound_is_at_most_the_optimum():
    rng = np.random.default_rng(3)
    reached = 0
    for _ in range(200):
        n = int(rng.integers(1, 6))
        instance = random_instance(rng, n, capacity=(4, 12), last_arrival=int(rng.integers(0, 9)))
        schedule = list_schedule(instance, instance.output)
        best, _ = brute_force(instance)
        found = configuration_prices(instance, schedule, work_limit=4000)
        assert found.bound <= best
        reached += -(-found.bound.numerator // found.bound.denominator) == best
    assert reached > 100  # it is a strong bound: rounded up it is mostly the optimum


def test_nobody_is_priced_before_it_can_run():
    # A price that no start can pay would only raise what is deducted.
    instance = make_instance("arrival-model-2", seed=3, settings={"n": 12})
    schedule = list_schedule(instance, instance.volume)
    price = configuration_prices(instance, schedule, work_limit=300).price
    types = column_types(instance)
    for q, (w, r) in enumerate(zip(types.size.tolist(), types.to_go.tolist(), strict=True)):
        s, o, a = instance.prompt, instance.output, instance.arrival
        able = (s + o == w + r) & (s < w)
        assert not price[: int((a + w - s)[able].min()), q].any()


def test_same_work_same_prices():
    instance = make_instance("arrival-model-2", seed=3, settings={"n": 12})
    schedule = list_schedule(instance, instance.output)
    first, second = (configuration_prices(instance, schedule, work_limit=100) for _ in range(2))
    assert np.array_equal(first.price, second.price)
    assert first.bound == second.bound


def test_prices_handed_back_become_better():
    # The volume algorithm ends here although work is left; the same prices again must still gain.
    instance = make_instance("arrival-model-2", seed=3, settings={"n": 12})
    schedule = list_schedule(instance, instance.volume)
    first = configuration_prices(instance, schedule)
    bounds = []
    again, same = (
        configuration_prices(
            instance, schedule, begin=first, work_limit=16_000, found=bounds.append
        )
        for _ in range(2)
    )
    assert first.bound < again.bound == bounds[-1]
    assert again.bound <= int((schedule.completion(instance) - instance.arrival).sum())
    assert np.array_equal(again.price, same.price)


def test_prices_handed_back_never_become_worse():
    instance = make_instance("arrival-model-1", seed=3, settings={"n": 10})
    schedule = list_schedule(instance, instance.volume)
    first = configuration_prices(instance, schedule, work_limit=2000)
    for work in (0, 16, 160):  # so few steps only leave the prices
        again = configuration_prices(instance, schedule, begin=first, work_limit=work)
        assert again.bound >= first.bound
        assert again.iterations <= work // 16


def test_it_stops_when_asked():
    instance = make_instance("arrival-model-1", seed=3, settings={"n": 10})
    calls = itertools.count()
    schedule = list_schedule(instance, instance.output)
    found = configuration_prices(instance, schedule, stop=lambda: next(calls) >= 5)
    assert found.iterations == 5


def test_the_published_scale():
    # At n = 41 the memory rows alone (the LP of the MILP) leave more than 30 %.
    instance = make_instance("arrival-model-1", seed=100)
    schedule = list_schedule(instance, instance.volume, skip=True)
    found = configuration_prices(instance, schedule, work_limit=12_000)
    value = int((schedule.completion(instance) - instance.arrival).sum())
    assert 0.7 * value < found.bound <= value


def test_applicability():
    small = make_instance("arrival-model-1", seed=100)
    assert configuration.is_applicable(small, 500)
    wide = Instance(gpu=Gpu(kv_capacity=16_000), arrival=[0], prompt=[1], output=[9_000])
    assert not configuration.is_applicable(wide, 500)


@pytest.mark.parametrize("seed", range(3))
def test_a_lone_request_is_exact(seed):
    # Alone, a request starts at its arrival: the bound is o already at zero prices.
    instance = random_instance(np.random.default_rng(seed), 1)
    found = configuration_prices(instance, MixedSchedule(instance.arrival), work_limit=10)
    assert found.bound == int(instance.output[0])
