"""MC-Benchmark: first come, first served, with the future check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..scanning import Numbers, ScanningPolicy


@dataclass(frozen=True, slots=True)
class McBenchmark(ScanningPolicy):
    """Scan in order of arrival (ties in the instance's order).

    The options are those of `ScanningPolicy`.

    Examples
    --------
    Any two of these overflow in round 1, so they run one after the other.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=11), arrival=[0, 0, 0], prompt=[5, 9, 6], output=[5, 2, 3]
    ... )
    >>> simulate(instance, McBenchmark()).start.tolist()
    [0, 5, 7]

    References
    ----------
    arXiv 2502.07115, §5 (MC-Benchmark).
    """

    name: ClassVar[str] = "mc-benchmark"
    summary: ClassVar[str] = "first come, first served, with the future check"
    source: ClassVar[str] = "arXiv 2502.07115, §5 (MC-Benchmark)"

    @staticmethod
    def rank(arrival: Numbers, prompt: Numbers, planned: Numbers) -> Numbers:
        """Return the arrival."""
        return arrival
