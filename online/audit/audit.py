"""The audit: what an engine did, what its rule would do, and what was possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from ...models.batch_time import AffineTime
from ...models.engine_logs.log import EngineLog
from ...models.instance import Instance
from ...solvers.progress import Progress
from ...solvers.tail_latency import tail_latency_bound
from ..calibration.errors import errors, held_out
from ..calibration.explanation import Explanation, explain
from ..calibration.fit import FittedLaw, fit_law
from ..calibration.replay import Engine, Replay, replay
from ..evaluation import Comparison, PolicyResult, compare
from ..regime import LatencyBreakdown
from ..regimes import regime
from .figures import Limits, ServiceFigures, logged, of_schedule, simulated
from .knobs import Knob, turned
from .lengths import Knowledge, by_knowledge
from .other_laws import under_other_laws
from .stages import (
    FIT,
    HELD_OUT,
    HINDSIGHT,
    KNOBS,
    LAWS,
    LENGTHS,
    SIGNS,
    begin,
    require_uninterrupted,
)

#: Share of the time limit that is spent once more on bounds for turned knobs.
KNOBS_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindsight:
    """What was possible with the requests of a log.

    Attributes
    ----------
    comparison : Comparison
        Policies and the hindsight solution.
    figures : ServiceFigures
        Of the best schedule known.
    lower_bound_ms : float or None
        Proved lower bound on the mean latency.
    p99_lower_bound_ms : float
        Proved lower bound on the 99th percentile of latency.
    speed_equivalent_gap : float or None
        How much faster a GPU would have to be for the best schedule to reach the bound.
    policies : tuple of (PolicyResult, ServiceFigures or None)
        Policies from best to worst; no figures of those that do not finish.
    knobs : tuple of Knob
        What other limits and loads would have given.
    lengths : tuple of Knowledge
        The best policy that knows output lengths, predicts them, or knows nothing.
    other_laws : tuple of (float, float)
        Mean latency of the best schedule and lower bound, milliseconds, under laws that explain the
        log about as well; empty where the law was given.
    """

    comparison: Comparison
    figures: ServiceFigures
    lower_bound_ms: float | None
    p99_lower_bound_ms: float
    speed_equivalent_gap: float | None
    policies: tuple[tuple[PolicyResult, ServiceFigures | None], ...]
    knobs: tuple[Knob, ...]
    lengths: tuple[Knowledge, ...]
    other_laws: tuple[tuple[float, float], ...] = ()


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
    hindsight : Hindsight or None
        What was possible; None where the model does not explain the log.
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
    hindsight: Hindsight | None
    limits: Limits

    @property
    def instance(self) -> Instance:
        """The log's requests on the GPU with the law."""
        return self.played.instance

    def accounts(self) -> dict[str, LatencyBreakdown]:
        """Say where the requests' time goes: by the engine's rule, and in the best schedule."""
        rules, schedules = regime(self.engine.regime), {"simulated": self.played.schedule}
        if self.hindsight is not None:
            schedules["hindsight"] = self.hindsight.comparison.solution.schedule
        found = {name: rules.breakdown(self.instance, each) for name, each in schedules.items()}
        return {name: account for name, account in found.items() if account is not None}

    @property
    def ratio(self) -> tuple[float, float | None] | None:
        """The engine's mean latency over the best possible, from below and from above.

        None where the model does not explain the log: then nothing is claimed.
        """
        if self.hindsight is None:
            return None
        engine, bound = self.logged.mean_latency_ms, self.hindsight.lower_bound_ms
        low = engine / self.hindsight.figures.mean_latency_ms
        return low, engine / bound if bound else None

    @property
    def ratio_over_laws(self) -> tuple[float, float] | None:
        """The same over all laws that explain the log about as well; None if there is one law."""
        plain = self.ratio
        if plain is None or plain[1] is None or self.hindsight is None:
            return None
        if not self.hindsight.other_laws:
            return None
        engine = self.logged.mean_latency_ms
        lows = [engine / best for best, _ in self.hindsight.other_laws]
        highs = [engine / bound for _, bound in self.hindsight.other_laws if bound > 0]
        return min(plain[0], *lows), max(plain[1], *highs)


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
        Seconds for the hindsight solve, ≥ 0; half of it is spent again on turned knobs. Fits and
        plays of rules have no limit.
    limits : Limits, optional
        Latencies for the goodput.
    seed : int
        Of the solver.
    progress : callable, optional
        Called with the stages (`stages.STAGES`) and the solver's progress.

    Raises
    ------
    KeyboardInterrupt
        If it is interrupted, also within a solve.
    """
    if law is None:
        begin(FIT, progress)
    fit = fit_law(log, engine) if law is None else None
    chosen = law if fit is None else fit.law
    assert chosen is not None
    played = replay(log, engine, chosen)
    if fit is not None:
        begin(HELD_OUT, progress)
    found = errors(log, played) if fit is None else held_out(log, engine, played)
    begin(SIGNS, progress)
    explanation = explain(log, engine, played, found, given=fit is None)
    wanted = Limits() if limits is None else limits
    hindsight = None
    if explanation.explained:
        hindsight = look_back(played, engine, time_limit, wanted, seed, progress)
        if fit is not None:
            begin(LAWS, progress)
            others = under_other_laws(log, engine, fit, hindsight.comparison, seed=seed)
            hindsight = replace(hindsight, other_laws=others)
    return Audit(
        log=log,
        engine=engine,
        law=chosen,
        fit=fit,
        explanation=explanation,
        played=played,
        logged=logged(log, wanted),
        simulated=simulated(played, wanted),
        hindsight=hindsight,
        limits=wanted,
    )


def look_back(
    played: Replay,
    engine: Engine,
    time_limit: float,
    limits: Limits,
    seed: int,
    progress: Callable[[Progress], None] | None = None,
) -> Hindsight:
    """Find what was possible with the requests of a log."""
    instance = played.instance
    begin(HINDSIGHT, progress)
    comparison = compare(
        instance, model=engine.regime, time_limit=time_limit, seed=seed, progress=progress
    )
    require_uninterrupted(comparison.solution)
    schedule, bound = comparison.solution.schedule, comparison.solution.bound
    gap = None
    if bound is not None and engine.kind.speed_gap is not None:
        gap = engine.kind.speed_gap(instance, schedule, float(bound))
    finished = sorted(
        (each for each in comparison.results if each.metrics is not None), key=_total_latency
    )
    others = [each for each in comparison.results if each.metrics is None]
    policies = [(each, of_schedule(instance, each.schedule, engine, limits)) for each in finished]
    begin(KNOBS, progress)
    knobs = turned(played, engine, comparison, seconds=KNOBS_SHARE * time_limit, seed=seed)
    begin(LENGTHS, progress)
    return Hindsight(
        comparison=comparison,
        figures=of_schedule(instance, schedule, engine, limits),
        lower_bound_ms=None if bound is None else float(Fraction(bound) / instance.n / 1000),
        p99_lower_bound_ms=tail_latency_bound(instance, model=engine.regime) / 1000,
        speed_equivalent_gap=gap,
        policies=(*policies, *((each, None) for each in others)),
        knobs=knobs,
        lengths=by_knowledge(instance, engine, comparison),
    )


def _total_latency(result: PolicyResult) -> int:
    assert result.metrics is not None
    return result.metrics.total_latency
