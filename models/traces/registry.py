"""The formats that are known by name, and which of them a file is in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..errors import InputError
from .azure import AZURE
from .burstgpt import BURSTGPT
from .checks import shown
from .format import TraceFormat
from .lengths import LENGTHS
from .mooncake import MOONCAKE
from .qwen_bailian import QWEN_BAILIAN
from .splitwise_sim import SPLITWISE_SIM
from .table import Table
from .vidur import VIDUR
from .vllm_log import VLLM_LOG

#: Formats by name. No two match the same file.
TRACE_FORMATS: Mapping[str, TraceFormat] = MappingProxyType(
    {
        known.name: known
        for known in (
            AZURE,
            BURSTGPT,
            MOONCAKE,
            QWEN_BAILIAN,
            VIDUR,
            LENGTHS,
            SPLITWISE_SIM,
            VLLM_LOG,
        )
    }
)


def known_format(name: str) -> TraceFormat:
    """Return the format of that name.

    Raises
    ------
    InputError
        If there is none; the message lists the known ones.
    """
    if name not in TRACE_FORMATS:
        known = ", ".join(["auto", *TRACE_FORMATS])
        raise InputError(f"format: expected one of {known}; found {name!r}")
    return TRACE_FORMATS[name]


def detect_format(table: Table, path: str) -> TraceFormat:
    """Recognise the format from the names of the columns.

    Raises
    ------
    InputError
        If no format has such columns; the message says what was found and the way out.
    """
    for known in TRACE_FORMATS.values():
        if known.matches(table.container, table.names):
            return known
    raise InputError(
        f"{path}: expected a trace in a known format ({', '.join(TRACE_FORMATS)}), found the "
        f"columns {_listed(table)}{_nearest(table)}; map them with columns "
        "arrival=…,prompt=…,output=…"
    )


def require_columns(known: TraceFormat, table: Table, path: str) -> None:
    """Check that the file has the columns that the format reads.

    Raises
    ------
    InputError
        If the file is no such container, or lacks a column, by name.
    """
    if known.container != table.container:
        kinds = {"csv": "a CSV file", "jsonl": "one JSON object a line"}
        raise InputError(
            f"{path}: format {known.name} is {kinds[known.container]}, "
            f"found {kinds[table.container]}"
        )
    for column in known.columns:
        if column not in table.names:
            raise InputError(
                f"{path}: expected a column {column!r} (format {known.name}), "
                f"found {_listed(table)}"
            )


def _listed(table: Table) -> str:
    """Return the names of the columns, the first dozen of them."""
    names = [shown(name) for name in table.names[:12]]
    return ", ".join(names + ["…"] * (len(table.names) > 12))


def _nearest(table: Table) -> str:
    """Say which columns the most similar format needs as well, if it shares at least two."""

    def missing(known: TraceFormat) -> list[str]:
        return [column for column in known.columns if column not in table.names]

    nearest = min(TRACE_FORMATS.values(), key=lambda known: len(missing(known)))
    lacks = missing(nearest)
    if len(nearest.columns) - len(lacks) < 2:
        return ""
    return f" ({nearest.name} needs {', '.join(map(repr, lacks))} as well)"
