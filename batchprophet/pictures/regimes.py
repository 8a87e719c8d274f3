"""What pictures draw of a schedule, by regime: the only module here that names the regimes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import mixed, separate

if TYPE_CHECKING:
    from ..models.instance import Instance, IntArray
    from ..models.regime import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """How a regime's schedules are drawn.

    Attributes
    ----------
    starts : callable
        When each request is served, shape (n,): the end of its wait.
    rows, counts, kv : callable
        One row per request, counts of those that wait and run, and the KV tokens held.
    modes : callable or None
        What the GPU does over time, where it has modes.
    """

    starts: Callable[[Instance, Any], IntArray]
    rows: Callable[..., None]
    counts: Callable[..., None]
    kv: Callable[..., None]
    modes: Callable[..., None] | None = None


#: How schedules are drawn, by the name of their regime.
DRAWINGS: dict[str, Drawing] = {
    "mixed": Drawing(
        starts=mixed.starts, rows=mixed.draw_rows, counts=mixed.draw_counts, kv=mixed.draw_kv
    ),
    "separate": Drawing(
        starts=separate.starts,
        rows=separate.draw_rows,
        counts=separate.draw_counts,
        kv=separate.draw_kv,
        modes=separate.draw_modes,
    ),
}


def starts(instance: Instance, schedule: Schedule) -> IntArray:
    """When each request is served at last, shape (n,): its final start, or its prompt batch's.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.models.mixed.schedule import MixedSchedule
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> starts(instance, MixedSchedule([0, 4])).tolist()
    [0, 4]
    """
    return DRAWINGS[schedule.model].starts(instance, schedule)
