"""MC-SF: memory-constrained shortest-first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..scanning import Numbers, ScanningPolicy


@dataclass(frozen=True, slots=True)
class McSf(ScanningPolicy):
    """Scan by (planned) output length.

    The options are those of `ScanningPolicy`.

    Examples
    --------
    Any two of these overflow in round 1, so they run one after the other.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=11), arrival=[0, 0, 0], prompt=[5, 9, 6], output=[5, 2, 3]
    ... )
    >>> simulate(instance, McSf()).start.tolist()
    [5, 0, 2]

    References
    ----------
    arXiv 2502.07115, Algorithm 1 (MC-SF).
    """

    name: ClassVar[str] = "mc-sf"
    summary: ClassVar[str] = "shortest (planned) output first, with the future check"
    source: ClassVar[str] = "arXiv 2502.07115, Algorithm 1 (MC-SF)"

    @staticmethod
    def rank(arrival: Numbers, prompt: Numbers, planned: Numbers) -> Numbers:
        """Return the planned output length."""
        return planned
