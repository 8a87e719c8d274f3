"""Replay a claim by path graphs: build them again from the stored prices."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ....models.errors import InputError
from ....models.instance import Instance
from ...certificates.clock import Clock, OutOfMemory
from ...certificates.mixed.certified_configurations import certified_value
from ...certificates.mixed.path_search import PathSearch
from ...certificates.mixed.price_table import PriceTable
from ...certificates.one_by_one import latency_one_by_one, require_none_better
from ..bounds.column_types import column_types
from ..bounds.configuration import SCALE, ConfigurationPrices
from .sublimation import least_up_to

#: Sums of prices stay below this, in units of 1 / SCALE.
MOST_COST = 2**60

#: Largest table of costs, requests × rounds × outputs.
LARGEST_TABLE = 2**26


def replay(claim: PathSearch, instance: Instance, clock: Clock) -> int:
    """Return the claim's value if the graphs have no schedule below it.

    Parameters
    ----------
    claim : PathSearch
        Any claim, as a file has it.
    instance : Instance
        The instance (mixed batching).
    clock : Clock
        How long it may take.

    Raises
    ------
    InputError
        If the instance, the value or the prices are too large for the graphs.
    Contradicted
        If a schedule of a smaller latency is found.
    OutOfTime, OutOfMemory
        If time or memory do not suffice.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> table = PriceTable(scale=1, types=((7, 0),), price=[[0], [0], [0], [0], [1]])
    >>> replay(PathSearch(value=7, table=table), instance, Clock(None))
    7
    """
    alone = latency_one_by_one(instance.arrival.tolist(), instance.output.tolist())
    require_none_better(claim.value, alone)
    _require_sizes(instance, claim, clock)
    prices = _on_types(instance, claim.table)
    least = least_up_to(instance, prices, claim.value - 1, time_limit=clock.seconds_left)
    if least is None:
        clock.check()
        raise OutOfMemory("not verified: the path graphs do not fit the memory")
    require_none_better(claim.value, least)
    return claim.value


def _require_sizes(instance: Instance, claim: PathSearch, clock: Clock) -> None:
    """Refuse what would need tables beyond the memory, or sums beyond 64 bits."""
    table, longest = claim.table, int(instance.output.max())
    bound = certified_value(
        instance, scale=table.scale, types=table.types, price=table.price, clock=clock
    )
    last = max(table.price.shape[0], int(instance.arrival.max()) + 1)
    rounds = last + 2 + max(0, claim.value - int(bound))
    if instance.n * rounds * longest > LARGEST_TABLE:
        raise InputError(
            f"proof: path graphs are for at most {LARGEST_TABLE} costs (requests × rounds × "
            f"outputs), found {instance.n} × {rounds} × {longest}"
        )
    dearest = -(-int(table.price.max(initial=0)) * SCALE // table.scale)
    most = last * instance.gpu.kv_capacity + instance.n * longest
    if most * dearest + instance.n * rounds * SCALE > MOST_COST:
        raise InputError(f"proof: path graphs are for costs below {MOST_COST}, found larger prices")


def _on_types(instance: Instance, table: PriceTable) -> ConfigurationPrices:
    """Prices in units of ``1 / SCALE`` on the instance's own types; others cannot be paid."""
    types = column_types(instance)
    pairs = list(zip(types.size.tolist(), types.to_go.tolist(), strict=True))
    place = {pair: q for q, pair in enumerate(table.types)}
    price = np.zeros((table.price.shape[0], len(pairs)), np.int64)
    for q, pair in enumerate(pairs):
        if pair in place:
            whole, rest = np.divmod(table.price[:, place[pair]], table.scale)
            price[:, q] = whole * SCALE + rest * SCALE // table.scale
    return ConfigurationPrices(price, Fraction(0), 0)
