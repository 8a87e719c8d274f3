"""What a policy sees: the time, the KV use, who waits, who runs, and what it is told of lengths."""

from __future__ import annotations

from dataclasses import dataclass

from ..view import View
from .plan import NextRound, Plan


@dataclass(frozen=True, slots=True)
class RequestView(View):
    """One request as a policy sees it.

    Its length is told as in `View`; a running request that outlives its interval shows it: both
    ends are at least its tokens so far + 1.

    Attributes
    ----------
    index, arrival, prompt, shortest, longest
        As in `View`; times are round boundaries.
    start : int or None
        Round boundary at which it started; None while it waits.
    """

    start: int | None = None

    def size(self, t: int) -> int:
        """KV tokens held in round `t`, ``s + (t − start)``, of a running request."""
        assert self.start is not None
        return self.prompt + t - self.start


@dataclass(frozen=True, slots=True)
class Observation:
    """The state at one round boundary, after completions and arrivals.

    Attributes
    ----------
    time : int
        The round boundary t; what starts now is in the batches of rounds t + 1, t + 2, ….
    kv_capacity : int
        M, in tokens.
    waiting : tuple of RequestView
        In order of arrival, ties in the instance's order; evicted requests are back in their place.
    running : tuple of RequestView
        In order of start, ties in the order in which the decision named them.
    arrived : tuple of RequestView
        All that have arrived, in order of arrival, for policies that ask for it (`remembers`),
        else empty. Of those that have completed, the output length is known: both ends are it.
    running_requests : int or None
        B, requests that a round may have; None for no limit.
    batch_tokens : int or None
        C, tokens that a round may have: s of a request that starts, 1 of each that runs on; None
        for no limit.

    Examples
    --------
    >>> running = (RequestView(index=0, arrival=0, prompt=3, start=0),)
    >>> observation = Observation(time=2, kv_capacity=9, waiting=(), running=running)
    >>> observation.kv_use, observation.kv_next_round, observation.overflows
    (5, 6, False)
    """

    time: int
    kv_capacity: int
    waiting: tuple[RequestView, ...]
    running: tuple[RequestView, ...]
    arrived: tuple[RequestView, ...] = ()
    running_requests: int | None = None
    batch_tokens: int | None = None

    @property
    def next_round(self) -> NextRound:
        """The requests and tokens of round t + 1, if all that runs goes on."""
        runs = len(self.running)
        return NextRound(self.running_requests, self.batch_tokens, runs, runs)

    @property
    def empty_round(self) -> NextRound:
        """Round t + 1 with nothing in it, for who decides what goes on."""
        return NextRound(self.running_requests, self.batch_tokens)

    @property
    def kv_use(self) -> int:
        """KV tokens that the running requests hold now."""
        return sum(view.size(self.time) for view in self.running)

    @property
    def kv_next_round(self) -> int:
        """KV tokens that the running requests will hold in round t + 1, if none is evicted."""
        return sum(view.size(self.time + 1) for view in self.running)

    @property
    def overflows(self) -> bool:
        """Whether round t + 1 would exceed the capacity: then the policy must evict."""
        return self.kv_next_round > self.kv_capacity

    def plan(self) -> Plan:
        """Return the planned runs of what runs, for the future check of what may start.

        It needs lengths: every running request is planned until its `planned` length.

        See Also
        --------
        Plan.start : Plan one more request if it fits.
        """
        return Plan(self.kv_capacity, self.time, self.running, into=self.next_round)
