"""What may be added to the separate-batching MILPs: each by its name, each proved where it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

import pyomo.environ as pyo

from ...instance import Instance
from .cuts import add_batch_counts, add_remaining_jobs
from .dominance import add_early_tokens, add_full_batches, add_left_shift, add_merged_prompts
from .symmetry import add_equal_requests

#: Valid inequalities, symmetry breaking, dominance. All may be used at once (`dominance`).
STRENGTHENINGS: Mapping[str, Callable[[pyo.ConcreteModel, Instance, str], None]] = MappingProxyType(
    {
        "batch-counts": add_batch_counts,
        "remaining-jobs": add_remaining_jobs,
        "equal-requests": add_equal_requests,
        "left-shift": add_left_shift,
        "merged-prompts": add_merged_prompts,
        "early-tokens": add_early_tokens,
        "full-batches": add_full_batches,
    }
)


def strengthen(
    model: pyo.ConcreteModel, instance: Instance, objective: str, names: Collection[str]
) -> None:
    """Add the named strengthenings to a model of `formulation.build_model`."""
    for name in STRENGTHENINGS:
        if name in names:
            STRENGTHENINGS[name](model, instance, objective)
