"""Path graphs: bounds and proofs against brute force, and against the exhaustive search."""

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.models.objectives import total_latency
from batchprophet.solvers.mixed.bounds.configuration import SCALE, configuration_prices
from batchprophet.solvers.mixed.exact.excess import excess_terms
from batchprophet.solvers.mixed.exact.proof import prove
from batchprophet.solvers.mixed.exact.search import SearchLimits, search_states
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from batchprophet.solvers.mixed.path_graphs import sublimation
from batchprophet.solvers.mixed.path_graphs.ascent import ascend
from batchprophet.solvers.mixed.path_graphs.build import Coarser, build
from batchprophet.solvers.mixed.path_graphs.guide import PathGuide
from batchprophet.solvers.mixed.path_graphs.sublimation import least_up_to, prove_by_paths
from batchprophet.solvers.mixed.path_graphs.terms import path_terms
from batchprophet.solvers.mixed.path_graphs.tracking import tracking
from tests.brute_force import brute_force
from tests.strategies import random_instance


def latency(instance, schedule):
    assert not check_mixed(instance, schedule)
    return total_latency(instance, schedule.completion(instance))


def priced(instance, work):
    schedule = list_schedule(instance, instance.output)
    return schedule, configuration_prices(instance, schedule, work_limit=work)


@pytest.mark.parametrize("count", [60, pytest.param(250, marks=pytest.mark.slow)])
def test_tiny_instances_agree_with_brute_force(count):
    rng = np.random.default_rng(0)
    for trial in range(count):
        n = int(rng.integers(1, 7))
        instance = random_instance(rng, n, capacity=(4, 14), last_arrival=int(rng.integers(0, 9)))
        best, _ = brute_force(instance)
        schedule, prices = priced(instance, int(rng.choice([0, 30, 2000])))
        outcome = prove_by_paths(instance, schedule, prices)
        assert outcome.complete, trial
        assert outcome.bound == latency(instance, outcome.schedule) == best, trial


def test_the_least_latency_up_to_a_target():
    rng = np.random.default_rng(1)
    for trial in range(80):
        n = int(rng.integers(2, 6))
        instance = random_instance(rng, n, capacity=(4, 14), last_arrival=int(rng.integers(0, 6)))
        best, _ = brute_force(instance)
        _, prices = priced(instance, int(rng.choice([0, 200])))
        for target in (best - 2, best - 1, best, best + 3):
            found = least_up_to(instance, prices, target)
            assert found == min(best, target + 1), (trial, target)


@pytest.mark.parametrize(("named", "timed"), [(0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (0, 3)])
def test_no_stage_refutes_what_a_schedule_attains(named, timed):
    # At the optimum as target the optimal schedule's path must be in every graph, and the value of
    # the multipliers may not pass it, whatever coarser graph has pruned before.
    rng = np.random.default_rng(10 * named + timed)
    for trial in range(40):
        n = int(rng.integers(2, 7))
        instance = random_instance(rng, n, capacity=(5, 16), last_arrival=int(rng.integers(0, 6)))
        best, _ = brute_force(instance)
        _, prices = priced(instance, int(rng.choice([0, 300])))
        terms = path_terms(instance, *excess_terms(instance, prices, best), best)
        limits = SearchLimits(None, None, 2**30, None)
        multiplier, coarser = np.zeros(n, np.int64), None
        for track in (
            tracking(n, 0, 1, hiding=True, remembered=[]),
            tracking(n, named, timed, hiding=True, remembered=[]),
            tracking(n, terms.most, 0, hiding=False, remembered=[]),
            tracking(n, terms.most, 0, hiding=False, remembered=[0, n - 1]),
        ):
            graph = build(terms, track, coarser, multiplier, limits, 10**7)
            assert graph is not None, (trial, track)
            state = ascend(terms, graph, multiplier, limits, free=not track.hiding)
            assert state.graph is not None, (trial, track)
            assert terms.latency(state.value) <= best, (trial, track)
            multiplier = state.multiplier
            keys = [layer.key for layer in state.graph.layers]
            coarser = Coarser(track, keys, state.costs.ahead)


def test_the_guided_search_agrees_with_brute_force():
    # No guide may lose the optimum, and above it there must be nothing to find.
    rng = np.random.default_rng(7)
    limits = SearchLimits(None, None, 2**30, None)
    guided = spared = 0
    for trial in range(60):
        n = int(rng.integers(3, 7))
        instance = random_instance(rng, n, capacity=(8, 18), last_arrival=int(rng.integers(0, 6)))
        best, _ = brute_force(instance)
        _, prices = priced(instance, int(rng.choice([0, 300])))
        for target in (best + 2, best, best - 1):
            excess, base = excess_terms(instance, prices, target)
            if target * SCALE < base:
                continue
            terms = path_terms(instance, excess, base, target)
            multiplier, coarser = np.zeros(n, np.int64), None
            for named, timed in ((0, 1), (2, 0), (2, 1)):
                track = tracking(n, named, timed, hiding=True, remembered=[])
                graph = build(terms, track, coarser, multiplier, limits, 10**7)
                state = (
                    None if graph is None else ascend(terms, graph, multiplier, limits, free=False)
                )
                if state is None or state.graph is None:
                    assert target < best, trial
                    break
                multiplier = state.multiplier
                coarser = Coarser(
                    track, [layer.key for layer in state.graph.layers], state.costs.ahead
                )
                alone, bounded = (SearchLimits(None, None, 2**30, None) for _ in range(2))
                start = search_states(
                    excess, base, target, bounded, PathGuide(excess, coarser, multiplier)
                )
                assert (start is None) == (target < best), trial
                if start is not None:
                    assert latency(instance, MixedSchedule(start)) == best, trial
                search_states(excess, base, target, alone)
                guided += 1
                spared += alone.nodes - bounded.nodes
    assert guided > 100
    assert spared > 0


def test_equal_requests():
    # Six equal pairs: the order between equal requests is remembered only in the last stages.
    gpu = Gpu(kv_capacity=12)
    instance = Instance(
        gpu=gpu, arrival=[0, 0, 0, 1, 1, 2], prompt=[2, 2, 3, 3, 1, 1], output=[4, 4, 3, 3, 5, 5]
    )
    schedule, prices = priced(instance, 100)
    assert prove_by_paths(instance, schedule, prices).bound == brute_force(instance)[0]


@pytest.mark.parametrize("seed", [100, pytest.param(101, marks=pytest.mark.slow), 104])
def test_twelve_requests_of_the_published_laws(seed):
    instance = make_instance("arrival-model-2", seed=seed, settings={"n": 12})
    schedule, prices = priced(instance, 20_000)
    by_paths = prove_by_paths(instance, schedule, prices)
    by_states = prove(instance, schedule, prices)
    assert by_paths.complete
    assert by_states.complete
    assert by_paths.bound == by_states.bound == latency(instance, by_paths.schedule)


def test_work_decides_the_result():
    instance = make_instance("arrival-model-1", seed=100, settings={"n": 14})
    schedule, prices = priced(instance, 2000)
    outcomes = [prove_by_paths(instance, schedule, prices, work_limit=40_000) for _ in range(2)]
    assert outcomes[0].bound == outcomes[1].bound > prices.bound
    assert outcomes[0].nodes == outcomes[1].nodes
    assert not outcomes[0].complete


def test_limits_leave_what_was_proved():
    instance = make_instance("arrival-model-1", seed=100, settings={"n": 14})
    schedule, prices = priced(instance, 2000)
    told = []
    for limits in ({"time_limit": 0.0}, {"work_limit": 0}, {"stop": lambda: True}):
        outcome = prove_by_paths(
            instance, schedule, prices, found=lambda *new: told.append(new), **limits
        )
        assert not told
        assert outcome.bound == -(-prices.bound.numerator // prices.bound.denominator)
    assert least_up_to(instance, prices, latency(instance, schedule), time_limit=0.0) is None
    small = prove_by_paths(instance, schedule, prices, memory_limit=100_000)
    assert prices.bound <= small.bound < latency(instance, schedule)


def test_what_cannot_be_searched():
    wide = Instance(gpu=Gpu(kv_capacity=400), arrival=[0], prompt=[1], output=[256])
    assert not sublimation.is_applicable(wide)
    schedule, prices = priced(wide, 0)
    with pytest.raises(InputError, match="at most 255 requests of output at most 255, found 1 and"):
        prove_by_paths(wide, schedule, prices)
    small = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    _, prices = priced(small, 0)
    with pytest.raises(InputError, match="schedule: expected a feasible schedule"):
        prove_by_paths(small, MixedSchedule([0, 0]), prices)
