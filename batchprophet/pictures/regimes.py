"""What pictures draw of a schedule, by regime: the only module here that names the regimes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import continuous, mixed, separate
from .account import Heading
from .shapes import Wedge

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
    wedges : callable or None
        Whether the KV picture has a wedge for each request, in the request's colour.
    modes : callable or None
        What the GPU does over time, where it has modes.
    seats : callable or None
        How many requests hold a cache, where that is limited.
    account : tuple of Heading
        The parts of the latency, where the regime accounts for it.
    served, rows_are, modes_are, account_is : str
        Words of the report: what ends a request's waiting, and what the pictures show.
    """

    starts: Callable[[Instance, Any], IntArray]
    rows: Callable[..., None]
    counts: Callable[..., None]
    kv: Callable[..., list[Wedge]]
    wedges: Callable[[Instance, Any], bool] | None = None
    modes: Callable[..., None] | None = None
    seats: Callable[..., None] | None = None
    account: tuple[Heading, ...] = ()
    served: str
    rows_are: str
    modes_are: str = ""
    account_is: str = ""


#: How schedules are drawn, by the name of their regime.
DRAWINGS: dict[str, Drawing] = {
    "mixed": Drawing(
        starts=mixed.starts,
        rows=mixed.draw_rows,
        counts=mixed.draw_counts,
        kv=mixed.draw_kv,
        wedges=mixed.has_wedges,
        served="final start",
        rows_are="dark for its prompt round, light for its token rounds, hatched for work lost to "
        "an eviction",
    ),
    "separate": Drawing(
        starts=separate.starts,
        rows=separate.draw_rows,
        counts=separate.draw_counts,
        kv=separate.draw_kv,
        wedges=separate.has_wedges,
        modes=separate.draw_modes,
        account=separate.ACCOUNT,
        served="the start of the prompt batch",
        rows_are="dark for its prompt batch, light for its token batches, orange while it is "
        "paused",
        modes_are="the height of a batch is its number of requests",
        account_is="served; paused (holding KV while a batch leaves them out); waiting for their "
        "prompt batch behind other batches, or because no waiting request fits the KV cache",
    ),
    "continuous": Drawing(
        starts=continuous.starts,
        rows=continuous.draw_rows,
        counts=continuous.draw_counts,
        kv=continuous.draw_kv,
        modes=continuous.draw_modes,
        seats=continuous.draw_seats,
        account=continuous.ACCOUNT,
        served="the first prompt chunk",
        rows_are="dark until its first token, light until its last one, a cross where its cache is "
        "dropped",
        modes_are="the height of a batch is its tokens, of prompts and of token jobs (logarithmic "
        "above 10)",
        account_is="in the queue, by what keeps them out of a batch; while their prompts are read; "
        "while they get tokens: their own work, the fixed time of a batch, the work of others; "
        "preempted",
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
