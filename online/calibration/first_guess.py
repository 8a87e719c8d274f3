"""A first guess of the batch-time law, from the log alone: no rule is played.

A request with o output tokens is in o − 1 batches from its first token to its last. In this time
the others get tokens at the pace that their own first and last tokens show, and prompts are read.
So its duration is about c0·(o − 1) + c1·p + c2·d + c3·kv, with sums over these batches that the log
tells: a regression with a row for each request.
"""

from __future__ import annotations

import numpy as np

from ...models.engine_logs.log import EngineLog
from ...models.instance import FloatArray
from .regression import bounded_fit

#: Requests that give a row.
MOST_ROWS = 400

#: Milliseconds of a microsecond.
_MS = 1e-3


def first_guess(log: EngineLog, *, own_prompt_intercept: bool = False) -> FloatArray:
    """Return coefficients in milliseconds, shape (4,), or (5,) with an intercept of prompts.

    Examples
    --------
    One request after another, 2 ms a token. Only the sum of what a batch of one job takes is seen.

    >>> log = EngineLog(
    ...     name="a", format="-", arrival=[0, 20_000], first_token=[5000, 25_000],
    ...     last_token=[11_000, 31_000], prompt=[4, 4], output=[4, 4],
    ... )
    >>> c0, c1, c2, c3 = first_guess(log)
    >>> f"{c0 + c2 + 6.5 * c3:.3f}"  # 6.5 tokens are the mean context
    '2.000'
    """
    many = np.flatnonzero(log.output >= 2)
    if many.size == 0:
        wait = float(np.median(log.time_to_first_token)) * _MS
        guess = np.array([max(wait, _MS), 0.0, 0.0, 0.0])
        return np.append(guess, guess[0]) if own_prompt_intercept else guess
    picked = many[np.linspace(0, many.size - 1, min(many.size, MOST_ROWS)).astype(int)]
    rows = np.array([_row(log, int(i), own_prompt_intercept) for i in picked])
    took = (log.last_token - log.first_token)[picked] * _MS
    guess = bounded_fit(rows, took, 1 / np.sqrt(rows[:, 0]))
    if own_prompt_intercept and guess[4] == 0:
        guess[4] = guess[0]
    return guess


def _row(log: EngineLog, i: int, own_prompt_intercept: bool) -> FloatArray:
    first, last = log.first_token, log.last_token
    length = np.maximum(last - first, 1)
    pace = (log.output - 1) / length
    begin, end = np.maximum(first, first[i]), np.minimum(last, last[i])
    jobs = np.maximum(end - begin, 0) * pace
    context = log.prompt + 1 + ((begin + end) / 2 - first) * pace
    read = (first > first[i]) & (first <= last[i])
    row = [
        float(log.output[i] - 1),
        float(log.prompt[read].sum()),
        float(jobs.sum()),
        float((jobs * context).sum()),
    ]
    if own_prompt_intercept:
        row.append(float(read.sum()))
    return np.array(row)
