"""What a policy of separate batching sees at a batch boundary."""

from __future__ import annotations

from dataclasses import dataclass

from ...models.durations import Durations
from ...models.instance import Gpu
from ...models.separate.schedule import Kind
from ..view import ServedView


@dataclass(frozen=True, slots=True)
class SeparateView(ServedView):
    """One request as a policy sees it.

    Attributes
    ----------
    index, arrival, prompt, shortest, longest
        As in `View`; the interval holds the output length.
    tokens : int
        Output tokens so far; 0 until its prompt batch has ended.

    Examples
    --------
    >>> running = SeparateView(index=0, arrival=0, prompt=3, shortest=4, longest=4, tokens=2)
    >>> running.held, running.remaining
    (5, 2)
    """

    @property
    def remaining(self) -> int:
        """Output tokens that it still needs at the most, by what is told."""
        return self.planned - self.tokens

    @property
    def held(self) -> int:
        """KV tokens that it holds: ``s + g`` with g output tokens so far, 0 while it waits."""
        return self.prompt + self.tokens if self.tokens else 0


@dataclass(frozen=True, slots=True)
class SeparateObservation:
    """The state at one batch boundary, after completions and arrivals.

    Attributes
    ----------
    time : int
        In the batch-time law's unit; a batch may start now.
    gpu : Gpu
        KV capacity M and the batch limits B_P, C_P, B_D.
    law : Durations
        How long batches take.
    waiting : tuple of SeparateView
        Requests without a prompt job, in order of arrival, ties in the instance's order.
    running : tuple of SeparateView
        Requests that hold KV, in order of their prompt batches, ties in the order in which the
        decision named them.
    last : {"prompt", "token"} or None
        Kind of the latest batch; None before the first.

    Examples
    --------
    >>> from batchprophet.models.durations import Durations
    >>> observation = SeparateObservation(
    ...     time=2, gpu=Gpu(kv_capacity=9), law=Durations(1, 1, 0, 0, 0, 1), waiting=(),
    ...     running=(SeparateView(index=0, arrival=0, prompt=3, tokens=2),), last="token",
    ... )
    >>> observation.kv_use
    5
    """

    time: int
    gpu: Gpu
    law: Durations
    waiting: tuple[SeparateView, ...]
    running: tuple[SeparateView, ...]
    last: Kind | None

    @property
    def kv_use(self) -> int:
        """KV tokens that the running requests hold now."""
        return sum(view.held for view in self.running)
