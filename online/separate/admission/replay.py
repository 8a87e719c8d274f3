"""A compiled run, decision by decision: as actions of the core, and as a schedule to be checked."""

from __future__ import annotations

from collections import deque

import numpy as np

from ....models.instance import IntArray
from ....models.separate.schedule import Batch, SeparateSchedule
from .law import AdmissionLaw
from .problem import ACCEPT, REJECT, SETTLE, STAY, AdmissionAction, AdmissionProblem, AdmissionState
from .simulation import Log
from .state import PROMPT, TOKEN


def replayed(
    problem: AdmissionProblem, log: Log, t: int, S: AdmissionState, rng: np.random.Generator
) -> AdmissionAction:
    """Return the logged action in a state; with the first two arguments fixed, a `Rule`.

    Of the arrivals of one type in a slot the last ones are accepted: which ones does not matter.
    """
    if S.time == problem.horizon:
        return SETTLE
    if any(S.pending):
        return _replayed_acceptance(problem, log, S)
    if log.kind[S.time] == PROMPT:
        return AdmissionAction("prompt", tuple(log.prompts[S.time].tolist()))
    if log.kind[S.time] == TOKEN:
        return AdmissionAction("token", tuple(log.tokens[S.time].ravel().tolist()))
    return STAY


def _replayed_acceptance(problem: AdmissionProblem, log: Log, S: AdmissionState) -> AdmissionAction:
    """Accept the last ones of the slot: those still pending are as many as were accepted."""
    j = problem.next_type(S)
    return ACCEPT if S.pending[j] <= log.accepted[S.time, j] else REJECT


def schedule_of(law: AdmissionLaw, arrivals: IntArray, log: Log) -> SeparateSchedule:
    """Return the schedule of what was completed, for the instance of the same arrivals.

    Requests of one type are served in the order of their acceptance; the jobs of requests that are
    not completed by T are left out (a schedule serves a request to its end, or not at all).

    Parameters
    ----------
    law : AdmissionLaw
        The law.
    arrivals : ndarray of int64, shape (T, K)
        Arrivals by slot and type; `AdmissionLaw.instance` numbers them.
    log : Log
        A whole run.
    """
    identity = (np.cumsum(arrivals.ravel()) - arrivals.ravel()).reshape(arrivals.shape)
    waiting = [deque[int]() for _ in range(law.types)]
    running = [[deque[int]() for _ in range(law.longest)] for _ in range(law.types)]
    batches: list[tuple[str, int, list[int]]] = []
    done = set[int]()
    for t in range(arrivals.shape[0]):
        for j in range(law.types):
            first = int(identity[t, j])
            waiting[j].extend(range(first, first + int(log.accepted[t, j])))
        if log.kind[t] == PROMPT:
            members = []
            for j, c in enumerate(log.prompts[t].tolist()):
                taken = [waiting[j].popleft() for _ in range(c)]
                members += taken
                if law.output[j] > 1:
                    running[j][law.output[j] - 1].extend(taken)
                else:
                    done.update(taken)
            batches.append(("prompt", t, members))
        elif log.kind[t] == TOKEN:
            members = []
            for j in range(law.types):
                for rho in range(1, law.longest):
                    taken = [running[j][rho].popleft() for _ in range(int(log.tokens[t, j, rho]))]
                    members += taken
                    if rho > 1:
                        running[j][rho - 1].extend(taken)
                    else:
                        done.update(taken)
            batches.append(("token", t, members))
    kept = [(kind, t, tuple(i for i in members if i in done)) for kind, t, members in batches]
    return SeparateSchedule(
        Batch("prompt" if kind == "prompt" else "token", t, members)
        for kind, t, members in kept
        if members
    )
