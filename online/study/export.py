"""The store for other tools: every cell with seconds, version and machine, as CSV or Parquet."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...models.csv_text import escape, write_csv
from ...models.disk import write_atomically
from ...models.errors import InputError
from .result import FIGURES

#: Endings of the files that can be written.
ENDINGS = (".csv", ".parquet")

_TEXTS = ("key", "outcome", "version", "finished", "reason", "note", "machine", "value", "bound")
_NAMES = tuple(name for name in _TEXTS if name not in ("value", "bound"))
_INTEGERS = ("seed", "n", "kv_capacity", "makespan", "evictions")

COLUMNS = (
    "key",
    "outcome",
    "seed",
    "n",
    "kv_capacity",
    "value",
    "bound",
    *FIGURES,
    "reason",
    "seconds",
    "finished",
    "version",
    "machine",
    "note",
)


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


def export_rows(path: str | os.PathLike[str], rows: Sequence[dict[str, Any]]) -> None:
    """Write rows of a store to a CSV or Parquet file.

    Parameters
    ----------
    path : path-like
        Its ending says the format. Values and bounds are exact: text in Parquet, as they may be
        fractions.
    rows : sequence of dict
        As `Store.rows` yields them.

    Raises
    ------
    InputError
        If the ending says no format, or pyarrow is missing.
    """
    require_ending(path)
    flat = [_flat(row) for row in rows]
    if Path(path).suffix == ".csv":
        write_atomically(path, _csv(flat).encode())
    else:
        write_atomically(path, _parquet(flat))


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    record = json.loads(row["record"])
    known = {**record, **row, "machine": row["facts"]}
    exact = {
        name: None if known.get(name) is None else str(known[name]) for name in ("value", "bound")
    }
    return {name: exact[name] if name in exact else known.get(name) for name in COLUMNS}


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    named = [row | {name: escape(row[name] or "") for name in _NAMES} for row in rows]
    return write_csv([COLUMNS, *([row[name] for name in COLUMNS] for row in named)])


def _parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    def kind(name: str) -> Any:
        if name in _TEXTS:
            return pyarrow.string()
        return pyarrow.int64() if name in _INTEGERS else pyarrow.float64()

    schema = pyarrow.schema([(name, kind(name)) for name in COLUMNS])
    content = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema=schema), content)
    return content.getvalue()
