"""Fit the batch-time law to a log through the rule that the engine follows.

The rule is played with a guess of the law; it says which batches lie between the moments of the
log, and a regression on these batches gives a better law (`segments`), again and again. Of all laws
met, the one whose simulated moments are nearest to the log's is taken, and refined by Nelder and
Mead's method on the same distance. Intervals come from the regression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ...models.batch_time import AffineTime
from ...models.engine_logs.log import EngineLog
from ...models.errors import InputError
from ...models.instance import FloatArray
from .first_guess import first_guess
from .law import LEAST, NAMES, law_of
from .regression import covariance, robust_fit
from .replay import Engine, Replay, part_of, replay
from .segments import Segments, segments

#: Regressions, each on the batches of the law before.
ROUNDS = 6

#: Plays of the rule that refining may take: fewer for longer logs, which say more and take longer.
MOST_PLAYS, FEWEST_PLAYS, USUAL = 90, 40, 300

#: Laws drawn from the regression, the nearest of which refining begins from once more: where memory
#: is full the distance has many minima.
DRAWN = 12

#: A log is fitted on at most this many requests, the first ones; all others are a test.
MOST_FITTED = 2000

#: First step of a coefficient that is 0, relative to c0: c0 to c3 and c0_prompt.
GROWN = np.array([1.0, 1e-3, 1e-3, 1e-6, 0.1])

#: Standard deviations of an interval of 95 %, with some room for tails.
DEVIATIONS = 2.2

#: An interval is at least this wide to each side, relative to its middle: times are rounded up.
FLOOR = 1e-3

#: A coefficient is not identified if its interval is wider than this, relative to its middle.
WIDE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """A coefficient of the law, in milliseconds, with its interval of about 95 %."""

    name: str
    value: float
    low: float
    high: float

    @property
    def identified(self) -> bool:
        """Whether the log tells it: the interval is narrow, relative to the value."""
        return self.high - self.low <= WIDE * self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedLaw:
    """A law fitted to a log.

    Attributes
    ----------
    law : AffineTime
        The law.
    coefficients : tuple of Coefficient
        With their intervals.
    covariance : ndarray, shape (k, k)
        Of the coefficients.
    plays : int
        How often the rule was played.
    requests : int
        Requests that it was fitted to, the first ones.
    distance_ms : float
        Mean distance of the simulated from the logged moments of tokens.
    token_job : Coefficient
        Time of a token job at the mean context, c2 + c3·h: told even where c2 and c3 are not.
    """

    law: AffineTime
    coefficients: tuple[Coefficient, ...]
    covariance: FloatArray
    plays: int
    requests: int
    distance_ms: float
    token_job: Coefficient

    @property
    def not_identified(self) -> tuple[str, ...]:
        """Names of the coefficients that the log does not tell."""
        return tuple(each.name for each in self.coefficients if not each.identified)

    def draws(self, count: int, seed: int = 0) -> list[AffineTime]:
        """Draw laws that are about as likely as the fitted one."""
        middle = np.array([each.value for each in self.coefficients])
        rng = np.random.default_rng(seed)
        drawn = rng.multivariate_normal(middle, self.covariance, size=count, method="eigh")
        return [law_of(np.maximum(each, 0.0)) for each in drawn]


def fit_law(
    log: EngineLog,
    engine: Engine,
    *,
    own_prompt_intercept: bool | None = None,
    start: FloatArray | None = None,
    used: NDArray[np.bool_] | None = None,
    plays: int = MOST_PLAYS,
    twice: bool = False,
) -> FittedLaw:
    """Fit the law to a log.

    Parameters
    ----------
    log : EngineLog
        The log.
    engine : Engine
        Rule and limits that the engine had.
    own_prompt_intercept : bool, optional
        Whether batches of prompts only have an intercept of their own; by default where they are
        usual, as under separate batching.
    start : ndarray, shape (4,) or (5,), optional
        Coefficients to begin with.
    used : ndarray of bool, shape (n,), optional
        Requests whose moments are used; all by default. The others load the engine all the same.
    plays : int
        Plays of the rule for refining, for a log of `USUAL` length.
    twice : bool
        Whether refining begins once more, from a law drawn from the regression; with as many plays.

    Raises
    ------
    InputError
        If the log has too few requests to tell a law.
    """
    own = engine.prompts_apart if own_prompt_intercept is None else own_prompt_intercept
    part, until = first_requests(log, MOST_FITTED)
    distance = Distance(part, engine, until, None if used is None else used[: part.n])
    guess = first_guess(part, own_prompt_intercept=own) if start is None else start
    best, nearest = _regressed_often(distance, guess, own)
    if own:  # what is taken for the intercept may be the prompts' work: begin again with one
        again = np.append(best[:4], best[0])
        other, near = _regressed_often(distance, again, own)
        best = other if near < nearest else best
    if plays:
        often = max(FEWEST_PLAYS, plays * USUAL // max(USUAL, part.n))
        drawn = _drawn(distance, best, own) if twice else best
        best = _refined(distance, best, often)
        if drawn is not best:
            best = min((best, _refined(distance, drawn, often)), key=distance)
    return _with_intervals(distance, best, distance(best), own)


def first_requests(log: EngineLog, most: int) -> tuple[EngineLog, int | None]:
    """Return the log of its first requests, and when the next one arrives; None for no other."""
    if log.n <= most:
        return log, None
    return part_of(log, np.arange(most)), int(log.arrival[most])


class Distance:
    """Mean distance of simulated from logged moments, in milliseconds, and the last play."""

    def __init__(
        self,
        log: EngineLog,
        engine: Engine,
        until: int | None = None,
        used: NDArray[np.bool_] | None = None,
    ) -> None:
        self.log, self._engine, self.plays = log, engine, 0
        self.last: Replay
        kept = np.ones(log.n, dtype=bool) if used is None else used
        end = np.inf if until is None else until
        self._first = kept & (log.first_token <= end)
        self._last = kept & (log.last_token <= end)
        if not self._first.any():
            raise InputError(
                f"{log.name}: expected tokens of the first {log.n:,} requests before later ones "
                "arrive, found none: no law can be fitted to it"
            )

    def __call__(self, coefficients: FloatArray) -> float:
        """Play the rule with a law."""
        self.plays += 1
        self.last = replay(self.log, self._engine, law_of(coefficients))
        times = self.last.times
        first = np.abs(times.first_token - self.log.first_token)[self._first]
        last = np.abs(times.completion - self.log.last_token)[self._last]
        return float(np.concatenate([first, last]).mean()) / 1000

    def stretches(self, own_prompt_intercept: bool) -> Segments:
        """Return the stretches of the log by the last play."""
        return segments(
            self.log,
            self.last.times,
            own_prompt_intercept=own_prompt_intercept,
            first_used=self._first,
            last_used=self._last,
        )


def _regressed_often(distance: Distance, guess: FloatArray, own: bool) -> tuple[FloatArray, float]:
    """Play and regress in turn; return the nearest coefficients met, and their distance."""
    best, nearest = guess, distance(guess)
    for _ in range(ROUNDS):
        guess = _regressed(distance.stretches(own), guess)
        if (near := distance(guess)) < nearest:
            best, nearest = guess, near
    return best, nearest


def _regressed(stretches: Segments, before: FloatArray) -> FloatArray:
    """Return better coefficients; those before where there are too few stretches."""
    if stretches.took.size < 2 * before.size:
        return before
    found, _ = robust_fit(stretches.rows, stretches.took, stretches.weight)
    found[0] = max(found[0], LEAST)
    return found


def _drawn(distance: Distance, best: FloatArray, own: bool) -> FloatArray:
    """Return the nearest of some laws drawn from the regression on the batches of the best one."""
    distance(best)
    stretches = distance.stretches(own)
    if stretches.took.size < 2 * best.size:
        return best
    middle, spread = _regression(stretches)
    rng = np.random.default_rng(0)
    drawn = np.abs(rng.multivariate_normal(middle, spread, size=DRAWN, method="eigh"))
    nearest: FloatArray = min(drawn, key=distance)
    return nearest


def _regression(stretches: Segments) -> tuple[FloatArray, FloatArray]:
    """Return the coefficients that the stretches tell, and their covariance."""
    found, kept = robust_fit(stretches.rows, stretches.took, stretches.weight)
    return found, covariance(stretches.rows, stretches.took, stretches.weight, found, kept)


def _refined(distance: Callable[[FloatArray], float], best: FloatArray, plays: int) -> FloatArray:
    """Walk to a near minimum of the distance, in coefficients relative to those given."""
    middle = max(float(best[0]), LEAST)
    scale = np.where(best > 0, best, middle * GROWN[: best.size])  # a coefficient of 0 may grow
    start = best / scale
    steps = np.diag(np.where(start > 0, 0.05, 1.0))
    options: Any = {
        "initial_simplex": np.vstack([start, start + steps]),
        "maxfev": plays,
        "xatol": 1e-5,
        "fatol": 1e-3,
    }

    def near(relative: FloatArray) -> float:
        return distance(np.abs(relative) * scale)

    found = minimize(near, start.tolist(), method="Nelder-Mead", options=options)
    refined: FloatArray = np.abs(found.x) * scale
    return refined


def _with_intervals(distance: Distance, best: FloatArray, nearest: float, own: bool) -> FittedLaw:
    stretches = distance.stretches(own)
    k = best.size
    if stretches.took.size < 2 * k:
        raise InputError(
            f"{distance.log.name}: expected at least {2 * k} stretches between known moments, "
            f"found {stretches.took.size}: too few requests to fit a law of {k} coefficients"
        )
    found, spread = _regression(stretches)
    apart = np.outer(found - best, found - best)  # two estimators that differ are both unsure
    spread = spread + apart
    deviation = DEVIATIONS * np.sqrt(np.diag(spread)) + FLOOR * best
    coefficients = tuple(
        Coefficient(name=name, value=float(c), low=float(max(0.0, c - x)), high=float(c + x))
        for name, c, x in zip(NAMES, best, deviation, strict=False)
    )
    return FittedLaw(
        law=law_of(best),
        coefficients=coefficients,
        covariance=spread,
        plays=distance.plays,
        requests=distance.log.n,
        distance_ms=nearest,
        token_job=_token_job(stretches, best, spread),
    )


def _token_job(stretches: Segments, best: FloatArray, spread: FloatArray) -> Coefficient:
    """Time of a token job at the mean context."""
    jobs = float(stretches.rows[:, 2].sum())
    context = float(stretches.rows[:, 3].sum()) / max(jobs, 1.0)
    along = np.zeros(best.size)
    along[2:4] = 1.0, context
    value, deviation = float(along @ best), DEVIATIONS * float(np.sqrt(along @ spread @ along))
    return Coefficient(
        name=f"c2 + c3·{context:,.0f}",
        value=value,
        low=max(0.0, value - deviation),
        high=value + deviation,
    )
