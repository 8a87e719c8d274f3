"""How far a study is, and how long it will still take."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from .cell import Cell
from .result import CellResult

#: Weight of the latest cell in the running mean of its group.
LATEST = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyProgress:
    """How far a study is.

    Attributes
    ----------
    done, total : int
        Cells finished, in this run and before, and all cells.
    failed : int
        Those of the finished that failed or were lost.
    seconds : float
        Wall-clock time of this run.
    seconds_left : float or None
        Estimate of what is left; None before the first cell.

    Examples
    --------
    >>> StudyProgress(done=3, total=4, failed=1, seconds=9.0, seconds_left=65.0).text
    '3 of 4 cells, 1 failed, 1:05 left'
    """

    done: int
    total: int
    failed: int
    seconds: float
    seconds_left: float | None

    @property
    def text(self) -> str:
        """It in words."""
        parts = [f"{self.done:,} of {self.total:,} cells"]
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        if self.seconds_left is not None and self.done < self.total:
            parts.append(f"{clock(self.seconds_left)} left")
        return ", ".join(parts)


def clock(seconds: float) -> str:
    """Write a duration as hours, minutes and seconds.

    Examples
    --------
    >>> clock(3.2), clock(3723)
    ('0:03', '1:02:03')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass(slots=True)
class Pace:
    """What cells take, by their group: running means, and how many of each are left."""

    waiting: Counter[str]
    mean: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, cells: Iterable[Cell]) -> Pace:
        """Return the pace of cells of which none is done."""
        return cls(Counter(cell.group for cell in cells))

    def count(self, cell: Cell, result: CellResult) -> None:
        """Count a finished cell."""
        group = cell.group
        self.waiting[group] -= 1
        old = self.mean.get(group, result.seconds)
        self.mean[group] = (1 - LATEST) * old + LATEST * result.seconds

    def expected(self, cell: Cell) -> float | None:
        """Seconds that a cell may take; None before the first of its group."""
        return self.mean.get(cell.group)

    def seconds_left(self, slots: int) -> float | None:
        """Estimate of the time left on the given slots; None before the first cell."""
        if not self.mean:
            return None
        overall = sum(self.mean.values()) / len(self.mean)
        work = sum(count * self.mean.get(group, overall) for group, count in self.waiting.items())
        return work / slots
