"""The store of a study: one row per finished cell in an SQLite file, kept as soon as it is done."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from ...models.disk import output_target
from ...models.errors import BatchprophetError, InputError
from .result import LOST, CellResult

#: Name of the store in a study's folder.
STORE = "study.sqlite"

#: What the file says it is (``PRAGMA application_id``), and the version of its tables.
APPLICATION, VERSION = 0x62707374, 1

_TABLES = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS machines (id INTEGER PRIMARY KEY, facts TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS cells (
    key TEXT PRIMARY KEY,
    outcome TEXT NOT NULL,
    record TEXT NOT NULL,
    version TEXT NOT NULL,
    seed INTEGER NOT NULL,
    seconds REAL NOT NULL,
    finished TEXT NOT NULL,
    machine INTEGER NOT NULL REFERENCES machines (id),
    note TEXT NOT NULL
);
"""


#: Writes records; `json.dumps` would make an encoder for each.
_ENCODER = json.JSONEncoder(ensure_ascii=False)


class StoreError(BatchprophetError):
    """The store cannot be written: what is in it is kept, and the study can go on later."""


class Store:
    """Results of cells, by key.

    The file is locked while it is open: two runs cannot write into one folder. What is kept at once
    is one transaction, so that whatever ends the process, all results that were kept are there when
    it is opened again.

    Parameters
    ----------
    folder : path-like
        The study's folder; it must exist.
    version : str
        The package's version; a store with results of another is refused.

    Raises
    ------
    InputError
        If another run holds the store, it is none, or it is of another version.

    Examples
    --------
    >>> import tempfile
    >>> result = CellResult(key="a", outcome="done", record={"value": 7}, seconds=0.1)
    >>> with tempfile.TemporaryDirectory() as folder, Store(folder, version="0.1.0") as store:
    ...     store.keep(result, seed=1)
    ...     store.results()["a"].record
    {'value': 7}
    """

    def __init__(self, folder: str | os.PathLike[str], *, version: str) -> None:
        self.path = Path(folder) / STORE
        self.version = version
        self._machines: dict[str, int] = {}
        self._connection = self._open()
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def keep(self, result: CellResult, *, seed: int) -> None:
        """Keep the result of a cell: on return it outlives this process.

        Parameters
        ----------
        result : CellResult
            The result; one of a lost cell may be replaced, any other is there to stay.
        seed : int
            The cell's.

        Raises
        ------
        StoreError
            If it cannot be written, for example because the disk is full.
        """
        self.keep_all([(result, seed)])

    def keep_all(self, found: Sequence[tuple[CellResult, int]]) -> None:
        """Keep the results of several cells, all or none: on return they outlive this process.

        Parameters
        ----------
        found : sequence of (CellResult, int)
            Results, each with its cell's seed, as of `keep`.

        Raises
        ------
        StoreError
            If they cannot be written, for example because the disk is full: then none of them is.
        """
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [
            (
                result.key,
                result.outcome,
                _ENCODER.encode(result.record),
                self.version,
                seed,
                result.seconds,
                finished,
                self._machine(result.machine),
                result.note,
            )
            for result, seed in found
        ]
        self._write("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def say(self, name: str, value: str) -> None:
        """Write down a fact about the study itself.

        Raises
        ------
        StoreError
            If it cannot be written.
        """
        self._write("INSERT OR REPLACE INTO about VALUES (?, ?)", [(name, value)])

    def results(self) -> dict[str, CellResult]:
        """Return all results by key; those of lost cells are not among them."""
        return {
            row["key"]: CellResult(
                key=row["key"],
                outcome=row["outcome"],
                record=json.loads(row["record"]),
                seconds=row["seconds"],
                machine=row["facts"],
                note=row["note"],
            )
            for row in self.rows()
            if row["outcome"] != LOST
        }

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield everything that is known of each cell, by key."""
        query = "SELECT * FROM cells JOIN machines ON machine = machines.id ORDER BY key"
        yield from map(dict, self._connection.execute(query))

    def _open(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                output_target(self.path), timeout=1.0, isolation_level=None
            )
            connection.row_factory = sqlite3.Row
            # Locked for good before write-ahead logging: no shared memory, so that folders on
            # network file systems work. Committed without waiting for the disk: a power cut may
            # cost the last cells, a killed process costs none.
            for setting in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"):
                connection.execute(f"PRAGMA {setting}").fetchall()
        except sqlite3.Error as error:
            raise self._refusal(error) from error
        return connection

    def _prepare(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            found = self._connection.execute("PRAGMA application_id").fetchone()[0]
            tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if tables and found != APPLICATION:
                raise InputError(f"{self.path}: expected the store of a study, found other tables")
            self._connection.execute("COMMIT")
            self._connection.executescript(_TABLES)
            self._connection.execute(f"PRAGMA application_id={APPLICATION}")
            self._connection.execute(f"PRAGMA user_version={VERSION}")
            others = self._connection.execute(
                "SELECT DISTINCT version FROM cells WHERE version <> ?", (self.version,)
            ).fetchall()
            known = self._connection.execute("SELECT facts, id FROM machines").fetchall()
        except sqlite3.Error as error:
            raise self._refusal(error) from error
        if others:
            raise InputError(
                f"{self.path}: expected results of batchprophet {self.version}, found some of "
                f"{others[0][0]}; take another folder"
            )
        self._machines = {row[0]: row[1] for row in known}

    def _machine(self, facts: str) -> int:
        if facts not in self._machines:
            self._write("INSERT INTO machines (facts) VALUES (?)", [(facts,)])
            found = self._connection.execute("SELECT id FROM machines WHERE facts = ?", (facts,))
            self._machines[facts] = found.fetchone()[0]
        return self._machines[facts]

    def _write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Execute a statement for each row, all in one transaction."""
        try:
            with self._connection:  # commits, or rolls back
                self._connection.execute("BEGIN")
                self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise StoreError(
                f"{self.path}: cannot be written ({error}); what is done is kept, run the same "
                "command again to go on"
            ) from error

    def _refusal(self, error: sqlite3.Error) -> InputError:
        if "locked" in str(error):
            return InputError(f"{self.path}: another run is at work in this folder")
        if "not a database" in str(error):
            return InputError(f"{self.path}: expected the store of a study, found another file")
        return InputError(f"{self.path}: cannot be opened ({error})")
