"""What the policies share: whom to admit to a prompt batch, whom to serve in a token batch.

Both go by an order of service. Admission takes waiting requests in turn while the batch limits
hold and the plan of all running requests still fits with them (`safety.plan_fits`); a token batch
serves the first B_D in that order. Lengths are planned at the upper ends of what is told. A
request that ends earlier than that only makes room, but lets those behind it start earlier than
planned; where B_D makes some wait and the plan no longer fits for this reason, the batch takes, in
the order, those with whom all can still finish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from .decision import BatchDecision
from .observation import SeparateObservation, SeparateView
from .safety import all_can_finish, plan_fits

#: Key by which running requests are served, least first, ties in order of admission.
Service = Callable[[SeparateView], int]


def in_admission_order(view: SeparateView) -> int:
    """Serve first what was admitted first."""
    return 0


def tokens_left(view: SeparateView) -> int:
    """Serve first what has the fewest tokens to go."""
    return view.remaining


class Admission(NamedTuple):
    """What a prompt batch would admit.

    Attributes
    ----------
    requests : tuple of SeparateView
        In the order in which they were taken; empty if the first does not fit.
    stopped_by : {"requests", "tokens", "kv"} or None
        What the next in turn would exceed: B_P (or the seats), C_P, or the KV capacity; None if
        none is left.
    """

    requests: tuple[SeparateView, ...]
    stopped_by: Literal["requests", "tokens", "kv"] | None

    def batch(self) -> BatchDecision:
        """Return the decision to run this prompt batch."""
        return BatchDecision("prompt", tuple(view.index for view in self.requests))


def admit(
    observation: SeparateObservation,
    order: Iterable[SeparateView],
    service: Service = in_admission_order,
    *,
    seats: int | None = None,
) -> Admission:
    """Take waiting requests in turn, up to the first that a limit or the KV capacity stops.

    Parameters
    ----------
    observation : SeparateObservation
        The state.
    order : iterable of SeparateView
        Waiting requests, the first in turn first.
    service : callable, optional
        Order in which token batches will serve; by admission by default.
    seats : int, optional
        Keep at most this many requests running. With B_D every token batch serves them all.

    Examples
    --------
    Together with the first, the second would hold 2·3 + 2·3 = 12 tokens at the end of the plan.

    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.durations import Durations
    >>> waiting = tuple(
    ...     SeparateView(index=i, arrival=0, prompt=3, shortest=3, longest=3) for i in range(2)
    ... )
    >>> observation = SeparateObservation(
    ...     time=0, gpu=Gpu(kv_capacity=11), law=Durations(1, 1, 0, 0, 0, 1), waiting=waiting,
    ...     running=(), last=None,
    ... )
    >>> admission = admit(observation, waiting)
    >>> len(admission.requests), admission.stopped_by
    (1, 'kv')
    """
    gpu = observation.gpu
    admitted: list[SeparateView] = []
    for view in order:
        batch = [*admitted, view]
        if _exceeds(len(batch), gpu.prompt_batch_requests):
            return Admission(tuple(admitted), "requests")
        if _exceeds(_seats(observation, batch), seats):
            return Admission(tuple(admitted), "requests")
        if _exceeds(sum(each.prompt for each in batch), gpu.prompt_batch_tokens):
            return Admission(tuple(admitted), "tokens")
        if not _fits(observation, batch, service):
            return Admission(tuple(admitted), "kv")
        admitted = batch
    return Admission(tuple(admitted), None)


def serve(observation: SeparateObservation, service: Service = in_admission_order) -> BatchDecision:
    """Serve the first B_D running requests, or of them in order those with whom all can finish.

    The batch names them in order of admission.
    """
    running, B_D = observation.running, observation.gpu.token_batch_requests
    M = observation.gpu.kv_capacity
    in_order = sorted(running, key=service)
    served = {view.index for view in in_order[:B_D]}
    if not _can_finish_after(running, served, M):
        served = set()
        for view in in_order:
            full = _exceeds(len(served) + 1, B_D)
            if not full and _can_finish_after(running, served | {view.index}, M):
                served.add(view.index)
    return BatchDecision("token", tuple(view.index for view in running if view.index in served))


def _fits(observation: SeparateObservation, batch: list[SeparateView], service: Service) -> bool:
    """Whether M holds at the end of the prompt batch, and the plan fits after it."""
    M = observation.gpu.kv_capacity
    if observation.kv_use + sum(view.prompt + 1 for view in batch) > M:
        return False
    after = [*observation.running, *map(_prompted, batch)]
    plan = [(view.held, view.remaining) for view in sorted(after, key=service) if view.remaining]
    return plan_fits(plan, M, observation.gpu.token_batch_requests)


def _prompted(view: SeparateView) -> SeparateView:
    """Return a waiting request as it is after its prompt batch."""
    return SeparateView(view.index, view.arrival, view.prompt, view.shortest, view.longest, 1)


def _seats(observation: SeparateObservation, batch: list[SeparateView]) -> int:
    """Requests that run after the prompt batch, by what is told."""
    return len(observation.running) + sum(view.planned > 1 for view in batch)


def _can_finish_after(running: Iterable[SeparateView], served: set[int], kv_capacity: int) -> bool:
    """Whether M holds at the end of a token batch, and all can still finish after it."""
    state = [
        (view.held + (view.index in served), view.remaining - (view.index in served))
        for view in running
    ]
    return all_can_finish(state, kv_capacity)


def _exceeds(size: int, limit: int | None) -> bool:
    return limit is not None and size > limit
