"""One path under one policy: slot by slot, compiled, with the counts that an account needs."""

from __future__ import annotations

from typing import NamedTuple

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
from .control import can_complete, choose_batch
from .law import AdmissionLaw
from .state import (
    IDLE,
    PROMPT,
    TOKEN,
    WORK,
    CompiledLaw,
    accept,
    compiled_law,
    empty_state,
    no_batches,
    start_prompts,
    start_tokens,
)
from .workloads import Workloads

#: For this many slots the GPU counts as having run at full speed before time 0.
PRIOR_SLOTS = 100

#: Numbers of the rules, by name; the clairvoyant follows a given list of acceptances.
NUMBERS = {name: number for number, name in enumerate(RULES)} | {"clairvoyant": CLAIRVOYANT}


class Counts(NamedTuple):
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


class Log(NamedTuple):
    """Every decision of a run.

    Without rows nothing is logged.

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


class _Path(NamedTuple):
    """A path: arrivals, random numbers and what the clairvoyant wants, as in `run_admission`."""

    arrivals: IntArray
    uniforms: FloatArray
    wanted: IntArray


def run_admission(
    law: AdmissionLaw,
    workloads: Workloads,
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
    workloads : Workloads
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
        The requests that the clairvoyant wants to accept.
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
        compiled_law(law, workloads),
        make_forecast(law, workloads) if forecast is None else forecast,
        _Path(arrivals, uniforms, arrivals[:0] if wanted is None else wanted),
        resolving_slots(resolving_periods(T)),
        edges,
        counts,
        make_log(law, 0) if log is None else log,
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
    law: CompiledLaw,
    forecast: Forecast,
    path: _Path,
    resolves: IntArray,
    edges: IntArray,
    counts: Counts,
    log: Log,
) -> None:
    arrivals, uniforms, wanted = path
    T, K = arrivals.shape
    longest = counts.tokens.shape[2]
    state, batches = empty_state(K, longest), no_batches(K, longest)
    prompts, tokens = batches.prompts, batches.tokens
    logging = log.kind.size > 0
    shares = np.zeros(K)
    for j in range(K):
        shares[j] = fluid_share(law, forecast, float(T), float(T), j)
    free_from, segment, drawn, resolve = 0, 0, 0, 0
    taken_work = 0
    # Work done and time taken by batches that had enough work to be full; a start at speed 1.
    done, spent = float(PRIOR_SLOTS), float(PRIOR_SLOTS)
    for t in range(T):
        if t == edges[segment + 1]:
            counts.waiting[segment] = state.waiting
            counts.running[segment] = state.running
            counts.busy[segment] = max(0, free_from - t)
            segment += 1
        slots = T - max(t, free_from)
        speed = done / spent
        if rule == IRT and resolve < resolves.shape[0] and T - t <= resolves[resolve, 0]:
            room = speed * slots - state.sums[WORK] / law.unit
            for j in range(K):
                shares[j] = fluid_share(law, forecast, room, float(slots), j)
                if resolves[resolve, 1] == 1:
                    shares[j] = trimmed(shares[j], T - t)
            resolve += 1
        for k in range(K):
            j = law.order[k]
            for count in range(arrivals[t, j]):
                u = uniforms[drawn]
                drawn += 1
                wants = True
                if rule == BAYES:
                    wants = bayes_accepts(law, forecast, state, slots, speed, j)
                elif rule == RESOLVE:
                    room = speed * slots - state.sums[WORK] / law.unit
                    wants = u < fluid_share(law, forecast, room, float(slots), j)
                elif rule in (STATIC, IRT):
                    wants = u < shares[j]
                elif rule == PACKING_BAYES:
                    room = T - taken_work / law.unit
                    wants = 2 * fluid_share(law, forecast, room, float(T - t), j) >= 1.0
                elif rule == CLAIRVOYANT:
                    wants = wanted[t, j] > count
                if wants and never_overcommits(rule):
                    wants = can_complete(law, state, slots, speed, j, batches)
                if wants:
                    accept(law, state, j)
                    counts.accepted[segment, j] += 1
                    taken_work += law.total_work[j]
                    if logging:
                        log.accepted[t, j] += 1
                else:
                    counts.rejected[segment, j] += 1
        if t < free_from:
            continue
        kind = choose_batch(law, state, T - t, batches)
        enough = kind != IDLE and state.sums[WORK] >= forecast.full * law.unit
        before = state.sums[WORK]
        if kind == PROMPT:
            start_prompts(law, state, prompts)
            free_from = t + law.prompt_time
            counts.time[segment, PROMPT] += law.prompt_time
            for j in range(K):
                counts.prompts[segment, j] += prompts[j]
                if law.o[j] == 1:
                    counts.completed[j] += prompts[j]
        elif kind == TOKEN:
            start_tokens(law, state, tokens)
            free_from = t + law.token_time
            counts.time[segment, TOKEN] += law.token_time
            for j in range(K):
                counts.completed[j] += tokens[j, 1]
                for x in range(1, longest):
                    counts.tokens[segment, j, x] += tokens[j, x]
        else:
            counts.time[segment, IDLE] += 1
        if enough:
            done += (before - state.sums[WORK]) / law.unit
            spent += free_from - t
        if logging and kind != IDLE:
            log.kind[t] = kind
            if kind == PROMPT:
                log.prompts[t] = prompts
            else:
                log.tokens[t] = tokens
    counts.waiting[segment] = state.waiting
    counts.running[segment] = state.running
