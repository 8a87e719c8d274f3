"""What a solve returns: a schedule, its exact value, a proved bound, and the account of both."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Generic, Literal

from ..models.errors import BatchprophetError
from ..models.files.reading import VERSION
from ..models.files.solution_file import SOLUTION_FORMAT, schedule_record
from ..models.files.writing import json_number
from ..models.instance import Instance
from ..models.objectives import MAXIMISED, Exact, value_step
from ..models.regime import ScheduleType
from ..models.regimes import check, schedule_value
from ..models.shown import html_table
from .progress import Moment
from .rounding import round_bound

if TYPE_CHECKING:
    from .certificates.certificate import Certificate

Status = Literal["optimal", "feasible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution(Generic[ScheduleType]):
    """A hindsight solution with its proof.

    For a minimised objective ``bound ≤ optimum ≤ objective``; for a maximised one (reward)
    ``objective ≤ optimum ≤ bound``. Build it with `certified`, which recomputes the value from
    the schedule, checks the schedule, and rounds the bound where values are integers.

    Attributes
    ----------
    instance_name : str
        Name of the instance.
    objective_name : {"latency", "weighted", "tardiness", "makespan", "reward"}
        What was optimised.
    schedule : MixedSchedule or SeparateSchedule
        The best schedule found; feasible. Under the reward objective of separate batching the
        requests that it leaves out are rejected.
    objective : int or Fraction
        Its value, recomputed from the schedule in exact arithmetic.
    bound : int, Fraction or None
        Proved bound on the optimum; None if nothing was proved.
    method : str
        What found the schedule and what proved the bound.
    seconds : float
        Wall-clock time of the solve.
    bound_by : str or None
        What proved the bound, the last word of `method`; None if nothing was proved.
    bounds : tuple of (str, bound value)
        Every bound that was computed, by name, as proved (before rounding).
    log : str
        The solver's own log ("" if no solver ran).
    certificate : Certificate or None
        The best bound that anyone can verify without a solver; weaker than `bound` where that is
        a solver's word.
    history : tuple of Moment
        When the schedule, or the bound, became better, in order.
    """

    instance_name: str
    objective_name: str
    schedule: ScheduleType
    objective: Exact
    bound: Exact | None
    method: str
    seconds: float
    bound_by: str | None = None
    bounds: tuple[tuple[str, int | float | Fraction], ...] = ()
    log: str = ""
    certificate: Certificate | None = None
    history: tuple[Moment, ...] = ()

    @property
    def status(self) -> Status:
        """``"optimal"`` only where incumbent and bound are equal; else ``"feasible"``."""
        return "optimal" if self.bound == self.objective else "feasible"

    @property
    def certified(self) -> bool:
        """Whether the certificate proves the bound, and not a weaker one."""
        return self.certificate is not None and self.certificate.bound == self.bound

    @property
    def lower_bound(self) -> Exact | None:
        """Proved lower bound on the optimum (for reward: the schedule's own value)."""
        return self.objective if self.objective_name in MAXIMISED else self.bound

    @property
    def upper_bound(self) -> Exact | None:
        """Proved upper bound on the optimum (for minimised objectives: the schedule's value)."""
        return self.bound if self.objective_name in MAXIMISED else self.objective

    @property
    def gap(self) -> float | None:
        """``|objective − bound| / objective``; None without a bound, or at objective 0 ≠ bound."""
        if self.bound is None:
            return None
        if self.bound == self.objective:
            return 0.0
        if self.objective == 0:
            return None
        return float(abs(Fraction(self.bound) / self.objective - 1))

    def __repr__(self) -> str:
        bound = "none" if self.bound is None else self.bound
        return (
            f"Solution({self.instance_name!r}, {self.objective_name}={self.objective}, "
            f"bound={bound}, status={self.status!r},\n  method={self.method!r},\n"
            f"  schedule={self.schedule!r})"
        )

    def _repr_html_(self) -> str:
        rows = [
            (self.objective_name, self.objective),
            ("bound", "none" if self.bound is None else self.bound),
            ("gap", "unknown" if self.gap is None else f"{self.gap:.2%}"),
            ("status", self.status),
            ("method", self.method),
            ("seconds", f"{self.seconds:.2f}"),
        ]
        return html_table(f"hindsight on {self.instance_name}", [], len(rows), rows)

    def to_record(self) -> dict[str, Any]:
        """Return the solution as the object that is written to ``solution.json``."""
        record: dict[str, Any] = {
            "format": SOLUTION_FORMAT,
            "version": VERSION,
            "instance": self.instance_name,
            "model": self.schedule.model,
            "objective_name": self.objective_name,
            "objective": json_number(self.objective),
            "lower_bound": json_number(self.lower_bound),
        }
        if self.objective_name in MAXIMISED:
            record["upper_bound"] = json_number(self.upper_bound)
        if self.bound is not None:
            record["certified"] = self.certified
        return record | {
            "status": self.status,
            "gap": self.gap,
            "method": self.method,
            "seconds": round(self.seconds, 3),
            "schedule": schedule_record(self.schedule),
        }


def certified(
    instance: Instance,
    schedule: ScheduleType,
    *,
    objective_name: str = "latency",
    bounds: tuple[tuple[str, int | float | Fraction], ...] = (),
    method: str,
    seconds: float,
    log: str = "",
    certificate: Certificate | None = None,
    history: tuple[Moment, ...] = (),
) -> Solution[ScheduleType]:
    """Check a schedule, recompute its value, take the best bound, and make the `Solution`.

    Parameters
    ----------
    instance : Instance
        The instance.
    schedule : MixedSchedule or SeparateSchedule
        The schedule to certify. It must serve every request, unless the objective is the reward.
    objective_name : str
        The objective.
    bounds : tuple of (str, bound value)
        Proved bounds by name: lower bounds for a minimised objective, upper for a maximised one.
    method, seconds, log, certificate, history
        As in `Solution`; the name of the bound that won is appended to `method`.

    Raises
    ------
    BatchprophetError
        If the schedule violates a rule or a bound contradicts it: a defect in whatever made them.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.mixed.schedule import MixedSchedule
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> solution = certified(
    ...     instance, MixedSchedule([0, 4]), bounds=(("Σ output", 6),), method="hand", seconds=0.0
    ... )
    >>> solution.objective, solution.bound, solution.status, solution.gap
    (8, 6, 'feasible', 0.25)
    """
    violations = check(instance, schedule, allow_rejected=objective_name in MAXIMISED)
    if violations:
        raise BatchprophetError(f"{method}: made an infeasible schedule: {violations[0].message}")
    value = schedule_value(instance, schedule, objective_name)
    maximised = objective_name in MAXIMISED
    step = value_step(instance, objective_name)
    bound: Exact | None = None
    winner = None
    for name, proved in bounds:
        rounded = round_bound(proved, step, maximised)
        better = bound is None or (rounded < bound if maximised else rounded > bound)
        if better:
            bound, winner = rounded, name
    if bound is not None and (bound < value if maximised else bound > value):
        raise BatchprophetError(
            f"{winner}: the bound {bound} contradicts a feasible schedule of value {value}"
        )
    return Solution(
        instance_name=instance.name,
        objective_name=objective_name,
        schedule=schedule,
        objective=value,
        bound=bound,
        method=method if winner is None else f"{method}; bound: {winner}",
        seconds=seconds,
        bound_by=winner,
        bounds=bounds,
        log=log,
        certificate=certificate,
        history=history,
    )
