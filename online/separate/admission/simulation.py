"""One path under one policy: slot by slot, compiled, with the counts that an account needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ....models.errors import InputError
from ....models.instance import FloatArray, IntArray
from ...coupling.infrequent_resolving import resolving_periods
from .acceptance import (
    BAYES,
    CLAIRVOYANT,
    IRT,
    PACKING_BAYES,
    RESOLVE,
    RULES,
    STATIC,
    Forecast,
    bayes_accepts,
    fluid_share,
    make_forecast,
    never_overcommits,
    resolving_slots,
    trimmed,
)
from .law import AdmissionLaw
from .state import (
    IDLE,
    PROMPT,
    TOKEN,
    WORK,
    Machine,
    accept,
    can_complete,
    choose_batch,
    empty_state,
    make_machine,
    start_prompts,
    start_tokens,
)
from .workloads import Work

#: For so many slots the GPU counts as having run at full speed before time 0.
PRIOR_SLOTS = 100

#: Numbers of the rules, by name; the clairvoyant follows a given list of whom to accept.
NUMBERS = {name: number for number, name in enumerate(RULES)} | {"clairvoyant": CLAIRVOYANT}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts:
    """What happened, counted by segments of time.

    Attributes
    ----------
    accepted, rejected : ndarray of int64, shape (segments, K)
        Decisions at arrivals.
    time : ndarray of int64, shape (segments, 3)
        Slots idle, in prompt batches, in token batches that started in the segment.
    prompts : ndarray of int64, shape (segments, K)
        Prompt jobs of the batches that started in the segment.
    tokens : ndarray of int64, shape (segments, K, longest)
        Their token jobs, by tokens to go.
    waiting, running : ndarray of int64, shapes (segments, K) and (segments, K, longest)
        What was accepted and not complete at the end of the segment.
    busy : ndarray of int64, shape (segments,)
        Slots that the batch of that time still ran.
    completed : ndarray of int64, shape (K,)
        Requests complete by T.
    """

    accepted: IntArray
    rejected: IntArray
    time: IntArray
    prompts: IntArray
    tokens: IntArray
    waiting: IntArray
    running: IntArray
    busy: IntArray
    completed: IntArray

    def earned(self, law: AdmissionLaw) -> int:
        """Rewards of what is complete, less the penalties of what is accepted and is not."""
        accepted = self.accepted.sum(axis=0)
        late = accepted - self.completed
        return int(self.completed @ np.array(law.reward) - late @ np.array(law.penalties))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Log:
    """Every decision of a run.

    Attributes
    ----------
    accepted : ndarray of int64, shape (T, K)
        Requests accepted by slot and type: of those that arrive in a slot, which ones does not
        matter.
    kind : ndarray of int64, shape (T,)
        Batch that starts in the slot: 0 none (or one is running), 1 prompt, 2 token.
    prompts : ndarray of int64, shape (T, K)
        Prompt jobs of the batch.
    tokens : ndarray of int64, shape (T, K, longest)
        Token jobs of the batch, by tokens to go.
    """

    accepted: IntArray
    kind: IntArray
    prompts: IntArray
    tokens: IntArray


def run_admission(
    law: AdmissionLaw,
    work: Work,
    arrivals: IntArray,
    rule: str,
    uniforms: FloatArray,
    edges: IntArray,
    *,
    forecast: Forecast | None = None,
    wanted: IntArray | None = None,
    log: Log | None = None,
) -> Counts:
    """Run a policy on a path.

    Parameters
    ----------
    law : AdmissionLaw
        The law.
    work : Work
        Units of work.
    arrivals : ndarray of int64, shape (T, K)
        Arrivals by slot and type.
    rule : str
        A name of `NUMBERS`.
    uniforms : ndarray of float64, shape (arrivals in all,)
        Random numbers in [0, 1) of the rules that randomise, by order of arrival.
    edges : ndarray of int64, shape (segments + 1,)
        Segments of time, from 0 to T, increasing.
    forecast : Forecast, optional
        What the rules reckon with; that of the law by default.
    wanted : ndarray of int64, shape (T, K), optional
        Whom the clairvoyant wants to accept.
    log : Log, optional
        Filled with every decision; see `make_log`.

    Returns
    -------
    Counts
        What happened.

    Raises
    ------
    InputError
        If there is no such rule.
    """
    if rule not in NUMBERS:
        raise InputError(f"policy: expected one of {', '.join(NUMBERS)}; found {rule!r}")
    T, K = arrivals.shape
    segments = edges.size - 1
    one = np.zeros((1, 1), dtype=np.int64)
    counts = Counts(
        accepted=np.zeros((segments, K), dtype=np.int64),
        rejected=np.zeros((segments, K), dtype=np.int64),
        time=np.zeros((segments, 3), dtype=np.int64),
        prompts=np.zeros((segments, K), dtype=np.int64),
        tokens=np.zeros((segments, K, law.longest), dtype=np.int64),
        waiting=np.zeros((segments, K), dtype=np.int64),
        running=np.zeros((segments, K, law.longest), dtype=np.int64),
        busy=np.zeros(segments, dtype=np.int64),
        completed=np.zeros(K, dtype=np.int64),
    )
    _run(
        NUMBERS[rule],
        make_machine(law, work),
        make_forecast(law, work) if forecast is None else forecast,
        arrivals,
        uniforms,
        resolving_slots(resolving_periods(T)),
        one if wanted is None else wanted,
        edges,
        counts.accepted,
        counts.rejected,
        counts.time,
        counts.prompts,
        counts.tokens,
        counts.waiting,
        counts.running,
        counts.busy,
        counts.completed,
        log is not None,
        one if log is None else log.accepted,
        one[0] if log is None else log.kind,
        one if log is None else log.prompts,
        one[None] if log is None else log.tokens,
    )
    return counts


def make_log(law: AdmissionLaw, horizon: int) -> Log:
    """Return an empty log of a run."""
    K = law.types
    return Log(
        accepted=np.zeros((horizon, K), dtype=np.int64),
        kind=np.zeros(horizon, dtype=np.int64),
        prompts=np.zeros((horizon, K), dtype=np.int64),
        tokens=np.zeros((horizon, K, law.longest), dtype=np.int64),
    )


@njit(cache=True, nogil=True)
def _run(
    rule: int,
    machine: Machine,
    forecast: Forecast,
    arrivals: IntArray,
    uniforms: FloatArray,
    resolves: IntArray,
    wanted: IntArray,
    edges: IntArray,
    accepted: IntArray,
    rejected: IntArray,
    time: IntArray,
    prompts_done: IntArray,
    tokens_done: IntArray,
    waiting_end: IntArray,
    running_end: IntArray,
    busy: IntArray,
    completed: IntArray,
    logging: bool,
    log_accepted: IntArray,
    log_kind: IntArray,
    log_prompts: IntArray,
    log_tokens: IntArray,
) -> None:
    T, K = arrivals.shape
    longest = tokens_done.shape[2]
    state = empty_state(K, longest)
    prompts = np.zeros(K, dtype=np.int64)
    tokens = np.zeros((K, longest), dtype=np.int64)
    trial = np.zeros((K, longest), dtype=np.int64)
    shares = np.zeros(K)
    for j in range(K):
        shares[j] = fluid_share(machine, forecast, float(T), float(T), j)
    free_from, segment, drawn, resolve = 0, 0, 0, 0
    taken_work = 0
    # Work done and time taken by batches that had enough work to be full; a start at speed 1.
    done, spent = float(PRIOR_SLOTS), float(PRIOR_SLOTS)
    for t in range(T):
        if t == edges[segment + 1]:
            waiting_end[segment] = state.waiting
            running_end[segment] = state.running
            busy[segment] = max(0, free_from - t)
            segment += 1
        slots = T - max(t, free_from)
        speed = done / spent
        if rule == IRT and resolve < resolves.shape[0] and T - t <= resolves[resolve, 0]:
            room = speed * slots - state.sums[WORK] / machine.unit
            for j in range(K):
                shares[j] = fluid_share(machine, forecast, room, float(slots), j)
                if resolves[resolve, 1] == 1:
                    shares[j] = trimmed(shares[j], T - t)
            resolve += 1
        for k in range(K):
            j = machine.order[k]
            for count in range(arrivals[t, j]):
                u = uniforms[drawn]
                drawn += 1
                wants = True
                if rule == BAYES:
                    wants = bayes_accepts(machine, forecast, state, slots, speed, j)
                elif rule == RESOLVE:
                    room = speed * slots - state.sums[WORK] / machine.unit
                    wants = u < fluid_share(machine, forecast, room, float(slots), j)
                elif rule in (STATIC, IRT):
                    wants = u < shares[j]
                elif rule == PACKING_BAYES:
                    room = T - taken_work / machine.unit
                    wants = 2 * fluid_share(machine, forecast, room, float(T - t), j) >= 1.0
                elif rule == CLAIRVOYANT:
                    wants = wanted[t, j] > count
                if wants and never_overcommits(rule):
                    wants = can_complete(machine, state, slots, speed, j, prompts, tokens, trial)
                if wants:
                    accept(machine, state, j)
                    accepted[segment, j] += 1
                    taken_work += machine.total_work[j]
                    if logging:
                        log_accepted[t, j] += 1
                else:
                    rejected[segment, j] += 1
        if t < free_from:
            continue
        kind = choose_batch(machine, state, T - t, prompts, tokens, trial)
        enough = kind != IDLE and state.sums[WORK] >= forecast.full * machine.unit
        before = state.sums[WORK]
        if kind == PROMPT:
            start_prompts(machine, state, prompts)
            free_from = t + machine.prompt_time
            time[segment, PROMPT] += machine.prompt_time
            for j in range(K):
                prompts_done[segment, j] += prompts[j]
                if machine.o[j] == 1:
                    completed[j] += prompts[j]
        elif kind == TOKEN:
            start_tokens(machine, state, tokens)
            free_from = t + machine.token_time
            time[segment, TOKEN] += machine.token_time
            for j in range(K):
                completed[j] += tokens[j, 1]
                for x in range(1, longest):
                    tokens_done[segment, j, x] += tokens[j, x]
        else:
            time[segment, IDLE] += 1
        if enough:
            done += (before - state.sums[WORK]) / machine.unit
            spent += free_from - t
        if logging and kind != IDLE:
            log_kind[t] = kind
            if kind == PROMPT:
                log_prompts[t] = prompts
            else:
                log_tokens[t] = tokens
    waiting_end[segment] = state.waiting
    running_end[segment] = state.running
