"""Plans that are kept from decision to decision: who is who, and orders that hold to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...models.instance import IntArray
from .futures import Future

#: The name of a request that was to come, and has no place in a future any more.
GONE = -(2**62)


def merged_order(order: IntArray, planned: IntArray) -> IntArray:
    """Put those with a planned start (−1: none) in the order of their plan, the others between.

    A request without a plan stays behind the same planned one, or in front.

    Examples
    --------
    >>> merged_order(np.array([0, 3, 1, 2]), np.array([9, 5, 7, -1])).tolist()
    [1, 3, 2, 0]
    """
    with_plan = planned[order] >= 0
    merged = order.copy()
    known = order[with_plan]
    merged[with_plan] = known[np.argsort(planned[known], kind="stable")]
    return merged


def names_now(
    names: Sequence[int],
    future: Future,
    here: Mapping[int, tuple[int, int, int]],
    now: int,
    others: Sequence[int] | None = None,
) -> list[int]:
    """Return who a plan's requests are by now.

    A request that has come takes the place of one that was to come by now: of the same arrival and
    lengths if there is one, else of the one whose arrival is nearest. So a plan for a future that
    comes true goes on as it was. In another future, those that are to come take the places of those
    that were to come, by their turn.

    Parameters
    ----------
    names : sequence of int
        Who has a place in the plan: a request's index, or −1 − j for the j-th of its future.
    future : Future
        The plan's future.
    here : mapping
        Arrival, prompt and output of the requests that are here, by index.
    now : int
        The time.
    others : sequence of int, optional
        Names of who is to come in another future, in order of arrival; None for the plan's own.

    Examples
    --------
    Two were to come by now, and two did, one as it was expected.

    >>> future = Future(np.array([3, 5, 8, 9]), np.array([4, 2, 1, 1]), np.array([9, 7, 1, 2]))
    >>> here = {0: (0, 3, 5), 1: (5, 2, 7), 2: (6, 6, 6)}
    >>> names_now([0, -3, -4, -1, -2], future, here, 6)
    [0, -3, -4, 2, 1]
    >>> names_now([0, -3, -4, -1, -2], future, here, 6, others=[-1])[:2]
    [0, -1]
    """
    rows = list(zip(*(column.tolist() for column in future), strict=True))
    due = [name for name in names if name < 0 and rows[-1 - name][0] <= now]
    there, new = {*names}, {}
    for index, come in here.items():
        if index in there or not due:
            continue

        def unlike(name: int, come: tuple[int, int, int] = come) -> tuple[bool, int]:
            return rows[-1 - name] != come, abs(rows[-1 - name][0] - come[0])

        taken = min(due, key=unlike)
        due.remove(taken)
        new[taken] = index
    new.update(dict.fromkeys(due, GONE))
    if others is not None:
        to_come = sorted((n for n in names if n < 0 and rows[-1 - n][0] > now), reverse=True)
        new.update(dict.fromkeys(to_come, GONE))
        new.update(zip(to_come, others, strict=False))
    return [new.get(name, name) for name in names]
