"""Smallest-volume-first: least KV area first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..scanning import Numbers, ScanningPolicy, volume


@dataclass(frozen=True, slots=True)
class SmallestVolume(ScanningPolicy):
    """Scan by volume ``s·o + o·(o+1)/2``.

    The options are those of `ScanningPolicy`.

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

    name: ClassVar[str] = "smallest-volume"
    summary: ClassVar[str] = "smallest KV volume first, with the future check"
    source: ClassVar[str] = "arXiv 2606.22327 (smallest-volume-first)"

    @staticmethod
    def rank(arrival: Numbers, prompt: Numbers, planned: Numbers) -> Numbers:
        """Return the planned volume."""
        return volume(prompt, planned)
