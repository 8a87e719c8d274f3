"""What a policy of continuous batching sees at a batch boundary."""

from __future__ import annotations

from dataclasses import dataclass

from ...models.continuous.problem import Limits
from ...models.durations import Durations
from ..view import ServedView


@dataclass(frozen=True, slots=True)
class ContinuousView(ServedView):
    """One request as a policy sees it.

    Attributes
    ----------
    tokens : int
        Output tokens so far, g; a preempted request keeps them.
    cached : int
        KV tokens that it holds; 0 while it waits.
    ready : bool
        Whether all that is to be read is read, so that a token job emits its next token.

    Examples
    --------
    >>> preempted = ContinuousView(0, 0, 3, shortest=4, longest=4, tokens=2)
    >>> preempted.unread, preempted.remaining
    (5, 2)
    """

    cached: int = 0
    ready: bool = False

    @property
    def unread(self) -> int:
        """Tokens that it has to read before its next token, those that it emitted included."""
        return 0 if self.ready else self.prompt + self.tokens - self.cached

    @property
    def remaining(self) -> int:
        """Output tokens that it still needs by what is told, at least 1."""
        return max(1, self.planned - self.tokens)


@dataclass(frozen=True, slots=True)
class ContinuousObservation:
    """The state at one batch boundary, after completions and arrivals.

    Attributes
    ----------
    time : int
        In the batch-time law's unit; a batch may start now.
    limits : Limits
        Blocks of KV memory, requests that run, tokens in a batch, whether prompts are chunked.
    law : Durations
        How long batches take.
    waiting : tuple of ContinuousView
        Requests without a cache, in order of arrival, ties in the instance's order; preempted
        ones too.
    running : tuple of ContinuousView
        Requests that hold a cache, in the order in which they began to read.

    Examples
    --------
    >>> observation = ContinuousObservation(
    ...     time=2, limits=Limits(2, 16, 4, 9, True), law=Durations(1, 1, 0, 0, 0, 1), waiting=(),
    ...     running=(ContinuousView(0, 0, 3, tokens=2, cached=17, ready=True),),
    ... )
    >>> observation.kv_use
    32
    """

    time: int
    limits: Limits
    law: Durations
    waiting: tuple[ContinuousView, ...]
    running: tuple[ContinuousView, ...]

    @property
    def kv_use(self) -> int:
        """KV tokens that the running requests hold now, in whole blocks."""
        return sum(in_blocks(view.cached, self.limits.block) for view in self.running)


def in_blocks(tokens: int, block: int) -> int:
    """Return the tokens of the whole blocks that some tokens take.

    Examples
    --------
    >>> in_blocks(17, 16), in_blocks(16, 16), in_blocks(0, 16)
    (32, 16, 0)
    """
    return -(-tokens // block) * block
