"""The instance and its GPU as compiled code takes them: numbers and columns only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from numba import njit

from ...models.durations import Durations
from ...models.instance import Instance, IntArray
from ...models.separate.problem import separate_problem


class Machine(NamedTuple):
    """Requests and GPU under separate batching; the symbols of docs/model.md §1.

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
    problem = separate_problem(instance)
    return Machine(
        arrival=instance.arrival.copy(),
        prompt=instance.prompt.copy(),
        output=instance.output.copy(),
        B_P=problem.B_P,
        C_P=problem.C_P,
        B_D=problem.B_D,
        M=instance.gpu.kv_capacity,
        law=problem.law,
    )


#: The batch-time law, compiled. (The types that numba declares know no generic functions.)
_compiled: Callable[[Callable[..., Any]], Callable[..., int]] = njit(cache=True, nogil=True)
prompt_time = _compiled(Durations.prompt_batch)
token_time = _compiled(Durations.token_batch)
