"""Shortest-total: smallest peak first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..scanning import Numbers, ScanningPolicy


@dataclass(frozen=True, slots=True)
class ShortestTotal(ScanningPolicy):
    """Scan by ``s + o``, the peak KV size.

    The options are those of `ScanningPolicy`.

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

    name: ClassVar[str] = "shortest-total"
    summary: ClassVar[str] = "shortest prompt + output first, with the future check"
    source: ClassVar[str] = "docs/model/mixed.md §5 (a baseline of this project)"

    @staticmethod
    def rank(arrival: Numbers, prompt: Numbers, planned: Numbers) -> Numbers:
        """Return the prompt and planned output length together."""
        return prompt + planned
