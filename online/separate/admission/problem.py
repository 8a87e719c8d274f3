"""Admission as a `ControlProblem`: every decision, at arrivals and at the GPU, one by one.

For the exact account of small instances, and for sampled hindsight; `simulation` is the
compiled way for long horizons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

import numpy as np

from ....models.instance import IntArray
from .control import can_complete, choose_batch
from .law import UNLIMITED, AdmissionLaw
from .state import (
    KV,
    PROMPT,
    RUNNING,
    TOKEN,
    TOKENS,
    WAITING,
    WORK,
    State,
    compiled_law,
    empty_state,
    no_batches,
)
from .workloads import Workloads

Kind = Literal["accept", "reject", "idle", "prompt", "token", "settle"]

#: Arrivals by slot and type.
AdmissionPath = tuple[tuple[int, ...], ...]


class AdmissionState(NamedTuple):
    """What is known before a decision.

    Attributes
    ----------
    time : int
        The slot t; T when all is over but the settlement.
    pending : tuple of int, length K
        Arrivals of the slot that are not decided, by type; the densest type is decided first.
    free_from : int
        From when the GPU is free.
    waiting : tuple of int, length K
        Accepted requests whose prompt job has not started.
    running : tuple of tuple of int, shape (K, longest)
        Requests with ρ tokens to go, in column ρ.
    settled : bool
        Whether penalties are paid.
    """

    time: int
    pending: tuple[int, ...]
    free_from: int
    waiting: tuple[int, ...]
    running: tuple[tuple[int, ...], ...]
    settled: bool


class AdmissionAction(NamedTuple):
    """What is done: accept or reject, or a batch with its composition.

    Attributes
    ----------
    kind : str
        "accept", "reject", "idle", "prompt", "token" or "settle" (penalties, at T).
    batch : tuple of int
        Prompt jobs by type, or token jobs by type and tokens to go (row by row); else empty.
    """

    kind: Kind
    batch: tuple[int, ...] = ()


ACCEPT, REJECT = AdmissionAction("accept"), AdmissionAction("reject")
STAY, SETTLE = AdmissionAction("idle"), AdmissionAction("settle")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdmissionProblem:
    """Admission to a separate-batching GPU over a horizon.

    Parameters
    ----------
    law : AdmissionLaw
        The law.
    workloads : Workloads
        Its units of work; they decide the order among arrivals of one slot, densest first.
    horizon : int
        T ≥ 1, in slots.

    Examples
    --------
    >>> from batchprophet.online.coupling.oracle import RecursionOracle
    >>> from batchprophet.online.separate.admission.law import PROTOTYPE
    >>> from batchprophet.online.separate.admission.workloads import request_workloads
    >>> problem = AdmissionProblem(law=PROTOTYPE, workloads=request_workloads(PROTOTYPE), horizon=8)
    >>> path = ((1, 0, 0), *((0, 0, 0),) * 7)  # one request of type 1: 3 + 4 slots
    >>> RecursionOracle(problem).value(0, problem.initial_state(path), path)
    4
    """

    law: AdmissionLaw
    workloads: Workloads
    horizon: int

    def draw(self, rng: np.random.Generator) -> AdmissionPath:
        """Draw the arrivals of all slots."""
        return as_path(self.law.draw(self.horizon, rng))

    def redraw(self, t: int, S: AdmissionState, rng: np.random.Generator) -> AdmissionPath:
        """Draw the arrivals after the present slot; those before do not matter any more."""
        path = self.law.draw(self.horizon, rng)
        path[: S.time] = 0
        if S.time < self.horizon:
            path[S.time] = S.pending
        return as_path(path)

    def initial_state(self, path: AdmissionPath) -> AdmissionState:
        """Return the empty GPU and the arrivals of slot 0."""
        K = self.law.types
        running = ((0,) * self.law.longest,) * K
        start = AdmissionState(0, path[0], 0, (0,) * K, running, settled=False)
        return self._next_decision(start, path)

    def actions(self, t: int, S: AdmissionState, path: AdmissionPath) -> Sequence[AdmissionAction]:
        """Return what may be done: about arrivals first, then with the GPU, at T the settlement."""
        if S.settled:
            return ()
        if S.time == self.horizon:
            return (SETTLE,)
        if any(S.pending):
            return (ACCEPT, REJECT)
        return (*self._token_batches(S), *self._prompt_batches(S), STAY)

    def reward(self, t: int, a: AdmissionAction, S: AdmissionState, path: AdmissionPath) -> int:
        """Return the rewards of what the batch completes, or minus the penalties at T."""
        law = self.law
        if a.kind == "prompt":
            return sum(
                c * r for c, r, o in zip(a.batch, law.reward, law.output, strict=True) if o == 1
            )
        if a.kind == "token":
            return sum(row[1] * r for row, r in zip(self._rows(a.batch), law.reward, strict=True))
        if a.kind == "settle":
            late = [w + sum(row) for w, row in zip(S.waiting, S.running, strict=True)]
            return -sum(c * p for c, p in zip(late, law.penalties, strict=True))
        return 0

    def next_state(
        self, t: int, a: AdmissionAction, S: AdmissionState, path: AdmissionPath
    ) -> AdmissionState:
        """Return the state of the next decision."""
        if a.kind in ("accept", "reject"):
            j = self.next_type(S)
            pending = _changed(S.pending, j, -1)
            waiting = _changed(S.waiting, j, 1) if a.kind == "accept" else S.waiting
            after = S._replace(pending=pending, waiting=waiting)
        elif a.kind == "prompt":
            after = self._after_prompts(a.batch, S)
        elif a.kind == "token":
            after = self._after_tokens(a.batch, S)
        elif a.kind == "settle":
            return S._replace(settled=True)
        else:
            after = S._replace(free_from=S.time + 1)
        return self._next_decision(after, path)

    def next_type(self, S: AdmissionState) -> int:
        """Type of the arrival that is to be decided: the densest one."""
        return next(int(j) for j in self.workloads.order if S.pending[j] > 0)

    def aggregated(self, t: int, S: AdmissionState, path: AdmissionPath) -> float:
        """Aggregated hindsight from a state on: what is accepted is done first.

        The rewards of what is accepted, and the polymatroid greedy for what arrives in the time
        that is left. Accepted work beyond that time is charged at twice the highest density (its
        reward is lost and a penalty paid).
        """
        if S.settled:
            return 0.0
        law, total, unit = self.law, self.workloads.total, self.workloads.unit
        left = self.workloads.left()
        reward, R = 0, 0
        for j in range(law.types):
            reward += law.reward[j] * (S.waiting[j] + sum(S.running[j]))
            R += int(total[j]) * S.waiting[j]
            R += sum(c * int(v) for c, v in zip(S.running[j], left[j], strict=True))
        future = np.array(path[S.time :]).reshape(-1, law.types)
        if future.shape[0]:
            future[0] = S.pending
        start = max(S.time, S.free_from)
        # Until the GPU is free, arrivals add up and no time is left over for them.
        later = unit * (self.horizon - np.maximum(np.arange(S.time, self.horizon + 1), start))
        over = max(0, R - int(later[0]))
        before = np.full(later.size, R - over, dtype=np.int64)
        before[0] = 0  # what is accepted counts as arriving now
        densities = [law.reward[j] / int(total[j]) for j in self.workloads.order]
        value: float = reward - 2 * densities[0] * over
        done = float(R - over)
        for j, density in zip(self.workloads.order, densities, strict=True):
            before[1:] += np.cumsum(future[:, j] * total[j])
            served = float((before + later).min())
            value, done = value + density * (served - done), served
        return value

    def control(self, S: AdmissionState) -> AdmissionAction:
        """Return the batch that the compiled control would run next."""
        batches = no_batches(self.law.types, self.law.longest)
        law = compiled_law(self.law, self.workloads)
        kind = choose_batch(law, self.compiled_state(S), self.horizon - S.time, batches)
        if kind == PROMPT:
            return AdmissionAction("prompt", tuple(batches.prompts.tolist()))
        if kind == TOKEN:
            return AdmissionAction("token", tuple(batches.tokens.ravel().tolist()))
        return STAY

    def completes(self, S: AdmissionState) -> bool:
        """Whether all that is accepted, and the arrival that is to be decided, complete by T.

        Under the control, if nothing else is accepted.
        """
        batches = no_batches(self.law.types, self.law.longest)
        law, state = compiled_law(self.law, self.workloads), self.compiled_state(S)
        slots = self.horizon - max(S.time, S.free_from)
        return bool(can_complete(law, state, slots, 1.0, self.next_type(S), batches))

    def compiled_state(self, S: AdmissionState) -> State:
        """Return what is accepted as the compiled code has it."""
        law, state = self.law, empty_state(self.law.types, self.law.longest)
        state.waiting[:] = S.waiting
        state.running[:] = S.running
        o, s = np.array(law.output), np.array(law.prompt)
        rho = np.arange(law.longest)
        held = s[:, None] + o[:, None] - rho
        state.sums[WAITING] = state.waiting.sum()
        state.sums[RUNNING] = state.running.sum()
        state.sums[TOKENS] = state.waiting @ (o - 1) + (state.running @ rho).sum()
        state.sums[WORK] = state.waiting @ self.workloads.total
        state.sums[WORK] += (state.running * self.workloads.left()).sum()
        state.sums[KV] = (state.running * held).sum()
        return state

    def _next_decision(self, S: AdmissionState, path: AdmissionPath) -> AdmissionState:
        """Go on to the next slot in which there is something to decide."""
        while S.time < self.horizon and not any(S.pending) and S.time < S.free_from:
            time = S.time + 1
            pending = path[time] if time < self.horizon else (0,) * self.law.types
            S = S._replace(time=time, pending=pending)
        return S

    def _prompt_batches(self, S: AdmissionState) -> Iterator[AdmissionAction]:
        law = self.law
        if S.time + law.prompt_time > self.horizon:
            return
        M = UNLIMITED if law.kv_capacity is None else law.kv_capacity
        C_P = UNLIMITED if law.prompt_batch_tokens is None else law.prompt_batch_tokens
        for batch in product(*(range(c + 1) for c in S.waiting)):
            tokens = sum(c * s for c, s in zip(batch, law.prompt, strict=True))
            fits = sum(batch) <= law.prompt_batch_requests and tokens <= C_P
            if any(batch) and fits and self._held(S) + tokens + sum(batch) <= M:
                yield AdmissionAction("prompt", batch)

    def _token_batches(self, S: AdmissionState) -> Iterator[AdmissionAction]:
        law = self.law
        if S.time + law.token_time > self.horizon:
            return
        M = UNLIMITED if law.kv_capacity is None else law.kv_capacity
        flat = [c for row in S.running for c in row]
        for batch in product(*(range(c + 1) for c in flat)):
            d = sum(batch)
            if 0 < d <= law.token_batch_requests and self._held(S) + d <= M:
                yield AdmissionAction("token", batch)

    def _held(self, S: AdmissionState) -> int:
        """KV tokens held by what runs."""
        law = self.law
        return sum(
            c * (s + o - rho)
            for row, s, o in zip(S.running, law.prompt, law.output, strict=True)
            for rho, c in enumerate(row)
        )

    def _after_prompts(self, batch: tuple[int, ...], S: AdmissionState) -> AdmissionState:
        waiting = tuple(w - c for w, c in zip(S.waiting, batch, strict=True))
        running = tuple(
            _changed(row, o - 1, c) if o > 1 else row
            for row, c, o in zip(S.running, batch, self.law.output, strict=True)
        )
        return S._replace(waiting=waiting, running=running, free_from=S.time + self.law.prompt_time)

    def _after_tokens(self, batch: tuple[int, ...], S: AdmissionState) -> AdmissionState:
        running = []
        for row, served in zip(S.running, self._rows(batch), strict=True):
            arriving = (*served[1:], 0)
            after = [n - c + more for n, c, more in zip(row, served, arriving, strict=True)]
            running.append((0, *after[1:]))
        return S._replace(running=tuple(running), free_from=S.time + self.law.token_time)

    def _rows(self, batch: tuple[int, ...]) -> list[tuple[int, ...]]:
        width = self.law.longest
        return [batch[j * width : (j + 1) * width] for j in range(self.law.types)]


def as_path(arrivals: IntArray) -> AdmissionPath:
    """Return arrivals as a path."""
    return tuple(tuple(row) for row in arrivals.tolist())


def _changed(values: tuple[int, ...], j: int, change: int) -> tuple[int, ...]:
    return (*values[:j], values[j] + change, *values[j + 1 :])
