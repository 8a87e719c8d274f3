"""Smallest-volume-first: least KV area first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

from ....models.instance import Instance, IntArray
from ....models.mixed.schedule import MixedSchedule
from ...lengths import PLANNING_KINDS, Told, require_lengths
from ...options import require_truth
from ..decision import Decision
from ..observation import Observation
from ..scanning import scan, scan_compiled

_Tokens = TypeVar("_Tokens", int, IntArray)


@dataclass(frozen=True, slots=True)
class SmallestVolume:
    """Scan by volume ``s·o + o·(o+1)/2`` ascending, start while the future check passes.

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
    >>> simulate(instance, SmallestVolume()).start.tolist()
    [5, 0, 2]

    References
    ----------
    arXiv 2606.22327 (smallest-volume-first).
    """

    skip: bool = False
    lengths: str = "exact"
    error: float | None = None

    name: ClassVar[str] = "smallest-volume"
    summary: ClassVar[str] = "smallest KV volume first, with the future check"
    source: ClassVar[str] = "arXiv 2606.22327 (smallest-volume-first)"
    length_kinds: ClassVar[tuple[str, ...]] = PLANNING_KINDS
    memoryless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_truth("skip", self.skip)
        require_lengths(self.length_kinds, self.lengths, self.error)

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Scan the waiting requests by planned volume."""
        return scan(observation, lambda view: _volume(view.prompt, view.planned), skip=self.skip)

    def run_compiled(
        self, instance: Instance, told: Told, rng: np.random.Generator
    ) -> MixedSchedule | None:
        """Run the whole instance as compiled code."""
        return scan_compiled(instance, told, _volume(instance.prompt, told.high), skip=self.skip)


def _volume(prompt: _Tokens, output: _Tokens) -> _Tokens:
    """KV area of a request in token-rounds, ``Σ_{j=1..o} (s + j)``."""
    return prompt * output + output * (output + 1) // 2
