"""Which token batches run because the KV cache keeps all waiting requests out."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...models.instance import Instance, IntArray
from ...models.separate.timeline import Timeline


def blocked_batches(instance: Instance, time: Timeline) -> NDArray[np.bool_]:
    """Say of each batch whether the KV cache left the GPU no choice of its kind, shape (b,).

    A token batch is *blocked* if a request waits at its start, and whichever of those alone were
    admitted then would not fit, or leave a state from which not all running requests can finish
    (`safety.all_can_finish`, which no policy can do without). Prompt batches are not.

    Examples
    --------
    The second request holds 7 tokens after its prompt batch: beside the first it never fits.

    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch, SeparateSchedule
    >>> from batchprophet.models.separate.timeline import timeline
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 6], output=[2, 1])
    >>> kinds = [Batch("prompt", 0, (0,)), Batch("token", 1, (0,)), Batch("prompt", 2, (1,))]
    >>> blocked_batches(instance, timeline(instance, SeparateSchedule(kinds))).tolist()
    [False, True, False]
    """
    return _blocked(
        instance.arrival.copy(),
        instance.prompt.copy(),
        instance.output.copy(),
        np.argsort(instance.arrival, kind="stable"),
        time.prompt,
        time.start,
        time.size,
        time.member,
        instance.gpu.kv_capacity,
    )


@njit(cache=True, nogil=True)
def _blocked(
    arrival: IntArray,
    s: IntArray,
    o: IntArray,
    by_arrival: IntArray,
    prompt: NDArray[np.bool_],
    start: IntArray,
    size: IntArray,
    member: IntArray,
    M: int,
) -> NDArray[np.bool_]:
    """Walk through the batches with the sets of waiting and running requests."""
    blocked = np.zeros(start.size, np.bool_)
    g, one = np.zeros(s.size, np.int64), np.ones(s.size, np.int64)  # tokens so far
    waiting, w, arrived = np.empty(s.size, np.int64), 0, 0
    running, k, job = np.empty(s.size, np.int64), 0, 0
    for b in range(start.size):
        while arrived < s.size and arrival[by_arrival[arrived]] <= start[b]:
            waiting[w] = by_arrival[arrived]
            w, arrived = w + 1, arrived + 1
        if not prompt[b] and w > 0:
            blocked[b] = not _any_fits(waiting[:w], running[:k], s, o, g, M)
        for i in member[job : job + size[b]]:
            g[i] += 1
            if prompt[b]:
                running[k] = i
                k += 1
        job += size[b]
        w = _kept(waiting, w, g, one) if prompt[b] else w
        k = _kept(running, k, g, o)
    return blocked


@njit(cache=True, nogil=True)
def _kept(requests: IntArray, count: int, g: IntArray, until: IntArray) -> int:
    """Drop requests that have as many tokens as `until` says; return how many are left."""
    kept = 0
    for position in range(count):
        i = requests[position]
        if g[i] < until[i]:
            requests[kept] = i
            kept += 1
    return kept


@njit(cache=True, nogil=True)
def _any_fits(
    waiting: IntArray, running: IntArray, s: IntArray, o: IntArray, g: IntArray, M: int
) -> bool:
    """Whether all can finish after a prompt batch of some waiting request alone.

    In order of need r the running requests j find ``f_j`` tokens free. A newcomer that holds h and
    needs r takes its turn before the first with a larger need, p: those before p have h less, so
    ``f_j − r_j ≥ h`` for them and ``f_p ≥ h + r`` for itself are what must hold.
    """
    held, needed = s[running] + g[running], o[running] - g[running]
    order = np.argsort(needed, kind="mergesort")
    free = np.empty(order.size + 1, np.int64)
    room = np.empty(order.size + 1, np.int64)  # least f_j − r_j of those before
    free[0], room[0] = M - held.sum(), M
    for turn in range(order.size):
        j = order[turn]
        room[turn + 1] = min(room[turn], free[turn] - needed[j])
        free[turn + 1] = free[turn] + held[j]
    in_order = needed[order]
    for i in waiting:
        h, r = s[i] + 1, o[i] - 1
        turn = np.searchsorted(in_order, r, side="right")
        if h <= free[0] and h <= room[turn] and h + r <= free[turn]:
            return True
    return False
