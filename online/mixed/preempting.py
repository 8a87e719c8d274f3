"""Preemption by priority: the next round holds those of the highest priority that fit in it."""

from __future__ import annotations

from collections.abc import Iterable

from .decision import Decision
from .observation import Observation, RequestView


def serve_in_order(observation: Observation, order: Iterable[RequestView]) -> Decision:
    """Fill the next round in the given order of all that run and wait; evict the rest.

    What waits starts while it fits, no later one past an earlier one that does not; what runs is
    kept if it fits beside those before it.

    Parameters
    ----------
    observation : Observation
        The state.
    order : iterable of RequestView
        Its requests, highest priority first.

    Examples
    --------
    The request that waits takes the place of one that runs.

    >>> runs = RequestView(index=0, arrival=0, prompt=2, start=0)
    >>> waits = RequestView(index=1, arrival=3, prompt=1)
    >>> observation = Observation(time=3, kv_capacity=6, waiting=(waits,), running=(runs,))
    >>> serve_in_order(observation, [waits, runs])
    Decision(start=(1,), evict=(0,), wake_at=4)
    """
    t, M, held, filled = observation.time, observation.kv_capacity, 0, observation.empty_round
    start, evict, blocked = [], [], False
    for view in order:
        size = view.prompt + 1 if view.start is None else view.size(t + 1)
        tokens = view.prompt if view.start is None else 1
        fits = held + size <= M and filled.takes(tokens)
        if view.start is None:
            blocked = blocked or not fits
            if not blocked:
                start.append(view.index)
                held += size
                filled.add(tokens)
        elif fits:
            held += size
            filled.add(tokens)
        else:
            evict.append(view.index)
    return Decision(start=tuple(start), evict=tuple(evict), wake_at=t + 1)
