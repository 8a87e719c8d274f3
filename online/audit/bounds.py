"""A proof for one instance that says something of another."""

from __future__ import annotations

from typing import Any

from ...models.instance import Instance
from ...models.objectives import Exact
from ...solvers.certificates.clock import Clock
from ..evaluation import Comparison

#: Kinds of proofs that are prices, quick to evaluate for another instance.
TRANSFERABLE = ("batch-length-prices",)


def transferred(comparison: Comparison, instance: Instance, known: Exact | None) -> Exact | None:
    """Return the better of a known bound and what the proof of a comparison says of an instance.

    Prices prove a bound for every instance with as many requests, whatever they were found for.
    """
    certificate = comparison.solution.certificate
    if certificate is None or certificate.proof.kind not in TRANSFERABLE:
        return known
    proof: Any = certificate.proof  # one of the kinds above
    found: Exact = proof.bound(instance, "latency", Clock(None))
    return found if known is None else max(known, found)
