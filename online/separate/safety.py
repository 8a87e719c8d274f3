"""When requests that hold KV can all finish: what keeps separate batching from deadlock.

A request keeps its KV cache until its last token, and there is no eviction: a GPU full of requests
that all need one more token than fits is stuck for good. Two tests keep away from that, both on
running requests j that hold ``h_j = s_j + g_j`` tokens and need ``r_j = o_j − g_j ≥ 1`` more each.

**Can all finish?** (`all_can_finish`) A state is *safe* if some sequence of token batches completes
all running requests within M. It is safe if and only if the requests can be ordered so that each in
turn can run alone: with ``f`` tokens free at first, request j needs ``r_j ≤ f``, and its completion
makes ``f`` larger by ``h_j``. *If*: run them one by one, in token batches of one request, which
every B_D allows. *Only if*: order the requests by their completions in a sequence that completes
all. When j completes, those after it hold at least their ``h``, and j holds ``h_j + r_j``, so
``r_j ≤ M − Σ_{k from j on} h_k``, which is what is free when j's turn comes in the order.
The order of increasing ``r_j`` will do: let it fail at j, and let k be the first of j and those
after it to have its turn in any other order; then at most those before j have gone by, so no more
is free than was at j, which is less than ``r_j ≤ r_k``: that order fails too. (This is the banker's
algorithm of Dijkstra, *EWD 623*, with one resource.)

**Does the plan fit?** (`plan_fits`) The *plan* serves the running requests in a fixed order, the
first B_D that are not done in each token batch, until all are done. KV use only grows between
completions, so the plan fits if M holds at each completion. A policy that admits a request only if
the plan fits with it, and then serves in the order of the plan, never needs to hold a token batch
back: what remains of a plan that fits is a plan that fits. A plan that fits is a sequence that
completes all, so the state is safe; safe states admit more.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

#: What one running request holds and still needs: (h, r), in tokens.
HeldAndNeeded = tuple[int, int]


def all_can_finish(running: Sequence[HeldAndNeeded], kv_capacity: int) -> bool:
    """Say whether some sequence of token batches completes all requests within the KV capacity.

    Parameters
    ----------
    running : sequence of (int, int)
        Tokens held h ≥ 0 and tokens still needed r ≥ 0 of each request.
    kv_capacity : int
        M, in tokens.

    Examples
    --------
    Two requests hold 3 tokens each. With 8 tokens, the one that needs 2 goes first and leaves 5 for
    the other; with 7 neither can finish.

    >>> all_can_finish([(3, 5), (3, 2)], 8), all_can_finish([(3, 5), (3, 2)], 7)
    (True, False)

    References
    ----------
    The module's docstring has the proof.
    """
    free = kv_capacity - sum(held for held, _ in running)
    if free < 0:
        return False
    for held, needed in sorted(running, key=lambda request: request[1]):
        if needed > free:
            return False
        free += held
    return True


def plan_fits(in_order: Sequence[HeldAndNeeded], kv_capacity: int, width: int | None) -> bool:
    """Say whether token batches of the first `width` that are not done keep within the capacity.

    Parameters
    ----------
    in_order : sequence of (int, int)
        Tokens held h ≥ 0 and tokens still needed r ≥ 0 of each request, in the order of service.
    kv_capacity : int
        M, in tokens.
    width : int or None
        B_D, requests in a token batch; None for no limit.

    Examples
    --------
    Both at once hold 2·3 + 2·2 = 10 tokens when the second completes; in turn 2 + 3 + 3.

    >>> requests = [(3, 2), (3, 5)]
    >>> plan_fits(requests, 9, None), plan_fits(requests, 9, 1)
    (False, True)
    """
    unserved = list(reversed(in_order))
    served: list[tuple[int, int]] = []  # (batch in which it completes, tokens held then)
    batch, waiting = 0, sum(held for held, _ in unserved)
    held_at_zero = 0  # Σ over the served of the tokens held, less the batches run: h − start
    while served or unserved:
        while unserved and (width is None or len(served) < width):
            held, needed = unserved.pop()
            waiting -= held
            held_at_zero += held - batch
            heapq.heappush(served, (batch + needed, held + needed))
        batch, peak = served[0]
        if held_at_zero + len(served) * batch + waiting > kv_capacity:
            return False
        heapq.heappop(served)
        held_at_zero -= peak - batch
    return True
