"""What separate batching needs to know of an instance, checked and computed once."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..durations import Durations, batch_durations
from ..errors import InputError
from ..instance import ARITHMETIC_LIMIT, Instance, IntArray


class Problem(NamedTuple):
    """An instance under separate batching, as numbers and columns that compiled code takes.

    The symbols are those of docs/model/index.md §1.

    Attributes
    ----------
    arrival, prompt, output : ndarray of int64, shape (n,)
        a, s and o of each request.
    B_P, C_P, B_D : int
        Batch limits; where there is none, what no batch can exceed (n, Σ s, n).
    M : int
        KV capacity in tokens.
    law : Durations
        Batch times in whole units.
    """

    arrival: IntArray
    prompt: IntArray
    output: IntArray
    B_P: int
    C_P: int
    B_D: int
    M: int
    law: Durations


def separate_problem(instance: Instance) -> Problem:
    """Return the problem of an instance; it is checked and made at the first call.

    Raises
    ------
    InputError
        As `require_separate` does.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, prompt_batch_requests=1)
    >>> instance = Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> problem = separate_problem(instance)
    >>> problem.B_P, problem.C_P, problem.B_D
    (1, 4, 2)
    >>> separate_problem(instance) is problem
    True
    """
    return instance.derived(_problem)


def _problem(instance: Instance) -> Problem:
    require_separate(instance)
    gpu, n = instance.gpu, instance.n
    return Problem(
        arrival=instance.arrival.copy(),
        prompt=instance.prompt.copy(),
        output=instance.output.copy(),
        B_P=min(gpu.prompt_batch_requests or n, n),
        C_P=gpu.prompt_batch_tokens or int(instance.prompt.sum()),
        B_D=min(gpu.token_batch_requests or n, n),
        M=gpu.kv_capacity,
        law=batch_durations(instance),
    )


def require_separate(instance: Instance) -> None:
    """Refuse an instance whose times under separate batching leave exact 64-bit arithmetic.

    Limits of continuous batching are refused; what no GPU can run (a prompt longer than C_P, a
    request with s_i + o_i > M, a limit or a batch time of 0) is refused already when the instance
    is made. Every law and every other limit is taken.
    Here: n times a completion of the serial schedule (one job per batch) must stay below 2^62, so
    that total latencies and completions can be computed.

    Raises
    ------
    InputError
        If they do not; the message says what to change.

    Examples
    --------
    >>> from batchprophet.models.batch_time import ConstantTime
    >>> from batchprophet.models.instance import Gpu
    >>> slow = Gpu(kv_capacity=9, batch_time=ConstantTime(prompt=10**12, token=1))
    >>> many = {"arrival": [0] * 3000, "prompt": [3] * 3000, "output": [4] * 3000}
    >>> require_separate(Instance(gpu=slow, **many))
    Traceback (most recent call last):
    ...
    batchprophet.models.errors.InputError: gpu.batch_time: n × the end of the serial schedule must \
stay below 2^62 for exact arithmetic, found 3000 × 3000000000009000 in 'instance'; use a coarser \
time unit
    """
    if instance.gpu.continuous_limits:
        limits = ", ".join(instance.gpu.continuous_limits)
        raise InputError(
            f"gpu: separate batching knows no limits of continuous batching; drop {limits} from "
            f"{instance.name!r}"
        )
    end = int(instance.arrival.max()) + serial_work(instance)
    if instance.n * end >= ARITHMETIC_LIMIT:
        raise InputError(
            "gpu.batch_time: n × the end of the serial schedule must stay below 2^62 for exact "
            f"arithmetic, found {instance.n} × {end} in {instance.name!r}; use a coarser time unit"
        )


def serial_work(instance: Instance) -> int:
    """Sum over the requests of their times alone on the GPU, one job per batch.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> serial_work(Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2]))
    6
    """
    return sum(times_alone(instance))


def times_alone(instance: Instance) -> list[int]:
    """Time of each request alone on the GPU: its prompt batch, then its o_i − 1 token batches.

    Examples
    --------
    >>> from batchprophet.models.batch_time import AffineTime
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, batch_time=AffineTime(c0=0.01, c1=0.002, c2=0.001, c3=0.001))
    >>> times_alone(Instance(gpu=gpu, arrival=[0], prompt=[3], output=[3]))  # 16, then 15 and 16 µs
    [47]
    """
    law = batch_durations(instance)
    lengths = zip(instance.prompt.tolist(), instance.output.tolist(), strict=True)
    return [law.prompt_batch(s) + _token_batches_alone(law, s, o) for s, o in lengths]


def time_alone(instance: Instance) -> IntArray:
    """Return the `times_alone` as an array, shape (n,), computed at the first call."""
    return instance.derived(_time_alone)


def _time_alone(instance: Instance) -> IntArray:
    alone = np.array(times_alone(instance), dtype=np.int64)
    alone.setflags(write=False)
    return alone


@lru_cache(maxsize=2**16)
def _token_batches_alone(law: Durations, s: int, o: int) -> int:
    """Σ over the token jobs g = 1 … o − 1 of ``token_batch(1, s + g)``; < 2^62 by the law's check.

    It is asked for again and again of the same requests.
    """
    if not law.per_kv_token:
        return (o - 1) * law.token_batch(1, s)
    return int(law.token_batch(1, s + np.arange(1, o)).sum())
