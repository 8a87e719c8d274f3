"""The account of a conversion: what was read, taken, left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionReport:
    """What a conversion did; ``rows_read = taken + Σ dropped``.

    Attributes
    ----------
    file : str
        Name of the file.
    format : str
        Format it was read in.
    rows_read : int
        Rows parsed. Reading stops at the last request taken.
    taken : int
        Requests in the instance.
    dropped : mapping of str to int
        Rows left out, by reason.
    asked : int or None
        How many requests were asked for; None for all.
    span_seconds : float
        From the first request taken to the last, in the trace's own time.
    span_rounds : int
        The same in rounds of the instance.
    mean_prompt, mean_output : float
        Mean tokens of the requests taken.
    notes : tuple of str
        What was taken from elsewhere than the arguments.
    warnings : tuple of str
        What about the times is unlikely to be meant; empty where arrivals are of a law.
    """

    file: str
    format: str
    rows_read: int
    taken: int
    dropped: Mapping[str, int]
    asked: int | None
    span_seconds: float
    span_rounds: int
    mean_prompt: float
    mean_output: float
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the account as lines for a terminal."""
        short = (
            ""
            if self.asked is None or self.taken == self.asked
            else f" of {self.asked:,} asked for"
        )
        lines = [
            f"{self.file}: {_counted(self.rows_read, 'row')} read (format {self.format})",
            f"{_counted(self.taken, 'request')}{short} taken: {self.span_seconds:,.3f} s, "
            f"{_counted(self.span_rounds, 'round')}; "
            f"mean prompt {self.mean_prompt:,.1f}, mean output {self.mean_output:,.1f} tokens",
        ]
        left_out = [f"{count:,} left out: {reason}" for reason, count in self.dropped.items()]
        return [*lines, *left_out, *self.notes]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
