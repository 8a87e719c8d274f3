"""The contract of a batching regime in this wing: what policies, simulation and comparison need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from ..models.figures import Figures
from ..models.instance import Instance, IntArray
from ..models.regime import Regime, Schedule
from ..models.violation import Violation
from .engine import EngineKind
from .registry import PolicyRegistry


class LatencyBreakdown(Protocol):
    """Where the requests' time goes in a schedule: fields that add up to the total latency."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def facts(self) -> list[tuple[str, str]]:
        """Say where the time goes, as (term, value)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineRegime:
    """One batching regime.

    Attributes
    ----------
    rules : Regime
        Its schedules, its checker and its metrics.
    registry : PolicyRegistry
        Its policies.
    simulate : callable
        Runs one of its policies: ``simulate(instance, policy, seed=…, compiled=…)``.
    references : mapping of str to callable
        What may be shown beside its policies though it does not keep its rules: completions of an
        instance, shape (n,), by name.
    random_instance, decided, begun : callable
        For the conformance suite: a small instance from a generator; what a decision does, as an
        entry without the time, () if nothing; what of a schedule had been decided up to a time.
    latency_breakdown : callable or None
        Where the requests' time goes in one of its schedules.
    engine : EngineKind or None
        Real engines that batch so; None where there are none.
    kernels : tuple of (str, str)
        Compiled functions that stand for those of its policies, by module and name.
    samples : tuple of str
        Policies that run them all.
    """

    rules: Regime[Any]
    registry: PolicyRegistry[Any]
    simulate: Callable[..., Schedule]
    random_instance: Callable[[np.random.Generator], Instance]
    decided: Callable[[Any], tuple[Any, ...]]
    begun: Callable[[Any, int], list[tuple[Any, ...]]]
    references: Mapping[str, Callable[[Instance], IntArray]] = field(default_factory=dict)
    latency_breakdown: Callable[[Instance, Any], LatencyBreakdown] | None = None
    engine: EngineKind | None = None
    kernels: tuple[tuple[str, str], ...] = ()
    samples: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        """Its name."""
        return self.rules.name

    def require(self, instance: Instance) -> None:
        """Refuse an instance that it cannot express, by `InputError`."""
        self.rules.require(instance)

    def check(self, instance: Instance, schedule: Schedule) -> list[Violation]:
        """List every rule that one of its schedules violates."""
        return self.rules.check(instance, schedule)

    def measure(self, instance: Instance, schedule: Schedule) -> Figures:
        """Compute the figures of one of its schedules."""
        return self.rules.measure(instance, schedule)

    def breakdown(self, instance: Instance, schedule: Schedule) -> LatencyBreakdown | None:
        """Return where the requests' time goes; None where the regime has no account of it."""
        if self.latency_breakdown is None:
            return None
        return self.latency_breakdown(instance, schedule)
