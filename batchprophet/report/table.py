"""The comparison table as data: one row per schedule, for the terminal, JSON and the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.figures import Figures
from ..models.files.writing import json_number
from ..models.objectives import MAXIMISED
from ..models.regimes import regime, regime_of
from ..models.service import is_maximised

if TYPE_CHECKING:
    from ..models.instance import Instance
    from ..models.objectives import Exact
    from ..models.regime import Schedule, Shown
    from ..online.evaluation import Comparison, PolicyResult, Reference
    from ..online.regime import LatencyBreakdown
    from ..results.goodput import Goodput
    from ..solvers.solution import Solution

HINDSIGHT = "hindsight"

#: What schedules are judged by, in words, and what that is.
JUDGED: Mapping[str, tuple[str, str]] = {
    "latency": ("total latency", "Σ (completion − arrival), in the instance's time unit"),
    "weighted": ("weighted completion", "Σ weight · completion, in the instance's time unit"),
    "tardiness": (
        "weighted tardiness",
        "Σ weight · max(0, completion − deadline), in the instance's time unit",
    ),
    "makespan": ("makespan", "completion of the last request, in the instance's time unit"),
    "reward": ("reward", "sum of the rewards of what is done in time"),
    "p99": ("p99 latency", "99th percentile of latency, interpolated linearly"),
    "ttft": ("mean ttft", "mean time to first token"),
    "goodput": ("requests within limits", "number of requests that keep their latency limits"),
}

#: Headings of what is judged, where they are shorter than its name.
SHORT: Mapping[str, str] = {"requests within limits": "within limits"}

#: From here on figures of tables with limits have no decimals, which would say nothing.
WHOLE_FROM = 1000


def columns(limits: str | None = None, objective: str = "latency") -> Mapping[str, str]:
    """Return the headings of the table, with what each figure means.

    Parameters
    ----------
    limits : str, optional
        Latency limits in words, for a column of the goodput.
    objective : str
        What the schedules are judged by.

    Examples
    --------
    >>> [*columns("500 ms to the first token")][1:5]
    ['total latency', 'mean', 'p99', 'goodput']
    """
    judged, meaning = JUDGED[objective]
    bound, ratio = (
        ("upper", "the true share of the optimum is at least this")
        if is_maximised(objective)
        else ("lower", "the true ratio to the optimum is at most this")
    )
    made = {
        "policy": "the hindsight schedule knows the future; policies do not",
        SHORT.get(judged, judged): meaning,
        "mean": "mean latency",
        "p99": "99th percentile of latency",
    }
    if objective == "p99":
        del made["p99"]  # it is what they are judged by
    known, proved = "ratio to best known", f"ratio to {bound} bound"
    if limits is not None:  # short, so that the table fits a terminal of 100 characters
        made["goodput"] = f"share of the requests within {limits}"
        known, proved = "to best", "to bound"
    return made | {
        known: f"{judged} divided by that of the best schedule known",
        proved: f"{judged} divided by the proved {bound} bound: {ratio}",
        "seconds": "time to compute the schedule",
    }


#: The headings where total latency counts and there are no limits.
COLUMNS: Mapping[str, str] = columns()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceMetrics:
    """Figures of a reference, which has completions but no schedule of the regime."""

    total_latency: int
    mean_latency: float
    p99_latency: float
    makespan: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One schedule in a comparison, or the verdict that there is none.

    Attributes
    ----------
    policy : str
        Its name; `HINDSIGHT` for the hindsight schedule.
    metrics : Figures or ReferenceMetrics or None
        Its figures; None where there are none, and `verdict` says why.
    value : str
        What it is judged by, by default the total latency, as text.
    exact : int, Fraction or None
        The same as a number, times in the batch-time law's unit.
    ratio_to_best, ratio_to_bound : float or None
        That value over that of the best known schedule, and over the bound.
    seconds : float
        Time to compute it.
    verdict : str
        "optimal" or "gap 2.5 %" for hindsight; "" or "does not finish: …" for a policy; the rule
        that a reference breaks.
    shown : Shown
        The unit in which times are read.
    goodput : Goodput or None
        Requests within latency limits, where limits are given.
    limited : bool
        Whether the table has a column for it.
    objective : str
        What it is judged by.
    """

    policy: str
    metrics: Figures | ReferenceMetrics | None
    value: str
    ratio_to_best: float | None
    ratio_to_bound: float | None
    seconds: float
    verdict: str
    shown: Shown
    goodput: Goodput | None = None
    limited: bool = False
    exact: Exact | None = None
    objective: str = "latency"

    def cells(self) -> tuple[str, ...]:
        """Return the cells as text, one per entry of `columns`."""
        goodput = ("" if self.goodput is None else f"{self.goodput.share:.1%}",) * self.limited
        if self.metrics is None:
            verdict = self.verdict.partition(":")[0]
            blank = ("",) * (1 if self.objective == "p99" else 2)
            return (self.policy, verdict, *blank, *goodput, "", "", seconds_text(self.seconds))
        tail = () if self.objective == "p99" else (self._figure(self.metrics.p99_latency, 1),)
        named = f"{self.policy} ({self.verdict})" if self.verdict else self.policy
        return (
            named,
            self.value,
            self._figure(self.metrics.mean_latency, 2),
            *tail,
            *goodput,
            ratio_text(self.ratio_to_best),
            ratio_text(self.ratio_to_bound),
            seconds_text(self.seconds),
        )

    def _figure(self, time: float, decimals: int) -> str:
        """Write a time; large ones of tables with limits without decimals."""
        shown = time / self.shown.per
        return f"{shown:,.{0 if self.limited and shown >= WHOLE_FROM else decimals}f}"


def rows(comparison: Comparison) -> list[Row]:
    """Return the table of a comparison: hindsight on top, then policies from best to worst.

    Of policies of equal value the least mean latency comes first; those that do not finish come
    next, and references, which break the regime's rules, last.
    """
    finished = comparison.ranked()
    others = [result for result in comparison.results if result.metrics is None]
    return [
        _hindsight_row(comparison),
        *(_policy_row(comparison, result) for result in (*finished, *others)),
        *(_reference_row(comparison, reference) for reference in comparison.references),
    ]


def measure_any(instance: Instance, schedule: Schedule) -> Figures:
    """Compute the figures of a schedule of any regime, over the requests that it serves."""
    rules = regime_of(schedule)
    return rules.measure(*rules.served(instance, schedule))


def schedules(comparison: Comparison) -> dict[str, Schedule]:
    """Return every schedule by name, in the order of the table."""
    by_name: dict[str, Schedule] = {HINDSIGHT: comparison.solution.schedule}
    by_name |= {
        result.policy: result.schedule
        for result in comparison.results
        if result.schedule is not None
    }
    return {row.policy: by_name[row.policy] for row in rows(comparison) if row.policy in by_name}


def record(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as the object that ``--json`` prints."""
    solution = comparison.solution
    top, *policies = rows(comparison)
    accounts = {result.policy: result.account for result in comparison.results}
    return {
        "instance": comparison.instance.name,
        "model": comparison.model,
        "time_unit": comparison.instance.gpu.batch_time.time_unit,
        "requests": comparison.instance.n,
        "objective": comparison.objective_name,
        "hindsight": {
            "objective": json_number(comparison.hindsight_value),
            "lower_bound": json_number(
                comparison.hindsight_value if comparison.maximised else comparison.bound
            ),
            **({"upper_bound": json_number(comparison.bound)} if comparison.maximised else {}),
            "status": "optimal" if comparison.hindsight_value == comparison.bound else "feasible",
            "gap": comparison.hindsight_gap,
            "method": solution.method,
            **({} if comparison.service is None else {"solved_for": _solved_record(solution)}),
            **_row_record(top),
        },
        "best_known": json_number(comparison.best_known),
        "best_known_by": comparison.best_known_by,
        "best_known_status": "optimal" if comparison.proved else "feasible",
        "policies": [
            {
                "policy": row.policy,
                "verdict": row.verdict,
                **_row_record(row),
                **_account_record(accounts.get(row.policy)),
            }
            for row in policies
        ],
    }


def _solved_record(solution: Solution[Any]) -> dict[str, Any]:
    """What the hindsight solve minimised, where the schedules are judged by something else."""
    return {
        "objective_name": solution.objective_name,
        "objective": json_number(solution.objective),
        "lower_bound": json_number(solution.lower_bound),
        "status": solution.status,
        "gap": solution.gap,
    }


def hindsight_verdict(solution: Solution[Any]) -> str:
    """Say how good the hindsight schedule is."""
    if solution.status == "optimal":
        return "optimal"
    return "no bound" if solution.gap is None else f"gap {percent(solution.gap)}"


def percent(share: float) -> str:
    """Return a share as a percentage, rounded up, so that a claim stays true.

    Examples
    --------
    >>> percent(0.02451), percent(0.00001)
    ('2.46 %', '0.01 %')
    """
    hundredths = -(-Fraction(share) * 10_000 // 1)
    return f"{float(hundredths / 100):.2f} %"


def number_text(value: Exact | float | None) -> str:
    """Return a number for people: grouped digits, at most three decimals.

    Examples
    --------
    >>> from fractions import Fraction
    >>> number_text(4818), number_text(Fraction(1, 3)), number_text(None)
    ('4,818', '0.333', 'none')
    """
    if value is None:
        return "none"
    return (
        f"{value:,}" if isinstance(value, int) else f"{float(value):,.3f}".rstrip("0").rstrip(".")
    )


def value_text(value: Exact | None, instance: Instance, schedule: Schedule, objective: str) -> str:
    """Return a value of an objective, in the unit that times are shown in.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.models.mixed.schedule import MixedSchedule
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> value_text(4818, instance, MixedSchedule([0, 4]), "latency")
    '4,818'
    """
    shown = regime_of(schedule).shown_in(instance)
    if value is None or shown.per == 1 or objective in MAXIMISED:
        return number_text(value)
    return f"{shown.text(value)} {shown.unit}"


def ratio_text(ratio: float | None) -> str:
    """Return a ratio with four decimals; empty where there is none."""
    return "" if ratio is None else f"{ratio:.4f}"


def ratio_down(ratio: float | Fraction) -> str:
    """Return a lower end of a ratio with four decimals, rounded down."""
    return f"{math.floor(ratio * 10_000) / 10_000:.4f}"


def ratio_up(ratio: float | Fraction) -> str:
    """Return an upper end of a ratio with four decimals, rounded up."""
    return f"{math.ceil(ratio * 10_000) / 10_000:.4f}"


def seconds_text(seconds: float) -> str:
    """Return a duration: more digits for shorter ones."""
    return f"{seconds:.4f}" if seconds < 0.1 else f"{seconds:.2f}"


def _value_text(comparison: Comparison, value: Exact | None) -> str:
    """Return a value of the comparison's objective; empty where there is none."""
    shown = _shown_in(comparison)
    if value is None:
        return ""
    if comparison.service is not None and not comparison.maximised:
        return f"{float(value) / shown.per:,.2f}"
    if shown.per == 1 or comparison.maximised:
        return number_text(value)
    return shown.text(value)


def _hindsight_row(comparison: Comparison) -> Row:
    solution = comparison.solution
    metrics = measure_any(comparison.instance, solution.schedule)
    value = comparison.hindsight_value
    return Row(
        policy=HINDSIGHT,
        metrics=metrics,
        value=_value_text(comparison, value),
        exact=value,
        objective=comparison.objective_name,
        ratio_to_best=_ratio(value, comparison.best_known),
        ratio_to_bound=_ratio(value, comparison.bound),
        seconds=solution.seconds,
        verdict=_hindsight_verdict(comparison),
        shown=_shown_in(comparison),
    )


def _hindsight_verdict(comparison: Comparison) -> str:
    """How good the hindsight schedule is, or what it was made for if that is something else."""
    service = comparison.service
    if service is None:
        return hindsight_verdict(comparison.solution)
    if comparison.hindsight_value == comparison.bound:
        return "optimal"
    gap = comparison.hindsight_gap
    return f"gap {percent(gap)}" if service.solved and gap is not None else "for latency"


def _policy_row(comparison: Comparison, result: PolicyResult) -> Row:
    return Row(
        policy=result.policy,
        metrics=result.metrics,
        value=_value_text(comparison, comparison.value(result)),
        exact=comparison.value(result),
        objective=comparison.objective_name,
        ratio_to_best=comparison.ratio_to_best(result),
        ratio_to_bound=comparison.ratio_to_bound(result),
        seconds=result.seconds,
        verdict=result.verdict,
        shown=_shown_in(comparison),
    )


def _reference_row(comparison: Comparison, reference: Reference) -> Row:
    latency = reference.completion - comparison.instance.arrival
    metrics = ReferenceMetrics(
        total_latency=int(latency.sum()),
        mean_latency=float(latency.mean()),
        p99_latency=float(np.percentile(latency, 99)),
        makespan=int(reference.completion.max()),
    )
    return Row(
        policy=reference.name,
        metrics=metrics,
        value=_value_text(comparison, comparison.value(reference)),
        exact=comparison.value(reference),
        objective=comparison.objective_name,
        ratio_to_best=comparison.ratio_to_best(reference),
        ratio_to_bound=comparison.ratio_to_bound(reference),
        seconds=reference.seconds,
        verdict=reference.verdict,
        shown=_shown_in(comparison),
    )


def _shown_in(comparison: Comparison) -> Shown:
    return regime(comparison.model).shown_in(comparison.instance)


def _account_record(account: LatencyBreakdown | None) -> dict[str, Any]:
    return {} if account is None else {"account": asdict(account)}


def _ratio(value: Exact, reference: Exact | None) -> float | None:
    return float(Fraction(value) / Fraction(reference)) if reference else None


def _row_record(row: Row) -> dict[str, Any]:
    return {
        "value": json_number(row.exact),
        "ratio_to_best": row.ratio_to_best,
        "ratio_to_bound": row.ratio_to_bound,
        "seconds": row.seconds,
        "metrics": None if row.metrics is None else asdict(row.metrics),
    }
