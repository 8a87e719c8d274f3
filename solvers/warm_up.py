"""Compilation before a clock starts, where nothing is compiled yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..models.families.registry import make_instance
from . import hindsight
from .bounds.configuration_pricing import heaviest_configuration
from .bounds.fluid_machine import preemptive_schedule
from .exact.expansion import expand
from .paths.passes import forward
from .progress import Progress
from .search.annealing import anneal
from .search.polish import polish_pairs
from .separate import hindsight as separate_hindsight
from .separate.annealing import anneal as anneal_separate
from .separate.expansion import expand as expand_separate
from .separate.walk_costs import compute_walk

#: What is said meanwhile.
PHASE = "compiling (a minute or two at first use, not counted)"

#: Compiled functions of each part of the engines.
PARTS = {
    "mixed": (
        anneal,
        polish_pairs,
        heaviest_configuration,
        preemptive_schedule,
        expand,
        forward,
    ),
    "separate": (anneal_separate, expand_separate, compute_walk),
}


def is_compiled(model: str) -> bool:
    """Whether the engine of a regime is compiled: in this process, or in numba's cache on disk.

    A look at one function of each part; stale entries of a cache count as compiled.

    Examples
    --------
    >>> is_compiled("mixed") in (True, False)
    True
    """
    return all(_is_ready(function) for function in PARTS[model])


def compile_first(model: str, progress: Callable[[Progress], None] | None = None) -> None:
    """Compile the engine of a regime unless that is done, and say so meanwhile.

    Compilation takes a minute or two, once after installation, and would count against the time
    limit of a solve.

    Parameters
    ----------
    model : {"mixed", "separate"}
        The regime.
    progress : callable, optional
        Told of the compilation.
    """
    if is_compiled(model):
        return
    if progress is not None:
        progress(Progress(seconds=0.0, incumbent=None, bound=None, gap=None, phase=PHASE))
    if model == "separate":
        separate_hindsight.load_compiled_code()
        return
    for family, n in (("arrival-model-1", 12), ("lognormal-burst", 60)):
        hindsight.load_compiled_code(make_instance(family, settings={"n": n}))


def _is_ready(function: Any) -> bool:
    if not hasattr(function, "signatures"):  # compilation is switched off
        return True
    if function.signatures:
        return True
    if function.stats.cache_path is None:  # it is not cached
        return False
    name = function.py_func.__qualname__
    module = Path(function.py_func.__code__.co_filename).stem
    return any(Path(function.stats.cache_path).glob(f"{module}.{name}-*.nbi"))
