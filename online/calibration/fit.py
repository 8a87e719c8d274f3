"""Fit the batch-time law to a log through the rule that the engine follows.

The rule is played with a guess of the law; it says which batches lie between the moments of the
log, and a regression on these batches gives a better law (`segments`), again and again. Of all laws
met, the one whose simulated moments are nearest to the log's is taken, and refined by Nelder and
Mead's method on the same distance. It begins with several guesses, since where memory is full the
distance has many minima; where the nearest law is far off, differential evolution seeks another one
around it. Intervals come from the regression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, differential_evolution, minimize

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

#: What the first guess of c0, and of c1, is multiplied by: the regressions begin with each.
STARTS_C0, STARTS_C1 = (1.0, 0.5, 2.0, 0.7, 1.4), (1.0, 2.0)

#: Of so many of the laws that the regressions lead to is the nearest refined.
REFINED = 2

#: A law is far off if its distance is more than this part of the mean latency.
FAR = 0.005

#: Generations in which a law is sought around the nearest, for a log of `USUAL` length, of so many
#: laws for each coefficient; in logarithms, how far c0, c1 and the time of a token job may be.
GENERATIONS, POPULATION, AROUND = 24, 8, (0.5, 0.7, 0.5)

#: A log is fitted on at most this many requests, the first ones; all others are a test.
MOST_FITTED = 2000

#: A law explains the log about as well if its distance is larger by at most this factor.
AS_GOOD = 1.25

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
    as_good : tuple of ndarray
        Of the laws met that explain the log about as well, those at the ends (`Distance.as_good`).
    """

    law: AffineTime
    coefficients: tuple[Coefficient, ...]
    covariance: FloatArray
    plays: int
    requests: int
    distance_ms: float
    token_job: Coefficient
    as_good: tuple[FloatArray, ...] = ()

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
    wide: bool = True,
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
    wide : bool
        Whether it begins with several guesses, and seeks another law where the nearest is far off.

    Raises
    ------
    InputError
        If the log has too few requests to tell a law.
    """
    own = engine.prompts_apart if own_prompt_intercept is None else own_prompt_intercept
    part, until = first_requests(log, MOST_FITTED)
    distance = Distance(part, engine, until, None if used is None else used[: part.n])
    found = [_regressed_often(distance, guess, own) for guess in _guesses(part, start, own, wide)]
    if own:  # what is taken for the intercept may be the prompts' work: begin again with one
        nearest = min(found, key=distance)
        found.append(_regressed_often(distance, np.append(nearest[:4], nearest[0]), own))
    found.sort(key=distance)
    best = found[0]
    if plays:
        often = max(FEWEST_PLAYS, plays * USUAL // max(USUAL, part.n))
        best = min((_refined(distance, law, often) for law in found[:REFINED]), key=distance)
        if wide and distance(best) > FAR * float(part.latency.mean()) / 1000:
            other = _sought(distance, best, own)
            best = min(best, _refined(distance, other, often), key=distance)
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
        self.met: list[tuple[float, FloatArray]] = []
        self.last: Replay
        kept = np.ones(log.n, dtype=bool) if used is None else used
        end = np.inf if until is None else until
        self._first = kept & (log.first_token <= end)
        self._last = kept & (log.last_token <= end)
        if not self._first.any():
            raise InputError(
                f"{log.path}: expected tokens of the first {log.n:,} requests before later ones "
                "arrive, found none: no law can be fitted to it"
            )

    def __call__(self, coefficients: FloatArray) -> float:
        """Play the rule with a law."""
        self.plays += 1
        self.last = replay(self.log, self._engine, law_of(coefficients))
        times = self.last.times
        first = np.abs(times.first_token - self.log.first_token)[self._first]
        last = np.abs(times.completion - self.log.last_token)[self._last]
        apart = float(np.concatenate([first, last]).mean()) / 1000
        self.met.append((apart, np.array(coefficients)))
        return apart

    def as_good(self, nearest: float) -> tuple[FloatArray, ...]:
        """Return of the laws met that explain the log about as well those at the ends.

        They have the least or the largest coefficient, or time of a token job at a context of
        1,000 tokens, of all whose distance is at most `AS_GOOD` times the nearest.
        """
        good = np.array([law for apart, law in self.met if apart <= AS_GOOD * nearest])
        if not good.size:
            return ()
        told = np.column_stack([good, good[:, 2] + 1000 * good[:, 3]])
        ends = {*told.argmin(axis=0).tolist(), *told.argmax(axis=0).tolist()}
        return tuple(good[k] for k in sorted(ends))

    def stretches(self, own_prompt_intercept: bool) -> Segments:
        """Return the stretches of the log by the last play."""
        return segments(
            self.log,
            self.last.times,
            own_prompt_intercept=own_prompt_intercept,
            first_used=self._first,
            last_used=self._last,
        )


def _guesses(log: EngineLog, start: FloatArray | None, own: bool, wide: bool) -> list[FloatArray]:
    """Return what the regressions begin with: of a long log one guess, which tells more."""
    if start is not None:
        return [start]
    guess = first_guess(log, own_prompt_intercept=own)
    if not wide or log.n > 2 * USUAL:
        return [guess]
    guesses = []
    for times_c1 in STARTS_C1 if guess[1] > 0 else STARTS_C1[:1]:
        for times_c0 in STARTS_C0:
            scaled = guess.copy()
            scaled[0] *= times_c0
            scaled[1] *= times_c1
            guesses.append(scaled)
    return guesses


def _regressed_often(distance: Distance, guess: FloatArray, own: bool) -> FloatArray:
    """Play and regress in turn; return the nearest coefficients met."""
    best, nearest = guess, distance(guess)
    for _ in range(ROUNDS):
        guess = _regressed(distance.stretches(own), guess)
        if (near := distance(guess)) < nearest:
            best, nearest = guess, near
    return best


def _regressed(stretches: Segments, before: FloatArray) -> FloatArray:
    """Return better coefficients; those before where there are too few stretches."""
    if stretches.took.size < 2 * before.size:
        return before
    found, _ = robust_fit(stretches.rows, stretches.took, stretches.weight)
    found[0] = max(found[0], LEAST)
    return found


def _sought(distance: Distance, best: FloatArray, own: bool) -> FloatArray:
    """Seek a nearer law around one, by c0, c1, the time of a token job, and c2's part of it."""
    distance(best)
    stretches = distance.stretches(own)
    jobs = max(1.0, float(stretches.rows[:, 2].sum()))
    h = max(1.0, float(stretches.rows[:, 3].sum()) / jobs)
    job = max(best[2] + best[3] * h, LEAST)

    def law(x: FloatArray) -> FloatArray:
        found = best.copy()
        found[:2] = np.exp(x[:2])
        found[2:4] = np.exp(x[2]) * np.array([x[3], (1 - x[3]) / h])
        found[4:] *= found[0] / best[0]
        return found

    def far(x: FloatArray) -> float:
        return distance(law(x))

    middle = np.log([max(best[0], LEAST), max(best[1], LEAST), job]).tolist()
    least = [*(x - r for x, r in zip(middle, AROUND, strict=True)), 0.0]
    most = [*(x + r for x, r in zip(middle, AROUND, strict=True)), 1.0]
    often = max(2, GENERATIONS * USUAL // max(USUAL, distance.log.n))
    found = differential_evolution(
        far, Bounds(least, most), maxiter=often, popsize=POPULATION,
        x0=[*middle, min(1.0, float(best[2]) / job)], init="sobol", polish=False, rng=0,
    )  # fmt: skip
    return law(np.asarray(found.x))


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
            f"{distance.log.path}: expected at least {2 * k} stretches between known moments, "
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
        as_good=distance.as_good(nearest),
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
