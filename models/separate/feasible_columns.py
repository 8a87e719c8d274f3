"""Whether a schedule of separate batching is feasible, at once for all batches.

Part of the independent checker (`feasibility`): it takes the schedule's columns, knows only the
rules of docs/model/index.md §1 and docs/model/separate.md §1, and computes batch times from the law
itself. It says yes or no, in exact 64-bit arithmetic; what is violated the checker's walk through
the batches tells.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..batch_time import ConstantTime, UnitTime
from ..instance import Instance, IntArray
from .schedule import SeparateSchedule

#: Sums up to here are exact.
_LIMIT = 2**62


class _Jobs(NamedTuple):
    """The jobs request by request, those of each in order, shape (jobs,) each.

    `order` is each one's place in the schedule, `who` its request, `number` says how many jobs of
    the request come before it, and `batch` is its batch.
    """

    order: IntArray
    who: IntArray
    number: IntArray
    batch: IntArray


def surely_feasible(
    instance: Instance, schedule: SeparateSchedule, *, allow_rejected: bool = False
) -> bool:
    """Whether no rule is violated; where sums might not be exact in 64 bits, False.

    Parameters
    ----------
    instance : Instance
        What was to be scheduled.
    schedule : SeparateSchedule
        Anyone's schedule.
    allow_rejected : bool
        Whether requests may be in no batch.

    Raises
    ------
    InputError
        If a batch is of an unknown kind.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=7), arrival=[0], prompt=[3], output=[2])
    >>> schedule = SeparateSchedule([Batch("prompt", 0, (0,)), Batch("token", 1, (0,))])
    >>> surely_feasible(instance, schedule), surely_feasible(instance, SeparateSchedule([]))
    (True, False)
    """
    try:
        (prompt, size, member), start = schedule.columns, schedule.starts
    except OverflowError:
        return False
    if start.size == 0:
        return allow_rejected
    if size.min() < 1 or member.min() < 0 or member.max() >= instance.n:
        return False
    law = _picoseconds(instance)
    if law is None or max(-int(start.min()), int(start.max())) >= _LIMIT:
        return False
    jobs = _by_request(size, member)
    return (
        _all_served(instance, member, allow_rejected)
        and _within_limits(instance, prompt, size, member)
        and _in_order(instance, prompt, start, jobs)
        and _apart(instance, schedule, jobs, law)
        and _fits(instance, size, jobs)
    )


def _by_request(size: IntArray, member: IntArray) -> _Jobs:
    keys = member.astype(np.uint16) if member.max() < 2**16 else member
    order = np.argsort(keys, kind="stable")
    who = member[order]
    first = np.append(True, who[1:] != who[:-1])
    at = np.arange(who.size)
    number = at - np.maximum.accumulate(np.where(first, at, 0))
    return _Jobs(order, who, number, np.repeat(np.arange(size.size), size)[order])


def _all_served(instance: Instance, member: IntArray, allow_rejected: bool) -> bool:
    """Every request has one prompt job and ``o − 1`` token jobs, or if allowed none."""
    count = np.bincount(member, minlength=instance.n)
    served = count == instance.output
    return bool((served | (count == 0)).all() if allow_rejected else served.all())


def _within_limits(
    instance: Instance, prompt: NDArray[np.bool_], size: IntArray, member: IntArray
) -> bool:
    gpu = instance.gpu
    B_P, C_P, B_D = gpu.prompt_batch_requests, gpu.prompt_batch_tokens, gpu.token_batch_requests
    if B_P is not None and (size[prompt] > B_P).any():
        return False
    if B_D is not None and (size[~prompt] > B_D).any():
        return False
    tokens = _sums(size, instance.prompt[member])
    return C_P is None or not bool((tokens[prompt] > C_P).any())


def _in_order(instance: Instance, prompt: NDArray[np.bool_], start: IntArray, jobs: _Jobs) -> bool:
    """First comes the prompt, not before the arrival, then tokens; each in a batch of its own.

    As batches do not overlap (`_apart`), a later batch starts when the prompt's has ended.
    """
    first = jobs.number == 0
    arrived = start[jobs.batch[first]] >= instance.arrival[jobs.who[first]]
    later = first[1:] | (jobs.batch[1:] > jobs.batch[:-1])
    return bool((prompt[jobs.batch] == first).all() and arrived.all() and later.all())


def _apart(
    instance: Instance, schedule: SeparateSchedule, jobs: _Jobs, law: tuple[int, int, int, int, int]
) -> bool:
    """No batch starts before all earlier ones have ended."""
    (prompt, size, _), start = schedule.columns, schedule.starts
    of_prompt, of_token, c1, c2, c3 = law
    work = np.where(prompt, of_prompt, of_token + c2 * size)
    if c1 or c3:
        read = np.empty_like(jobs.who)
        s = instance.prompt[jobs.who]
        read[jobs.order] = np.where(jobs.number == 0, c1 * s, c3 * (s + jobs.number))
        work = work + _sums(size, read)
    divisor = 1 if isinstance(instance.gpu.batch_time, UnitTime | ConstantTime) else 10**6
    end = start - (-work // divisor)
    return bool((start[1:] >= end[:-1]).all())  # so each ends before all that come after it


def _fits(instance: Instance, size: IntArray, jobs: _Jobs) -> bool:
    """At the end of no batch are more than M tokens held, those that complete in it included."""
    s = instance.prompt[jobs.who]
    written, freed = np.empty_like(s), np.empty_like(s)
    written[jobs.order] = np.where(jobs.number == 0, s + 1, 1)
    o = instance.output[jobs.who]
    freed[jobs.order] = np.where(jobs.number + 1 == o, s + o, 0)
    done = np.cumsum(_sums(size, freed))
    held = np.cumsum(_sums(size, written)) - np.append(0, done[:-1])
    return bool((held <= instance.gpu.kv_capacity).all())


def _sums(size: IntArray, of_jobs: IntArray) -> IntArray:
    """Sum over the jobs of each batch; none is empty."""
    sums: IntArray = np.add.reduceat(of_jobs, np.cumsum(size) - size)
    return sums


def _picoseconds(instance: Instance) -> tuple[int, int, int, int, int] | None:
    """Parts of a batch's time: of prompt and token batches, per prompt token, job and KV token.

    Under the affine law in whole picoseconds. None if sums might not be exact.
    """
    law = instance.gpu.batch_time
    if isinstance(law, UnitTime):
        parts = (1, 1, 0, 0, 0)
    elif isinstance(law, ConstantTime):
        parts = (law.prompt, law.token, 0, 0, 0)
    else:
        prompts = law.c0 if law.c0_prompt is None else law.c0_prompt
        c0_prompt, c0, c1, c2, c3 = (
            round(Fraction(repr(c)) * 10**9) for c in (prompts, law.c0, law.c1, law.c2, law.c3)
        )
        parts = (c0_prompt, c0, c1, c2, c3)
    s, o = instance.prompt.tolist(), instance.output.tolist()
    tokens = sum(s) + sum(o)
    largest = max(parts[:2]) + (parts[2] + parts[4]) * tokens + parts[3] * instance.n
    return parts if max(largest, tokens) < _LIMIT else None
