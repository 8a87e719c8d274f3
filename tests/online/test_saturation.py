"""Saturation: when mixing prompts with tokens serves more, what no rule can exceed, what is lost.

Separate and continuous batching side by side: the rule for mixing of arXiv 2606.00516, and the
capacity b/t_b of arXiv 2504.07347 with its rule that is unstable below it.
"""

from __future__ import annotations

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime
from batchprophet.models.continuous.feasibility import check_continuous
from batchprophet.models.instance import Gpu, Instance
from batchprophet.online.continuous.policy import REGISTRY
from batchprophet.online.continuous.simulator import simulate_continuous
from batchprophet.online.separate.simulator import simulate_separate
from batchprophet.online.separate.threshold import best_share, mixed_time, separate_time

#: Two measured intercepts (an RTX PRO 6000), in milliseconds.
SEPARATE = AffineTime(c0=4.69, c1=0.0399, c2=0.0289, c3=8e-5, c0_prompt=10.38)


def times_per_request(seats, output, prompt, mixed, n=2000, seed=0):
    """Milliseconds per request of `threshold` and of `orca` at saturation: predicted, simulated."""
    rng = np.random.default_rng(seed)
    s, o = rng.integers(1, 2 * prompt, n), 1 + rng.geometric(1 / output, n)
    read = float(((o - 1) * s + o * (o - 1) / 2).mean())
    jobs = float((o - 1).mean())
    predicted = (
        separate_time(seats, jobs, float(s.mean()), read, SEPARATE),
        mixed_time(seats, jobs, float(s.mean()), read, mixed),
    )
    simulated = []
    for law in (SEPARATE, mixed):
        limits = {"token_batch_requests" if law is SEPARATE else "running_requests": seats}
        gpu = Gpu(kv_capacity=10**7, batch_time=law, **limits)
        instance = Instance(gpu=gpu, arrival=np.zeros(n, np.int64), prompt=s, output=o)
        if law is SEPARATE:
            completion = simulate_separate(instance, "threshold").completion(instance)
        else:
            completion = simulate_continuous(instance, "orca").completion(instance)
        # Neither the start nor the end, when seats are empty.
        first, last = n // 5, 4 * n // 5
        done = np.sort(completion)
        simulated.append((done[last] - done[first]) / (last - first) / 1000)
    return predicted, simulated


@pytest.mark.parametrize(("seats", "output", "prompt"), [(64, 100, 200), (32, 50, 400)])
def test_mixing_wins_where_its_rule_says_so(seats, output, prompt):
    winners = set()
    for slower in (1.0, 1.05, 1.1, 1.2, 1.4):
        mixed = AffineTime(
            c0=4.69 * slower, c1=0.0399 * slower, c2=0.0289 * slower, c3=8e-5 * slower
        )
        (separate, together), (separate_run, together_run) = times_per_request(
            seats, output, prompt, mixed
        )
        assert separate_run == pytest.approx(separate, rel=0.03)
        assert together_run == pytest.approx(together, rel=0.03)
        if abs(together / separate - 1) > 0.05:
            winners.add(together < separate)
            assert (together_run < separate_run) == (together < separate)
    assert winners == {True, False}


def test_mixing_always_wins_under_one_law_with_no_shorter_prompt_batches():
    rng = np.random.default_rng(1)
    for _ in range(500):
        jobs, token = float(rng.uniform(1, 500)), float(rng.uniform(0.1, 30))
        law = AffineTime(c0=token, c1=0.1, c2=0.05, c3=0, c0_prompt=token * rng.uniform(1, 20))
        share = best_share(law.c0_prompt / law.c0 / jobs)
        assert share / (1 - share) > 1 / jobs
        seats, prompt = int(rng.integers(1, 300)), float(rng.uniform(1, 900))
        assert mixed_time(seats, jobs, prompt, 0, law) < separate_time(seats, jobs, prompt, 0, law)


def stream(n, every, prompt, output, budget):
    """A request of one kind every so many microseconds; every batch takes 10 ms."""
    law = AffineTime(c0=10.0, c1=0, c2=0, c3=0)
    gpu = Gpu(kv_capacity=10**9, batch_tokens=budget, batch_time=law)
    arrival = (np.arange(n) * every).astype(np.int64)
    return Instance(gpu=gpu, arrival=arrival, prompt=np.full(n, prompt), output=np.full(n, output))


def test_no_rule_reads_and_emits_more_than_b_tokens_in_t_b():
    # Work of a request: s prompt tokens and o − 1 token jobs; a batch of b of them takes t_b, and
    # a smaller one takes longer for each.
    rng = np.random.default_rng(2)
    for _ in range(30):
        n, budget = int(rng.integers(5, 40)), int(rng.integers(8, 60))
        c0, c1 = float(rng.uniform(1, 20)), float(rng.uniform(0, 0.5))
        instance = Instance(
            gpu=Gpu(
                kv_capacity=400,
                batch_tokens=budget,
                batch_time=AffineTime(c0=c0, c1=c1, c2=c1, c3=0),
            ),
            arrival=np.zeros(n, np.int64),
            prompt=rng.integers(1, budget, n),
            output=rng.integers(1, 40, n),
        )
        work = int((instance.prompt + instance.output - 1).sum())
        least = work / budget * 1000 * (c0 + c1 * budget)
        for name in (set(REGISTRY.by_default) - {"waves"}) | {"wait", "gittins"}:
            schedule = simulate_continuous(instance, name)
            assert check_continuous(instance, schedule) == []
            assert schedule.completion(instance).max() >= least


@pytest.mark.parametrize("policy", ["vllm", "sarathi", "orca"])
def test_below_capacity_what_serves_tokens_beside_prompts_keeps_up(policy):
    # λ·(s + o − 1) = (3 + 5)/10 = 0.8 of b/t_b: as many are present after 4,000 as after 1,000.
    present = []
    for n in (1000, 4000):
        instance = stream(n, 10_000, prompt=3, output=6, budget=10)
        completion = simulate_continuous(instance, policy).completion(instance)
        present.append(int((completion > instance.arrival[-1]).sum()))
    assert present[0] == present[1] < 10


def test_prompts_first_starve_tokens_below_capacity():
    # A request comes in every batch. Its prompt goes before the tokens of the others, so no other
    # batch is ever built: none completes while requests come, though the capacity is five times
    # their work.
    for n in (100, 400):
        instance = stream(n, 10_000, prompt=3, output=6, budget=40)
        completion = simulate_continuous(instance, "prefill-first").completion(instance)
        assert (completion > instance.arrival[-1]).all()
        completion = simulate_continuous(instance, "vllm").completion(instance)
        assert (completion <= instance.arrival[-1]).sum() > n - 10


def test_above_capacity_every_rule_falls_behind():
    # 1.2 times b/t_b: the backlog grows with the number of requests.
    for policy in ("vllm", "sarathi", "orca", "least-work"):
        left = []
        for n in (500, 2000):
            instance = stream(n, 10_000, prompt=7, output=6, budget=10)
            completion = simulate_continuous(instance, policy).completion(instance)
            left.append(int((completion > instance.arrival[-1]).sum()))
        assert left[1] > 3 * left[0] > 100
