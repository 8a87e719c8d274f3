"""What was possible under other laws that explain a log about as well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction

from ...models.batch_time import AffineTime
from ...models.engine_logs.log import EngineLog
from ...models.errors import BatchprophetError
from ...solvers.hindsight import solve
from ..calibration.fit import AS_GOOD, MOST_FITTED, Distance, FittedLaw, first_requests
from ..calibration.law import coefficients_of, law_of
from ..calibration.replay import Engine, instance_of
from ..evaluation import Comparison
from .bounds import transferred
from .stages import require_uninterrupted

#: Directions that are drawn, and the parts of the way to a drawn law that are tried.
DIRECTIONS, SHARES = 6, (1.0, 0.5, 0.25, 0.125)


def under_other_laws(
    log: EngineLog, engine: Engine, fit: FittedLaw, comparison: Comparison, *, seed: int = 0
) -> tuple[tuple[float, float], ...]:
    """Return mean latency of the best schedule and lower bound, milliseconds, for other laws.

    Laws are those at the ends of what the fit has met, and some that are drawn from it and moved
    towards it until they explain the log about as well. For each, the batches of the best schedule
    are begun anew, and the prices of the proof are evaluated: both are valid for it, though perhaps
    not the best.

    Parameters
    ----------
    log : EngineLog
        The log.
    engine : Engine
        Rule and limits.
    fit : FittedLaw
        The law and its covariance.
    comparison : Comparison
        Hindsight under the fitted law.
    seed : int
        Of the draws.
    """
    found: list[tuple[float, float]] = []
    schedule, retimed = comparison.solution.schedule, engine.kind.retimed
    for law in _as_good(log, engine, fit, seed) if retimed is not None else ():
        assert retimed is not None
        instance = instance_of(log, engine, law)
        best = retimed(instance, schedule)
        solved = solve(instance, model=engine.regime, time_limit=0, warm_start=best)
        bound = transferred(comparison, instance, solved.bound)
        require_uninterrupted(solved)
        scale = Fraction(1, 1000 * log.n)
        found.append((float(solved.objective * scale), float((bound or 0) * scale)))
    return tuple(found)


def _as_good(log: EngineLog, engine: Engine, fit: FittedLaw, seed: int) -> Iterator[AffineTime]:
    """Yield laws that explain the log: met in the fit, and on the way from it to drawn ones."""
    part, until = first_requests(log, MOST_FITTED)  # those that the law is fitted to
    distance = Distance(part, engine, until)
    middle = coefficients_of(fit.law)
    nearest = distance(middle)
    yield from map(law_of, fit.as_good)
    for drawn in fit.draws(DIRECTIONS, seed):
        apart = coefficients_of(drawn) - middle
        for share in SHARES:
            coefficients = middle + share * apart
            with suppress(BatchprophetError):  # a law out of range, or the rule does not finish
                if distance(coefficients) <= AS_GOOD * nearest:
                    yield law_of(coefficients)
                    break
