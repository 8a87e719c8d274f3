"""The two batching regimes, as whoever compares policies needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..models.errors import InputError
from ..models.instance import Instance
from ..models.mixed.metrics import Metrics, measure
from ..models.mixed.regime import require_mixed
from ..models.regimes import Schedule
from ..models.separate.metrics import SeparateMetrics, measure_separate
from ..models.separate.regime import require_separate
from .mixed.policy import REGISTRY
from .mixed.simulator import simulate
from .registry import PolicyRegistry
from .separate.policy import REGISTRY as SEPARATE_REGISTRY
from .separate.simulator import simulate_separate

#: Figures of a schedule of either regime.
AnyMetrics = Metrics | SeparateMetrics


@dataclass(frozen=True, slots=True)
class Regime:
    """One batching regime.

    Attributes
    ----------
    model : {"mixed", "separate"}
        Its name.
    registry : PolicyRegistry
        Its policies.
    require : callable
        Refuses instances that it cannot take, by `InputError`.
    simulate : callable
        Runs one of its policies: ``simulate(instance, policy, seed=…, compiled=…)``.
    measure : callable
        Computes the figures of one of its schedules.
    """

    model: str
    registry: PolicyRegistry
    require: Callable[[Instance], None]
    simulate: Callable[..., Schedule]
    measure: Callable[[Instance, Any], AnyMetrics]


#: The regimes by name.
REGIMES: Mapping[str, Regime] = MappingProxyType(
    {
        "mixed": Regime("mixed", REGISTRY, require_mixed, simulate, measure),
        "separate": Regime(
            "separate", SEPARATE_REGISTRY, require_separate, simulate_separate, measure_separate
        ),
    }
)


def regime(model: str) -> Regime:
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
        raise InputError(f"model: expected 'mixed' or 'separate', found {model!r}")
    return REGIMES[model]
