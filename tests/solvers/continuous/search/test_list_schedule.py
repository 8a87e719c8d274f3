"""List schedules of continuous batching: feasible under every limit, and as a plain loop has it."""

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime, UnitTime
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.regimes import check
from batchprophet.solvers.continuous.compiled_instance import compiled_instance
from batchprophet.solvers.continuous.search import annealing
from batchprophet.solvers.continuous.search.list_schedule import (
    Rule,
    decode,
    list_schedule,
    no_batches,
    ring_size,
    unlimited,
)
from batchprophet.solvers.continuous.search.recipe import Search
from batchprophet.solvers.continuous.search.runs import ALL_TIME
from batchprophet.solvers.random_stream import random_stream
from batchprophet.solvers.stages import Limits


def random_instance(rng):
    n = int(rng.integers(1, 12))
    prompt, output = rng.integers(1, 12, n), rng.integers(1, 12, n)
    block = int(rng.choice([1, 1, 4]))
    M = int((prompt + output).max()) + int(rng.integers(0, 30)) + block
    law = AffineTime(
        c0=float(rng.uniform(0.5, 3)), c1=float(rng.uniform(0, 0.3)),
        c2=float(rng.uniform(0, 0.3)), c3=float(rng.uniform(0, 0.02)),
        c0_prompt=None if rng.random() < 0.5 else float(rng.uniform(0.1, 5)),
    )  # fmt: skip
    chunked = bool(rng.random() < 0.7)
    budget = int(rng.integers(1, 12)) if chunked else int(prompt.max() + rng.integers(0, 9))
    gpu = Gpu(
        kv_capacity=M, kv_block=block, chunked_prefill=chunked,
        running_requests=None if rng.random() < 0.5 else int(rng.integers(1, 5)),
        batch_tokens=None if rng.random() < 0.4 else budget,
        batch_time=law if rng.random() < 0.7 else UnitTime(),
    )  # fmt: skip
    span = 30_000 if gpu.batch_time.name == "affine" else 20
    arrival = rng.integers(0, span, n)
    return Instance(gpu=gpu, arrival=arrival, prompt=prompt, output=output)


def random_rule(rng, n):
    segments = int(rng.integers(1, 4))
    return Rule(
        rng.permutation(n), rng.integers(1, 8, segments), rng.integers(1, 20, segments),
        int(rng.integers(1, 20_000)), int(rng.integers(1, n + 1)),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(300))
def test_every_rule_gives_a_feasible_schedule(seed):
    rng = np.random.default_rng(seed)
    instance = random_instance(rng)
    numbers, rule = compiled_instance(instance), random_rule(rng, instance.n)
    schedule = list_schedule(numbers, rule)
    assert check(instance, schedule) == []
    completion, batches, _ = decode(numbers, rule, ring_size(numbers, rule), no_batches(), False)
    assert completion.tolist() == schedule.completion(instance).tolist()
    assert batches == schedule.columns.start.size
    # No cache is dropped, and whoever decodes does so in every batch.
    assert schedule.columns.drop_of.size == 0
    for i in range(instance.n):
        mine = [k for k, batch in enumerate(schedule.batches) if i in batch.decode]
        assert mine == list(range(mine[0], mine[-1] + 1) if mine else [])


def plain(instance, order):
    """Play an order without limits on running requests and prompts, batch by batch.

    Every waiting request is tried in every batch, against every batch to come; one block is one
    token.
    """
    s, o, a = instance.prompt.tolist(), instance.output.tolist(), instance.arrival.tolist()
    law, M = compiled_instance(instance).law, instance.gpu.kv_capacity
    now, k = 0, 0
    first, completion = {}, [0] * instance.n
    while len(first) < instance.n or max(first[i] + o[i] - 1 for i in first) >= k:
        running = [i for i in first if first[i] + o[i] - 1 >= k]
        p = 0
        for i in order:
            if a[i] > now or i in first:
                continue
            trial = {**{j: first[j] for j in running}, i: k}
            last = max(f + o[j] - 1 for j, f in trial.items())
            if all(
                sum(s[j] + t - f for j, f in trial.items() if f <= t <= f + o[j] - 1) <= M
                for t in range(k, last + 1)
            ):
                first[i] = k
                running.append(i)
                p += s[i]
        if not running:
            now = min(a[i] for i in range(instance.n) if i not in first)
            continue
        decoding = [i for i in running if first[i] < k]
        now += law.batch(p, len(decoding), sum(s[i] + k - first[i] for i in decoding))
        for i in running:
            if first[i] + o[i] - 1 == k:
                completion[i] = now
        k += 1
    return completion


@pytest.mark.parametrize("seed", range(150))
def test_it_is_what_a_plain_loop_gives(seed):
    # The compiled one skips requests that cannot fit yet, and looks at completions only.
    rng = np.random.default_rng(1000 + seed)
    instance = random_instance(rng)
    gpu = Gpu(kv_capacity=instance.gpu.kv_capacity, batch_time=instance.gpu.batch_time)
    instance = instance.replace(gpu=gpu)
    order = rng.permutation(instance.n)
    found = list_schedule(compiled_instance(instance), unlimited(order)).completion(instance)
    assert found.tolist() == plain(instance, order.tolist())


def test_annealing_finds_what_no_order_of_arrival_gives():
    # A long request first would make two short ones wait.
    gpu = Gpu(kv_capacity=20)
    instance = Instance(gpu=gpu, arrival=[0, 0, 0], prompt=[5, 1, 1], output=[14, 9, 9])
    best = []
    search = Search(instance, "latency", 0, lambda schedule, _: best.append(schedule))
    search.try_rules(None, Limits(work=10))
    search.improve(Limits(work=200))
    values = [int(each.completion(instance).sum()) for each in best]
    assert values == sorted(values, reverse=True)
    assert values[-1] == 9 + 9 + 23


def test_the_same_seed_and_work_give_the_same_schedule():
    instance = random_instance(np.random.default_rng(5))

    def found():
        best = []
        search = Search(instance, "latency", 7, lambda schedule, _: best.append(schedule))
        search.try_rules(None, Limits(work=10))
        search.improve(Limits(work=300))
        return best[-1]

    assert found() == found()


def test_annealing_keeps_the_best_rule():
    rng = np.random.default_rng(3)
    instance = random_instance(rng)
    numbers = compiled_instance(instance)
    rule = Rule(np.arange(instance.n), np.full(4, 9), np.full(4, 9), 5000, instance.n)
    smallest = rule._replace(prompt_tokens=np.array([1]))
    landscape = annealing.Landscape(
        numbers, np.ones(instance.n), ALL_TIME, 0.0, 5000, instance.n,
        ring_size(numbers, smallest), 9, 20, 1,
    )  # fmt: skip
    nothing = no_batches()
    state = annealing.begin(landscape, rule, nothing)
    annealing.anneal(landscape, state, random_stream(1), nothing, 500, 1e4, 10.0)
    best = state.best(5000, instance.n)
    assert annealing.cost(landscape, best, nothing) == state.cost[1] <= state.cost[0]
    assert check(instance, list_schedule(numbers, best)) == []
