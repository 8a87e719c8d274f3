"""Latency limits of requests as commands and public functions take them: ``ttft=500,tpot=40``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..models.errors import InputError
from ..models.shown import suggestion

#: Keys, with what they limit.
MEANINGS = {"ttft": "to the first token", "tpot": "per output token"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Limits that a request should keep (service-level objectives).

    Attributes
    ----------
    ttft, tpot : float
        Longest time to first token and per output token, in the unit that times are shown in:
        milliseconds under an affine law, else rounds. Infinite where there is no limit.
    """

    ttft: float = math.inf
    tpot: float = math.inf

    def text(self, unit: str) -> str:
        """Return the limits in words.

        Examples
        --------
        >>> Slo(ttft=500, tpot=40).text("ms")
        '500 ms to the first token and 40 ms per output token'
        """
        given = ((key, getattr(self, key)) for key in MEANINGS)
        return " and ".join(
            f"{value:g} {unit} {MEANINGS[key]}" for key, value in given if value < math.inf
        )


def parse_slo(text: str) -> Slo:
    """Parse ``ttft=500,tpot=40``; one of the two may be left out.

    Raises
    ------
    InputError
        If a key is unknown or given more than once, or a value is no number above 0.

    Examples
    --------
    >>> parse_slo("tpot=40")
    Slo(ttft=inf, tpot=40.0)
    """
    values: dict[str, float] = {}
    for part in text.split(","):
        key, _, word = (piece.strip() for piece in part.partition("="))
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if key not in MEANINGS or key in values or not 0 < value < math.inf:
            raise InputError(
                "slo: expected ttft=T,tpot=T or one of them, numbers above 0 in milliseconds "
                f"(rounds under the unit law), found {part.strip()!r}{suggestion(key, MEANINGS)}"
            )
        values[key] = value
    return Slo(**values)
