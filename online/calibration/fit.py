"""Fit the batch-time law to a log through the rule that the engine follows.

The rule is played beside the log (`Distance.beside`): its clock is set by the tokens that the log
has, so that its batches hold about what the engine's held. A regression on these batches between
known moments (`segments`) gives a better law, again and again until it stays.

Where every moment fits, one batch at a time, this is the law: the batches are the engine's, their
errors are independent, and intervals come from the regression. Otherwise moments are a batch early
or late, as those of engines that schedule ahead. Then the clock is set only by moments that are
further away, stretches are longer, and the law whose simulated moments are nearest to the log's
without its help is refined by Nelder and Mead's method on this distance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ...models.batch_time import AffineTime
from ...models.engine_logs.log import EngineLog
from ...models.errors import InputError
from ...models.instance import FloatArray
from ..engine import Play
from .first_guess import first_guess
from .law import LEAST, NAMES, coefficients_of, law_of
from .regression import covariance, robust_fit
from .replay import Engine, part_of, play_of, player_of, replay
from .segments import LEAST_BATCHES, Segments, segments

#: Regressions, each on the batches of the law before; and when they stay, relative to the law.
ROUNDS, STAYS = 6, 1e-4

#: Moments that many batches away set the clock where not all fit, of each batch its own length.
SLACKS = (1.5, 3.0)

#: Batches fit the log if at most this share of stretches takes no time, and nine in ten are within
#: this part of a batch's length, relative to the root of their number of batches.
MOST_CLASHES, MOST_OFF = 0.02, 0.5

#: Least stretches between known moments, each of a batch or more, that tell whether batches fit.
FEW_STRETCHES = 40

#: Plays of the rule that refining may take: fewer for longer logs, which say more and take longer.
MOST_PLAYS, FEWEST_PLAYS, USUAL = 90, 40, 300

#: Of so many of the laws that the regressions lead to is the nearest refined, with all plays.
REFINED = 2

#: A log is fitted on at most this many requests, the first ones; all others are a test.
MOST_FITTED = 2000

#: A law explains the log about as well if its distance is larger by at most this factor.
AS_GOOD = 1.25

#: First step of a coefficient that is 0, relative to c0: c0 to c3 and c0_prompt.
GROWN = np.array([1.0, 1e-3, 1e-3, 1e-6, 0.1])

#: Standard deviations of intervals that hold all coefficients at once with 95 %.
DEVIATIONS = 2.5

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

    Raises
    ------
    InputError
        If the log has too few requests to tell a law.
    """
    own = engine.prompts_apart if own_prompt_intercept is None else own_prompt_intercept
    part, until = first_requests(log, MOST_FITTED)
    distance = Distance(part, engine, until, None if used is None else used[: part.n])
    guess = first_guess(part, own_prompt_intercept=own) if start is None else start
    exact = _beside(distance, guess, own)
    if exact is not None:
        return _with_intervals(exact, distance(exact.law), distance)
    found = _near(distance, guess, own)
    best = found[0]
    if plays:
        refined = REFINED if plays >= MOST_PLAYS else 1
        often = min(plays, max(FEWEST_PLAYS, plays * USUAL // max(USUAL, part.n)))
        best = min((_refined(distance, law, often) for law in found[:refined]), key=distance)
    nearest = distance(best)
    play = distance.beside(best, SLACKS[0]) if distance.synchronised else distance.last
    return _with_intervals(_Fit(best, distance.stretches(play, own)), nearest, distance)


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
        self._player = player_of(log, engine)
        self.met: list[tuple[float, FloatArray]] = []
        self.last: Play
        kept = np.ones(log.n, dtype=bool) if used is None else used
        end = np.inf if until is None else until
        self._first = kept & (log.first_token <= end)
        self._last = kept & (log.last_token <= end)
        if not self._first.any():
            raise InputError(
                f"{log.path}: expected tokens of the first {log.n:,} requests before later ones "
                "arrive, found none: no law can be fitted to it"
            )
        self._known = (
            np.where(self._first, log.first_token, -1), np.where(self._last, log.last_token, -1)
        )  # fmt: skip

    def __call__(self, coefficients: FloatArray) -> float:
        """Play the rule with a law."""
        self.plays += 1
        law = law_of(coefficients)
        if self._player is None:
            self.last = play_of(replay(self.log, self._engine, law).times)
        else:
            self.last = self._player(law)
        play = self.last
        first = np.abs(play.end[play.first] - self.log.first_token)[self._first]
        last = np.abs(play.end[play.last] - self.log.last_token)[self._last]
        apart = float(np.concatenate([first, last]).mean()) / 1000
        self.met.append((apart, np.array(coefficients)))
        return apart

    @property
    def synchronised(self) -> bool:
        """Whether the rule can be played beside the log."""
        return self._player is not None

    def beside(self, coefficients: FloatArray, slack: float = 0.0) -> Play:
        """Play the rule with a law, its clock set by the log's tokens (`engine.Player`)."""
        assert self._player is not None
        self.plays += 1
        return self._player(law_of(coefficients), *self._known, slack)

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

    def exact(self, law: AffineTime) -> bool:
        """Whether every batch fits the log, by a law and the rule beside it (`batches_fit`)."""
        if not self.synchronised:
            return False
        coefficients = coefficients_of(law)
        play = self.beside(coefficients)
        stretches = self.stretches(play, law.c0_prompt is not None, least=1)
        return batches_fit(stretches, coefficients)

    def stretches(self, play: Play, own: bool, least: int = LEAST_BATCHES) -> Segments:
        """Return the stretches of the log by a play."""
        return segments(
            self.log,
            play,
            own_prompt_intercept=own,
            first_used=self._first,
            last_used=self._last,
            least=least,
        )


class _Fit(NamedTuple):
    """Coefficients, and the stretches that they come from."""

    law: FloatArray
    stretches: Segments


def _beside(distance: Distance, guess: FloatArray, own: bool) -> _Fit | None:
    """Play beside the log and regress in turn; None where the batches do not fit it."""
    if not distance.synchronised:
        return None
    for _ in range(ROUNDS):
        stretches = distance.stretches(distance.beside(guess), own, least=1)
        before, guess = guess, _regressed(stretches, guess)
        if np.allclose(guess, before, rtol=STAYS, atol=STAYS * STAYS):
            break
    return _Fit(guess, stretches) if batches_fit(stretches, guess) else None


def batches_fit(stretches: Segments, law: FloatArray) -> bool:
    """Whether batches are the engine's, as far as the times of stretches tell.

    Examples
    --------
    >>> rows = np.tile([2.0, 100.0, 4.0, 900.0], (50, 1))
    >>> law = np.array([10.0, 0.1, 0.0, 0.0])
    >>> batches_fit(Segments(rows, np.full(50, 30.1)), law)
    True
    >>> batches_fit(Segments(rows, np.full(50, 41.0)), law)  # they took a batch more
    False
    """
    if stretches.took.size < FEW_STRETCHES:
        return False
    off = np.abs(stretches.took - stretches.rows @ law) * stretches.weight(law)
    clashes = float((stretches.took <= 0).mean())
    return clashes <= MOST_CLASHES and float(np.quantile(off, 0.9)) <= MOST_OFF


def _near(distance: Distance, guess: FloatArray, own: bool) -> list[FloatArray]:
    """Return the laws that regressions lead to, the nearest first."""
    found = [_regressed_often(distance, guess, own)]
    if distance.synchronised:
        found += [_regressed_often(distance, guess, own, slack) for slack in SLACKS]
    if own:  # what is taken for the intercept may be the prompts' work: begin again with one
        nearest = min(found, key=distance)
        found.append(_regressed_often(distance, np.append(nearest[:4], nearest[0]), own))
    return sorted(found, key=distance)


def _regressed_often(
    distance: Distance, guess: FloatArray, own: bool, slack: float | None = None
) -> FloatArray:
    """Play and regress in turn; return the nearest coefficients met.

    With a slack the rule is played beside the log.
    """
    best, nearest = guess, distance(guess)
    for _ in range(ROUNDS):
        play = distance.last if slack is None else distance.beside(guess, slack)
        before, guess = guess, _regressed(distance.stretches(play, own), guess)
        if np.allclose(guess, before, rtol=STAYS, atol=STAYS * STAYS):
            break
        if (near := distance(guess)) < nearest:
            best, nearest = guess, near
    return best


def _regressed(stretches: Segments, before: FloatArray) -> FloatArray:
    """Return better coefficients; those before where there are too few stretches."""
    if stretches.took.size < 2 * before.size:
        return before
    found, _ = robust_fit(stretches.rows, stretches.took, stretches.weight(before))
    found[0] = max(found[0], LEAST)
    return found


def _regression(stretches: Segments, law: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the coefficients that the stretches tell, and their covariance."""
    weight = stretches.weight(law)
    found, kept = robust_fit(stretches.rows, stretches.took, weight)
    return found, covariance(stretches.rows, stretches.took, weight, found, kept)


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


def _with_intervals(fit: _Fit, nearest: float, distance: Distance) -> FittedLaw:
    best, stretches = fit
    k = best.size
    if stretches.took.size < 2 * k:
        raise InputError(
            f"{distance.log.path}: expected at least {2 * k} stretches between known moments, "
            f"found {stretches.took.size}: too few requests to fit a law of {k} coefficients"
        )
    found, spread = _regression(stretches, best)
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
