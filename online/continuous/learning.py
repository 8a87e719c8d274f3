"""A ranked rule that learns the output lengths, compiled between the moments at which it learns.

What it plans with changes when a request completes, and the order of the waiting requests also when
one arrives or is preempted. Between such batches the run is compiled code; at them the plan and
the order are made anew, by the policy itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...models.continuous.problem import limits
from ...models.continuous.schedule import Columns, ContinuousSchedule
from ...models.durations import Durations, batch_durations
from ...models.instance import Instance, IntArray
from ..learned_lengths import LearnedLengths
from .compiled import requests_of
from .kernel_record import JOB_COUNT, blank, duration, is_full, longer, record, recorded, with_room
from .kernel_state import (
    CHUNKS,
    DROPS,
    HEAD,
    JOBS,
    RUNNING,
    WAITING,
    Requests,
    State,
    begin,
)
from .kernels import build, complete
from .rule import Rule
from .state import stalls

if TYPE_CHECKING:
    from .ranked import RankedPolicy


def run_learning(instance: Instance, policy: RankedPolicy) -> ContinuousSchedule:
    """Run a ranked policy that is told no lengths, as `ranked.LearningRun` does.

    Parameters
    ----------
    instance : Instance
        The instance.
    policy : RankedPolicy
        Its rule and its order.

    Raises
    ------
    DoesNotFinish
        If a request is left that the rule never admits.

    Examples
    --------
    Only the first request's end tells that outputs have two tokens: then both others are admitted.

    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.online.continuous.policies.shortest_total import ShortestTotal
    >>> gpu = Gpu(kv_capacity=9)
    >>> instance = Instance(gpu=gpu, arrival=[0, 3, 3], prompt=[3, 3, 2], output=[2, 2, 2])
    >>> schedule = run_learning(instance, ShortestTotal(lengths="none"))
    >>> [batch.prefill for batch in schedule.batches]
    [((0, 3),), (), ((2, 2), (1, 3)), ()]
    """
    gpu, law = limits(instance), batch_durations(instance)
    n, longest = instance.n, gpu.blocks * gpu.block - instance.prompt + 1
    orders = len(policy.keys(instance.prompt[:1], instance.output[:1], law))
    ranks = np.zeros((orders, n), np.int64)
    requests = requests_of(instance, ranks, longest)
    place = np.argsort(requests.by_arrival)
    state = begin(n, orders, gpu.blocks * gpu.block, gpu.block)
    now, arrived = int(instance.arrival[requests.by_arrival[0]]), 0
    waits, known = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    found: list[Columns] = []
    while not known.all():
        complete_now = state.tokens == requests.output
        if not found or (complete_now != known).any():
            known = complete_now
            lengths = LearnedLengths(outputs=requests.output[known])
            outputs, means = lengths.outputs, lengths.means
            if known.all():
                break
        while arrived < n and instance.arrival[requests.by_arrival[arrived]] <= now:
            waits[requests.by_arrival[arrived]] = True
            arrived += 1
        _rank(instance, policy, law, requests, state, waits, place, lengths, longest)
        upcoming = int(instance.arrival[requests.by_arrival[arrived]]) if arrived < n else -1
        now, idle, columns = learn(
            requests, state, law, gpu.blocks * gpu.block, gpu.block, gpu.chunked,
            policy.rule(gpu), outputs, means, longest, waits, now, upcoming,
        )  # fmt: skip
        if idle and arrived == n:
            left = requests.by_arrival[~known[requests.by_arrival]]
            raise stalls(policy.name, instance.request_id(int(left[0])), now)
        found.append(columns)
    columns = Columns(*map(np.concatenate, zip(*found, strict=True)))
    return ContinuousSchedule.of_columns(columns)


def _rank(
    instance: Instance,
    policy: RankedPolicy,
    law: Durations,
    requests: Requests,
    state: State,
    waits: NDArray[np.bool_],
    place: IntArray,
    lengths: LearnedLengths,
    longest: IntArray,
) -> None:
    """Plan the waiting requests and put them in order; those that run come behind them."""
    who = np.flatnonzero(waits)
    who = who[np.argsort(place[who])]
    expected = [lengths.expected(tokens) for tokens in state.tokens[who].tolist()]
    requests.planned[who] = np.minimum(np.array(expected, np.int64), longest[who])
    others = state.running[: state.at[RUNNING]]
    keys = policy.keys(instance.prompt[who], requests.planned[who], law)
    for row, key in enumerate(keys):
        order = np.concatenate([who[np.argsort(key, kind="stable")], others])
        requests.ranks[row, order] = np.arange(order.size)
        requests.of_rank[row, : order.size] = order
        state.waiting[row, : who.size] = np.arange(who.size)  # sorted, so it is a heap as well
    state.at[WAITING], state.at[HEAD] = who.size, -1


@njit(cache=True, nogil=True)
def learn(
    requests: Requests,
    state: State,
    law: Durations,
    kv: int,
    block: int,
    chunked: bool,
    rule: Rule,
    outputs: IntArray,
    means: IntArray,
    longest: IntArray,
    waits: NDArray[np.bool_],
    now: int,
    upcoming: int,
) -> tuple[int, bool, Columns]:
    """Run until a request completes, is preempted, or arrives (at `upcoming`, −1 for no more).

    Returns the time, whether the GPU idles, and the batches; `waits` is kept up to date.
    """
    n = requests.arrival.size
    at, running, tokens = state.at, state.running, state.tokens
    found = blank(16, 64)
    counts = np.zeros(4, np.int64)
    idle = False
    while True:
        for place in range(at[RUNNING]):
            i = running[place]
            requests.planned[i] = min(_expected(outputs, means, tokens[i]), longest[i])
        d = counts[JOB_COUNT]
        if d + n > found.job_of.size:
            found = with_room(found, n)
        done = build(requests, state, kv, block, chunked, rule, found.job_of[d:])
        if at[CHUNKS] + at[JOBS] == 0:
            idle, now = True, max(now, upcoming)
            break
        if is_full(found, counts, state):
            found = longer(found, counts, state)
        record(found, counts, state, now)
        for k in range(at[CHUNKS]):
            waits[state.chunk_of[k]] = False
        now += duration(law, state)
        if done > 0:
            complete(requests, state)
        if at[DROPS] > 0:
            for i in state.drop_of[: at[DROPS]]:
                waits[i] = True
        if done > 0 or at[DROPS] > 0 or 0 <= upcoming <= now:
            break
    return now, idle, recorded(found, counts)


@njit(cache=True, nogil=True)
def _expected(outputs: IntArray, means: IntArray, tokens: int) -> int:
    """Return the expected output length of a request with so many tokens (`LearnedLengths`)."""
    first = np.searchsorted(outputs, tokens, side="right")
    return tokens + 1 if first == outputs.size else means[first]
