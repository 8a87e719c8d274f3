"""The table for other tools, with seconds, version and machine of each cell, as CSV or Parquet.

Its columns are those of ``results.csv``, and then those that depend on the run.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from ...models.csv_text import escape, write_csv
from ...models.disk import write_atomically
from ...models.errors import InputError
from .table import Row, cells_of, columns_of, number, setting_columns

#: Endings of the files that can be written.
ENDINGS = (".csv", ".parquet")

#: What the store knows of a cell beside its result.
RUN_COLUMNS = ("key", "seconds", "finished", "version", "machine", "note")

_INTEGERS = ("seed", "n", "kv_capacity", "makespan", "evictions")
_FLOATS = ("ratio_low", "ratio_high", "mean_latency", "p99_latency", "mean_ttft")
_MORE_FLOATS = ("kv_utilisation", "seconds")
#: Exact values, which may be fractions or larger than 64 bits: text in Parquet.
_EXACT = ("value", "best_known", "bound")


def require_ending(path: str | os.PathLike[str]) -> None:
    """Refuse a file whose ending says no format, or Parquet where its package is missing.

    Raises
    ------
    InputError
        As said.
    """
    if Path(path).suffix not in ENDINGS:
        raise InputError(f"{path}: expected a file that ends in {' or '.join(ENDINGS)}")
    if Path(path).suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401 - only whether it is there
        except ImportError as error:
            raise InputError(f"{path}: needs pyarrow; install batchprophet[parquet]") from error


def export_rows(
    path: str | os.PathLike[str], rows: Sequence[Row], stored: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write a study's table to a CSV or Parquet file.

    Parameters
    ----------
    path : path-like
        Its ending says the format. Values and bounds are exact: text in Parquet, as they may be
        fractions.
    rows : sequence of Row
        The table.
    stored : mapping of str to mapping
        Rows of the store by key, as `Store.rows` yields them.

    Raises
    ------
    InputError
        If the ending says no format, or pyarrow is missing.
    """
    require_ending(path)
    columns = (*columns_of(rows), *RUN_COLUMNS)
    flat = [_flat(row, stored[row.key], columns) for row in rows]
    if Path(path).suffix == ".csv":
        write_atomically(path, _csv(columns, flat).encode())
    else:
        write_atomically(path, _parquet(columns, flat, setting_columns(rows)))


def _flat(row: Row, stored: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    known = {**cells_of(row), **stored, "machine": stored["facts"], "outcome": row.outcome}
    return {name: known.get(name) for name in columns}


def _csv(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    def cell(value: Any) -> str:
        return escape(value) if isinstance(value, str) else number(value)

    return write_csv([columns, *([cell(row[name]) for name in columns] for row in rows)])


def _parquet(
    columns: Sequence[str], rows: Sequence[dict[str, Any]], settings: Sequence[str]
) -> bytes:
    import pyarrow
    from pyarrow import parquet

    def kind(name: str) -> Any:
        if name in settings:
            return _kind_of([row[name] for row in rows if row[name] is not None])
        if name in _INTEGERS:
            return pyarrow.int64()
        floats = name in _FLOATS or name in _MORE_FLOATS
        return pyarrow.float64() if floats else pyarrow.string()

    kinds = {name: kind(name) for name in columns}
    as_text = {name for name in columns if name in _EXACT or kinds[name] == pyarrow.string()}

    def plain(name: str, value: Any) -> Any:
        if value is None or name not in as_text:
            return float(value) if isinstance(value, Fraction) else value
        return str(value)

    table = [{name: plain(name, value) for name, value in row.items()} for row in rows]
    content = io.BytesIO()
    schema = pyarrow.schema(list(kinds.items()))
    parquet.write_table(pyarrow.Table.from_pylist(table, schema=schema), content)
    return content.getvalue()


def _kind_of(values: Sequence[Any]) -> Any:
    """Return the type of a column of settings: text unless all are numbers of one kind."""
    import pyarrow

    kinds = {type(value) for value in values}
    if kinds == {int}:
        return pyarrow.int64()
    if kinds and kinds <= {int, float}:
        return pyarrow.float64()
    return pyarrow.bool_() if kinds == {bool} else pyarrow.string()
