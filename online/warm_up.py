"""Compilation of the policies' kernels in a second process, beside that of the solver."""

from __future__ import annotations

from ..solvers.compiled import are_compiled
from ..solvers.compiled_beside import CompiledBeside

#: Compiled functions that stand for the kernels of a regime's policies, by module.
KERNELS = {
    "mixed": (("online.mixed.kernels.evicting", "_run"), ("online.mixed.kernels.sorted_f", "_run")),
    "separate": (("online.separate.kernels", "_run"), ("online.separate.blocked", "_blocked")),
}

#: Policies that run them all, and a family whose instances they are run on.
SAMPLES = {
    "mixed": (("sorted-f", "vllm"), "arrival-model-1"),
    "separate": (("prefill-first",), "separate-random"),
}


def policies_compiled_beside(model: str | None) -> CompiledBeside:
    """Compile what the default policies need in a second process, unless that is done.

    Parameters
    ----------
    model : {"mixed", "separate"} or None
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
    needed = model is not None and not are_compiled(KERNELS[model])
    return CompiledBeside("online.warm_up", f"run_{model}_policies", needed=needed)


def run_mixed_policies() -> None:
    """Run policies of mixed batching on a small instance."""
    _run_policies("mixed")


def run_separate_policies() -> None:
    """Run policies of separate batching on a small instance."""
    _run_policies("separate")


def _run_policies(model: str) -> None:
    from ..models.families.registry import make_instance
    from .evaluation import run_policy
    from .regimes import regime

    registry = regime(model).registry
    policies, family = SAMPLES[model]
    instance = make_instance(family, settings={"n": 8})
    for name in policies:
        run_policy(instance, registry.make(name), name, model=model)
