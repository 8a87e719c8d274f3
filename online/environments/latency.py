"""Environments of total latency: regret to the best known schedule, with a proved bound beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...models.errors import InputError, PolicyError
from ...models.families.setting import Setting
from ...models.instance import Instance
from ...models.regime import Schedule
from ...models.regimes import check, schedule_value
from ...solvers.random_stream import Stream, random_stream
from ..coupling.best_known import Step, best_known, compensations
from ..coupling.futures import LAWS
from ..regimes import regime
from .environment import Outcome, Replicate, time_bins

#: Annealing steps of the account after a decision that raises the best known latency.
ACCOUNT_EFFORT = 200


class Draw(Protocol):
    """Draws an instance at a horizon."""

    def __call__(self, horizon: int, rng: np.random.Generator) -> Instance:
        """Return an instance; every draw comes from the generator."""
        ...


#: What is known in hindsight: a good schedule without evictions, and a proved lower bound on the
#: total latency; from the schedules of the policies and a limit on work.
Hindsight = Callable[[Instance, Sequence[Schedule], int], tuple[Schedule, int]]

#: Follows a run: ``steps(instance, run, plan, effort, stream)``.
Steps = Callable[[Instance, Schedule, Schedule, int, Stream], list[Step]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LatencyEnvironment:
    """Total latency Σ (c_i − a_i) under one batching regime (docs/model/coupling.md §1).

    Values are negative latencies, so that regret is the policy's latency less the benchmark's. The
    benchmark is the best schedule known of a path: of all policies that run, of the engine, of the
    account's searches. The optimum lies between it and the proved bound.

    Parameters
    ----------
    name : str
        Name on the command line.
    model : {"mixed", "separate"}
        The regime.
    horizons : tuple of int
        By default.
    draw : Draw
        The law of instances.
    stretches : bool
        Whether the horizon counts requests instead of time: then decisions are placed on it by
        their share of the run's time.
    hindsight : callable
        The engine.
    steps : callable
        The account.
    parts : tuple of str
        The parts of its steps.
    on_demand : tuple of str
        Policies that may go on for ever on such paths: they run only where named.
    bayes : str
        Options of the policy ``bayes``.
    work : int
        Limit on the engine's work per path, ≥ 0.
    """

    name: str
    model: str
    horizons: tuple[int, ...]
    draw: Draw
    stretches: bool
    hindsight: Hindsight
    steps: Steps
    parts: tuple[str, ...]
    bayes: str
    work: int
    on_demand: tuple[str, ...] = ()

    @property
    def policies(self) -> tuple[str, ...]:
        """All built-in policies of the regime that surely finish."""
        built_in = regime(self.model).registry.built_in
        return tuple(name for name in built_in if name not in self.on_demand)

    def require_policy(self, policy: str) -> None:
        """Refuse what is no policy of the regime.

        Raises
        ------
        InputError
            As `online.registry.PolicyRegistry.make`.
        """
        regime(self.model).registry.make(policy)

    def benchmark(self, horizon: int) -> str:
        """Say what regret is measured against."""
        return "best known schedule (feasible; the optimum lies between it and the proved bound)"

    def experiment(self, horizon: int, policies: Sequence[str]) -> Replicate:
        """Prepare replications at a horizon."""
        specs = {name: f"bayes:{self.bayes}" if name == "bayes" else name for name in policies}

        def replicate(rng: np.random.Generator) -> Mapping[str, Outcome]:
            instance = self.draw(horizon, rng)
            seed = int(rng.integers(2**31))
            runs = {name: self._run(instance, spec, seed) for name, spec in specs.items()}
            plan, bound = self.hindsight(instance, list(runs.values()), self.work)
            followed = {
                name: self.steps(instance, run, plan, ACCOUNT_EFFORT, random_stream(seed))
                for name, run in runs.items()
            }
            best = min(_latency(instance, plan), *map(best_known, followed.values()))
            return {
                name: self._outcome(horizon, instance, run, followed[name], best, bound)
                for name, run in runs.items()
            }

        return replicate

    def _run(self, instance: Instance, spec: str, seed: int) -> Schedule:
        """Simulate a policy, which may be anybody's, and check what it did."""
        schedule = regime(self.model).simulate(instance, spec, seed=seed)
        violations = check(instance, schedule)
        if violations:
            raise PolicyError(
                f"policy {spec}: made an infeasible schedule: {violations[0].message}"
            )
        return schedule

    def _outcome(
        self,
        horizon: int,
        instance: Instance,
        run: Schedule,
        steps: list[Step],
        best: int,
        bound: int,
    ) -> Outcome:
        """Account for one run."""
        latency, paid = _latency(instance, run), compensations(steps, best)
        t = np.array([step.t for step in steps], dtype=np.float64)
        if self.stretches:
            t *= horizon / max(1.0, float(t.max()))
        by_time, _ = np.histogram(np.minimum(t, horizon), bins=time_bins(horizon), weights=paid)
        parts = dict.fromkeys(self.parts, 0.0)
        for step, cost in zip(steps, paid.tolist(), strict=True):
            parts[step.part] += cost
        return Outcome(
            value=-latency,
            hindsight=-best,
            by_time=by_time.astype(np.float64),
            by_part=parts,
            residual=latency - best - int(paid.sum()),
            smallest=int(paid.min()),
            bound=-bound,
            requests=instance.n,
        )


def _latency(instance: Instance, schedule: Schedule) -> int:
    value = schedule_value(instance, schedule)
    assert isinstance(value, int), "total latencies are integers"
    return value


def bayes_settings(samples: int, effort: int) -> tuple[Setting, ...]:
    """Return the settings of the policy ``bayes`` and of the engine."""
    return (
        Setting(
            name="law",
            kind="choice",
            description="what bayes draws futures from",
            default="past",
            choices=tuple(LAWS),
        ),
        Setting(
            name="samples",
            kind="integer",
            description="futures per decision of bayes",
            default=samples,
            low=1,
            high=1000,
        ),
        Setting(
            name="effort",
            kind="integer",
            description="annealing steps per future of bayes",
            default=effort,
            low=0,
            high=10**6,
        ),
        Setting(
            name="work",
            kind="integer",
            description="limit on the engine's work per path, in units of about 10 microseconds",
            default=20_000,
            low=0,
            high=10**8,
        ),
    )


def bayes_options(law: str, samples: int, effort: int) -> str:
    """Write the options of the policy ``bayes``."""
    return f"law={law},samples={samples},effort={effort}"


def best_of(instance: Instance, schedules: Sequence[Schedule]) -> Schedule:
    """Return the schedule of least total latency, of equals the first.

    Raises
    ------
    InputError
        If there is none.
    """
    if not schedules:
        raise InputError("schedules: expected at least one, found none")
    return min(schedules, key=lambda schedule: _latency(instance, schedule))
