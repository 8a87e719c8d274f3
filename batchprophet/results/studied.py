"""A study, as `study` returns it: its table, what it amounts to, and its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .shown import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from ..online.study.study import Study
    from ..online.study.summary import StudySummary
    from ..online.study.table import Row


@dataclass(frozen=True, kw_only=True, repr=False)
class Studied(Shown):
    """The table of a study.

    Attributes
    ----------
    study : Study
        What was run.
    rows : tuple of Row
        One row an instance, limit, prediction and policy.
    summary_of : StudySummary
        Ratios and regrets as intervals, pairs, profiles.
    """

    study: Study
    rows: tuple[Row, ...]
    summary_of: StudySummary

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        columns = ["source", "limit", "predictions", "policy", "finished", "mean of ratios"]
        rows = [
            (
                *each.group,
                f"{each.finished} of {each.instances}",
                "" if each.low is None else f"{each.low.mean_of_ratios:.4f}",
            )
            for each in self.summary_of.groups
        ]
        return self.study.name, columns, [*rows]

    def __repr__(self) -> str:
        sources = len({row.source for row in self.rows})
        policies = len(self.study.policies)
        size = f"{len(self.rows)} rows, sources {sources}, policies {policies}"
        return f"Studied({self.study.name}: {size})"

    def summary(self) -> str:
        """Return the table of policies as text."""
        _, columns, rows = self._shown()
        cells = [tuple(columns), *(tuple(map(str, row)) for row in rows)]
        widths = [max(len(row[c]) for row in cells) for c in range(len(columns))]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
        return "\n".join([self.study.name, *lines])

    def to_record(self) -> dict[str, Any]:
        """Return the summary as ``summary.json`` has it."""
        return self.summary_of.to_record()

    def to_frame(self) -> DataFrame:
        """Return the table, with the columns of ``results.csv``: settings have their own.

        Raises
        ------
        InputError
            If pandas is not installed (``batchprophet[frames]``).
        """
        from .frames import study_frame

        return study_frame(self.rows)

    def plot_profiles(self, *, ax: Axes | None = None) -> Figure:
        """Draw performance profiles; see `batchprophet.pictures.study.profiles`."""
        from ..pictures.study import profiles

        return profiles(self.rows, ax=ax)

    def plot_ratios(self, *, ax: Axes | None = None) -> Figure:
        """Draw box plots of the ratios; see `batchprophet.pictures.study.ratio_boxes`."""
        from ..pictures.study import ratio_boxes

        return ratio_boxes(self.rows, ax=ax)
