"""The GPU under a policy of separate batching: who waits, who runs, and what a batch does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...models.durations import batch_durations
from ...models.errors import DoesNotFinish, InputError, PolicyError
from ...models.instance import Instance
from ...models.separate.schedule import Batch, Kind, SeparateSchedule
from ..lengths import Told
from ..state import SimulatorState
from ..termination import IDLE_WAKE_UPS
from .decision import BatchDecision
from .observation import SeparateObservation, SeparateView
from .safety import all_can_finish


class SeparateState(SimulatorState[SeparateView]):
    """The state at a batch boundary, and the rules by which decisions change it.

    Call in turn: `arrive`, `observe`, `apply`. Every state that it lets a policy reach is safe
    (`safety.all_can_finish`), so that no policy can fill the KV cache with requests that all wait
    for each other.

    Parameters
    ----------
    instance : Instance
        What is to be scheduled; any batch-time law, any batch limits.
    policy : SeparatePolicy
        What decides; only its name is read here.
    told : Told
        What it is told of lengths, upper ends no smaller than the true ones.
    """

    def __init__(self, instance: Instance, policy: Any, told: Told) -> None:
        super().__init__(instance, policy, told, SeparateView)
        self._gpu = instance.gpu
        self._law = batch_durations(instance)
        self._waiting: dict[int, None] = {}  # in order of arrival
        self._running: dict[int, None] = {}  # in order of admission
        self._batches: list[Batch] = []
        self._last: Kind | None = None
        self._idle_wake_ups = 0
        self.time = self._views[self._queue[0]].arrival

    def arrive(self) -> None:
        """Let what has arrived by now wait; pass to the next arrival if no request is here."""
        upcoming = self.next_arrival
        if not self._waiting and not self._running and upcoming is not None:
            self.time = max(self.time, upcoming)
        while (arrival := self.next_arrival) is not None and arrival <= self.time:
            self._waiting[self._queue[self._arrived]] = None
            self._arrived += 1

    def observe(self) -> SeparateObservation:
        """Return what the policy sees now."""
        return SeparateObservation(
            time=self.time,
            gpu=self._gpu,
            law=self._law,
            waiting=tuple(self._views[i] for i in self._waiting),
            running=tuple(self._views[i] for i in self._running),
            last=self._last,
        )

    def apply(self, decision: BatchDecision) -> None:
        """Run the batch of a decision to its end, or idle.

        Raises
        ------
        PolicyError
            If it is no well-formed `BatchDecision`, holds requests that it must not hold or more
            than a limit allows, exceeds the KV capacity at its end, or leaves a state in which the
            running requests cannot all finish.
        DoesNotFinish
            If it idles for good while requests are unfinished.
        """
        self._require_form(decision)
        if decision.kind is None:
            self._idle(decision.wake_at)
            return
        self._idle_wake_ups = 0
        if decision.kind == "prompt":
            end = self._prompt_batch(decision.requests)
        else:
            end = self._token_batch(decision.requests)
        self._batches.append(Batch(decision.kind, self.time, tuple(map(int, decision.requests))))
        self._last, self.time = decision.kind, end

    def _prompt_batch(self, members: tuple[int, ...]) -> int:
        self._require_members(members, self._waiting, "does not wait")
        tokens = sum(self._views[i].prompt for i in members)
        self._require_limit(len(members), self._gpu.prompt_batch_requests, "requests")
        self._require_limit(tokens, self._gpu.prompt_batch_tokens, "prompt tokens")
        end: int = self.time + self._law.prompt_batch(tokens)
        for i in members:
            del self._waiting[i]
            self._running[i] = None
        self._emit(members)
        return end

    def _token_batch(self, members: tuple[int, ...]) -> int:
        self._require_members(members, self._running, "does not run")
        self._require_limit(len(members), self._gpu.token_batch_requests, "requests")
        kv = sum(self._views[i].held for i in members)
        end: int = self.time + self._law.token_batch(len(members), kv)
        self._emit(members)
        return end

    def _emit(self, members: tuple[int, ...]) -> None:
        """Give each member a token, check the KV cache, then let go of those that are done."""
        for i in members:
            self._views[i] = _with_token(self._views[i])
        held = sum(self._views[i].held for i in self._running)
        over = held - self._gpu.kv_capacity
        if over > 0:
            raise PolicyError(
                f"{self.where}: the batch would end with {held} KV tokens, {over} over the "
                f"capacity {self._gpu.kv_capacity}"
            )
        for i in members:
            if self._views[i].tokens == self._output[i]:
                del self._running[i]
                self._completed += 1
        self._require_safe()

    def _require_safe(self) -> None:
        state = [
            (self._views[i].held, self._output[i] - self._views[i].tokens) for i in self._running
        ]
        if not all_can_finish(state, self._gpu.kv_capacity):
            raise PolicyError(
                f"{self.where}: after the batch the {len(state)} running requests cannot all "
                f"finish within the KV capacity {self._gpu.kv_capacity}, in whatever order"
            )

    def _idle(self, wake_at: int | None) -> None:
        arrival = self.next_arrival
        if wake_at is not None and wake_at <= self.time:
            raise PolicyError(f"{self.where}: wake_at must be later than now, found {wake_at}")
        if arrival is None and (wake_at is None or self._idle_wake_ups >= IDLE_WAKE_UPS):
            i = next(iter({**self._running, **self._waiting}))
            raise DoesNotFinish(
                f"{self._name} stalls at {self.time}: request {self._instance.request_id(i)} is "
                "unfinished, nobody is to arrive, and the GPU idles"
            )
        self._idle_wake_ups = self._idle_wake_ups + 1 if arrival is None else 0
        self.time = min(time for time in (arrival, wake_at) if time is not None)

    def _require_form(self, decision: object) -> None:
        """Refuse what no rule can be applied to: other types than those of `BatchDecision`."""
        if not isinstance(decision, BatchDecision):
            raise PolicyError(
                f"{self.where}: decide must return a BatchDecision, found {decision!r}"
            )
        if decision.kind not in (None, "prompt", "token"):
            raise PolicyError(
                f"{self.where}: kind must be 'prompt', 'token' or None, found {decision.kind!r}"
            )
        self._require_indices("requests", decision.requests)
        self._require_time(decision.wake_at)

    def _require_members(
        self, members: tuple[int, ...], pool: dict[int, None], reason: str
    ) -> None:
        if not members:
            raise PolicyError(f"{self.where}: a batch needs at least one request, found none")
        for position, i in enumerate(members):
            if i not in pool:
                raise PolicyError(f"{self.where}: batches request {self._id(i)}, which {reason}")
            if i in members[:position]:
                raise PolicyError(f"{self.where}: batches request {self._id(i)} twice")

    def _require_limit(self, size: int, limit: int | None, what: str) -> None:
        if limit is not None and size > limit:
            raise PolicyError(f"{self.where}: the batch holds {size} {what}, more than {limit}")

    def schedule(self) -> SeparateSchedule:
        """Return what was decided, once all requests have completed."""
        assert self.finished
        return SeparateSchedule(self._batches)


def require_upper_ends(instance: Instance, told: Told) -> None:
    """Refuse told lengths that are too short: without evictions only upper ends keep KV safe.

    Raises
    ------
    InputError
        If a told length is below the true one; the message names the request.
    """
    short = np.flatnonzero((told.high > 0) & (told.high < instance.output))
    if short.size:
        i = int(short[0])
        raise InputError(
            f"requests[{i}].predicted: separate batching has no evictions, so lengths must not be "
            f"predicted too short: expected at least the output length {instance.output[i]}, "
            f"found {told.high[i]}"
        )


def _with_token(view: SeparateView) -> SeparateView:
    """One token more; a request that runs on shows that it is longer than its interval began."""
    tokens = view.tokens + 1
    if view.shortest is None or view.shortest > tokens or view.longest == tokens:
        return replace(view, tokens=tokens)
    return replace(view, tokens=tokens, shortest=tokens + 1)
