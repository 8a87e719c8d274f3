"""Which instances the mixed regime takes: unit batch times and no batch limits."""

from __future__ import annotations

from ..batch_time import UnitTime
from ..errors import InputError
from ..instance import Instance


def require_mixed(instance: Instance) -> None:
    """Refuse an instance that mixed batching (unit-time, without batch limits) cannot express.

    Raises
    ------
    InputError
        If the instance has another batch-time law or batch limits; the message says what to drop.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> limited = Gpu(kv_capacity=9, token_batch_requests=2)
    >>> require_mixed(Instance(gpu=limited, arrival=[0], prompt=[3], output=[4]))
    Traceback (most recent call last):
    ...
    batchprophet.models.errors.InputError: gpu: mixed batching knows no batch limits; drop \
token_batch_requests from 'instance'
    """
    law = instance.gpu.batch_time
    if not isinstance(law, UnitTime):
        raise InputError(
            f"gpu.batch_time: mixed batching takes unit batch times, found the {law.name} law; "
            f"drop batch_time from {instance.name!r}"
        )
    found = (*instance.gpu.batch_limits, *instance.gpu.continuous_limits)
    if found:
        limits = ", ".join(found)
        raise InputError(
            f"gpu: mixed batching knows no batch limits; drop {limits} from {instance.name!r}"
        )
