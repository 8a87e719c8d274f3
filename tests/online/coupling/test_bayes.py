"""The Bayes selector for latency: the laws that futures are drawn from, the worlds, the votes."""

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.objectives import total_latency
from batchprophet.online.coupling.futures import LAWS, PastLaw, PublishedLaw
from batchprophet.online.mixed.hindsight import World, first_order, without_idle_stretches
from batchprophet.online.mixed.observation import Observation, RequestView
from batchprophet.online.mixed.policy import make_policy
from batchprophet.online.mixed.simulator import simulate
from batchprophet.online.regimes import regime
from batchprophet.solvers.random_stream import random_stream
from tests.brute_force import brute_force
from tests.strategies import random_instance


def seen(t, arrivals, length=4):
    views = tuple(RequestView(i, a, 2, length, length) for i, a in enumerate(arrivals))
    return Observation(time=t, kv_capacity=20, waiting=views, running=(), arrived=views)


def draws(law, observation, count=300):
    rng = np.random.default_rng(0)
    return [law.draw(observation, rng) for _ in range(count)]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("arrivals", [[0], [0, 3, 9, 9], [20] * 30, [70, 71]])
def test_futures_lie_ahead_and_fit_the_machine(law, arrivals):
    t = max(arrivals)
    for future in draws(LAWS[law], seen(t, arrivals), 50):
        assert np.all(future.arrival > t)
        assert np.all(np.diff(future.arrival) >= 0)
        assert np.all(future.output >= 1)
        assert np.all(future.prompt >= 1)
        assert np.all(future.prompt + future.output <= 20)


def test_the_published_law_learns_rate_and_end():
    # One more round is drawn for certain before round 39; with 20 rounds seen, 30 arrivals speak
    # for the highest rate, 5 for the lowest.
    law = PublishedLaw()
    many = np.mean([future.arrival.size for future in draws(law, seen(19, [0] * 30))])
    few = np.mean([future.arrival.size for future in draws(law, seen(19, [0] * 5))])
    # T − 20 is 30 on average: between 0.5 and 1.5 a round.
    assert 15 < few < 25 < 35 < many < 45
    assert all(
        future.arrival.max() <= 59 for future in draws(law, seen(45, [45])) if future[0].size
    )
    assert all(future.arrival.size == 0 for future in draws(law, seen(61, [0, 61])))
    assert all(
        future.arrival.size == 0 for future in draws(PublishedLaw(at_zero=True), seen(3, [0]))
    )


def test_the_past_speaks_of_the_rate_and_silence_of_an_end():
    law = PastLaw()
    assert all(future.arrival.size == 0 for future in draws(law, seen(9, [0, 0, 0])))
    going = [future.arrival.size > 0 for future in draws(law, seen(30, list(range(31))))]
    silent = [future.arrival.size > 0 for future in draws(law, seen(60, list(range(31))))]
    assert np.mean(going) > 0.9
    assert np.mean(silent) < 0.1
    lengths = {int(o) for future in draws(law, seen(30, list(range(31)))) for o in future.output}
    assert lengths == {4}


def test_a_world_keeps_its_schedule_feasible_while_starts_are_decided():
    rng = np.random.default_rng(1)
    for trial in range(30):
        m, M = int(rng.integers(2, 9)), 16
        prompt = rng.integers(1, 5, m)
        output = rng.integers(1, M - prompt + 1)
        release = rng.integers(0, 5, m) * (rng.random(m) < 0.5)
        release[0] = 0
        who = np.where(release == 0, np.arange(m), -1)
        order = first_order(release, prompt, output)
        world = World(who, release, prompt, output, np.zeros(30, np.int64), M, who)
        stream = random_stream(trial)
        world.solve(order, 200, 1.0, stream)
        agreed = world.after(world.starts_now(), stream)
        assert agreed.cost == world.cost  # with the others as they were
        chosen = int(rng.choice(who[who >= 0]))
        world = world.after([chosen], stream)
        world.improve(200, 1.0, stream)
        assert np.all(world.start >= 1)
        held = world.fixed.copy()
        for s, o, k in zip(world.prompt, world.output, world.start, strict=True):
            held[k + 1 : k + o + 1] += s + np.arange(1, o + 1)
        assert held.max() <= M
        assert np.all(world.start >= world.release)
        assert chosen not in world.who


@pytest.mark.parametrize("M", [2, 3, 4, 5])
@pytest.mark.parametrize("law", LAWS)
def test_every_law_has_requests_for_the_smallest_gpus(M, law):
    gpu = Gpu(kv_capacity=M)
    instance = Instance(gpu=gpu, arrival=[0, 0, 1], prompt=[1, 1, 1], output=[1, M - 1, 1])
    schedule = simulate(instance, f"bayes:law={law},samples=5,effort=20")
    assert not check_mixed(instance, schedule)


def test_many_arrivals_and_a_long_silence_are_in_the_range_of_numbers():
    """Their likelihood is e^5000 and more."""
    going = draws(PastLaw(), seen(10_000, [1] * 5000), count=20)
    assert all(future.arrival.size == 0 for future in going)


@pytest.mark.parametrize("model", ["mixed", "separate"])
@pytest.mark.parametrize("arrivals", [[10**12], [0, 10**9, 10**9, 10**12]])
def test_work_follows_requests_and_not_the_time(model, arrivals):
    """A profile up to round 10^12 would take 8 TB."""
    gpu, n = Gpu(kv_capacity=12), len(arrivals)
    instance = Instance(gpu=gpu, arrival=arrivals, prompt=[2] * n, output=[3] * n)
    schedule = regime(model).simulate(instance, "bayes:samples=3,effort=50")
    assert schedule.completion(instance).tolist() == [a + 3 for a in arrivals]  # all at once


def test_lists_are_placed_alike_without_idle_stretches():
    """Whatever the order, and whatever runs: each by as much sooner as its release."""
    rng = np.random.default_rng(5)
    cut = 0
    for _ in range(300):
        m, M = int(rng.integers(1, 8)), 16
        prompt = rng.integers(1, 6, m)
        output = rng.integers(1, M - prompt + 1)
        release = np.sort(rng.integers(0, rng.choice([5, 50, 500]), m))
        left = int(rng.integers(0, 12))
        closer = without_idle_stretches(release, output, left)
        cut += int(release[-1] - closer[-1])
        first = first_order(release, prompt, output)
        assert (
            first.tolist() == first_order(release + 10**9 * (release > 99), prompt, output).tolist()
        )
        for order in (first, rng.permutation(m)):
            starts = []
            for each in (release, closer):
                fixed = np.zeros(each[-1] + 300, np.int64)
                fixed[1 : left + 1] = 3 + np.arange(1, left + 1)
                world = World(order, each, prompt, output, fixed, M, order)
                world.solve(order, 0, 1.0, random_stream(0))
                starts.append(world.start - each)
            assert starts[0].tolist() == starts[1].tolist()
    assert cut > 1000


def test_with_everything_known_it_is_nearly_optimal_on_tiny_instances():
    rng = np.random.default_rng(2)
    cost = best = optimal = 0
    for _ in range(12):
        instance = random_instance(rng, 6, capacity=(8, 14)).replace(arrival=np.zeros(6, np.int64))
        schedule = simulate(instance, "bayes:law=arrival-model-1,samples=1,effort=400")
        assert not check_mixed(instance, schedule)
        value, least = (
            total_latency(instance, schedule.completion(instance)),
            brute_force(instance)[0],
        )
        assert value >= least
        cost, best, optimal = cost + value, best + least, optimal + (value == least)
    assert optimal >= 10
    assert cost <= 1.005 * best


def test_it_beats_mc_sf_on_the_published_law():
    def total(spec):
        value = 0
        for seed in range(4):
            instance = make_instance("arrival-model-2", seed=seed, settings={"n": 16})
            schedule = simulate(instance, spec, seed=seed)
            value += total_latency(instance, schedule.completion(instance))
        return value

    assert total("bayes:law=arrival-model-2,samples=5,effort=200") < total("mc-sf")


def test_the_seed_decides():
    instance = make_instance("arrival-model-2", seed=3, settings={"n": 12})
    spec = "bayes:samples=2,effort=50"
    assert simulate(instance, spec, seed=1) == simulate(instance, spec, seed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "law=poisson",
            "law: expected one of past, arrival-model-1, arrival-model-2; found 'poisson'",
        ),
        ("samples=0", "samples: expected an integer of at least 1, found 0"),
        ("effort=-1", "effort: expected an integer of at least 0, found -1"),
        (
            "lengths=guess",
            "lengths: expected one of exact, predicted, interval, none; found 'guess'",
        ),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        make_policy(f"bayes:{options}")
