"""Shortest prompt and output together first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ....models.durations import Durations
from ....models.instance import IntArray
from ..ranked import RankedPolicy


@dataclass(frozen=True, slots=True)
class ShortestTotal(RankedPolicy):
    """Admit the least s + o first while all that runs can complete.

    Options are those of `ranked.RankedPolicy`.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[6, 1], output=[2, 4])
    >>> [batch.prefill for batch in simulate_continuous(instance, ShortestTotal()).batches]
    [((1, 1), (0, 6)), (), (), ()]

    References
    ----------
    The order of shortest total under mixed batching (docs/policies.md), here in batches.
    """

    name: ClassVar[str] = "shortest-total"
    summary: ClassVar[str] = "least prompt + planned output first, while all that runs can complete"
    source: ClassVar[str] = "shortest total first (docs/policies.md)"

    def key(self, prompt: IntArray, planned: IntArray, law: Durations) -> IntArray:
        """Return prompt and planned output lengths together, shape (m,)."""
        return prompt + planned
