"""The optimum where all requests but one are alike and of one token, recomputed in plain Python.

Let the long one start at k. In each round in which it runs it leaves room for
``⌊(M − held)/(s + 1)⌋`` of the others, in other rounds ``⌊M/(s + 1)⌋`` fit. Each of them takes one
round, and one is as good as another: so it is best to serve in each round as many as wait and fit.
Once all others are done without it, a later start of the long one only costs. What is left is to
try every k up to then. `bounds.one_long_request` does so by other code.
"""

from __future__ import annotations

from bisect import bisect_right

from ....models.errors import InputError
from ....models.instance import Instance
from ..clock import Clock

#: Starts of the long request that are tried at most.
MOST_STARTS = 2**20


def optimum(instance: Instance, clock: Clock) -> int:
    """Least total latency (mixed batching).

    Raises
    ------
    InputError
        If the instance is not of this kind, or the long request has more than `MOST_STARTS` starts.
    OutOfTime
        If the clock runs out.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=4)
    >>> instance = Instance(gpu=gpu, arrival=[0, 1, 1], prompt=[1, 1, 1], output=[3, 1, 1])
    >>> optimum(instance, Clock(None))  # the others first: 5 + 2
    7
    """
    rows = list(
        zip(
            instance.arrival.tolist(),
            instance.prompt.tolist(),
            instance.output.tolist(),
            strict=True,
        )
    )
    long = max(rows, key=lambda row: (row[2], row[1]))
    rows.remove(long)
    sizes = {s for _, s, _ in rows}
    if len(sizes) != 1 or any(o != 1 for _, _, o in rows):
        raise InputError(
            "proof.name: the bound is for one request among others of equal prompts and one token"
        )
    (a, s, o), size = long, sizes.pop() + 1
    M = int(instance.gpu.kv_capacity)
    arrivals: list[int] = sorted(arrival for arrival, _, _ in rows)
    alone, done = _serve(arrivals, M, size, 0, 0, 0)
    if done - a > MOST_STARTS:
        raise InputError(
            f"proof.name: the bound is for at most {MOST_STARTS} starts of the long request, "
            f"found {done - a}"
        )
    best: int = alone + max(0, done - a) + o
    for k in range(a, done):
        clock.check()
        best = min(best, _serve(arrivals, M, size, s, k, o)[0] + k + o - a)
    return int(best - sum(arrivals))


def _serve(arrivals: list[int], M: int, size: int, s: int, k: int, o: int) -> tuple[int, int]:
    """Σ completions of the others beside a request of prompt s started at k, and their end."""
    now = total = served = 0
    while served < len(arrivals):
        now = max(now, arrivals[served])
        come = bisect_right(arrivals, now)
        now += 1
        held = s + now - k if k < now <= k + o else 0
        fit = min(come - served, (M - held) // size)
        if fit == 0:  # nor will any fit until the long one is done: it only grows
            now = k + o
        total += fit * now
        served += fit
    return total, now
