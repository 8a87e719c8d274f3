"""Continuous batching, as `online.regimes` has it."""

from __future__ import annotations

from ...models.continuous.regime import CONTINUOUS as RULES
from ..regime import OnlineRegime
from .conformance import begun, decided, random_instance
from .policy import REGISTRY
from .simulator import simulate_continuous

CONTINUOUS = OnlineRegime(
    rules=RULES,
    registry=REGISTRY,
    simulate=simulate_continuous,
    random_instance=random_instance,
    decided=decided,
    begun=begun,
)
