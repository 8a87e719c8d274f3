"""The Bayes selector under continuous batching: its list schedules, and its decisions."""

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime, UnitTime
from batchprophet.models.continuous.feasibility import check_continuous
from batchprophet.models.continuous.problem import limits
from batchprophet.models.durations import batch_durations
from batchprophet.models.instance import Gpu, Instance
from batchprophet.online.conformance import check_policy
from batchprophet.online.continuous.conformance import random_instance
from batchprophet.online.continuous.hindsight import make_world
from batchprophet.online.continuous.hindsight_kernels import anneal, best_of, cost_of
from batchprophet.online.continuous.observation import ContinuousObservation, ContinuousView
from batchprophet.online.continuous.policies.bayes import Bayes
from batchprophet.online.continuous.simulator import simulate_continuous
from batchprophet.online.coupling.futures import Future
from batchprophet.solvers.random_stream import random_stream

KEYS = {
    "mc-sf": lambda s, o: o,
    "shortest-total": lambda s, o: s + o,
    "smallest-volume": lambda s, o: s * o + o * (o + 1) // 2,
}


def latency(instance, policy, **options):
    schedule = simulate_continuous(instance, policy, **options)
    assert check_continuous(instance, schedule) == []
    return int((schedule.completion(instance) - instance.arrival).sum())


def world_at_the_start(instance, views=(), running=()):
    """The moment before the first request arrives: all are to come."""
    at = int(instance.arrival.min()) - 1
    future = Future(instance.arrival, instance.prompt, instance.output)
    observation = ContinuousObservation(
        at, limits(instance), batch_durations(instance), views, running
    )
    return make_world(observation, [], future)


def plain_times(rng):
    """A law whose batches take whole units, so that no rounding differs."""
    if rng.random() < 0.4:
        return UnitTime()
    c0, c1, c2, c3, own = (rng.integers([1, 0, 0, 0, 1], [40, 9, 9, 4, 90]) / 1000).tolist()
    return AffineTime(c0=c0, c1=c1, c2=c2, c3=c3, c0_prompt=own)


@pytest.mark.parametrize("policy", KEYS)
def test_list_schedules_are_those_of_the_ranked_policies(policy):
    # Blocks of one token and no token budget: nothing is reckoned but exactly.
    rng = np.random.default_rng(21)
    for _ in range(300):
        instance = random_instance(rng)
        old = instance.gpu
        gpu = Gpu(
            kv_capacity=old.kv_capacity,
            running_requests=old.running_requests,
            batch_time=plain_times(rng),
        )
        instance = instance.replace(gpu=gpu)
        world = world_at_the_start(instance)
        key = KEYS[policy](instance.prompt, instance.output)
        place = np.lexsort((np.arange(instance.n), instance.arrival, key))
        most = int(rng.integers(1, instance.n + 1))
        cost = cost_of(world.scene, place, most, 1, np.empty(instance.n, np.int64))
        assert cost == latency(instance, f"{policy}:max_num_seqs={most}")


def test_a_list_schedule_goes_on_from_any_moment():
    # What runs at a boundary of a policy's run, and what it does from there on.
    rng, compared = np.random.default_rng(22), 0
    while compared < 100:
        instance = random_instance(rng)
        gpu = Gpu(kv_capacity=instance.gpu.kv_capacity, batch_time=plain_times(rng))
        instance = instance.replace(gpu=gpu)
        schedule = simulate_continuous(instance, "mc-sf")
        time = schedule.timeline(instance)
        k = int(rng.integers(time.start.size))
        now = int(time.start[k])
        here = [_view(instance, schedule, i, k) for i in range(instance.n)]
        left = [i for i in range(instance.n) if time.completion[i] > now]
        running = [i for i in left if here[i].cached > 0]
        waiting = [i for i in left if not here[i].cached and instance.arrival[i] <= now]
        observation = ContinuousObservation(
            now, limits(instance), batch_durations(instance),
            tuple(here[i] for i in waiting), tuple(here[i] for i in running),
        )  # fmt: skip
        later = np.array([i for i in left if instance.arrival[i] > now], np.int64)
        future = Future(instance.arrival[later], instance.prompt[later], instance.output[later])
        lengths = [int(instance.output[i]) for i in (*waiting, *running)]
        world = make_world(observation, lengths, future)
        scene = world.scene
        order = np.lexsort((scene.arrival, scene.output))
        order = order[np.isin(order, world.order)]
        admitted = np.empty(order.size, np.int64)
        cost = cost_of(scene, order, instance.n, 1, admitted)
        expected = sum(int(time.completion[i] - instance.arrival[i]) for i in left)
        ties = np.unique(instance.output).size < instance.n
        if not ties:
            assert cost == expected
            chunks = [i for i, _ in schedule.batches[k].prefill]
            assert world.names[admitted[admitted >= 0]].tolist() == chunks
            compared += 1


def _view(instance, schedule, i, k):
    """A request at the start of batch k, where prompts are read at once."""
    batches = schedule.batches[:k]
    tokens = sum(i in batch.decode or i in dict(batch.prefill) for batch in batches)
    s = int(instance.prompt[i])
    cached = s + tokens - 1 if tokens else 0
    return ContinuousView(i, int(instance.arrival[i]), s, tokens=tokens, cached=cached,
                          ready=tokens > 0)  # fmt: skip


def test_annealing_never_loses_and_keeps_what_is_fixed():
    rng = np.random.default_rng(23)
    for seed in range(50):
        instance = random_instance(rng)
        world = world_at_the_start(instance)
        n, scene = instance.n, world.scene
        order, admitted = rng.permutation(n), np.empty(n, np.int64)
        wave = int(rng.integers(1, n + 1))
        before = cost_of(scene, order, n, wave, admitted)
        fixed = int(rng.integers(0, n))
        best, most, wave, cost = anneal(
            scene, order, n, wave, fixed, 50, (9.0, 1.0), random_stream(seed)
        )
        assert cost == cost_of(scene, best, most, wave, admitted) <= before
        assert best[:fixed].tolist() == order[:fixed].tolist()
        assert sorted(best.tolist()) == list(range(n))
        found = np.zeros(3, np.int64)
        waves = np.array([1, wave])
        both = best_of(scene, np.array([order, best]), np.array([n, most]), waves, found)
        assert both <= cost or wave > most  # those are not tried


def test_a_wave_lets_nobody_join_before_it_begins():
    # Two seats, one token per prompt, outputs 2, 4 and 3. Without waves the third joins when the
    # first is done, at 2, and is done at 5, as the second is at 4. In waves of two it joins at 4.
    gpu = Gpu(kv_capacity=99, running_requests=2, batch_time=UnitTime())
    instance = Instance(gpu=gpu, arrival=[0, 0, 0], prompt=[1, 1, 1], output=[2, 4, 3])
    world, order = world_at_the_start(instance), np.arange(3)
    costs = [cost_of(world.scene, order, 2, wave, np.empty(3, np.int64)) for wave in (1, 2)]
    assert costs == [2 + 4 + 5, 2 + 4 + 7]


def test_a_wave_spares_others_the_prompts():
    # A batch with a prompt takes ten times as long: it is better to read both at the end.
    law = AffineTime(c0=0.001, c1=0.01, c2=0.0, c3=0.0)
    gpu = Gpu(kv_capacity=99, running_requests=2, batch_time=law)
    instance = Instance(gpu=gpu, arrival=[0, 0, 0], prompt=[1, 1, 1], output=[2, 4, 3])
    world, order = world_at_the_start(instance), np.arange(3)
    costs = [cost_of(world.scene, order, 2, wave, np.empty(3, np.int64)) for wave in (1, 2)]
    # First both prompts: 21; a token each: 22. Then 31 or 22, and 1 each.
    assert costs == [22 + 34 + 35, 22 + 24 + 37]


@pytest.mark.parametrize(
    "spec",
    [
        "bayes:samples=2,effort=20",
        "bayes:samples=3,effort=20,lengths=none",
        "bayes:samples=1,effort=0,lengths=interval,law=arrival-model-1",
        "bayes:samples=2,effort=10,lengths=predicted,error=0.5,law=arrival-model-2",
    ],
)
def test_it_conforms(spec):
    assert check_policy(spec, model="continuous", trials=15) == []


def loaded(seed):
    """60 requests of conversation lengths that overload a KV-bound H100."""
    rng = np.random.default_rng(seed)
    law = AffineTime(c0=9.82, c1=0.0442, c2=0.0366, c3=9.4e-5)
    arrival = np.cumsum(rng.exponential(1e6 / 12, 60)).astype(np.int64)
    return Instance(
        gpu=Gpu(kv_capacity=12_000, kv_block=16, batch_tokens=2048, batch_time=law),
        arrival=arrival,
        prompt=np.clip(rng.lognormal(6.6, 0.9, 60), 10, 4000).astype(np.int64),
        output=np.clip(rng.lognormal(4.8, 1.0, 60), 2, 1000).astype(np.int64),
    )


def test_it_is_close_to_the_best_of_the_told_and_far_below_vllm():
    told = ("mc-sf", "smallest-volume", "shortest-total", "least-work", "sorted-f")
    ratios, blind = [], []
    for seed in range(4):
        instance = loaded(seed)
        vllm = latency(instance, "vllm")
        best = min(latency(instance, policy) for policy in told)
        ratios.append(latency(instance, "bayes:samples=5,effort=30") / best)
        blind.append(latency(instance, "bayes:samples=5,effort=30,lengths=none") / vllm)
        assert ratios[-1] * best < 0.8 * vllm
    assert np.mean(ratios) < 1.01
    assert np.mean(blind) < 0.9


def test_a_block_that_is_never_half_full_keeps_nobody_out():
    # Reckoned with half a block beside it, a request that just fits would never run alone.
    gpu = Gpu(
        kv_capacity=8, kv_block=3, chunked_prefill=False,
        batch_time=AffineTime(c0=0.01, c1=0.1, c2=0.3, c3=0.01),
    )  # fmt: skip
    instance = Instance(
        gpu=gpu, arrival=[387, 184, 0, 79, 0], prompt=[2, 4, 2, 1, 2], output=[1, 1, 4, 6, 1]
    )
    for lengths in ("exact", "none"):
        schedule = simulate_continuous(instance, Bayes(lengths=lengths))
        assert check_continuous(instance, schedule) == []
