"""The GPU under a policy of continuous batching: what waits, what runs, what a batch does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...models.continuous.problem import limits
from ...models.continuous.schedule import Batch, ContinuousSchedule
from ...models.durations import batch_durations
from ...models.errors import DoesNotFinish, PolicyError
from ...models.instance import Instance
from ..lengths import Told
from ..state import SimulatorState
from ..termination import IDLE_WAKE_UPS, eviction_budget
from .decision import ContinuousDecision
from .observation import ContinuousObservation, ContinuousView, in_blocks


class ContinuousState(SimulatorState[ContinuousView]):
    """The state at a batch boundary, and the rules by which decisions change it.

    Call in turn: `arrive`, `observe`, `apply`.

    Parameters
    ----------
    instance : Instance
        What is to be scheduled.
    policy : ContinuousPolicy
        What decides; only its name is read here.
    told : Told
        What it is told of lengths.
    """

    def __init__(self, instance: Instance, policy: Any, told: Told) -> None:
        super().__init__(instance, policy, told, ContinuousView)
        self._gpu, self._law = limits(instance), batch_durations(instance)
        self._place = {i: place for place, i in enumerate(self._queue)}
        self._waiting: set[int] = set()
        self._running: list[int] = []  # in the order in which they began
        self._batches: list[Batch] = []
        self._idle_wake_ups = self._preemptions = 0
        self.time = self._views[self._queue[0]].arrival

    def arrive(self) -> None:
        """Let arrived requests wait; pass to the next arrival if none is present."""
        upcoming = self.next_arrival
        if not self._waiting and not self._running and upcoming is not None:
            self.time = max(self.time, upcoming)
        while (arrival := self.next_arrival) is not None and arrival <= self.time:
            self._waiting.add(self._queue[self._arrived])
            self._arrived += 1

    def observe(self) -> ContinuousObservation:
        """Return what the policy sees now."""
        waiting = sorted(self._waiting, key=self._place.__getitem__)
        if self._predicts:
            present = [*self._running, *waiting]
            self._predict(present, [self._views[i].tokens for i in present])
        return ContinuousObservation(
            time=self.time,
            limits=self._gpu,
            law=self._law,
            waiting=tuple(self._views[i] for i in waiting),
            running=tuple(self._views[i] for i in self._running),
        )

    def apply(self, decision: ContinuousDecision) -> None:
        """Run the batch of a decision to its end, or idle.

        Raises
        ------
        PolicyError
            If it is no well-formed `ContinuousDecision`, holds requests or chunks that it must not
            hold, or exceeds a limit.
        DoesNotFinish
            If it idles for good while requests are unfinished, or preempts without end.
        """
        self._require_form(decision)
        if not decision.prefill and not decision.decode:
            if decision.preempt:
                raise PolicyError(f"{self.where}: preempts without a batch")
            self._idle(decision.wake_at)
            return
        self._idle_wake_ups = 0
        for i in decision.preempt:
            self._preempt(i)
        kv = sum(self._views[i].prompt + self._views[i].tokens for i in decision.decode)
        members = [i for i, _ in decision.prefill] + list(decision.decode)
        if len(set(members)) < len(members):
            raise PolicyError(f"{self.where}: the batch holds a request twice")
        p = sum(self._read(i, tokens) for i, tokens in decision.prefill)
        for i in decision.decode:
            self._decode(i)
        self._require_limits(p + len(decision.decode))
        self._batches.append(
            Batch(self.time, decision.prefill, tuple(decision.decode), tuple(decision.preempt))
        )
        self.time += self._law.batch(p, len(decision.decode), kv)
        self._complete(members)

    def _preempt(self, i: int) -> None:
        if i not in self._running:
            raise PolicyError(f"{self.where}: preempts request {self._id(i)}, which does not run")
        self._running.remove(i)
        self._waiting.add(i)
        self._views[i] = replace(self._views[i], cached=0, ready=False)
        self._preemptions += 1
        if self._preemptions > eviction_budget(self._instance.n):
            raise DoesNotFinish(
                f"{self._name} makes no headway: by {self.time} more than "
                f"{eviction_budget(self._instance.n)} preemptions without a completion"
            )

    def _read(self, i: int, tokens: int) -> int:
        """Read a chunk; return its tokens."""
        if i not in self._waiting and i not in self._running:
            raise PolicyError(f"{self.where}: reads request {self._id(i)}, which is not there")
        view = self._views[i]
        if not 1 <= tokens <= view.unread:
            raise PolicyError(
                f"{self.where}: reads {tokens} tokens of request {self._id(i)}, which has "
                f"{view.unread} left to read"
            )
        if not self._gpu.chunked and tokens < view.unread:
            raise PolicyError(
                f"{self.where}: reads {tokens} of the {view.unread} tokens of request "
                f"{self._id(i)}, though prompts are not read in chunks"
            )
        if i in self._waiting:
            self._waiting.remove(i)
            self._running.append(i)
        self._views[i] = replace(view, cached=view.cached + tokens)
        if tokens == view.unread:
            self._views[i] = _with_token(replace(self._views[i], ready=True))
        return tokens

    def _decode(self, i: int) -> None:
        if i not in self._running or not self._views[i].ready:
            raise PolicyError(
                f"{self.where}: a token job of request {self._id(i)}, whose prompt is not read"
            )
        view = self._views[i]
        self._views[i] = _with_token(replace(view, cached=view.cached + 1))

    def _require_limits(self, tokens: int) -> None:
        gpu = self._gpu
        if tokens > gpu.tokens:
            raise PolicyError(
                f"{self.where}: the batch has {tokens} tokens, more than {gpu.tokens}"
            )
        if len(self._running) > gpu.running:
            raise PolicyError(
                f"{self.where}: {len(self._running)} requests hold a cache, more than {gpu.running}"
            )
        held = sum(in_blocks(self._views[i].cached, gpu.block) for i in self._running)
        if held > gpu.blocks * gpu.block:
            raise PolicyError(
                f"{self.where}: the batch would end with {held} KV tokens in whole blocks, more "
                f"than the {gpu.blocks * gpu.block} that there are"
            )

    def _complete(self, members: list[int]) -> None:
        for i in members:
            if self._views[i].tokens == self._output[i]:
                self._running.remove(i)
                self._ended.append(self._output[i])
                self._completed += 1
                self._preemptions = 0

    def _idle(self, wake_at: int | None) -> None:
        arrival = self.next_arrival
        if wake_at is not None and wake_at <= self.time:
            raise PolicyError(f"{self.where}: wake_at must be later than now, found {wake_at}")
        if arrival is None and (wake_at is None or self._idle_wake_ups >= IDLE_WAKE_UPS):
            i = min([*self._running, *self._waiting], key=self._place.__getitem__)
            raise stalls(self._name, self._instance.request_id(i), self.time)
        self._idle_wake_ups = self._idle_wake_ups + 1 if arrival is None else 0
        self.time = min(time for time in (arrival, wake_at) if time is not None)

    def _require_form(self, decision: object) -> None:
        """Refuse what no rule can be applied to: other types than those of the decision."""
        if not isinstance(decision, ContinuousDecision):
            raise PolicyError(
                f"{self.where}: decide must return a ContinuousDecision, found {decision!r}"
            )
        self._require_indices("decode", decision.decode)
        self._require_indices("preempt", decision.preempt)
        chunks = decision.prefill
        pairs = isinstance(chunks, (tuple, list)) and all(
            isinstance(chunk, (tuple, list)) and len(chunk) == 2 for chunk in chunks
        )
        if not pairs:
            raise PolicyError(
                f"{self.where}: prefill must be a tuple of (request, tokens), found {chunks!r}"
            )
        for chunk in chunks:
            self._require_indices("prefill", chunk)
        self._require_time(decision.wake_at)

    def schedule(self) -> ContinuousSchedule:
        """Return what was decided, once all requests have completed."""
        assert self.finished
        return ContinuousSchedule(self._batches)


def stalls(policy: str, request: str, time: int) -> DoesNotFinish:
    """Say that a request is unfinished, none is to arrive, and the policy starts no batch."""
    return DoesNotFinish(
        f"{policy} stalls at {time}: request {request} is unfinished, none is to arrive, and the "
        "GPU idles"
    )


def _with_token(view: ContinuousView) -> ContinuousView:
    """One token more; a request that runs on shows that it is longer than its interval began."""
    tokens = view.tokens + 1
    if view.shortest is None or view.shortest > tokens or view.longest == view.shortest:
        return replace(view, tokens=tokens)
    return replace(view, tokens=tokens, shortest=tokens + 1)
