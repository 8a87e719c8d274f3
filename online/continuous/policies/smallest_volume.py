"""Smallest volume first: KV tokens times batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ....models.durations import Durations
from ....models.instance import IntArray
from ..ranked import RankedPolicy


@dataclass(frozen=True, slots=True)
class SmallestVolume(RankedPolicy):
    """Admit the smallest KV volume first while all that runs can complete.

    The volume is that of a request on its own, ``s·o + o·(o + 1)/2`` token-batches.

    Options are those of `ranked.RankedPolicy`.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[6, 1], output=[2, 4])
    >>> [batch.prefill for batch in simulate_continuous(instance, SmallestVolume()).batches]
    [((1, 1), (0, 6)), (), (), ()]

    References
    ----------
    The order of smallest volume under mixed batching (docs/policies.md), here in batches.
    """

    name: ClassVar[str] = "smallest-volume"
    summary: ClassVar[str] = "smallest KV volume first, while all that runs can complete"
    source: ClassVar[str] = "smallest volume first (docs/policies.md)"

    def key(self, prompt: IntArray, planned: IntArray, law: Durations) -> IntArray:
        """Return KV volumes, shape (m,)."""
        return prompt * planned + planned * (planned + 1) // 2
