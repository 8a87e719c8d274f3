"""The instance and its GPU as compiled code takes them: numbers and columns only."""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from ...models.durations import Durations, batch_durations
from ...models.instance import Instance, IntArray
from ...models.separate.problem import require_separate


class Machine(NamedTuple):
    """Requests and GPU under separate batching; the symbols of docs/model/index.md §1.

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


def machine_of(instance: Instance) -> Machine:
    """Return the machine of an instance.

    Raises
    ------
    InputError
        If times under separate batching leave exact 64-bit arithmetic.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, prompt_batch_requests=1)
    >>> machine = machine_of(Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2]))
    >>> machine.B_P, machine.C_P, machine.B_D
    (1, 4, 2)
    """
    require_separate(instance)
    gpu, n = instance.gpu, instance.n
    return Machine(
        arrival=instance.arrival.copy(),
        prompt=instance.prompt.copy(),
        output=instance.output.copy(),
        B_P=min(gpu.prompt_batch_requests or n, n),
        C_P=gpu.prompt_batch_tokens or int(instance.prompt.sum()),
        B_D=min(gpu.token_batch_requests or n, n),
        M=gpu.kv_capacity,
        law=batch_durations(instance),
    )


@njit(cache=True, nogil=True)
def prompt_time(law: Durations, p: int) -> int:
    """Time of a prompt batch of p prompt tokens, as `Durations.prompt_batch`."""
    return -(-(law.prompt + law.per_prompt_token * p) // law.divisor)


@njit(cache=True, nogil=True)
def token_time(law: Durations, d: int, kv: int) -> int:
    """Time of a token batch of d token jobs that read kv KV tokens, as `Durations.token_batch`."""
    return -(-(law.token + law.per_token_job * d + law.per_kv_token * kv) // law.divisor)
