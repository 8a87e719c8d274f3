"""The public function `play`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..arguments.instances import load_for, located, require_seconds
from ..arguments.outputs import PathLike
from ..models.instance import Instance
from .game import Game
from .level import Level, SolvedLevel, built_in_levels, level_of

if TYPE_CHECKING:
    from ..solvers.progress import Progress


def play(
    instance: Instance | PathLike | None = None,
    *,
    time_limit: float = 30.0,
    threads: int | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> Game:
    """Make the page on which a person schedules requests, against policies and the optimum.

    Parameters
    ----------
    instance : Instance or path-like, optional
        An instance of mixed batching of at most 40 requests, or its file; by default the levels
        that come with the package.
    time_limit : float
        Seconds for the hindsight solves of all levels together, ≥ 0. A level whose optimum is not
        proved by then shows an interval.
    threads, seed, progress
        As in `compare`.

    Returns
    -------
    Game
        The levels; `Game.save` writes the page.

    Raises
    ------
    InputError
        If the instance or a parameter cannot be used.

    Examples
    --------
    >>> import batchprophet as bp
    >>> gpu = bp.Gpu(kv_capacity=9)
    >>> instance = bp.Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> bp.play(instance)
    Game('1 level, its optimum proved')
    """
    require_seconds(time_limit)
    levels = built_in_levels() if instance is None else [_level(instance)]
    from .. import api

    solved, until = [], time.monotonic() + time_limit
    for position, level in enumerate(levels):
        left = max(0.0, until - time.monotonic()) if position else time_limit
        compared = api.compare(
            level.instance, time_limit=left, threads=threads, seed=seed, progress=progress
        )
        if not position:  # compilation at first use is not counted
            until = time.monotonic() + time_limit - compared.solution.seconds
        solved.append(SolvedLevel(level=level, comparison=compared.comparison))
    return Game(levels=tuple(solved))


def _level(instance: Instance | PathLike) -> Level:
    loaded = load_for("mixed", instance)
    with located(instance):
        return level_of(loaded)
