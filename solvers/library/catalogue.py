"""The shipped library, and a user's copy over it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from ...models.disk import read_input, write_atomically
from ...models.errors import InputError
from ...models.shown import suggestion
from ...models.strict import refuse_repeated_keys
from ..certificates.strict import array, require_keys, require_object
from .entry import Entry
from .record import Record, read_record, write_record

FORMAT = "batchprophet-library"

#: Where the shipped library is: the catalogue, and a record for each entry.
DATA = Path(__file__).parent / "data"

_CATALOGUE = "catalogue.json"


@dataclass(frozen=True)
class Library:
    """Instances by name, and what is known of each.

    Attributes
    ----------
    own : Path or None
        A user's folder: a record that is there stands in for the shipped one.
    data : Path
        The shipped folder.

    Examples
    --------
    >>> library = Library()
    >>> "arrival-model-1-n8-s1" in library.entries
    True
    """

    own: Path | None = None
    data: Path = DATA

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """The catalogue, in its order."""
        path = self.data / _CATALOGUE
        content = read_input(path)
        try:
            document = json.loads(content.decode("utf-8"), object_pairs_hook=refuse_repeated_keys)
            return MappingProxyType(_entries(document))
        except (ValueError, RecursionError, InputError) as error:
            raise InputError(f"{path}: {error}") from error

    def entry(self, name: str) -> Entry:
        """Return the entry of a name.

        Raises
        ------
        InputError
            If there is none; the message names the closest one.
        """
        if name in self.entries:
            return self.entries[name]
        meant = suggestion(name, self.entries)
        raise InputError(f"library: expected a name of `library list`, found {name!r}{meant}")

    def record(self, name: str) -> Record:
        """Read what is known of an entry: the user's record, else the shipped one."""
        own = None if self.own is None else self._file(self.own, name)
        return read_record(own if own is not None and own.exists() else self._file(self.data, name))

    def is_own(self, name: str) -> bool:
        """Whether the user's folder has a record of its own for this entry."""
        return self.own is not None and self._file(self.own, name).exists()

    def replace(self, name: str, record: Record) -> Path:
        """Write a record into the user's folder, atomically, and return its file."""
        if self.own is None:
            raise InputError("library: expected a folder of your own to write to, found none")
        try:
            self.own.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.own}: cannot be made ({error.strerror or error})") from error
        path = self._file(self.own, self.entry(name).name)
        write_record(record, path)
        return path

    @staticmethod
    def _file(folder: Path, name: str) -> Path:
        return folder / f"{name}.json.zst"


def write_catalogue(entries: list[Entry], folder: str | os.PathLike[str]) -> None:
    """Write a catalogue, an entry a line, atomically."""
    lines = ",\n".join(json.dumps(entry.to_record()) for entry in entries)
    head = f'{{"format": {json.dumps(FORMAT)}, "version": 1, "entries": [\n'
    write_atomically(Path(folder) / _CATALOGUE, (head + lines + "\n]}\n").encode())


def _entries(document: object) -> dict[str, Entry]:
    record = require_object("catalogue", document)
    require_keys("", record, ("format", "version", "entries"))
    if record["format"] != FORMAT or record["version"] != 1:
        raise InputError(f"format: expected {FORMAT!r}, version 1")
    found: dict[str, Entry] = {}
    for position, each in enumerate(array("entries", record["entries"])):
        try:
            entry = Entry.from_record(require_object("entry", each))
        except InputError as error:
            raise InputError(f"entries[{position}]: {error}") from error
        if entry.name in found:
            raise InputError(f"entries[{position}].name: {entry.name!r} appears more than once")
        found[entry.name] = entry
    return found
