"""What a path may cost: the excess over the prices' bound, cut to starts of interest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ....models.instance import Instance
from ..bounds.configuration import SCALE
from ..exact.excess import FAR, Excess
from .expansion import COARSER

Entry = TypeVar("Entry", np.int64, np.bool_)

#: Costs in the graph are in units of 1 / UNIT rounds.
UNIT = SCALE >> int(COARSER)


@dataclass(frozen=True, slots=True, eq=False)
class PathTerms:
    """Terms of the excess up to the last round of any schedule of interest.

    Attributes
    ----------
    excess : Excess
        With columns up to `last` + 1.
    allowed : ndarray of bool, shape (n, last + 1)
        Starts that cost no more than `limit` by themselves.
    last : int
        No schedule of interest runs beyond this round.
    base : int
        LB of the prices in units of ``1 / SCALE``.
    limit : int
        Excess of the target in units of ``1 / UNIT``: a path that costs more is of no interest.
    most : int
        No more requests than this run at once.
    """

    excess: Excess
    allowed: NDArray[np.bool_]
    last: int
    base: int
    limit: int
    most: int

    def latency(self, cost: int) -> int:
        """Least latency of a schedule whose path costs at least `cost`, rounded up."""
        return -(-(self.base + (cost << int(COARSER))) // SCALE)


def path_terms(instance: Instance, excess: Excess, base: int, target: int) -> PathTerms:
    """Return the terms for schedules of latency at most `target`, from those of `excess_terms`."""
    # Arc costs are rounded down, so a schedule of this latency never costs more than this.
    limit = (target * SCALE - base) >> int(COARSER)
    allowed = (excess.start >> int(COARSER)) <= limit
    columns = np.flatnonzero(allowed.any(axis=0))
    latest = int(columns.max()) if columns.size else 0
    last = latest + int(excess.output.max()) + 1
    return PathTerms(
        excess=_cut(excess, last),
        allowed=_columns(allowed, last + 1, False),
        last=last,
        base=base,
        limit=limit,
        most=_most_at_once(instance),
    )


def _cut(excess: Excess, last: int) -> Excess:
    """Return the terms with columns 0 … last + 1; nothing is priced beyond those given."""
    return excess._replace(
        start=_columns(excess.start, last + 2, FAR),
        earned=_columns(excess.earned, last + 2, 0),
        slack=_columns(excess.slack[None], last + 2, 0)[0],
    )


def _columns(table: NDArray[Entry], width: int, beyond: int | bool) -> NDArray[Entry]:
    """Cut or extend the second axis to this width."""
    shape = (table.shape[0], width, *table.shape[2:])
    wide = np.full(shape, beyond, dtype=table.dtype)
    kept = min(width, table.shape[1])
    wide[:, :kept] = table[:, :kept]
    return wide


def _most_at_once(instance: Instance) -> int:
    """Requests that fit in one round, by their smallest sizes s + 1."""
    sizes = np.cumsum(np.sort(instance.prompt) + 1)
    return max(1, int(np.searchsorted(sizes, instance.gpu.kv_capacity, side="right")))
