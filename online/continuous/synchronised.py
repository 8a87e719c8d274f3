"""A rule played beside a log: its clock is set by the tokens that the log has."""

from __future__ import annotations

import numpy as np
from numba import njit

from ...models.batch_time import AffineTime
from ...models.continuous.problem import limits, require_continuous
from ...models.durations import Durations, durations
from ...models.instance import Instance, IntArray
from ..engine import Play, Player
from ..simulation import begin_run
from .compiled import requests_of
from .kernel_record import duration
from .kernel_state import CHUNKS, JOBS, READ, RUNNING, Requests, begin, push
from .kernels import build, complete, first_unfinished
from .policy import REGISTRY
from .rule import Rule
from .rule_policy import RulePolicy
from .state import stalls


def player(instance: Instance, rule: str) -> Player | None:
    """Return what plays a rule on an instance's requests; None where it has no compiled code.

    Parameters
    ----------
    instance : Instance
        Requests and GPU; the batch-time law is that of each play.
    rule : str
        A policy's specification.

    Raises
    ------
    InputError
        If the instance is not one of continuous batching, or the rule is unknown.

    Examples
    --------
    The log has the second of three tokens, and the last one, 2 ms after the law would.

    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, batch_time=AffineTime(c0=1.0, c1=0.0, c2=0.0, c3=0.0))
    >>> play = player(Instance(gpu=gpu, arrival=[0], prompt=[3], output=[3]), "vllm")
    >>> law = gpu.batch_time
    >>> play(law).end.tolist(), play(law, np.array([3000]), np.array([7000])).end.tolist()
    ([1000, 2000, 3000], [3000, 4000, 7000])
    """
    require_continuous(instance)
    policy, told, _ = begin_run(instance, REGISTRY, rule, 0)
    if not isinstance(policy, RulePolicy) or getattr(policy, "lengths", None) == "none":
        return None
    gpu = limits(instance)
    kv, way = gpu.blocks * gpu.block, policy.rule(gpu)
    unknown = np.full(instance.n, -1, np.int64)

    def play(
        law: AffineTime,
        first: IntArray | None = None,
        last: IntArray | None = None,
        slack: float = 0.0,
    ) -> Play:
        batch_time = durations(law)
        requests = requests_of(instance, *policy.ranked(instance, told, batch_time))
        stalled, since, table, first_batch, last_batch = synchronised(
            requests, batch_time, kv, gpu.block, gpu.chunked, way,
            unknown if first is None else first, unknown if last is None else last, slack,
        )  # fmt: skip
        if stalled >= 0:
            raise stalls(policy.name, instance.request_id(stalled), since)
        return Play(
            start=table[0], end=table[1], prompt_tokens=table[2], jobs=table[3], read=table[4],
            first=first_batch, last=last_batch,
        )  # fmt: skip

    return play


@njit(cache=True, nogil=True)
def synchronised(
    requests: Requests,
    law: Durations,
    kv: int,
    block: int,
    chunked: bool,
    rule: Rule,
    first: IntArray,
    last: IntArray,
    slack: float,
) -> tuple[int, int, IntArray, IntArray, IntArray]:
    """Run a rule; a batch with known tokens ends when they come, at the middle of their times.

    Returns which request stalls and when (−1 if none does), start, end, p, d and kv of each batch,
    shape (5, b), and the batches of each request's first and last token.
    """
    n = requests.arrival.size
    state = begin(n, requests.ranks.shape[0], kv, block)
    at, running, tokens, ready = state.at, state.running, state.tokens, state.ready
    table = np.empty((5, 4 * n), np.int64)
    first_batch, last_batch = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    jobs = np.empty(n, np.int32)
    b = arrived = completed = 0
    now, stalled, since = int(requests.arrival[requests.by_arrival[0]]), -1, -1
    while completed < n:
        while arrived < n and requests.arrival[requests.by_arrival[arrived]] <= now:
            push(requests, state, requests.by_arrival[arrived])
            arrived += 1
        done = build(requests, state, kv, block, chunked, rule, jobs)
        if at[CHUNKS] + at[JOBS] == 0:
            if arrived == n:
                stalled, since = first_unfinished(requests, state), now
                break
            now = requests.arrival[requests.by_arrival[arrived]]
            continue
        if b == table.shape[1]:
            longer = np.empty((5, 2 * b), np.int64)
            longer[:, :b] = table
            table = longer
        earliest, latest = np.int64(2**62), np.int64(-1)
        for k in range(at[CHUNKS]):
            i = state.chunk_of[k]
            if ready[i] and tokens[i] == 1:
                first_batch[i] = b
                if first[i] >= 0:
                    earliest, latest = min(earliest, first[i]), max(latest, first[i])
        if done > 0:
            for place in range(at[RUNNING]):
                i = running[place]
                if tokens[i] == requests.output[i]:
                    last_batch[i] = b
                    if last[i] >= 0:
                        earliest, latest = min(earliest, last[i]), max(latest, last[i])
        read = state.chunk_tokens[: at[CHUNKS]].sum()
        table[0, b] = now
        table[2, b], table[3, b], table[4, b] = read, at[JOBS], at[READ]
        length = duration(law, state)
        moment = (earliest + latest) // 2
        if latest >= 0 and abs(moment - now - length) > slack * length:
            now = int(moment) if moment > now else now + 1
        else:
            now += length
        table[1, b] = now
        b += 1
        if done > 0:
            complete(requests, state)
            completed += done
    return stalled, since, table[:, :b].copy(), first_batch, last_batch
