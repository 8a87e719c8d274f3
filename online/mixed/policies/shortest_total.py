"""Shortest-total: smallest peak first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....models.instance import Instance
from ....models.mixed.schedule import MixedSchedule
from ...lengths import PLANNING_KINDS, Told, require_lengths
from ...options import require_truth
from ..decision import Decision
from ..observation import Observation
from ..scanning import scan, scan_compiled


@dataclass(frozen=True, slots=True)
class ShortestTotal:
    """Scan by ``s + o`` ascending (the peak KV size), start while the future check passes.

    Parameters
    ----------
    skip : bool
        Go on scanning after a request that does not fit, instead of stopping.
    lengths : {"exact", "predicted", "interval"}
        What the future check reckons with (of an interval its upper end).
    error : float, optional
        With ``lengths=predicted``: draw predictions with this relative error, ≥ 0.

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    Any two of these overflow in round 1, so they run one after the other.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=11), arrival=[0, 0, 0], prompt=[5, 9, 6], output=[5, 2, 3]
    ... )
    >>> simulate(instance, ShortestTotal()).start.tolist()
    [3, 8, 0]

    References
    ----------
    docs/model/mixed.md §5 (a baseline of this project).
    """

    skip: bool = False
    lengths: str = "exact"
    error: float | None = None

    name: ClassVar[str] = "shortest-total"
    summary: ClassVar[str] = "shortest prompt + output first, with the future check"
    source: ClassVar[str] = "docs/model/mixed.md §5 (a baseline of this project)"
    length_kinds: ClassVar[tuple[str, ...]] = PLANNING_KINDS
    memoryless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_truth("skip", self.skip)
        require_lengths(self.length_kinds, self.lengths, self.error)

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Scan the waiting requests by prompt + planned output length."""
        return scan(observation, lambda view: view.prompt + view.planned, skip=self.skip)

    def run_compiled(
        self, instance: Instance, told: Told, rng: np.random.Generator
    ) -> MixedSchedule | None:
        """Run the whole instance as compiled code."""
        return scan_compiled(instance, told, instance.prompt + told.high, skip=self.skip)
