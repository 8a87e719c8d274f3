"""Stretches of a log between two known moments, with what their batches hold.

The rule says in which batch each request gets its first and its last token; the log says when. So
between two such moments lie known batches, and the time between them is their law's, summed: a row
of a regression. Stretches do not overlap, so their errors are nearly independent, which those of
the moments themselves are not. A stretch that the rule has the GPU idle in begins where the next
request arrives.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...models.engine_logs.log import EngineLog
from ...models.instance import FloatArray
from ..engine import Play
from .law import LEAST

#: Least batches of a stretch: a moment that is one batch off shifts its ends by one batch.
LEAST_BATCHES = 8

#: Milliseconds of a microsecond.
_MS = 1e-3


class Segments(NamedTuple):
    """Stretches, in order of time.

    Attributes
    ----------
    rows : ndarray, shape (m, 4) or (m, 5)
        Sums over the batches of each: their number, p, d, kv; with an intercept of prompts, the
        first is the number of batches with token jobs, and the last that of the others.
    took : ndarray, shape (m,)
        How long each took in the log, milliseconds.
    """

    rows: FloatArray
    took: FloatArray

    @property
    def batches(self) -> FloatArray:
        """Number of batches of each."""
        found: FloatArray = self.rows[:, 0] + (self.rows[:, 4] if self.rows.shape[1] > 4 else 0)
        return found

    def weight(self, law: FloatArray) -> FloatArray:
        """One over the standard deviation of each time, if batches err by an equal share of it."""
        weight: FloatArray = np.sqrt(self.batches) / np.maximum(
            self.rows @ law, LEAST * self.batches
        )
        return weight


def segments(
    log: EngineLog,
    play: Play,
    *,
    own_prompt_intercept: bool = False,
    first_used: NDArray[np.bool_],
    last_used: NDArray[np.bool_],
    least: int = LEAST_BATCHES,
) -> Segments:
    """Return the stretches between the moments that a log tells.

    Parameters
    ----------
    log : EngineLog
        When tokens came.
    play : Play
        In which batch they come by the rule, with about the right law.
    own_prompt_intercept : bool
        Whether batches of prompts only are counted apart.
    first_used, last_used : ndarray of bool, shape (n,)
        Requests whose first and whose last token is used.
    least : int
        Least batches of a stretch.
    """
    batch, moment = _moments(log, play, first_used, last_used)
    sums = _sums(play, own_prompt_intercept)
    woken = _woken(play)
    rows, took = [], []
    at, since = -1, 0.0
    for b, t in zip(batch.tolist(), moment.tolist(), strict=True):
        k = int(woken[b])
        if k > at:
            at, since = k - 1, float(play.start[k])
        if b - at >= least or (k == at + 1 and b == k):
            rows.append(sums[b + 1] - sums[at + 1])
            took.append((t - since) * _MS)
            at, since = b, t
    return Segments(np.array(rows).reshape(-1, sums.shape[1]), np.array(took))


def _moments(
    log: EngineLog,
    play: Play,
    first: NDArray[np.bool_],
    last: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], FloatArray]:
    """Batches in which a first or last token comes, and when it came (the median of several)."""
    batch = np.concatenate([play.first[first], play.last[last]])
    moment = np.concatenate([log.first_token[first], log.last_token[last]]).astype(float)
    order = np.lexsort((moment, batch))
    batch, moment = batch[order], moment[order]
    apart, begin = np.unique(batch, return_index=True)
    final = np.append(begin[1:], batch.size) - 1
    middle: FloatArray = (moment[(begin + final) // 2] + moment[(begin + final + 1) // 2]) / 2
    return apart, middle


def _sums(play: Play, own_prompt_intercept: bool) -> FloatArray:
    """Running sums of the law's variables, shape (b + 1, 4 or 5)."""
    ones = np.ones(play.start.size)
    columns = [ones, play.prompt_tokens, play.jobs, play.read]
    if own_prompt_intercept:
        with_jobs = (play.jobs > 0).astype(float)
        columns = [with_jobs, *columns[1:], ones - with_jobs]
    table = np.stack(columns, axis=1).astype(float)
    return np.concatenate([np.zeros((1, table.shape[1])), np.cumsum(table, axis=0)])


def _woken(play: Play) -> NDArray[np.int64]:
    """For each batch, the last one up to it that begins after the GPU has idled."""
    begins = np.append(True, play.start[1:] > play.end[:-1])
    where = np.where(begins, np.arange(play.start.size), 0)
    woken: NDArray[np.int64] = np.maximum.accumulate(where)
    return woken
