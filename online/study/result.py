"""What comes out of a cell; light to import, as what hands cells out runs none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DONE, ENDLESS, FAILED, LOST = "done", "does not finish", "failed", "lost"

#: Figures of a policy's schedule that go into the results, where its regime has them.
FIGURES = ("makespan", "mean_latency", "p99_latency", "mean_ttft", "kv_utilisation", "evictions")


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """What came out of a cell.

    Attributes
    ----------
    key : str
        The cell's.
    outcome : {"done", "does not finish", "failed", "lost"}
        Lost: the process that ran it ended.
    record : dict
        What the cell's definition determines, and nothing else.
    seconds : float
        Wall-clock time that it took in its worker.
    machine : str
        Facts about machine, packages and process, as JSON.
    note : str
        Where a failure came from (a traceback); "" where there is none.
    """

    key: str
    outcome: str
    record: dict[str, Any]
    seconds: float
    machine: str = "{}"
    note: str = ""
