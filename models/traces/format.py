"""What a trace format is: which columns say when, how much is read, how much is written."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from .clock import Clock

Container = Literal["csv", "jsonl"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFormat:
    """A format of traces; columns (or keys of each JSON object) are found by name.

    Attributes
    ----------
    name : str
        Name for ``--format``.
    description : str
        One line for lists.
    source : str
        Who publishes traces in it.
    container : {"csv", "jsonl"}
        A CSV file with a header, or one JSON object a line.
    prompt, output : str
        Columns of prompt and output tokens.
    arrival : str or None
        Column of the arrival; None for length-only files, which need an arrival law.
    clock : Clock or None
        How `arrival` is written.
    id : str or None
        Column of names that are kept with the requests.
    failed : str or None
        Why a row with 0 output tokens is left out, where the publisher says that it means a
        failed request; None where such a row is an error.
    kv_capacity : callable or None
        Path of the file → KV capacity in tokens that its publisher wrote down, or None.
    marks : tuple of str
        Further columns, not read, by which a file in this format is recognised.
    without : tuple of str
        Columns whose presence means that the file has another format.
    """

    name: str
    description: str
    source: str
    container: Container
    prompt: str
    output: str
    arrival: str | None = None
    clock: Clock | None = None
    id: str | None = None
    failed: str | None = None
    kv_capacity: Callable[[str], int | None] | None = None
    marks: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that a file must have: arrival, prompt, output, id, as far as used."""
        wanted = (self.arrival, self.prompt, self.output, self.id)
        return tuple(column for column in wanted if column is not None)

    def matches(self, container: Container, columns: Collection[str]) -> bool:
        """Whether a file with these columns looks like this format."""
        return (
            container == self.container
            and all(column in columns for column in (*self.columns, *self.marks))
            and not any(column in columns for column in self.without)
        )
