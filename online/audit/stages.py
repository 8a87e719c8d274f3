"""The stages of an audit, as its progress names them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...solvers.progress import Progress
from ...solvers.solution import Solution

CAPACITY = "fitting KV memory"
FIT = "fitting batch times"
HELD_OUT = "fitting each half to judge the other"
SIGNS = "looking for signs against the model"
HINDSIGHT = "searching for the best schedule"
KNOBS = "turning knobs"
LENGTHS = "comparing what policies know of lengths"
LAWS = "trying other batch times that fit about as well"

#: All of them in order; those that are not needed are left out.
STAGES = (CAPACITY, FIT, HELD_OUT, SIGNS, HINDSIGHT, KNOBS, LENGTHS, LAWS)


def begin(stage: str, progress: Callable[[Progress], None] | None) -> None:
    """Tell that a stage begins.

    Examples
    --------
    >>> begin(FIT, lambda told: print(told.phase))
    fitting batch times
    """
    if progress is not None:
        progress(Progress(seconds=0.0, incumbent=None, bound=None, gap=None, phase=stage))


def require_uninterrupted(solution: Solution[Any]) -> None:
    """Go on with an interrupt that a solver kept to itself, since an audit has stages after it.

    Raises
    ------
    KeyboardInterrupt
        If an interrupt ended the solve.
    """
    if "interrupted" in solution.method:
        raise KeyboardInterrupt
