"""Quick lower bounds for continuous batching, each with its proof."""

from __future__ import annotations

from ....models.instance import Instance
from ....models.objectives import Exact
from ...certificates.clock import Clock
from ...certificates.continuous.simple import FOR_ALL, ROUTINES, ContinuousBound


def simple_bounds(
    instance: Instance, objective: str = "latency"
) -> list[tuple[Exact, ContinuousBound]]:
    """Return the bounds on an objective that take no search.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> [(str(bound), proof.name) for bound, proof in simple_bounds(instance)]
    [('6', 'served at arrival'), ('3', 'work, shortest remaining first')]
    """
    names = ROUTINES if objective == "latency" else (FOR_ALL,)
    proofs = [ContinuousBound(name=name) for name in names]
    return [(proof.bound(instance, objective, Clock(None)), proof) for proof in proofs]
