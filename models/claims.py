"""What a solution file says of its schedule, held against what the schedule and the proof say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .objectives import MAXIMISED, Exact
from .shown import alternatives

#: What a status may be; `optimal` is claimed where the value equals the bound.
STATUSES = ("optimal", "feasible")

#: Relative error that is allowed to numbers that are no integers: decimals of fractions.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a solution file says of its schedule; None where it says nothing.

    Attributes
    ----------
    objective_name : str or None
        The objective; the total latency where the file names none.
    objective, lower_bound, upper_bound, gap : float or None
        Value and bounds in units of the objective, and the relative gap.
    speed_equivalent_gap : float or None
        The gap as speed of the GPU.
    status : str or None
        ``"optimal"`` or ``"feasible"``.
    certified : bool or None
        Whether the bound is what the certificate of the same solve proves.
    """

    objective_name: str | None = None
    objective: float | None = None
    lower_bound: float | None = None
    upper_bound: float | None = None
    gap: float | None = None
    speed_equivalent_gap: float | None = None
    status: str | None = None
    certified: bool | None = None

    @property
    def name(self) -> str:
        """The objective that the numbers are of."""
        return self.objective_name or "latency"

    @property
    def bound(self) -> float | None:
        """The bound on the optimum: from below for what is minimised, from above for the rest."""
        return self.upper_bound if self.name in MAXIMISED else self.lower_bound

    @property
    def _side(self) -> str:
        """The key of the bound."""
        return "upper_bound" if self.name in MAXIMISED else "lower_bound"

    def faults(self, values: Mapping[str, Exact]) -> list[str]:
        """Return what disagrees with a feasible schedule or within the claims, a line each.

        Parameters
        ----------
        values : mapping of str to int or Fraction
            The schedule's exact value under each objective that it has.

        Examples
        --------
        >>> Claims(objective=7.0, lower_bound=8.0, status="optimal").faults({"latency": 8})
        ['objective: 7 is claimed, the latency of the schedule is 8']
        >>> Claims(lower_bound=7.0, gap=0.0).faults({"latency": 8})
        ['gap: 0 is claimed, the bound 7 and the value 8 have a gap of 0.125']
        """
        value = values.get(self.name)
        if value is None and self == Claims():
            return []
        if value is None:
            known = alternatives(values)
            return [f"objective_name: {self.name!r} is claimed, expected {known}"]
        faults = [
            f"{key}: {_text(claimed)} is claimed, the {self.name} of the schedule is {_text(value)}"
            for key, claimed in (("objective", self.objective), self._own_side())
            if claimed is not None and not _equal(claimed, value)
        ]
        return [*faults, *self._bound_faults(value)]

    def _own_side(self) -> tuple[str, float | None]:
        """The bound that the schedule itself is: it must be its value."""
        if self.name in MAXIMISED:
            return "lower_bound", self.lower_bound
        return "upper_bound", self.upper_bound

    def _bound_faults(self, value: Exact) -> list[str]:
        """Return what is wrong with bound, gap and status, which follow from one another."""
        bound = self.bound
        if bound is not None and self._beyond(bound, value):
            word = "less" if self.name in MAXIMISED else "more"
            return [
                f"{self._side}: {_text(bound)} is claimed, {word} than the {self.name} "
                f"{_text(value)} of the schedule"
            ]
        return [*self._gap_faults(bound, value), *self._status_faults(bound, value)]

    def _gap_faults(self, bound: float | None, value: Exact) -> list[str]:
        if self.gap is None:
            return []
        gap = None if bound is None else _gap(bound, value)
        if gap is not None and math.isclose(self.gap, gap, rel_tol=1e-6, abs_tol=ROUNDING):
            return []
        said = "there is no bound"
        if bound is not None:
            found = "none" if gap is None else f"a gap of {gap:.6g}"
            said = f"the bound {_text(bound)} and the value {_text(value)} have {found}"
        return [f"gap: {self.gap:.6g} is claimed, {said}"]

    def _status_faults(self, bound: float | None, value: Exact) -> list[str]:
        if self.status is None:
            return []
        if self.status not in STATUSES:
            return [f"status: {self.status!r} is claimed, expected {alternatives(STATUSES)}"]
        reached = bound is not None and _equal(bound, value)
        if (self.status == "optimal") == reached:
            return []
        said = "there is no bound"
        if bound is not None:
            relation = "equals" if reached else "is not"
            said = f"the bound {_text(bound)} {relation} the value {_text(value)}"
        return [f"status: {self.status} is claimed, {said}"]

    def unproved(self, proved: Exact) -> str | None:
        """Say by how much the bound exceeds what a certificate proves; None if it does not.

        Examples
        --------
        >>> Claims(lower_bound=8.0).unproved(7)
        'lower_bound: 8 is claimed, the certificate proves 7'
        """
        bound = self.bound
        if bound is None or _equal(bound, proved) or not self._beyond(bound, proved):
            return None
        return f"{self._side}: {_text(bound)} is claimed, the certificate proves {_text(proved)}"

    def _beyond(self, bound: float, other: Exact) -> bool:
        """Whether a bound is stronger than another, or than a value."""
        if _equal(bound, other):
            return False
        return bound < other if self.name in MAXIMISED else bound > other


def _equal(claimed: float, exact: Exact) -> bool:
    """Whether a number of a file is an exact one; decimals of fractions may be rounded."""
    if isinstance(exact, int):
        return claimed == float(exact)
    return math.isclose(claimed, float(exact), rel_tol=ROUNDING)


def _gap(bound: float, value: Exact) -> float | None:
    """Return the gap as `Solution.gap` has it."""
    if _equal(bound, value):
        return 0.0
    return None if value == 0 else abs(bound / float(value) - 1)


def _text(number: float | Exact) -> str:
    """Write a number as it stands in files: integers without a point."""
    found = float(number)
    return str(int(number)) if found == int(found) else repr(found)
