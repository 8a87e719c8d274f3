"""From the prices of a search to the table that a certificate holds."""

from __future__ import annotations

import numpy as np

from ....models.instance import Instance
from ...certificates.mixed.price_table import PriceTable
from ..bounds.column_types import column_types, first_rounds
from ..bounds.configuration import ConfigurationPrices


def price_table(instance: Instance, prices: ConfigurationPrices) -> PriceTable:
    """Take over the prices of a search, without those that no request can ever pay.

    Before the first request that can be of a type in a round arrives, the type's price can only
    raise what is deducted.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.mixed.schedule import MixedSchedule
    >>> from batchprophet.solvers.mixed.bounds.configuration import configuration_prices
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> prices = configuration_prices(instance, MixedSchedule([0, 3]), work_limit=10)
    >>> price_table(instance, prices).types
    ((4, 3), (5, 2), (2, 1), (6, 1), (3, 0), (7, 0))
    """
    types = column_types(instance)
    payable = np.arange(prices.price.shape[0])[:, None] >= first_rounds(instance, types)
    pairs = zip(types.size.tolist(), types.to_go.tolist(), strict=True)
    return PriceTable(
        scale=prices.scale, types=tuple(pairs), price=np.where(payable, prices.price, 0)
    )
