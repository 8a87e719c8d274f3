"""The run of a policy, as `simulate` returns it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..models.figures import Figures
from ..models.files.solution_file import solution_record
from ..models.files.writing import write_json
from ..models.instance import Instance
from ..models.regime import Schedule
from ..models.regimes import regime_of
from ..report import table as tables
from ..report.sentences import change_text
from .scheduled import PathLike, Scheduled, lines
from .shown import Shown

if TYPE_CHECKING:
    from ..online.continuous.counterfactuals import Counterfactual
    from ..online.regime import LatencyBreakdown
    from .goodput import Goodput


@dataclass(frozen=True, kw_only=True, repr=False)
class Simulated(Scheduled, Shown):
    """The run of one policy on an instance.

    Attributes
    ----------
    instance : Instance
        The instance.
    policy : str
        The policy's specification.
    schedule : MixedSchedule or SeparateSchedule
        What it decided.
    metrics : Metrics or SeparateMetrics
        Latencies, KV use and batch sizes.
    seconds : float
        Wall-clock time of the simulation.
    account : LatencyBreakdown or None
        Where the requests' time goes, if the regime accounts for it.
    goodput : Goodput or None
        Requests within latency limits, where limits are given.
    changes : tuple of Counterfactual
        The policy on other GPUs, under continuous batching.
    """

    instance: Instance
    policy: str
    schedule: Schedule
    metrics: Figures
    seconds: float
    account: LatencyBreakdown | None = None
    goodput: Goodput | None = None
    changes: tuple[Counterfactual, ...] = ()

    def facts(self) -> list[tuple[str, str]]:
        """Return the figures of the run, as (term, value)."""
        m, shown = self.metrics, regime_of(self.schedule).shown_in(self.instance)

        facts = [
            ("total latency", f"{shown.text(m.total_latency)} {shown.unit}"),
            (
                "latency",
                f"mean {m.mean_latency / shown.per:,.2f}, p50 {m.p50_latency / shown.per:,.1f}, "
                f"p90 {m.p90_latency / shown.per:,.1f}, p99 {m.p99_latency / shown.per:,.1f}, "
                f"max {shown.text(m.max_latency)} {shown.unit}",
            ),
            (
                "time to first token",
                f"mean {m.mean_ttft / shown.per:,.2f}, p99 {m.p99_ttft / shown.per:,.1f} "
                f"{shown.unit}",
            ),
            ("makespan", f"{shown.text(m.makespan)} {shown.unit}"),
            ("KV", f"{m.kv_utilisation:.1%} of the capacity used, peak {m.peak_kv:,}"),
        ]
        facts = list((dict(facts) | dict(m.facts())).items())  # a regime's own replace these
        if self.account is not None:
            facts += self.account.facts()
        if self.goodput is not None:
            facts.append(("goodput", self.goodput.text()))
        if self.changes:
            changes = (f"{each.change}: {change_text(each.relative)}" for each in self.changes)
            facts.append(("on other GPUs", "; ".join(changes) + " of the total latency"))
        return [*facts, ("seconds", tables.seconds_text(self.seconds))]

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        return f"{self.policy} on {self.instance.name}", [], [*self.facts()]

    def summary(self) -> str:
        """Return latencies, KV use and batch sizes, one per line."""
        return lines(f"{self.policy} on {self.instance.name}", self.facts())

    def to_record(self) -> dict[str, Any]:
        """Return the run as the object that is written to ``schedule.json``."""
        return solution_record(
            self.instance.name,
            self.schedule,
            objective_name="latency",
            objective=self.metrics.total_latency,
            status="feasible",
            method=self.policy,
            seconds=round(self.seconds, 6),
        )

    def metrics_record(self) -> dict[str, Any]:
        """Return every figure by name; those of the account and the like under their names."""
        record = asdict(self.metrics)
        if self.account is not None:
            record["account"] = asdict(self.account)
        if self.goodput is not None:
            record["goodput"] = self.goodput.to_record()
        if self.changes:
            record["counterfactuals"] = [asdict(each) for each in self.changes]
        return record

    def save(self, path: PathLike) -> None:
        """Write the schedule as a solution file without a bound."""
        write_json(self.to_record(), path)
