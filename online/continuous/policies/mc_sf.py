"""MC-SF: shortest output first, with the future check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ....models.durations import Durations
from ....models.instance import IntArray
from ..ranked import RankedPolicy


@dataclass(frozen=True, slots=True)
class McSf(RankedPolicy):
    """Admit the shortest output first while all that runs can complete.

    The rule of arXiv 2502.07115 in batches of prompt chunks and token jobs.

    Options are those of `ranked.RankedPolicy`.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[1, 5], output=[4, 2])
    >>> [batch.prefill for batch in simulate_continuous(instance, McSf()).batches]
    [((1, 5), (0, 1)), (), (), ()]

    References
    ----------
    arXiv 2502.07115, Algorithm 1 (MC-SF).
    """

    name: ClassVar[str] = "mc-sf"
    summary: ClassVar[str] = "shortest planned output first, while all that runs can complete"
    source: ClassVar[str] = "arXiv 2502.07115, Algorithm 1 (MC-SF)"

    def key(self, prompt: IntArray, planned: IntArray, law: Durations) -> IntArray:
        """Return planned output lengths, shape (m,)."""
        return planned
