"""The table of results: one row per cell and limit, of deterministic columns only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ...models.csv_text import escape, write_csv
from ...models.disk import write_atomically
from ...models.objectives import MAXIMISED
from .cell import Cell, Limit, PolicyRun, Problem
from .result import DONE, FIGURES, CellResult
from .study import Study

HINDSIGHT = "hindsight"

#: Significant digits of numbers that are not exact; fewer than machines agree on.
DIGITS = 10

#: What stands before the name of a setting in its column: `n` is also a column of its own.
SETTING = "setting_"

COLUMNS = (
    "source",
    "seed",
    "limit",
    "predictions",
    "policy",
    "outcome",
    "n",
    "kv_capacity",
    "value",
    "best_known",
    "bound",
    "ratio_low",
    "ratio_high",
    *FIGURES,
    "reason",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One policy, or hindsight, on one instance, beside what is known of the optimum.

    Attributes
    ----------
    source : str
        Label of the source.
    seed : int
        The instance's.
    limit : str
        Label of the hindsight limit; "" in a study without.
    predictions : str
        What the policy was told; "" for hindsight.
    policy : str
        Specification as in the study file; "hindsight" for hindsight.
    outcome : {"done", "does not finish", "failed", "lost"}
        What came of it.
    value : int, Fraction or None
        Its objective value.
    best_known : int, Fraction or None
        Best value of hindsight within this limit and of all policies of the study.
    bound : int, Fraction or None
        Proved bound on the optimum within this limit: from below, or for reward from above.
    ratio : (Fraction or None, Fraction or None)
        The interval that the policy's true ratio to the optimum lies in: for costs from value over
        best known to value over bound; for reward the other way round.
    figures : mapping
        What else is known of it.
    reason : str
        Why there is no value; "" where there is one.
    settings : mapping
        Those of the source: of the family, or of the window of a trace.
    key : str
        What identifies the cell in the store.
    """

    source: str
    seed: int
    limit: str
    predictions: str
    policy: str
    outcome: str
    value: int | Fraction | None
    best_known: int | Fraction | None
    bound: int | Fraction | None
    ratio: tuple[Fraction | None, Fraction | None]
    figures: Mapping[str, Any]
    reason: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""

    @property
    def proved(self) -> bool:
        """Whether the optimum is known: best known value and bound are equal."""
        return self.bound is not None and self.bound == self.best_known


def result_rows(study: Study, results: Mapping[str, CellResult]) -> list[Row]:
    """Join cells into rows: source by source, seed by seed, limit by limit, hindsight first.

    Parameters
    ----------
    study : Study
        The study.
    results : mapping of str to CellResult
        Of all its cells, by key.
    """
    rows = []
    runs = study.policy_runs()
    for problem in study.problems():
        found = [(run, results[Cell(problem=problem, job=run).key]) for run in runs]
        for limit in study.limits or (None,):
            rows += _problem_rows(problem, limit, found, results)
    return rows


def setting_columns(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return the columns of the sources' settings, in the order in which they come up."""
    return tuple(dict.fromkeys(f"{SETTING}{name}" for row in rows for name in row.settings))


def columns_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the columns of a table: those of its settings come after the source.

    Examples
    --------
    >>> columns_of([])[:3]
    ('source', 'seed', 'limit')
    """
    return (COLUMNS[0], *setting_columns(rows), *COLUMNS[1:])


def cells_of(row: Row) -> dict[str, Any]:
    """Return a row's cells by column; a column that it does not have is left out.

    Lists of settings, as columns of a trace, are written as text.
    """
    known = {
        "source": row.source,
        "seed": row.seed,
        "limit": row.limit,
        "predictions": row.predictions,
        "policy": row.policy,
        "outcome": row.outcome,
        "value": row.value,
        "best_known": row.best_known,
        "bound": row.bound,
        "ratio_low": row.ratio[0],
        "ratio_high": row.ratio[1],
        "reason": row.reason,
    }
    settings = {f"{SETTING}{name}": _plain(value) for name, value in row.settings.items()}
    return {**row.figures, **settings, **known}


def _plain(value: object) -> object:
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def results_csv(rows: Sequence[Row]) -> str:
    """Write rows as CSV: exact numbers as they are, others with ten digits, nothing as nothing.

    Text that a spreadsheet would take for a formula is marked (`models.csv_text`).
    The bytes depend on the rows alone: UTF-8, a line feed after each line.
    """
    columns = columns_of(rows)
    cells: list[Sequence[str]] = [columns]
    for row in rows:
        values = cells_of(row)
        cells.append([_cell(values.get(column)) for column in columns])
    return write_csv(cells)


def write_results(path: str | os.PathLike[str], rows: Sequence[Row]) -> None:
    """Write ``results.csv``, whole or not at all."""
    write_atomically(path, results_csv(rows).encode())


def number(value: object) -> str:
    """Write a value for a table.

    Examples
    --------
    >>> number(12), number(Fraction(7, 3)), number(None), number("mc-sf")
    ('12', '2.333333333', '', 'mc-sf')
    """
    if isinstance(value, (str, int)):  # first: most are
        return str(value)
    if isinstance(value, (float, Fraction)):
        return f"{float(value):.{DIGITS}g}"
    return "" if value is None else str(value)


def _cell(value: object) -> str:
    return escape(value) if isinstance(value, str) else number(value)


def _problem_rows(
    problem: Problem,
    limit: Limit | None,
    found: Sequence[tuple[PolicyRun, CellResult]],
    results: Mapping[str, CellResult],
) -> list[Row]:
    hindsight = None if limit is None else results[Cell(problem=problem, job=limit).key]
    maximised = problem.objective in MAXIMISED
    everything = [result for _, result in found] + ([] if hindsight is None else [hindsight])
    values = [value for result in everything if (value := _exact(result, "value")) is not None]
    best = (max if maximised else min)(values, default=None)
    bound = None if hindsight is None else _exact(hindsight, "bound")

    def row(predictions: str, policy: str, result: CellResult) -> Row:
        value = _exact(result, "value")
        low = _ratio(value, best)
        ends = (low, low if bound == best else _ratio(value, bound))
        return Row(
            source=problem.source.label,
            seed=problem.seed,
            limit="" if limit is None else limit.label,
            predictions=predictions,
            policy=policy,
            outcome=result.outcome,
            value=value,
            best_known=best,
            bound=bound,
            ratio=ends[::-1] if maximised else ends,
            figures=result.record,
            reason=result.record.get("reason", ""),
            settings=dict(problem.source.settings),
            key=result.key,
        )

    rows = [] if hindsight is None else [row("", HINDSIGHT, hindsight)]
    return rows + [row(run.predictions.label, run.policy, result) for run, result in found]


def _exact(result: CellResult, name: str) -> int | Fraction | None:
    value = result.record.get(name) if result.outcome == DONE else None
    return Fraction(value) if isinstance(value, str) else value


def _ratio(value: int | Fraction | None, other: int | Fraction | None) -> Fraction | None:
    return None if value is None or not other else Fraction(value, other)
