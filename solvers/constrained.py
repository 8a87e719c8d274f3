"""What is known of a solution with a caller's constraints, and what is said where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..models.errors import BatchprophetError


class NoScheduleFound(BatchprophetError):  # noqa: N818 - it is no error of anyone's
    """No schedule was found that obeys the constraints, and none was proved not to exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constrained:
    """What is known of a solution with a caller's constraints.

    Attributes
    ----------
    constraints : tuple of str
        Their names in the model.
    rows : int
        How many rows they are.
    exact : bool
        Whether they were evaluated in integers; else to within 1e-6 of their size.
    formulation : str
        The form of the MILP that they were added to.
    latest : int
        The latest completion that the model offered.
    given : bool
        Whether the caller gave it: then the bound is on schedules that end by it.
    complete : bool
        Whether the model offered every schedule that is as good as the one found.
    """

    constraints: tuple[str, ...]
    rows: int
    exact: bool
    formulation: str
    latest: int
    given: bool
    complete: bool

    def facts(self) -> list[tuple[str, str]]:
        """Return what is known, as (term, value)."""
        held = "exactly" if self.exact else "to within 1e-6"
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        if self.given:
            reach = "given: the bound is on schedules that end by it"
        elif self.complete:
            reach = "every schedule as good as this one ends by it"
        else:
            reach = "better schedules may end later, so the solver's bound is not used"
        return [
            ("constraints", f"{', '.join(self.constraints)} ({rows}): obeyed, {held}"),
            ("horizon", f"{self.latest:,} ({reach})"),
        ]

    def to_record(self) -> dict[str, Any]:
        """Return what is known as the object in ``solution.json``."""
        return {
            "constraints": list(self.constraints),
            "rows": self.rows,
            "exact": self.exact,
            "formulation": self.formulation,
            "horizon": self.latest,
            "horizon_given": self.given,
            "horizon_complete": self.complete,
        }
