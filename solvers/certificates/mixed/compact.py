"""Make a certificate small before it is written: prices with fewer digits that prove the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from ....models.instance import Instance
from ..certificate import Certificate
from ..clock import Clock
from .configuration_prices import ConfigurationPriceProof
from .exhaustive_search import ExhaustiveSearch
from .path_search import PathSearch
from .price_table import PriceTable

#: Scales that are tried, coarsest first.
SCALES = (2**8, 2**10, 2**12, 2**16)

#: Rounds of bound that the prices of a search may lose: its length depends on them.
TOLERANCE = Fraction(1, 64)


def compact(certificate: Certificate, instance: Instance) -> Certificate:
    """Round the prices of a certificate to the coarsest scale at which it still holds.

    Parameters
    ----------
    certificate : Certificate
        A valid certificate of the instance.
    instance : Instance
        The instance.

    Returns
    -------
    Certificate
        The same claim, with a proof that is no longer.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.hindsight import solve
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> certificate = solve(instance).certificate
    >>> certificate.proof.table.scale, compact(certificate, instance).proof.table.scale
    (1048576, 256)
    """
    proof = certificate.proof
    if isinstance(proof, ConfigurationPriceProof):
        claim = certificate.bound - Fraction(1)  # any bound above it rounds up to the claim
        table = _coarsest(proof.table, instance, lambda bound: bound > claim)
        return replace(certificate, proof=replace(proof, table=table))
    if isinstance(proof, ExhaustiveSearch | PathSearch):
        least = _bound(proof.table, instance) - TOLERANCE
        table = _coarsest(proof.table, instance, lambda bound: bound >= least)
        return replace(certificate, proof=replace(proof, table=table))
    return certificate


def _coarsest(
    table: PriceTable, instance: Instance, suffices: Callable[[Fraction], bool]
) -> PriceTable:
    for scale in SCALES:
        if table.scale % scale == 0:
            rounded = table.coarser(scale)
            if suffices(_bound(rounded, instance)):
                return rounded
    return table


def _bound(table: PriceTable, instance: Instance) -> Fraction:
    return Fraction(ConfigurationPriceProof(table=table).bound(instance, "latency", Clock(None)))
