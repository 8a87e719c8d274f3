"""Answers to the exercises of the notebooks, checked.

A check computes what it compares with when it is asked: it simulates, solves, or tests the
student's instance, policy or model. No answer is stored beside a question.
"""

from __future__ import annotations

from importlib import import_module

from ..models.errors import InputError
from .verdict import REGISTERED, Exercise, Feedback, Unread

#: The module of each notebook's exercises.
NOTEBOOKS = {
    "01": "server",
    "02": "hindsight",
    "03": "cuts",
    "04": "network",
    "05": "coupling",
    "06": "gpu_regret",
    "07": "competitive",
    "08": "real_trace",
    "09": "own_policy",
    "10": "server_audit",
    "11": "unknown_lengths",
    "12": "alike",
}


def check(exercise: str, answer: object = ...) -> Feedback:
    """Check an answer to an exercise of the course.

    Parameters
    ----------
    exercise : str
        Notebook and number of the exercise, as in ``"02.3"``.
    answer : object
        The answer: a number, a list, an instance, a policy, a function, as the exercise says.
        ``...``, the default, stands for none yet.

    Returns
    -------
    Feedback
        True iff the answer is right, with what was found and what to look at. An answer of another
        kind than the exercise asks for is not right, and the feedback says what is expected.

    Raises
    ------
    InputError
        If there is no such exercise.

    Examples
    --------
    >>> check("07.3")
    07.3: not yet. No answer so far; expected the largest number of narrow requests beside four
    wide ones.
    >>> check("07.3", "many")
    07.3: not yet. Expected the largest number of narrow requests beside four wide ones; found
    'many', which is no number.
    >>> bool(check("07.3", 4))
    False
    """
    asked = _find(exercise)
    if answer is ...:
        return Feedback(exercise, False, f"No answer so far; expected {asked.asks}.")
    try:
        found = asked.judge(answer)
    except Unread as other:
        return Feedback(exercise, False, f"Expected {asked.asks}; found {other}.")
    return Feedback(exercise, *found)


def exercises(notebook: str | None = None) -> dict[str, str]:
    """Return the exercises that have a check, with what an answer to each is.

    Parameters
    ----------
    notebook : str, optional
        Number of a notebook, as in ``"02"``; all of them by default.

    Raises
    ------
    InputError
        If there is no such notebook.

    Examples
    --------
    >>> exercises("06")["06.2"]
    'how many of the twenty requests can be served at most'
    """
    if notebook is not None and notebook not in NOTEBOOKS:
        raise InputError(
            f"exercises: expected a notebook from {min(NOTEBOOKS)} to {max(NOTEBOOKS)}, "
            f"found {notebook!r}"
        )
    for number in NOTEBOOKS if notebook is None else [notebook]:
        _load(number)
    chosen = sorted(key for key in REGISTERED if notebook in (None, key[:2]))
    return {key: REGISTERED[key].asks for key in chosen}


def _load(notebook: str) -> None:
    import_module(f"{__package__}.judges.{NOTEBOOKS[notebook]}")


def _find(key: str) -> Exercise:
    if isinstance(key, str) and key[:2] in NOTEBOOKS:
        _load(key[:2])
        if key in REGISTERED:
            return REGISTERED[key]
        known = ", ".join(exercises(key[:2]))
        raise InputError(f"teach.check: expected one of {known}, found {key!r}")
    raise InputError(
        f"teach.check: expected notebook and number of an exercise, such as '02.3', found {key!r}"
    )
