"""The GPU under a policy: who waits, who runs, and what a decision does to them.

Both simulators drive one; they differ only in the boundaries at which they ask the policy.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import replace
from typing import Any

from ...models.errors import PolicyError
from ...models.instance import Instance
from ...models.mixed.schedule import Eviction, MixedSchedule
from ..lengths import Told
from ..state import SimulatorState
from ..termination import cycles, eviction_budget, exceeds_budget
from .decision import Decision
from .observation import Observation, RequestView


class MixedState(SimulatorState[RequestView]):
    """The state at a round boundary, and the rules by which decisions change it.

    Call, at each boundary visited in increasing order: `advance`, `observe`, `apply`.

    Parameters
    ----------
    instance : Instance
        What is to be scheduled.
    policy : Policy
        What decides; only its name, ``memoryless`` and ``remembers`` are read here.
    told : Told
        What it is told of lengths.
    """

    at = "round "

    def __init__(self, instance: Instance, policy: Any, told: Told) -> None:
        super().__init__(instance, policy, told, RequestView)
        # A rule without memory or randomness repeats itself from the same state.
        memoryless: bool = getattr(policy, "memoryless", False)
        self._memoryless = memoryless and not self._predicts
        self._remembers: bool = getattr(policy, "remembers", False)
        self._place = {i: place for place, i in enumerate(self._queue)}
        self._waiting: list[int] = []  # places in the queue, increasing
        self._running: dict[int, int] = {}  # request to start, in order of start
        self._start = [-1] * instance.n
        self._most = [0] * instance.n  # tokens in the longest run so far
        self._evicted: list[Eviction] = []
        self._evicted_since_completion = 0
        self._cleared_at_completed = -1

    @property
    def running(self) -> int:
        """Number of running requests."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Number of waiting requests."""
        return len(self._waiting)

    @property
    def first_waiting(self) -> str:
        """Name of the request that has waited longest."""
        return self._instance.request_id(self._queue[self._waiting[0]])

    @property
    def next_completion(self) -> int | None:
        """Boundary of the next completion; None if nothing runs."""
        if not self._running:
            return None
        return min(start + self._output[i] for i, start in self._running.items())

    @property
    def next_overflow(self) -> int | None:
        """Last boundary before a round that would exceed the KV capacity if nothing changed.

        Round r holds ``R·r + Σ (s_i − start_i)`` tokens with R requests running.
        """
        R = len(self._running)
        if not R:
            return None
        at_zero = sum(self._views[i].prompt - start for i, start in self._running.items())
        return (self._instance.gpu.kv_capacity - at_zero) // R

    def advance(self, t: int) -> None:
        """Go to boundary `t`: process completions, then arrivals."""
        self.time = t
        done = [i for i, start in self._running.items() if start + self._output[i] == t]
        for i in done:
            self._start[i] = self._running.pop(i)
            o = self._output[i]
            self._views[i] = replace(self._views[i], shortest=o, longest=o)
            self._ended.append(o)
        if done:
            self._completed += len(done)
            self._evicted_since_completion = 0
        while (arrival := self.next_arrival) is not None and arrival <= t:
            self._waiting.append(self._arrived)
            self._arrived += 1

    def observe(self) -> Observation:
        """Return what the policy sees now."""
        for i, start in self._running.items():
            self._most[i] = max(self._most[i], self.time - start)
            self._outlive(i, self.time - start)
        if self._predicts:
            present = [*self._running, *(self._queue[place] for place in self._waiting)]
            self._predict(present, [self._most[i] for i in present])
        return Observation(
            time=self.time,
            kv_capacity=self._instance.gpu.kv_capacity,
            waiting=tuple(self._views[self._queue[place]] for place in self._waiting),
            running=tuple(self._views[i] for i in self._running),
            arrived=self._arrived_views() if self._remembers else (),
            running_requests=self._instance.gpu.running_requests,
            batch_tokens=self._instance.gpu.batch_tokens,
        )

    def _arrived_views(self) -> tuple[RequestView, ...]:
        return tuple(self._views[i] for i in self._queue[: self._arrived])

    def _outlive(self, i: int, tokens: int) -> None:
        """Raise what is told of a request that runs on: it has more than `tokens` tokens."""
        view = self._views[i]
        if view.shortest is None or view.longest is None or view.shortest > tokens:
            return
        self._views[i] = replace(view, shortest=tokens + 1, longest=max(view.longest, tokens + 1))

    def apply(self, decision: Decision) -> None:
        """Let a decision take effect at this boundary.

        Raises
        ------
        PolicyError
            If it is no well-formed `Decision`, evicts what does not run, starts what does not wait,
            or lets the next round exceed the KV capacity or a limit on a round.
        DoesNotFinish
            If it evicts the same requests once more in a way that proves or suggests a cycle.
        """
        self._require_form(decision)
        for i in decision.evict:
            self._evict(i)
        # What is evicted now waits from the next decision on.
        for i in decision.start:
            self._start_running(i, decision.evict)
        self._require_fit()
        self._require_headway(len(decision.evict))

    def _require_form(self, decision: object) -> None:
        """Refuse what no rule can be applied to: other types than those of `Decision`."""
        if not isinstance(decision, Decision):
            raise PolicyError(f"{self.where}: decide must return a Decision, found {decision!r}")
        self._require_indices("start", decision.start)
        self._require_indices("evict", decision.evict)
        self._require_time(decision.wake_at)

    def _evict(self, i: int) -> None:
        start = self._running.pop(i, None)
        if start is None:
            raise PolicyError(f"{self.where}: evicts request {self._id(i)}, which does not run")
        if start == self.time:
            raise PolicyError(f"{self.where}: evicts request {self._id(i)}, which it just started")
        self._evicted.append(Eviction(i, start, self.time))
        self._views[i] = replace(self._views[i], start=None)
        insort(self._waiting, self._place[i])

    def _start_running(self, i: int, evicted: tuple[int, ...]) -> None:
        place = self._place.get(i, -1)
        where = bisect_left(self._waiting, place)
        waits = where < len(self._waiting) and self._waiting[where] == place
        if not waits or i in evicted:
            raise PolicyError(f"{self.where}: starts request {self._id(i)}, which does not wait")
        del self._waiting[where]
        self._running[i] = self.time
        self._views[i] = replace(self._views[i], start=self.time)

    def _require_fit(self) -> None:
        M, t = self._instance.gpu.kv_capacity, self.time + 1
        held = sum(self._views[i].size(t) for i in self._running)
        if held > M:
            raise PolicyError(
                f"{self.where}: round {t} would hold {held} KV tokens, {held - M} over the "
                f"capacity {M}; it must evict more or start less"
            )
        B, C = self._instance.gpu.running_requests, self._instance.gpu.batch_tokens
        running = len(self._running)
        if B is not None and running > B:
            raise PolicyError(
                f"{self.where}: round {t} would have {running} requests, {running - B} over "
                f"gpu.running_requests = {B}; it must start less"
            )
        if C is not None:
            tokens = sum(
                self._views[i].prompt if start == self.time else 1
                for i, start in self._running.items()
            )
            if tokens > C:
                raise PolicyError(
                    f"{self.where}: round {t} would have {tokens} tokens, {tokens - C} over "
                    f"gpu.batch_tokens = {C}; it must start less"
                )

    def _require_headway(self, evicted: int) -> None:
        if not evicted:
            return
        self._evicted_since_completion += evicted
        if self._evicted_since_completion > eviction_budget(self._instance.n):
            raise exceeds_budget(self._name, self._instance.n, self.time)
        if self._memoryless and not self._running and self.next_arrival is None:
            if self._cleared_at_completed == self._completed:
                raise cycles(self._name, self.waiting, self.time)
            self._cleared_at_completed = self._completed

    def schedule(self) -> MixedSchedule:
        """Return what was decided, once all requests have completed."""
        assert self.finished
        return MixedSchedule(self._start, self._evicted)
