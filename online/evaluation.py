"""Policies side by side with the hindsight optimum: the recipe behind ``compare``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ..models.errors import BatchprophetError, DoesNotFinish
from ..models.figures import Figures
from ..models.instance import Instance, IntArray
from ..models.latency_limits import LatencyLimits
from ..models.objectives import MAXIMISED, Exact, evaluate
from ..models.regime import Schedule
from ..models.regimes import check, regime_of, schedule_value
from ..models.service import SERVICE, is_maximised, require_comparable
from ..models.shown import elided
from ..solvers.hindsight import solve
from ..solvers.progress import Progress
from ..solvers.solution import Solution
from .mixed.policy import Policy
from .regime import LatencyBreakdown, OnlineRegime
from .regimes import regime
from .registry import policy_spec
from .separate.policy import SeparatePolicy
from .service import Service, require_limits, service_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResult:
    """What one policy did on one instance.

    Attributes
    ----------
    policy : str
        Its specification.
    schedule : MixedSchedule or SeparateSchedule or None
        Its schedule, accepted by the checker; None if it does not finish.
    metrics : Figures or None
        The schedule's figures.
    verdict : str
        "" or "does not finish: …".
    seconds : float
        Wall-clock time of the simulation.
    account : LatencyBreakdown or None
        Where the requests' time goes, of a separate schedule.
    """

    policy: str
    schedule: Schedule | None
    metrics: Figures | None
    verdict: str
    seconds: float
    account: LatencyBreakdown | None = None

    def __repr__(self) -> str:
        total = None if self.metrics is None else self.metrics.total_latency
        outcome = f"total_latency={total}" if self.verdict == "" else f"verdict={self.verdict!r}"
        return f"PolicyResult({self.policy!r}, {outcome}, seconds={self.seconds:.4f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a reference reached that does not keep the regime's rules: it has no schedule.

    Attributes
    ----------
    name : str
        Its name.
    verdict : str
        Which rule it does not keep.
    completion : ndarray of int64, shape (n,)
        Completion of each request.
    seconds : float
        Wall-clock time of its run.
    """

    name: str
    verdict: str
    completion: IntArray
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Policies and the hindsight solution of one instance.

    Attributes
    ----------
    instance : Instance
        The instance.
    solution : Solution
        The hindsight solution; its objective is the one that all are judged by, unless there is a
        service objective.
    results : tuple of PolicyResult
        In the order in which the policies were named.
    references : tuple of Reference
        What is shown beside the policies though it does not keep the rules; never the best known.
    service : Service or None
        A service objective that all are judged by; the hindsight solution is of the total latency.
    """

    instance: Instance
    solution: Solution[Any]
    results: tuple[PolicyResult, ...]
    references: tuple[Reference, ...] = ()
    service: Service | None = None
    _values: list[tuple[PolicyResult | Reference | Solution[Any], Exact | None]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def __repr__(self) -> str:
        names = [result.policy for result in self.results]
        bound = "none" if self.bound is None else self.bound
        return (
            f"Comparison({self.instance.name!r}, model={self.model!r}, "
            f"hindsight {self.objective_name}={self.hindsight_value}, bound={bound},\n"
            f"  policies={elided(names)})"
        )

    @property
    def model(self) -> str:
        """The regime: "mixed" or "separate"."""
        model: str = self.solution.schedule.model
        return model

    @property
    def objective_name(self) -> str:
        """What all are judged by."""
        return self.solution.objective_name if self.service is None else self.service.objective

    @property
    def maximised(self) -> bool:
        """Whether more of it is better."""
        return is_maximised(self.objective_name)

    def ranked(self) -> list[PolicyResult]:
        """Return the policies that finish, the best first; of equal value the least mean first."""
        sign = -1 if self.maximised else 1

        def place(result: PolicyResult) -> tuple[Exact, float]:
            assert result.metrics is not None
            return sign * (self.value(result) or 0), result.metrics.mean_latency

        return sorted((each for each in self.results if each.metrics is not None), key=place)

    @property
    def hindsight_value(self) -> Exact:
        """Objective value of the hindsight schedule, exact."""
        for known, value in self._values:
            if known is self.solution and value is not None:
                return value
        found = self.solution.objective
        if self.service is not None:
            found = self.service.value(self.instance, self.solution.schedule)
        self._values.append((self.solution, found))
        return found

    @property
    def proved(self) -> bool:
        """Whether the best known value is proved optimal."""
        return self.bound == self.best_known

    @property
    def gap(self) -> float | None:
        """``|best known − bound| / best known``; None without a bound, or at 0 ≠ bound."""
        if self.bound is None:
            return None
        return 0.0 if self.proved else _gap(self.best_known, self.bound)

    @property
    def hindsight_gap(self) -> float | None:
        """The same of the hindsight schedule alone."""
        if self.service is None or self.hindsight_value == self.bound:
            return self.solution.gap if self.service is None else 0.0
        return _gap(self.hindsight_value, self.service.bound)

    def value(self, result: PolicyResult | Reference) -> Exact | None:
        """Objective value of a policy's schedule, exact; None if it does not finish.

        It is computed once: tables and pictures ask for it again and again.
        """
        for known, value in self._values:
            if known is result:
                return value
        value = self._computed(result)
        self._values.append((result, value))
        return value

    def _computed(self, result: PolicyResult | Reference) -> Exact | None:
        objective = self.solution.objective_name
        if isinstance(result, Reference):
            if self.service is not None:
                return self.service.value_of_completions(self.instance, result.completion)
            return evaluate(self.instance, result.completion, objective)
        return None if result.schedule is None else self.value_of(self.instance, result.schedule)

    def value_of(self, instance: Instance, schedule: Schedule) -> Exact:
        """Value of a schedule, of this or another instance, by what is judged here; exact."""
        if self.service is not None:
            return self.service.value(instance, schedule)
        return schedule_value(instance, schedule, self.solution.objective_name)

    @property
    def best_known(self) -> Exact:
        """Best value over the solution and all policies."""
        return self._best()[0]

    @property
    def best_known_by(self) -> str:
        """Who has the best value: "hindsight", or a policy that is strictly better."""
        return self._best()[1]

    @property
    def lower_bound(self) -> Exact | None:
        """Proved lower bound on the optimum (where it is maximised: the best known value)."""
        return self.best_known if self.maximised else self.bound

    @property
    def bound(self) -> Exact | None:
        """Proved bound on the optimum: from below, or where it is maximised from above."""
        return self.solution.bound if self.service is None else self.service.bound

    def ratio_to_best(self, result: PolicyResult | Reference) -> float | None:
        """Value over the best known value: ≥ 1 for costs, ≤ 1 for reward and goodput.

        None if the policy does not finish, or the best known value is 0.
        """
        return _ratio(self.value(result), self.best_known)

    def ratio_to_bound(self, result: PolicyResult | Reference) -> float | None:
        """Value over the proved bound: no smaller than the true ratio (if maximised, no larger).

        So for costs it is a certified upper bound on the policy's ratio on this instance, and for
        reward and goodput a certified lower bound on its share of the optimum. None if the policy
        does not finish, or the bound is 0 or missing.
        """
        return _ratio(self.value(result), self.bound)

    def _best(self) -> tuple[Exact, str]:
        value, by = self.hindsight_value, "hindsight"
        for result in self.results:
            other = self.value(result)
            if other is not None and (other > value if self.maximised else other < value):
                value, by = other, result.policy
        return value, by


def compare(
    instance: Instance,
    policies: Sequence[str | Policy | SeparatePolicy] | None = None,
    *,
    model: str = "mixed",
    objective: str = "latency",
    time_limit: float = 60.0,
    threads: int | None = None,
    seed: int = 0,
    limits: LatencyLimits | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Comparison:
    """Run policies, hand the best schedule to the hindsight solve, and put them side by side.

    Parameters
    ----------
    instance : Instance
        For mixed batching with the unit-time law, and no batch limits but on a round.
    policies : sequence of str or Policy or SeparatePolicy, optional
        Policies of the regime or their specifications; the built-in ones with their defaults if
        left out. For separate batching "orca" stands for the reference that may mix, which is run
        by default as well.
    model : {"mixed", "separate"}
        The batching regime.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward", "p99", "ttft", "goodput"}
        What all are judged by. By the last three, service objectives, the hindsight solve still
        minimises the total latency; what is proved of them is `Service.bound`.
    time_limit : float
        Seconds for the solve.
    threads : int, optional
        Threads for the solver; its own choice if left out.
    seed : int
        For policies and solver.
    limits : LatencyLimits, optional
        Latency limits for the goodput.
    progress : callable, optional
        Called with the solver's progress.

    Returns
    -------
    Comparison
        All schedules have passed the checker; a policy that goes on forever has a verdict.

    Raises
    ------
    InputError
        If instance, policies or options are invalid.
    PolicyError
        If a policy decides what the rules do not allow.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> comparison = compare(instance, ["mc-sf", "mc-benchmark"], time_limit=10.0)
    >>> [result.policy for result in comparison.results], comparison.solution.status
    (['mc-sf', 'mc-benchmark'], 'optimal')
    """
    require_comparable(objective)
    require_limits(objective, limits)
    solved = "latency" if objective in SERVICE else objective
    rules = regime(model)
    rules.require(instance)
    everything = [*rules.registry.by_default, *rules.references]
    specs = everything if policies is None else list(policies)
    asked = [spec for spec in specs if spec in rules.references]
    made = [
        (_label(s), rules.registry.make(s)) for s in specs if s not in asked
    ]  # bad ones at once
    results = tuple(run_policy(instance, p, label, seed=seed, model=model) for label, p in made)
    solution: Solution[Any] = solve(
        instance,
        model=model,
        objective=solved,
        time_limit=time_limit,
        threads=threads,
        seed=seed,
        warm_start=_best_schedule(instance, results, solved),
        progress=progress,
    )
    return Comparison(
        instance=instance,
        solution=solution,
        results=results,
        references=tuple(_reference(rules, str(name), instance) for name in asked),
        service=service_of(instance, objective, solution, limits) if objective in SERVICE else None,
    )


def run_policy(
    instance: Instance, policy: Any, label: str, *, seed: int = 0, model: str = "mixed"
) -> PolicyResult:
    """Simulate one policy of a regime, check its schedule, and measure it.

    Raises
    ------
    BatchprophetError
        If the checker refuses the schedule: a defect of the simulator.
    """
    rules = regime(model)
    _load_compiled_code(rules, instance, policy, seed)
    begin = time.perf_counter()
    try:
        schedule = rules.simulate(instance, policy, seed=seed)
    except DoesNotFinish as reason:
        return PolicyResult(
            policy=label,
            schedule=None,
            metrics=None,
            verdict=f"does not finish: {reason}",
            seconds=time.perf_counter() - begin,
        )
    seconds = time.perf_counter() - begin
    violations = check(instance, schedule)
    if violations:
        raise BatchprophetError(
            f"policy {label}: made an infeasible schedule: {violations[0].message}"
        )
    return PolicyResult(
        policy=label,
        schedule=schedule,
        metrics=rules.measure(instance, schedule),
        verdict="",
        seconds=seconds,
        account=rules.breakdown(instance, schedule),
    )


def _load_compiled_code(rules: OnlineRegime, instance: Instance, policy: Any, seed: int) -> None:
    """Run the policy on one request, so that compilation does not count as its time."""
    with suppress(DoesNotFinish):
        rules.simulate(instance.take([0]), policy, seed=seed)


def _label(spec: Any) -> str:
    return spec.strip() if isinstance(spec, str) else policy_spec(spec)


def _best_schedule(
    instance: Instance, results: Sequence[PolicyResult], objective: str
) -> Schedule | None:
    """Best schedule without evictions' aborted runs; the final runs alone are feasible too."""
    schedules = [result.schedule for result in results if result.schedule is not None]
    if not schedules:
        return None

    def value(schedule: Schedule) -> Exact:
        return schedule_value(instance, schedule, objective)

    best = (max if objective in MAXIMISED else min)(schedules, key=value)
    kept: Schedule = regime_of(best).without_evictions(best)
    return kept


def _reference(rules: OnlineRegime, name: str, instance: Instance) -> Reference:
    begin = time.perf_counter()
    completion = rules.references[name](instance)
    seconds = time.perf_counter() - begin
    return Reference(
        name=name, verdict="mixes: a reference", completion=completion, seconds=seconds
    )


def _gap(value: Exact, bound: Exact) -> float | None:
    return float(abs(Fraction(bound) / Fraction(value) - 1)) if value else None


def _ratio(value: Exact | None, reference: Exact | None) -> float | None:
    if value is None or not reference:
        return None
    return float(Fraction(value) / Fraction(reference))
