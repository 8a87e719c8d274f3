"""Where the requests' time goes under continuous batching: queue, prompts, tokens, preemption."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ...models.continuous.problem import limits
from ...models.continuous.schedule import ContinuousSchedule
from ...models.durations import batch_durations
from ...models.instance import Instance, IntArray
from .breakdown_kernels import Followed, first_unbegun, follow, weight_above

#: More tokens than any request has.
_NEVER = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAccount:
    """The total latency, split by what each request and the GPU do; times in the law's unit.

    All fields add up to the total latency Σ (c_i − a_i), exactly.

    Before its first chunk a request is in the queue. What keeps it out of a batch is the first of
    four that applies: the seats, the token budget, the KV blocks, or its turn. Blocks keep it out
    if they do not hold its whole prompt, or that of the earliest request in the queue: engines
    admit in order of arrival, and vLLM only what fits as a whole.

    Attributes
    ----------
    arriving : int
        Time from arrivals to the end of the batch in progress.
    waiting_seats : int
        Time in the queue while as many requests hold a cache as may.
    waiting_tokens : int
        … while the batch has no token left for it.
    waiting_kv : int
        … while the free blocks do not hold its prompt, or that of the first in the queue.
    waiting_turn : int
        … while it could be in the batch: the policy holds it back.
    idle : int
        Time of requests, waiting or running, while the GPU idles.
    preempted : int
        Time without a cache after a preemption.
    recompute : int
        Time in batches that read a request's prompt and tokens again.
    prefill : int
        Time in batches that read a chunk of its prompt.
    paused : int
        Time with a cache in batches that serve others only.
    decode_own : int
        Of the time in batches that give it a token: its own work, c2 + c3·(s + g) each.
    decode_fixed : int
        … the intercept c0 of these batches, whole for each of their requests: they share it, and
        none would have a token sooner without the others.
    decode_prompts : int
        … the prompt chunks of others in them.
    decode_tokens : int
        … the token jobs of others, and rounding up to whole units.
    """

    arriving: int
    waiting_seats: int
    waiting_tokens: int
    waiting_kv: int
    waiting_turn: int
    idle: int
    preempted: int
    recompute: int
    prefill: int
    paused: int
    decode_own: int
    decode_fixed: int
    decode_prompts: int
    decode_tokens: int

    def facts(self) -> list[tuple[str, str]]:
        """Say where the requests' time goes, as shares of the total latency."""
        total = max(1, sum(getattr(self, field.name) for field in fields(self)))

        def share(*times: int) -> str:
            return f"{sum(times) / total:.1%}"

        return [
            (
                "queue",
                f"{share(self.arriving)} of the latency in the batch at arrival, "
                f"{share(self.waiting_seats)} for seats, {share(self.waiting_tokens)} for the "
                f"token budget, {share(self.waiting_kv)} for KV, {share(self.waiting_turn)} for "
                "its turn",
            ),
            (
                "prompts",
                f"{share(self.prefill)} while they are read, {share(self.paused)} paused, "
                f"{share(self.preempted)} preempted, {share(self.recompute)} read again",
            ),
            (
                "tokens",
                f"{share(self.decode_own)} own work, {share(self.decode_fixed)} the batches' "
                f"fixed time, {share(self.decode_prompts)} prompts and "
                f"{share(self.decode_tokens)} tokens of others",
            ),
            ("idle", f"{share(self.idle)} while the GPU idles"),
        ]


#: The fields of `TimeAccount`, which are the columns of `by_request`.
HEADINGS = tuple(field.name for field in fields(TimeAccount))


def account(instance: Instance, schedule: ContinuousSchedule) -> TimeAccount:
    """Split the total latency of a feasible schedule that serves every request.

    Examples
    --------
    There is one seat: the second request waits for it through two batches of the first.

    >>> from batchprophet.models.continuous.schedule import Batch
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, running_requests=1)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[3, 1], output=[2, 1])
    >>> batches = [Batch(0, ((0, 3),)), Batch(1, decode=(0,)), Batch(2, ((1, 1),))]
    >>> split = account(instance, ContinuousSchedule(batches))
    >>> split.waiting_seats, split.prefill, split.decode_fixed
    (2, 2, 1)
    """
    totals = by_request(instance, schedule)
    return TimeAccount(
        **{name: sum(column.tolist()) for name, column in zip(HEADINGS, totals.T, strict=True)}
    )


def by_request(instance: Instance, schedule: ContinuousSchedule) -> IntArray:
    """Split each request's latency, shape (n, 14): the columns are `HEADINGS`, in their order.

    Examples
    --------
    >>> from batchprophet.models.continuous.schedule import Batch
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[2])
    >>> batches = [Batch(1, ((0, 3),)), Batch(2, decode=(0,))]
    >>> table = by_request(instance, ContinuousSchedule(batches))
    >>> {name: time for name, time in zip(HEADINGS, table[0].tolist()) if time}
    {'idle': 1, 'prefill': 1, 'decode_fixed': 1}
    """
    law, gpu = batch_durations(instance), limits(instance)
    columns = schedule.columns
    seen = follow(instance.prompt, instance.output, law, gpu.block, columns)
    queue = _queue(instance, schedule, seen)
    latency = seen.completion - instance.arrival
    busy = _busy(columns.start, seen.end, seen.completion)
    busy -= _busy(columns.start, seen.end, instance.arrival)
    own, prompts = seen.own // law.divisor, seen.prompts // law.divisor
    fixed = seen.jobs * law.token // law.divisor
    table = queue | {
        "idle": latency - busy,
        "preempted": seen.preempted,
        "recompute": seen.recompute,
        "prefill": seen.prefill,
        "decode_own": own,
        "decode_fixed": fixed,
        "decode_prompts": prompts,
        "decode_tokens": seen.decode - own - fixed - prompts,
    }
    table["paused"] = latency - sum(table.values())
    return np.stack([table[name] for name in HEADINGS], axis=1)


def _queue(instance: Instance, schedule: ContinuousSchedule, seen: Followed) -> dict[str, IntArray]:
    """Split the time from each request's arrival to its first batch, but for the GPU's idling."""
    gpu, columns = limits(instance), schedule.columns
    taken = seen.end - columns.start
    entered, first = np.searchsorted(columns.start, instance.arrival, side="left"), seen.first
    left = gpu.tokens - seen.prompt_tokens - columns.jobs
    free = (gpu.blocks - seen.blocks) * gpu.block
    no_token = np.where(left > 0, _NEVER, 0) if gpu.chunked else left  # any token left is a chunk
    by_arrival = np.argsort(instance.arrival, kind="stable")
    head = by_arrival[first_unbegun(first[by_arrival], columns.start.size)]
    no_block = np.where(instance.prompt[head] > free, 0, free)
    seated = np.where(seen.running < gpu.running, taken, 0)

    def kept_out(weight: IntArray, above: IntArray) -> IntArray:
        return weight_above(weight, above, entered, first, instance.prompt)

    whole = kept_out(taken, np.zeros_like(taken))
    with_seat = kept_out(seated, np.zeros_like(taken))
    tokens = kept_out(seated, no_token)
    tokens_or_blocks = kept_out(seated, np.minimum(no_token, no_block))
    before = _busy(columns.start, seen.end, columns.start[first])
    return {
        "arriving": before - _busy(columns.start, seen.end, instance.arrival) - whole,
        "waiting_seats": whole - with_seat,
        "waiting_tokens": tokens,
        "waiting_kv": tokens_or_blocks - tokens,
        "waiting_turn": with_seat - tokens_or_blocks,
    }


def _busy(start: IntArray, end: IntArray, moments: IntArray) -> IntArray:
    """Time of the batches ``[start, end)`` before each moment."""
    lasted = np.concatenate([[0], np.cumsum(end - start)])
    begun = np.searchsorted(start, moments, side="right")
    return lasted[begun] - np.where(begun > 0, np.maximum(0, end[begun - 1] - moments), 0)
