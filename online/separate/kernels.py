"""The built-in policies of separate batching, compiled: the schedules of their `decide`.

A rule is an order in which waiting requests are admitted (`rank`), an order in which running ones
are served (`service`), and when a prompt batch is preferred to a token batch (`choice`).
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...models.durations import Durations, batch_durations
from ...models.instance import Instance, IntArray
from ...models.separate.columns import Columns
from ...models.separate.schedule import SeparateSchedule
from ..lengths import Told
from .threshold import best_threshold, safe_seats

#: When a prompt batch runs: whenever it admits one; when nothing runs; when it is full; between
#: two thresholds; when one of the B_D requests with the least left to do waits; when enough seats
#: are free.
WHENEVER, WHEN_EMPTY, WHEN_FULL, HYSTERESIS, WHEN_SHORTEST, SEATS_FREE = range(6)

#: Order of service: by admission, by tokens that remain.
ADMISSION, REMAINING = range(2)

#: A limit that is none.
UNLIMITED = 2**62

#: Told lengths must be shorter, or their KV volumes may leave 64-bit arithmetic.
LONGEST = 2**30

_NOBODY_LEFT, _BY_REQUESTS, _BY_TOKENS, _BY_KV = range(4)


class Rule(NamedTuple):
    """What tells one built-in policy from another.

    Attributes
    ----------
    choice : int
        `WHENEVER`, `WHEN_EMPTY`, `WHEN_FULL`, `HYSTERESIS`, `WHEN_SHORTEST` or `SEATS_FREE`.
    service : int
        `ADMISSION` or `REMAINING`.
    seated : bool
        Whether at most B_D requests run.
    high, low : int
        Thresholds of `HYSTERESIS`; `high` is the size of a full batch under `WHEN_FULL`. Seats
        and free seats of `SEATS_FREE`, 0 where they are computed.
    """

    choice: int
    service: int = ADMISSION
    seated: bool = False
    high: int = UNLIMITED
    low: int = 0


class _Gpu(NamedTuple):
    M: int
    B_P: int
    C_P: int
    B_D: int
    law: Durations


class _Requests(NamedTuple):
    """Prompt, told length and rank of each request: each array more takes time in every call."""

    prompt: IntArray
    planned: IntArray
    priority: IntArray


class _Present(NamedTuple):
    """What waits and what runs: the first `w` and the first `k` of these, with their tokens."""

    waiting: IntArray  # by place
    running: IntArray  # by admission
    tokens: IntArray  # of each request


def run_rule(
    instance: Instance, told: Told, rule: Rule, rank: IntArray | None = None
) -> SeparateSchedule | None:
    """Run a rule on a whole instance.

    Parameters
    ----------
    instance : Instance
        Any batch-time law, any batch limits.
    told : Told
        Told lengths, upper ends no smaller than the true ones.
    rule : Rule
        The rule.
    rank : ndarray of int64, shape (n,), optional
        Admission order of waiting requests, least first, ties by arrival and then in the
        instance's order; by arrival if left out. Under `WHEN_SHORTEST` the time alone on the GPU.

    Returns
    -------
    SeparateSchedule or None
        The schedule; None where told lengths are so long that times leave 64-bit arithmetic.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> told = Told(instance.output, instance.output)
    >>> schedule = run_rule(instance, told, Rule(WHEN_EMPTY))
    >>> [(batch.kind, batch.start) for batch in schedule.batches][-2:]
    [('prompt', 4), ('token', 5)]
    """
    law, limits = batch_durations(instance), instance.gpu
    if not fits_compiled(law, instance, told):
        return None
    gpu = _Gpu(
        limits.kv_capacity,
        limits.prompt_batch_requests or UNLIMITED,
        limits.prompt_batch_tokens or UNLIMITED,
        limits.token_batch_requests or UNLIMITED,
        law,
    )
    priority = np.zeros(instance.n, dtype=np.int64) if rank is None else rank
    by_rank = np.lexsort((instance.arrival, priority))
    place = np.empty(instance.n, dtype=np.int64)
    place[by_rank] = np.arange(instance.n)
    # Copies: read-only arrays are of another type, for which all would be compiled once more.
    requests = _Requests(instance.prompt.copy(), told.high.copy(), priority.copy())
    arrival, output = instance.arrival.copy(), instance.output.copy()
    is_prompt, start, size, members = _run(arrival, output, place, requests, gpu, rule)
    columns = Columns(is_prompt.copy(), size.copy(), members)
    return SeparateSchedule.of_columns(start.copy(), columns)


def fits_compiled(law: Durations, instance: Instance, told: Told) -> bool:
    """Whether told lengths, and the times alone that they imply, fit in 64-bit arithmetic."""
    longest, widest = int(told.high.max()), int(instance.prompt.max())
    alone = law.prompt_batch(widest) + longest * law.token_batch(1, widest + longest)
    return longest < LONGEST and alone * law.divisor < UNLIMITED


@njit(cache=True, nogil=True)
def _run(
    arrival: IntArray,
    output: IntArray,
    place: IntArray,
    requests: _Requests,
    gpu: _Gpu,
    rule: Rule,
) -> tuple[NDArray[np.bool_], IntArray, IntArray, IntArray]:
    """Run the rule; return kind, start, size of each batch, and all members in a row."""
    n, w, k, prompt = arrival.size, 0, 0, requests.prompt
    by_arrival = np.argsort(arrival, kind="mergesort")
    here = _Present(np.empty(n, np.int64), np.empty(n, np.int64), np.zeros(n, np.int64))
    waiting, running, tokens = here.waiting, here.running, here.tokens
    is_prompt = np.empty(1024, np.bool_)
    start, size = np.empty(1024, np.int64), np.empty(1024, np.int64)
    members, b, m = np.empty(output.sum(), np.int64), 0, 0
    arrived, after_prompt = 0, False
    t = arrival[by_arrival[0]]
    while m < members.size:
        if w == 0 and k == 0:
            t = max(t, arrival[by_arrival[arrived]])
        while arrived < n and arrival[by_arrival[arrived]] <= t:
            _enqueue(waiting, w, by_arrival[arrived], place)
            w, arrived = w + 1, arrived + 1
        admitted = _wanted(requests, here, w, k, gpu, rule, after_prompt) if w > 0 else 0
        if b == start.size:
            is_prompt, start, size = _doubled(is_prompt, start, size)
        is_prompt[b], start[b], after_prompt = admitted > 0, t, admitted > 0
        if admitted > 0:
            batch = waiting[:admitted].copy()
            waiting[: w - admitted] = waiting[admitted:w].copy()
            running[k : k + admitted] = batch
            w, k = w - admitted, k + admitted
            t += _time(gpu.law.prompt + gpu.law.per_prompt_token * prompt[batch].sum(), gpu.law)
        else:
            batch = _served(requests, here, k, gpu, rule.service)
            kv = prompt[batch].sum() + tokens[batch].sum()
            work = gpu.law.token + gpu.law.per_token_job * batch.size + gpu.law.per_kv_token * kv
            t += _time(work, gpu.law)
        for i in batch:
            tokens[i] += 1
            members[m] = i
            m += 1
        size[b] = batch.size
        b += 1
        k = _let_go(running, k, tokens, output)
    return is_prompt[:b], start[:b], size[:b], members


@njit(cache=True, nogil=True)
def _time(numerator: int, law: Durations) -> int:
    return -(-numerator // law.divisor)


@njit(cache=True, nogil=True)
def _doubled(
    is_prompt: NDArray[np.bool_], start: IntArray, size: IntArray
) -> tuple[NDArray[np.bool_], IntArray, IntArray]:
    more_prompt = np.empty(2 * is_prompt.size, np.bool_)
    more_start, more_size = np.empty(2 * start.size, np.int64), np.empty(2 * size.size, np.int64)
    more_prompt[: is_prompt.size] = is_prompt
    more_start[: start.size] = start
    more_size[: size.size] = size
    return more_prompt, more_start, more_size


@njit(cache=True, nogil=True)
def _enqueue(waiting: IntArray, w: int, i: int, place: IntArray) -> None:
    """Insert request i into the first w waiting, which are sorted by place."""
    low, high = 0, w
    while low < high:
        middle = (low + high) // 2
        if place[waiting[middle]] < place[i]:
            low = middle + 1
        else:
            high = middle
    for position in range(w, low, -1):
        waiting[position] = waiting[position - 1]
    waiting[low] = i


@njit(cache=True, nogil=True)
def _let_go(running: IntArray, k: int, tokens: IntArray, output: IntArray) -> int:
    """Drop those that are done from the running; return how many are left."""
    kept = 0
    for position in range(k):
        i = running[position]
        if tokens[i] < output[i]:
            running[kept] = i
            kept += 1
    return kept


@njit(cache=True, nogil=True)
def _wanted(
    requests: _Requests,
    here: _Present,
    w: int,
    k: int,
    gpu: _Gpu,
    rule: Rule,
    after_prompt: bool,
) -> int:
    """Return how many of the waiting the next prompt batch admits; 0 for a token batch."""
    if k > 0:
        if rule.choice == WHEN_EMPTY:
            return 0
        if rule.choice == WHEN_FULL and not _may_be_full(requests, here, w, k, gpu, rule):
            return 0
        if rule.choice == HYSTERESIS and not after_prompt and w < rule.high:
            return 0
    if rule.choice == HYSTERESIS and after_prompt and k > 0 and w <= rule.low:
        return 0
    if rule.choice == SEATS_FREE:
        return _filling(requests, here, w, k, gpu, rule)
    most = gpu.B_D if rule.seated else UNLIMITED
    admitted, stop = _admit(requests, here, w, k, gpu, rule, most)
    if k > 0 and rule.choice == WHEN_FULL:
        full = admitted >= min(rule.high, gpu.B_P) or stop == _BY_TOKENS
        return admitted if full else 0
    if k >= gpu.B_D and admitted > 0 and rule.choice == WHEN_SHORTEST:
        left = np.empty(k, np.int64)
        for position in range(k):
            i = here.running[position]
            kv = requests.prompt[i] + here.tokens[i]
            work = gpu.law.token + gpu.law.per_token_job + gpu.law.per_kv_token * kv
            left[position] = (requests.planned[i] - here.tokens[i]) * _time(work, gpu.law)
        left.sort()
        return admitted if requests.priority[here.waiting[0]] < left[gpu.B_D - 1] else 0
    return admitted


@njit(cache=True, nogil=True)
def _filling(requests: _Requests, here: _Present, w: int, k: int, gpu: _Gpu, rule: Rule) -> int:
    """Return how many of the waiting fill the free seats; 0 while too few seats are free."""
    N, free = rule.high, rule.low
    if N == 0 or free == 0:
        present = np.concatenate((here.waiting[:w], here.running[:k]))
        planned = requests.planned[present].sum()
        if N == 0:
            N = safe_seats(w + k, requests.prompt[present].sum() + planned, gpu.M)
            N = min(N, gpu.B_D)
        if free == 0:
            free = best_threshold(N, w + k, planned - w - k, gpu.law.prompt, gpu.law.token)
    free = min(free, N)
    if k > 0 and N - k < free:
        return 0
    admitted, stop = _admit(requests, here, w, k, gpu, rule, N)
    enough = admitted >= min(free, w) or stop in (_BY_REQUESTS, _BY_TOKENS)
    return admitted if k == 0 or enough else 0


@njit(cache=True, nogil=True)
def _may_be_full(
    requests: _Requests, here: _Present, w: int, k: int, gpu: _Gpu, rule: Rule
) -> bool:
    """Whether the fewest that fill a prompt batch are there, and their plan fits (see `_admit`)."""
    prompt, waiting, running, tokens = requests.prompt, here.waiting, here.running, here.tokens
    least = min(rule.high, gpu.B_P)
    batch_tokens = 0
    for admitted in range(w):
        batch_tokens += prompt[waiting[admitted]]
        if batch_tokens > gpu.C_P:
            least = admitted
            break
        if admitted + 1 == least:
            break
    if least > w:
        return False
    held = 0
    for position in range(k):
        held += prompt[running[position]] + tokens[running[position]]
    for position in range(least):
        held += prompt[waiting[position]] + 1
    if held > gpu.M:
        return False
    return bool(_fits(least, requests, here, k, gpu, rule))


@njit(cache=True, nogil=True)
def _admit(
    requests: _Requests, here: _Present, w: int, k: int, gpu: _Gpu, rule: Rule, most_seats: int
) -> tuple[int, int]:
    """Return how many of the waiting fit into a prompt batch, in turn, and what stops the next.

    Served in the order of admission, a later one makes none before it wait: a plan that fits
    fits without the last ones. So the longest one is found by bisection.
    """
    prompt, waiting, running, tokens = requests.prompt, here.waiting, here.running, here.tokens
    planned, held, peaks = requests.planned, 0, 0
    for position in range(k):
        i = running[position]
        held += prompt[i] + tokens[i]
        peaks += prompt[i] + planned[i]
    batch_tokens, seats = 0, k
    most, stop, safe = w, _NOBODY_LEFT, 0
    for admitted in range(w):
        i = waiting[admitted]
        seats += planned[i] > 1
        batch_tokens += prompt[i]
        held += prompt[i] + 1
        peaks += prompt[i] + planned[i]
        if admitted == gpu.B_P or seats > most_seats:
            most, stop = admitted, _BY_REQUESTS
        elif batch_tokens > gpu.C_P:
            most, stop = admitted, _BY_TOKENS
        elif held > gpu.M:
            most, stop = admitted, _BY_KV
        elif peaks <= gpu.M:  # they fit whatever they do
            safe = admitted + 1
            continue
        elif rule.service == ADMISSION:
            continue
        elif not _fits(admitted + 1, requests, here, k, gpu, rule):
            most, stop = admitted, _BY_KV
        else:
            continue
        break
    if rule.service != ADMISSION or most <= safe:
        return most, stop
    if _fits(most, requests, here, k, gpu, rule):
        return most, stop
    low, high = safe, most
    while high - low > 1:
        middle = (low + high) // 2
        if _fits(middle, requests, here, k, gpu, rule):
            low = middle
        else:
            high = middle
    return low, _BY_KV


@njit(cache=True, nogil=True)
def _fits(
    admitted: int, requests: _Requests, here: _Present, k: int, gpu: _Gpu, rule: Rule
) -> bool:
    """`safety.plan_fits` of what runs and the first `admitted` that wait, once all of it runs."""
    after = np.concatenate((here.running[:k], here.waiting[:admitted]))
    g = np.maximum(here.tokens[after], 1)
    held, needed = requests.prompt[after] + g, requests.planned[after] - g
    order = _in_order(needed, rule.service, after.size > gpu.B_D)
    total, unserved = 0, 0  # unserved: position in order
    for position in order:
        total += held[position] if needed[position] > 0 else 0
    served = [(0, 0)][:0]  # batch in which it completes, position
    growth_at_zero, batch = 0, 0  # tokens held at batch u: total + growth_at_zero + served·u
    while served or unserved < order.size:
        while unserved < order.size and len(served) < gpu.B_D:
            j = order[unserved]
            unserved += 1
            if needed[j] > 0:
                heapq.heappush(served, (batch + needed[j], j))
                growth_at_zero -= batch
        if not served:
            break
        batch, j = served[0]
        if total + growth_at_zero + len(served) * batch > gpu.M:
            return False
        heapq.heappop(served)
        total -= held[j]
        growth_at_zero += batch - needed[j]
    return True


@njit(cache=True, nogil=True)
def _in_order(needed: IntArray, service: int, matters: bool) -> IntArray:
    """Positions in order of service, ties in the order given."""
    if service == ADMISSION or not matters:
        return np.arange(needed.size)
    return np.argsort(needed, kind="mergesort")


@njit(cache=True, nogil=True)
def _served(requests: _Requests, here: _Present, k: int, gpu: _Gpu, service: int) -> IntArray:
    """Return what the token batch serves, in order of admission: `serving.serve`."""
    running = here.running[:k]
    g, s, o = here.tokens[running], requests.prompt[running], requests.planned[running]
    order = _in_order(o - g, service, k > gpu.B_D)
    in_batch = np.zeros(k, np.int64)
    in_batch[order[: gpu.B_D]] = 1
    if (s + o).sum() > gpu.M and not _can_finish(s + g + in_batch, o - g - in_batch, gpu.M):
        order = _in_order(o - g, service, True)
        in_batch[:] = 0
        for j in order:
            if in_batch.sum() < gpu.B_D:
                in_batch[j] = 1
                if not _can_finish(s + g + in_batch, o - g - in_batch, gpu.M):
                    in_batch[j] = 0
    served: IntArray = running[in_batch == 1].copy()
    return served


@njit(cache=True, nogil=True)
def _can_finish(held: IntArray, needed: IntArray, M: int) -> bool:
    """`safety.all_can_finish`."""
    free = M - held.sum()
    if free < 0:
        return False
    for j in np.argsort(needed, kind="mergesort"):
        if needed[j] > free:
            return False
        free += held[j]
    return True
