"""The public function `play`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..arguments.instances import load_for, located, require_model, require_seconds
from ..arguments.outputs import PathLike
from ..models.instance import Instance
from .game import Game
from .level import Level, SolvedLevel, built_in_levels, level_of

if TYPE_CHECKING:
    from ..solvers.progress import Progress


def play(
    instance: Instance | PathLike | None = None,
    *,
    model: str | None = None,
    time_limit: float = 30.0,
    threads: int | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> Game:
    """Make the page on which a person schedules requests, against policies and the optimum.

    Parameters
    ----------
    instance : Instance or path-like, optional
        An instance of at most 40 requests, or its file; by default the levels that come with the
        package.
    model : {"mixed", "separate", "continuous"}, optional
        The batching regime: of the instance, mixed by default; or the one whose levels are wanted,
        all by default.
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
    if model is not None:
        require_model(model)
    levels = built_in_levels(model) if instance is None else [_level(instance, model or "mixed")]
    from .. import api

    solved, left = [], time_limit
    for level in levels:
        compared = api.compare(
            level.instance,
            model=level.regime,
            time_limit=left,
            threads=threads,
            seed=seed,
            progress=progress,
        )
        left = max(0.0, left - compared.solution.seconds)
        solved.append(SolvedLevel(level=level, comparison=compared.comparison))
    return Game(levels=tuple(solved))


def _level(instance: Instance | PathLike, model: str) -> Level:
    loaded = load_for(model, instance)
    with located(instance):
        return level_of(loaded, model)
