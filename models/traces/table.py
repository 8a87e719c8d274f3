"""A trace as a table: the cells of chosen columns, row by row, from CSV or from JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, ClassVar, Protocol

import msgspec

from ..errors import InputError
from .file import TraceFile
from .format import Container

#: The cells of one row, as they are written in the file.
Cells = tuple[str, ...]


class Table(Protocol):
    """Rows of text cells with named columns; blank lines are no rows."""

    container: ClassVar[Container]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns (of a JSON file: the keys of its first object)."""

    def rows(self, columns: Sequence[str]) -> Iterator[Cells]:
        """Yield the cells of these (at least two) columns of every row."""


def open_table(file: TraceFile) -> Table:
    """Return the file's table: JSON lines if its first character opens an object, else CSV.

    Raises
    ------
    InputError
        If the file is empty.
    """
    first = file.first_byte()
    if not first:
        raise empty(file)
    if first == b"[":
        raise InputError(
            f"{file.path}: expected one JSON object a line, found a JSON array; put its objects on "
            "lines of their own, as jq -c '.[]' does"
        )
    return JsonTable(file) if first == b"{" else CsvTable(file)


def empty(file: TraceFile) -> InputError:
    """Return the error of a file that holds blanks at most."""
    return InputError(f"{file.path}: expected a trace, found an empty file")


class CsvTable:
    """A CSV file with a header, quoted fields allowed."""

    container: ClassVar[Container] = "csv"

    def __init__(self, file: TraceFile) -> None:
        self._file = file
        self._reader = csv.reader(iter(file), strict=True)
        header = next(self._lines(), None)
        if header is None:
            raise empty(file)
        self.names: tuple[str, ...] = tuple(header)

    def rows(self, columns: Sequence[str]) -> Iterator[Cells]:
        """Yield the cells of these columns of every row, each row as long as the header."""
        for column in columns:
            if self.names.count(column) > 1:
                raise InputError(
                    f"{self._file.path}: column {column!r} appears more than once in the header"
                )
        pick = itemgetter(*map(self.names.index, columns))
        width = len(self.names)
        for line in self._lines():
            if len(line) != width:
                raise InputError(
                    f"{self._file.where()}: expected {width} columns as in the header, "
                    f"found {len(line)}"
                )
            yield pick(line)

    def _lines(self) -> Iterator[list[str]]:
        try:
            yield from filter(_is_row, self._reader)
        except csv.Error as error:
            raise InputError(f"{self._file.where()}: not valid CSV ({error})") from error


def _is_row(line: list[str]) -> bool:
    """Whether a line is one of cells: those of blanks alone separate, and hold nothing."""
    return len(line) > 1 or bool(line and line[0].strip())


class JsonTable:
    """A file with one JSON object a line; cells are the raw JSON of the values."""

    container: ClassVar[Container] = "jsonl"

    def __init__(self, file: TraceFile) -> None:
        self._file = file
        self._lines = filter(str.strip, iter(file))
        self._first = next(self._lines)
        self.names: tuple[str, ...] = tuple(self._decode(msgspec.json.Decoder(dict[str, Any])))

    def rows(self, columns: Sequence[str]) -> Iterator[Cells]:
        """Yield the raw JSON of these keys of every object; other keys are not looked at."""
        fields = [(f"c{i}", msgspec.Raw, msgspec.field(name=c)) for i, c in enumerate(columns)]
        decode = msgspec.json.Decoder(msgspec.defstruct("Cells", fields)).decode
        astuple = msgspec.structs.astuple
        keys = [(json.dumps(column), column) for column in columns]
        for line in chain([self._first], self._lines):
            try:
                cells = astuple(decode(line))
            except (msgspec.DecodeError, RecursionError) as error:
                raise self._refused(error) from error
            for key, column in keys:
                if line.count(key) > 1:
                    self._require_once(line, column)
            yield tuple([str(bytes(cell), "utf-8") for cell in cells])

    def _decode(self, decoder: msgspec.json.Decoder[dict[str, Any]]) -> dict[str, Any]:
        try:
            return decoder.decode(self._first)
        except (msgspec.DecodeError, RecursionError) as error:
            raise self._refused(error) from error

    def _require_once(self, line: str, column: str) -> None:
        """Refuse a key that the row's own object has more than once (deeper ones are not read)."""
        own = json.loads(line, object_pairs_hook=lambda pairs: [key for key, _ in pairs])
        if own.count(column) > 1:
            raise InputError(
                f"{self._file.where()}: key {column!r} appears more than once in one object"
            )

    def _refused(self, error: msgspec.DecodeError | RecursionError) -> InputError:
        reason = str(error).removeprefix("JSON is malformed: ").replace("`", "'")
        if isinstance(error, msgspec.ValidationError):
            return InputError(f"{self._file.where()}: expected one JSON object a line ({reason})")
        return InputError(f"{self._file.where()}: not valid JSON ({reason})")


def plain_text(cell: str, container: Container) -> str:
    """Return a cell's text: a JSON string without its quotes, anything else as it is."""
    return str(json.loads(cell)) if container == "jsonl" else cell
