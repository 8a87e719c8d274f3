"""Where the requests' time goes: it sums to the latency, and a plain walk says the same."""

from dataclasses import asdict

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime
from batchprophet.models.continuous.feasibility import check_continuous
from batchprophet.models.continuous.problem import limits
from batchprophet.models.durations import batch_durations
from batchprophet.models.errors import DoesNotFinish
from batchprophet.models.instance import Gpu, Instance
from batchprophet.online.continuous.conformance import random_instance
from batchprophet.online.continuous.latency_breakdown import HEADINGS, account, by_request
from batchprophet.online.continuous.policy import REGISTRY
from batchprophet.online.continuous.simulator import simulate_continuous
from batchprophet.online.regimes import regime

POLICIES = [*REGISTRY.by_default, "vllm:max_num_batched_tokens=3", "mc-sf:max_num_seqs=2"]


def reason(gpu, batch, free, running, view_left, head):
    """Why a request with this much to read is not in a batch, the plain way."""
    used = sum(tokens for _, tokens in batch.prefill) + len(batch.decode)
    left = gpu.tokens - used
    if running >= gpu.running:
        return "waiting_seats"
    if left == 0 or (not gpu.chunked and view_left > left):
        return "waiting_tokens"
    if -(-max(view_left, head) // gpu.block) > free:
        return "waiting_kv"
    return "waiting_turn"


def plain(instance, schedule):
    """The table of `by_request`, request by request and batch by batch."""
    gpu, law, n = limits(instance), batch_durations(instance), instance.n
    s, o, a = instance.prompt.tolist(), instance.output.tolist(), instance.arrival.tolist()
    table = [dict.fromkeys(HEADINGS, 0) for _ in range(n)]
    work = [[0, 0, 0, 0] for _ in range(n)]  # own, fixed, prompts, all of decode
    tokens, cached, dropped, now, begun = [0] * n, [0] * n, [False] * n, min(a), set()
    for batch in schedule.batches:
        for i in range(n):
            if tokens[i] < o[i]:
                table[i]["idle"] += max(0, batch.start - max(now, a[i]))
        for i in batch.preempt:
            cached[i], dropped[i] = 0, True
        p, d = sum(t for _, t in batch.prefill), len(batch.decode)
        kv = sum(s[i] + tokens[i] for i in batch.decode)
        now = batch.start + law.batch(p, d, kv)
        taken = now - batch.start
        chunks = dict(batch.prefill)
        after = [
            cached[i] + chunks.get(i, 0) + (i in batch.decode) if tokens[i] < o[i] else 0
            for i in range(n)
        ]
        free = gpu.blocks - sum(-(-each // gpu.block) for each in after)
        running = sum(map(bool, after))
        begun |= set(chunks)
        queue = [i for i in np.argsort(a, kind="stable").tolist() if i not in begun]
        head = s[queue[0]] if queue and a[queue[0]] <= batch.start else 0
        for i in range(n):
            if tokens[i] == o[i] or a[i] >= now:
                continue
            if a[i] > batch.start:
                table[i]["arriving"] += now - a[i]
            elif i in chunks:
                table[i]["recompute" if dropped[i] else "prefill"] += taken
            elif i in batch.decode:
                own = law.per_token_job + law.per_kv_token * (s[i] + tokens[i])
                for at, each in enumerate((own, law.token, law.per_prompt_token * p, taken)):
                    work[i][at] += each
            elif cached[i]:
                table[i]["paused"] += taken
            elif dropped[i]:
                table[i]["preempted"] += taken
            else:
                table[i][reason(gpu, batch, free, running, s[i], head)] += taken
        for i in [*chunks, *batch.decode]:
            cached[i] = after[i]
            tokens[i] += i in batch.decode or cached[i] == s[i] + tokens[i]
    for row, (own, fixed, prompts, decode) in zip(table, work, strict=True):
        parts = [each // law.divisor for each in (own, fixed, prompts)]
        row["decode_own"], row["decode_fixed"], row["decode_prompts"] = parts
        row["decode_tokens"] = decode - sum(parts)
    return [[row[name] for name in HEADINGS] for row in table]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_plain_walk_says_the_same(policy):
    rng, met = np.random.default_rng(11), np.zeros(len(HEADINGS), np.int64)
    for seed in range(120):
        instance = random_instance(rng)
        try:
            schedule = simulate_continuous(instance, policy, seed=seed)
        except DoesNotFinish:
            continue
        table = by_request(instance, schedule)
        assert table.tolist() == plain(instance, schedule)
        latency = schedule.completion(instance) - instance.arrival
        assert table.sum(axis=1).tolist() == latency.tolist()
        assert (table >= 0).all()
        assert sum(asdict(account(instance, schedule)).values()) == int(latency.sum())
        met += table.sum(axis=0)
    assert np.count_nonzero(met) >= 9


def test_idling_is_told_apart():
    # Every schedule is feasible when its batches start later.
    rng = np.random.default_rng(13)
    for _ in range(100):
        instance = random_instance(rng)
        try:
            schedule = simulate_continuous(instance, "vllm")
        except DoesNotFinish:
            continue
        columns = schedule.columns
        late = columns.start + np.cumsum(rng.integers(0, 9, size=columns.start.size))
        later = schedule.of_columns(columns._replace(start=late))
        assert check_continuous(instance, later) == []
        assert by_request(instance, later).tolist() == plain(instance, later)
        assert account(instance, later).idle > 0


def test_every_heading_but_idle_is_met():
    rng, met = np.random.default_rng(12), np.zeros(len(HEADINGS), np.int64)
    for _ in range(100):
        instance = random_instance(rng)
        for policy in ("vllm", "prefill-first"):
            try:
                met += by_request(instance, simulate_continuous(instance, policy)).sum(axis=0)
            except DoesNotFinish:
                continue
    assert [name for name, time in zip(HEADINGS, met, strict=True) if not time] == ["idle"]


def test_the_work_of_a_batch_is_split():
    # Batch 2 takes 2 + .5·2 + .25 + .125·2 = 3.5 ms: the first request's token is its own .5.
    law = AffineTime(c0=2.0, c1=0.5, c2=0.25, c3=0.125)
    gpu = Gpu(kv_capacity=40, batch_time=law)
    instance = Instance(gpu=gpu, arrival=[0, 1], prompt=[1, 2], output=[2, 1])
    schedule = simulate_continuous(instance, "vllm")
    row = dict(zip(HEADINGS, by_request(instance, schedule)[0].tolist(), strict=True))
    assert row["prefill"] == 2500
    assert (row["decode_own"], row["decode_fixed"], row["decode_prompts"]) == (500, 2000, 1000)


def test_the_regime_gives_it():
    instance = random_instance(np.random.default_rng(2))
    schedule = simulate_continuous(instance, "orca")
    split = regime("continuous").breakdown(instance, schedule)
    assert split == account(instance, schedule)
    assert [term for term, _ in split.facts()] == ["queue", "prompts", "tokens", "idle"]
