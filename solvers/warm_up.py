"""Compilation before a clock starts: of what an instance needs, where it is not compiled yet."""

from __future__ import annotations

from collections.abc import Callable

from ..models.instance import Instance
from .compiled import PHASE
from .progress import Progress
from .regimes import recipe


def compile_first(
    model: str,
    progress: Callable[[Progress], None] | None = None,
    *,
    instance: Instance | None = None,
) -> None:
    """Compile what an instance needs unless that is done, and say so meanwhile.

    Compilation takes up to some minutes, once after installation, and would count against the time
    limit of a solve.

    Parameters
    ----------
    model : str
        The regime.
    progress : callable, optional
        Told of the compilation.
    instance : Instance, optional
        Only what a solve of its total latency runs is compiled, and what its relaxations run in
        other regimes; the whole engine of its regime by default.
    """
    engine, announced = recipe(model), _Announced(progress)
    if not engine.compiled():
        engine.compile(instance, announced)
    if instance is None:
        return
    for each in engine.relaxations:
        relaxed = each.instance(instance)
        if relaxed is not None and not each.recipe.compiled():
            each.recipe.compile(relaxed, announced)


class _Announced:
    """Tells once that code is being compiled."""

    def __init__(self, progress: Callable[[Progress], None] | None) -> None:
        self.progress = progress

    def __call__(self) -> None:
        if self.progress is not None:
            self.progress(Progress(seconds=0.0, incumbent=None, bound=None, gap=None, phase=PHASE))
        self.progress = None
