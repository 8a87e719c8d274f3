"""Which instances the mixed regime takes, and its limits as numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..batch_time import UnitTime
from ..errors import InputError
from ..instance import Instance


class Limits(NamedTuple):
    """Limits of a GPU under mixed batching, as integers that compiled code can take.

    Attributes
    ----------
    running : int
        B, requests in a round; where there is no limit, n.
    tokens : int
        C, tokens in a round (a prompt job of request i has s_i, a token job 1); where there is no
        limit, Σ s_i, which no round exceeds.
    """

    running: int
    tokens: int


def limits(instance: Instance) -> Limits:
    """Return the limits of an instance's GPU on a round, resolved to integers.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=40, batch_tokens=6)
    >>> limits(Instance(gpu=gpu, arrival=[0, 0], prompt=[3, 5], output=[4, 4]))
    Limits(running=2, tokens=6)
    """
    gpu, n, everything = instance.gpu, instance.n, int(instance.prompt.sum())
    return Limits(
        running=n if gpu.running_requests is None else min(n, gpu.running_requests),
        tokens=everything if gpu.batch_tokens is None else min(everything, gpu.batch_tokens),
    )


def is_limited(instance: Instance) -> bool:
    """Whether a limit on rounds can ever bind where the KV capacity does not.

    Every member of a round holds at least one KV token more than it counts, and at least two: so
    a round has at most M // 2 requests, and at most M − 1 tokens.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> columns = {"arrival": [0, 0, 0], "prompt": [3, 2, 3], "output": [4, 4, 4]}
    >>> [is_limited(Instance(gpu=Gpu(kv_capacity=9, running_requests=B), **columns))
    ...  for B in (None, 2, 3)]
    [False, True, False]
    """
    M, most = instance.gpu.kv_capacity, limits(instance)
    everything = int(instance.prompt.sum())
    return most.running < min(instance.n, M // 2) or most.tokens < min(everything, M - 1)


def without_limits(instance: Instance) -> Instance:
    """Return the instance with no limit but the KV capacity: its optimum is no worse.

    Every feasible schedule of an instance is one of this relaxation. So whatever is proved of all
    schedules of the relaxation, a bound above all, holds for all of the instance.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, running_requests=1)
    >>> two = Instance(gpu=gpu, arrival=[0, 0], prompt=[3, 1], output=[4, 2])
    >>> print(without_limits(two).gpu.running_requests)
    None
    """
    if not is_limited(instance):
        return instance
    return instance.replace(gpu=replace(instance.gpu, running_requests=None, batch_tokens=None))


def require_mixed(instance: Instance) -> None:
    """Refuse an instance that mixed batching (unit batch times) cannot express or serve.

    Raises
    ------
    InputError
        If the instance has another batch-time law, limits of separate batching, blocks of KV
        memory, or a prompt longer than the token budget of a round; the message says what to drop
        or to change.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> limited = Gpu(kv_capacity=9, token_batch_requests=2)
    >>> require_mixed(Instance(gpu=limited, arrival=[0], prompt=[3], output=[4]))
    Traceback (most recent call last):
    ...
    batchprophet.models.errors.InputError: gpu: mixed batching knows no limits of separate \
batching and no KV blocks; drop token_batch_requests from 'instance'
    >>> small = Gpu(kv_capacity=9, batch_tokens=2)
    >>> require_mixed(Instance(gpu=small, arrival=[0], prompt=[3], output=[4]))
    Traceback (most recent call last):
    ...
    batchprophet.models.errors.InputError: requests[0].prompt: must be at most gpu.batch_tokens = \
2, since mixed batching reads a prompt in one round, found 3
    """
    gpu = instance.gpu
    law = gpu.batch_time
    if not isinstance(law, UnitTime):
        raise InputError(
            f"gpu.batch_time: mixed batching takes unit batch times, found the {law.name} law; "
            f"drop batch_time from {instance.name!r}"
        )
    found = (*gpu.batch_limits, *(("kv_block",) if gpu.kv_block > 1 else ()))
    if found:
        names = ", ".join(found)
        raise InputError(
            "gpu: mixed batching knows no limits of separate batching and no KV blocks; drop "
            f"{names} from {instance.name!r}"
        )
    C = gpu.batch_tokens
    if C is not None and int(instance.prompt.max()) > C:
        i = int(np.flatnonzero(instance.prompt > C)[0])
        raise InputError(
            f"requests[{i}].prompt: must be at most gpu.batch_tokens = {C}, since mixed batching "
            f"reads a prompt in one round, found {int(instance.prompt[i])}"
        )
