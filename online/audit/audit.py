"""The audit: what an engine did, what its rule would do, and what was possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ...models.batch_time import AffineTime
from ...models.engine_logs.log import EngineLog
from ...models.instance import Instance
from ...solvers.progress import Progress
from ...solvers.solution import Solution
from ..calibration.errors import errors, held_out
from ..calibration.explanation import Explanation, explain
from ..calibration.fit import FittedLaw, fit_law
from ..calibration.replay import Engine, Replay, replay
from ..evaluation import Comparison, PolicyResult, compare
from .figures import Limits, ServiceFigures, figures, logged, simulated
from .knobs import Knob, turned

#: Share of the time limit that is spent once more on bounds for turned knobs.
KNOBS_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """An engine's log against hindsight.

    Attributes
    ----------
    log : EngineLog
        The log.
    engine : Engine
        The rule and the limits that the log is audited with.
    law : AffineTime
        The batch-time law.
    fit : FittedLaw or None
        How it was fitted; None if it was given.
    explanation : Explanation
        Whether rule and law explain the log.
    played : Replay
        The rule on the log's requests.
    logged, simulated : ServiceFigures
        Figures of the engine, and of its rule.
    comparison : Comparison
        Policies and hindsight on the same requests.
    hindsight : ServiceFigures
        Figures of the best schedule known.
    knobs : tuple of Knob
        What other limits and loads would have given.
    limits : Limits
        Latencies that requests should keep.
    """

    log: EngineLog
    engine: Engine
    law: AffineTime
    fit: FittedLaw | None
    explanation: Explanation
    played: Replay
    logged: ServiceFigures
    simulated: ServiceFigures
    comparison: Comparison
    hindsight: ServiceFigures
    knobs: tuple[Knob, ...]
    limits: Limits

    @property
    def instance(self) -> Instance:
        """The log's requests on the GPU with the law."""
        return self.played.instance

    @property
    def solution(self) -> Solution[Any]:
        """The hindsight solution: the best schedule known, and the bound."""
        return self.comparison.solution

    @property
    def lower_bound_ms(self) -> float | None:
        """Proved lower bound on the mean latency, milliseconds."""
        bound = self.solution.bound
        return None if bound is None else float(Fraction(bound) / self.log.n / 1000)

    @property
    def ratio(self) -> tuple[float, float | None] | None:
        """The engine's mean latency over the best possible, from below and from above.

        None where the model does not explain the log: then nothing is claimed.
        """
        if not self.explanation.explained:
            return None
        engine, bound = self.logged.mean_latency_ms, self.lower_bound_ms
        return engine / self.hindsight.mean_latency_ms, engine / bound if bound else None


def audit(
    log: EngineLog,
    engine: Engine,
    *,
    law: AffineTime | None = None,
    time_limit: float = 60.0,
    limits: Limits | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> Audit:
    """Audit a log.

    Parameters
    ----------
    log : EngineLog
        The log.
    engine : Engine
        The rule and the limits that the engine had.
    law : AffineTime, optional
        The batch-time law; fitted to the log by default.
    time_limit : float
        Seconds for the hindsight solve, ≥ 0; half of it is spent again on turned knobs.
    limits : Limits, optional
        Latencies for the goodput.
    seed : int
        Of the solver.
    progress : callable, optional
        Called with the solver's progress.
    """
    fit = fit_law(log, engine) if law is None else None
    chosen = law if fit is None else fit.law
    assert chosen is not None
    played = replay(log, engine, chosen)
    found = errors(log, played) if fit is None else held_out(log, engine, played)
    explanation = explain(log, engine, played, found, seen=fit is None)
    comparison = compare(
        played.instance, model=engine.regime, time_limit=time_limit, seed=seed, progress=progress
    )
    best = engine.kind.times(played.instance, comparison.solution.schedule)
    wanted = Limits() if limits is None else limits
    return Audit(
        log=log,
        engine=engine,
        law=chosen,
        fit=fit,
        explanation=explanation,
        played=played,
        logged=logged(log, wanted),
        simulated=simulated(played, wanted),
        comparison=comparison,
        hindsight=figures(log.arrival, best.first_token, best.completion, log.output, wanted),
        knobs=turned(played, engine, comparison, seconds=KNOBS_SHARE * time_limit, seed=seed),
        limits=wanted,
    )


def best_policy(comparison: Comparison) -> PolicyResult | None:
    """Return the policy with the least total latency; None if none finishes."""
    finished = [each for each in comparison.results if each.metrics is not None]
    return min(finished, key=lambda each: each.metrics.total_latency, default=None)  # type: ignore[union-attr]  # finished
