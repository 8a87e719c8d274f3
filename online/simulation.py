"""What the simulators of all regimes share: how a run begins, and how a policy is asked."""

from __future__ import annotations

import traceback
from pathlib import Path

import numpy as np

from ..models.errors import InputError, PolicyError
from ..models.instance import Instance
from .lengths import Told, told_lengths
from .protocol import DecisionType, ObservationType, Policy, PolicyType
from .registry import PolicyRegistry


def begin_run(
    instance: Instance, registry: PolicyRegistry[PolicyType], policy: PolicyType | str, seed: int
) -> tuple[PolicyType, Told, np.random.Generator]:
    """Return a policy, what it is told of lengths, and the generator of its own draws.

    Parameters
    ----------
    instance : Instance
        An instance of the regime.
    registry : PolicyRegistry
        The regime's policies.
    policy : Policy or str
        A policy, or its specification.
    seed : int
        ≥ 0; predictions and the policy's draws come from separate streams of it.

    Raises
    ------
    InputError
        If the seed is negative or no integer, or the policy cannot be made or told its lengths.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed: expected an integer of at least 0, found {seed!r}")
    made = registry.make(policy)
    for_lengths, for_policy = np.random.SeedSequence(int(seed)).spawn(2)
    told = told_lengths(instance, made, np.random.default_rng(for_lengths))
    return made, told, np.random.default_rng(for_policy)


def ask(
    policy: Policy[ObservationType, DecisionType],
    observation: ObservationType,
    rng: np.random.Generator,
    where: str,
) -> DecisionType:
    """Ask a policy what to do now; whatever goes wrong in it is a `PolicyError` that says where.

    Raises
    ------
    PolicyError
        If `decide` raises.
    """
    try:
        return policy.decide(observation, rng)
    except Exception as error:  # a policy of a third party may raise anything
        if isinstance(error.__cause__, KeyboardInterrupt):  # in compiled code, a SystemError
            raise error.__cause__ from None
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise PolicyError(
            f"{where}: decide raised {type(error).__name__} ({error}) in "
            f"{Path(last.filename).name}, line {last.lineno}{_what_it_has(error)}"
        ) from error


def _what_it_has(error: Exception) -> str:
    """Return what may be asked of a view or an observation, where something else was asked."""
    asked = error.obj if isinstance(error, AttributeError) else None
    if not type(asked).__module__.startswith(__package__):
        return ""
    names = [name for name in dir(asked) if not name.startswith("_")]
    return f"; it has {', '.join(names)}"
