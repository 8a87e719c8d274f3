"""All batching regimes by name: the only place of this wing that names them."""

from __future__ import annotations

from typing import Any

from ..models.errors import InputError
from ..models.shown import alternatives
from .continuous.regime import CONTINUOUS
from .mixed.regime import MIXED
from .regime import OnlineRegime
from .registry import import_class
from .separate.regime import SEPARATE

#: The regimes by name.
REGIMES: dict[str, OnlineRegime] = {each.model: each for each in (MIXED, SEPARATE, CONTINUOUS)}


def policy_of(model: str, spec: Any) -> Any:
    """Make a policy of a regime from its specification.

    Raises
    ------
    InputError
        If it cannot be made; where other regimes have one of this name, the message says so.

    Examples
    --------
    >>> policy_of("separate", "hysteresis:high=2").high
    2
    """
    made = regime(model).registry
    if isinstance(spec, str):
        name = spec.strip().partition(":")[0]
        others = [each for each, rules in REGIMES.items() if name in rules.registry.names()]
        if others and model not in others:
            raise InputError(
                f"policy {name}: expected a policy of {model} batching, found one of "
                f"{alternatives(others)} batching (--model)"
            )
    return made.make(spec)


def model_of(policy: Any) -> str:
    """Return the regime that a policy, its class or its specification is of.

    Examples
    --------
    >>> model_of("hysteresis:high=2"), model_of("mc-sf")
    ('separate', 'mixed')
    """
    if isinstance(policy, str):
        name, _, rest = policy.strip().partition(":")
        for rules in REGIMES.values():
            if name in rules.registry.names():
                return rules.model
        attribute = rest.partition(":")[0]
        if not attribute or "=" in attribute:
            return MIXED.model  # which says what it knows
        policy = import_class(f"{name}:{attribute}")
    model: str = getattr(policy, "model", MIXED.model)
    return model


def regime(model: str) -> OnlineRegime:
    """Return a regime by its name.

    Raises
    ------
    InputError
        If there is none of this name.

    Examples
    --------
    >>> list(regime("separate").registry.built_in)[0]
    'prefill-first'
    """
    if model not in REGIMES:
        known = alternatives(map(repr, REGIMES))
        raise InputError(f"model: expected {known}, found {model!r}")
    return REGIMES[model]
