"""Feedback on an answer, and the register of the exercises that have a check."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: Columns of a line of feedback.
WIDTH = 92

#: Whether an answer is right, and what to say of it.
Verdict = tuple[bool, str]


@dataclass(frozen=True, slots=True, repr=False)
class Feedback:
    """What the check of an exercise says of an answer; true iff the answer is right.

    Attributes
    ----------
    exercise : str
        Notebook and number, as in ``"02.3"``.
    right : bool
        Whether the answer is right.
    message : str
        What was found, and what to look at next; for a right answer, what it shows.
    """

    exercise: str
    right: bool
    message: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        verdict = "right" if self.right else "not yet"
        return textwrap.fill(f"{self.exercise}: {verdict}. {self.message}", WIDTH)


class Unread(Exception):  # noqa: N818 - an answer of another kind is no error of the program
    """An answer is of another kind than the exercise asks for; the message says what was found."""


@dataclass(frozen=True, slots=True)
class Exercise:
    """An exercise that has a check.

    Attributes
    ----------
    key : str
        Notebook and number, as in ``"02.3"``.
    asks : str
        What an answer is, in words.
    judge : callable
        Says whether an answer is right, and why; raises `Unread` for answers of another kind.
    """

    key: str
    asks: str
    judge: Callable[[Any], Verdict]


#: Exercises by key; a notebook's are added when its module is imported.
REGISTERED: dict[str, Exercise] = {}


def exercise(
    key: str, *, asks: str
) -> Callable[[Callable[[Any], Verdict]], Callable[[Any], Verdict]]:
    """Register the decorated function as the judge of an exercise."""

    def register(judge: Callable[[Any], Verdict]) -> Callable[[Any], Verdict]:
        REGISTERED[key] = Exercise(key, asks, judge)
        return judge

    return register


def right(message: str) -> Verdict:
    """Accept an answer, and say what it shows."""
    return True, message


def wrong(message: str) -> Verdict:
    """Refuse an answer, and say what was found and what to look at."""
    return False, message
