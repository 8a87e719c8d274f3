"""The independent checker of continuous batching: every violated rule, when, and by how much.

It shares no code with formulations, decoders and simulators, nor with the durations and the
timeline that they use: it knows only the rules of docs/model/continuous.md and computes batch times from the
law itself, in whole picoseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from ..batch_time import AffineTime
from ..errors import InputError
from ..instance import Instance
from ..violation import Violation
from .problem import require_continuous
from .schedule import Columns, ContinuousSchedule

#: Times in schedules stay below this, in absolute value.
_LIMIT = 2**62


def check_continuous(
    instance: Instance, schedule: ContinuousSchedule, *, allow_rejected: bool = False
) -> list[Violation]:
    """List every rule of continuous batching that a schedule violates; none means feasible.

    What is violated has no effect in what follows: a token job of a request whose prompt is not
    read emits nothing.

    Parameters
    ----------
    instance : Instance
        What was to be scheduled.
    schedule : ContinuousSchedule
        Anyone's schedule.
    allow_rejected : bool
        Whether requests may be in no batch (admission: they were rejected).

    Returns
    -------
    list of Violation
        In order of the batches; what is not served comes last.

    Raises
    ------
    InputError
        If the instance is none of continuous batching, or a batch holds a request that the
        instance does not have, or starts beyond 2^62.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.continuous.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=6), arrival=[0, 0], prompt=[3, 1], output=[2, 4])
    >>> first = Batch(0, prefill=((0, 3), (1, 1)))
    >>> both = [Batch(k, decode=(0, 1) if k == 1 else (1,)) for k in (1, 2, 3)]
    >>> check_continuous(instance, ContinuousSchedule([first, *both]))
    []
    >>> early = ContinuousSchedule([Batch(0, prefill=((1, 1),), decode=(0,))])
    >>> for violation in check_continuous(instance, early)[:1]:
    ...     print(violation.message)
    batch at 0 has a token job of request r0 before its prompt is read

    References
    ----------
    docs/model/continuous.md §1.
    """
    require_continuous(instance)
    columns = schedule.columns
    _require_known(instance, columns)
    law = instance.gpu.batch_time
    if isinstance(law, AffineTime):
        prompts = law.c0 if law.c0_prompt is None else law.c0_prompt
        numbers = (prompts, law.c0, law.c1, law.c2, law.c3)
        parts = np.array([round(Fraction(repr(c)) * 10**9) for c in numbers], dtype=np.int64)
    else:
        parts = np.array([1, 1, 0, 0, 0], dtype=np.int64)
    divisor = 10**6 if isinstance(law, AffineTime) else 1
    gpu = instance.gpu
    bounds = np.array(
        [
            gpu.kv_capacity // gpu.kv_block,
            gpu.kv_block,
            -1 if gpu.running_requests is None else gpu.running_requests,
            -1 if gpu.batch_tokens is None else gpu.batch_tokens,
            gpu.chunked_prefill,
            allow_rejected,
        ],
        dtype=np.int64,
    )
    requests = np.stack([instance.arrival, instance.prompt, instance.output])
    from .violations import violations  # its compiled code is not for those who list regimes

    found, rows = 0, np.zeros((64, 5), np.int64)
    while True:
        found = violations(requests, columns, parts, divisor, bounds, rows)
        if found <= len(rows):
            return list(_told(instance, rows[:found].tolist()))
        rows = np.zeros((found, 5), np.int64)


def _require_known(instance: Instance, columns: Columns) -> None:
    for name, who in (
        ("prefill", columns.chunk_of),
        ("decode", columns.job_of),
        ("preempt", columns.drop_of),
    ):
        wrong = np.flatnonzero((who < 0) | (who >= instance.n))
        if wrong.size:
            raise InputError(
                f"schedule.batches: {name}: expected requests from 0 to {instance.n - 1}, found "
                f"{int(who[wrong[0]])}"
            )
    start = columns.start
    if start.size and (int(start.min()) <= -_LIMIT or int(start.max()) >= _LIMIT):
        raise InputError("schedule.batches: start: expected times below 2^62")


#: What each rule says; {at} is the time, {who} the request, {found} and {allowed} the numbers.
_MESSAGES = {
    "empty-batch": "batch at {at} holds no request",
    "overlap": "batch at {at} starts before an earlier one ends at {allowed}",
    "preempt": "batch at {at} drops the cache of request {who}, which holds none",
    "twice": "batch at {at} holds request {who} more than once",
    "arrival": "batch at {at} holds request {who} before its arrival at {allowed}",
    "chunk": "batch at {at} reads {found} prompt tokens of request {who}, which has {allowed} left",
    "whole-prompt": "batch at {at} reads {found} of the {allowed} prompt tokens of request {who}, "
    "though prompts are not read in chunks",
    "tokens": "batch at {at} holds request {who}, whose {allowed} output tokens are complete",
    "prompt-first": "batch at {at} has a token job of request {who} before its prompt is read",
    "batch-tokens": "batch at {at} has {found} tokens, more than {allowed}",
    "running-requests": "{found} requests hold a cache at {at}, more than {allowed}",
    "kv-capacity": "KV capacity {allowed} exceeded at {at} ({found} tokens held, in whole blocks)",
    "unserved": "request {who} gets {found} of its {allowed} output tokens",
}

#: The rules, as `violations` numbers them.
RULES = tuple(_MESSAGES)


def _told(instance: Instance, rows: list[list[int]]) -> Iterator[Violation]:
    """Say what the rows mean."""
    for number, at, i, found, allowed in rows:
        rule = RULES[number]
        who = instance.request_id(i) if i >= 0 else ""
        message = _MESSAGES[rule].format(at=at, who=who, found=found, allowed=allowed)
        yield Violation(rule, at, max(1, abs(found - allowed)), message, i if i >= 0 else None)
