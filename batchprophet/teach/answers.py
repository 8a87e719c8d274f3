"""Answers as the exercises read them: numbers, lists of numbers, names, instances."""

from __future__ import annotations

import numbers
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..models.instance import Instance
from .verdict import Unread

#: The most requests in an instance of a student's own.
MOST_REQUESTS = 8
#: The most rounds that such an instance may last.
MOST_ROUNDS = 60


def number(answer: Any) -> float:
    """Read a number, as a float.

    Examples
    --------
    >>> import numpy as np
    >>> number(np.int64(3))
    3.0
    """
    if isinstance(answer, bool) or not isinstance(answer, numbers.Real):
        raise Unread(f"{short(answer)}, which is no number")
    return float(answer)


def listed(answer: Any, size: int) -> list[float]:
    """Read that many numbers from a list, tuple or array, in order."""
    if isinstance(answer, (str, bytes, Mapping, set)) or not isinstance(answer, Iterable):
        raise Unread(f"{short(answer)}, which is no list")
    values = [number(each) for each in answer]
    if len(values) != size:
        found = f"{len(values)} number{'' if len(values) == 1 else 's'}"
        raise Unread(f"{found} instead of {size}")
    return values


def names(answer: Any, known: Collection[str]) -> set[str]:
    """Read a set of names, all of them known."""
    if isinstance(answer, str):
        answer = [answer]
    if not isinstance(answer, Iterable) or isinstance(answer, (bytes, Mapping)):
        raise Unread(f"{short(answer)}, which is no list of names")
    found = list(answer)
    strange = [each for each in found if not isinstance(each, str) or each not in known]
    if strange:
        raise Unread(f"{short(strange[0])}, which is none of {', '.join(sorted(known))}")
    return set(found)


def instance(answer: Any, *, most: int = MOST_REQUESTS) -> Instance:
    """Read a small instance, which is solved at once."""
    if not isinstance(answer, Instance):
        raise Unread(f"{short(answer)}, which is no bp.Instance")
    if answer.n > most:
        raise Unread(f"one of {answer.n} requests, of which there may be {most}")
    if int(answer.arrival.max() - answer.arrival.min() + answer.output.sum()) > MOST_ROUNDS:
        raise Unread(
            f"one that may last more than {MOST_ROUNDS} rounds: take smaller arrivals and outputs"
        )
    return answer


def near(found: float, wanted: float, tolerance: float = 0.005) -> bool:
    """Whether two numbers agree, up to a share of the wanted one and as much near zero."""
    return abs(found - wanted) <= tolerance * max(1.0, abs(wanted))


def short(answer: Any) -> str:
    """What an answer looks like, in a few words."""
    text = " ".join(repr(answer).split())
    return text if len(text) <= 40 else kind(answer)


def kind(answer: Any) -> str:
    """What an answer is, with its article.

    Examples
    --------
    >>> kind(3), kind("three")
    ('an int', 'a str')
    """
    name = type(answer).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
