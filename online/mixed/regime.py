"""Mixed batching, as `online.regimes` has it."""

from __future__ import annotations

from ...models.mixed.regime import MIXED as RULES
from ..regime import OnlineRegime
from .conformance import begun, decided, random_instance
from .policy import REGISTRY
from .simulator import simulate

MIXED = OnlineRegime(
    rules=RULES,
    registry=REGISTRY,
    simulate=simulate,
    random_instance=random_instance,
    decided=decided,
    begun=begun,
    kernels=(("online.mixed.kernels.evicting", "_run"), ("online.mixed.kernels.sorted_f", "_run")),
    samples=("sorted-f", "vllm"),
)
