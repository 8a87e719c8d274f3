"""Compilation of the policies' kernels in a second process, beside that of the solver."""

from __future__ import annotations

from ..solvers.compiled import are_compiled
from ..solvers.compiled_beside import CompiledBeside


def policies_compiled_beside(model: str | None) -> CompiledBeside:
    """Compile what the default policies need in a second process, unless that is done.

    Parameters
    ----------
    model : str or None
        The regime; None for nothing.

    Returns
    -------
    CompiledBeside
        A context; `CompiledBeside.join` waits until all is compiled.

    Examples
    --------
    >>> with policies_compiled_beside("mixed"):
    ...     pass
    """
    from .regimes import regime

    needed = model is not None and not are_compiled(regime(model).kernels)
    return CompiledBeside("online.warm_up", "run_policies", str(model), needed=needed)


def run_policies(model: str) -> None:
    """Run the policies that stand for all of a regime on a small instance."""
    import numpy as np

    from .evaluation import run_policy
    from .regimes import regime

    side = regime(model)
    instance = side.random_instance(np.random.default_rng(0))
    for name in side.samples:
        run_policy(instance, side.registry.make(name), name, model=model)
