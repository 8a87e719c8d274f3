"""Where the requests' time goes: served, held up, or waiting, and why."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ...models.instance import Instance, IntArray
from ...models.separate.schedule import SeparateSchedule
from ...models.separate.timeline import Timeline, timeline
from .blocked import blocked_batches

_Choice = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAccount:
    """The total latency, split by what each request and the GPU do; times in the law's unit.

    All fields but the last two add up to the total latency Σ (c_i − a_i), exactly.

    Attributes
    ----------
    prompt, token : int
        Requests' time in batches that serve them.
    waiting_prompts : int
        Time of requests that wait for their prompt batch while a prompt batch serves others.
    waiting_tokens : int
        … while a token batch runs that did not have to: a waiting request could be admitted.
    waiting_kv : int
        … while a token batch runs because of the KV cache: no waiting request could be admitted and
        all still finish.
    waiting_idle : int
        … while the GPU idles.
    paused_prompts : int
        Time of running requests while a prompt batch serves others: they hold KV and stand still.
    paused_tokens : int
        … while a token batch leaves them out.
    paused_idle : int
        … while the GPU idles.
    stalled_idle : int
        Time in which the GPU idles though a request is present.
    blocked_kv : int
        Time of token batches that start while the KV cache keeps a waiting request out.
    """

    prompt: int
    token: int
    waiting_prompts: int
    waiting_tokens: int
    waiting_kv: int
    waiting_idle: int
    paused_prompts: int
    paused_tokens: int
    paused_idle: int
    stalled_idle: int
    blocked_kv: int

    def facts(self) -> list[tuple[str, str]]:
        """Say where the requests' time goes, as shares of the total latency."""
        total = sum(getattr(self, field.name) for field in fields(self)[:-2])

        def share(time: int) -> str:
            return f"{time / max(1, total):.1%}"

        return [
            (
                "served",
                f"{share(self.prompt)} of the latency in prompt batches, "
                f"{share(self.token)} in token batches",
            ),
            (
                "paused",
                f"{share(self.paused_prompts)} behind prompt batches, "
                f"{share(self.paused_tokens)} left out of token batches, "
                f"{share(self.paused_idle)} idle",
            ),
            (
                "waiting",
                f"{share(self.waiting_prompts)} behind prompt batches, "
                f"{share(self.waiting_tokens)} behind token batches, "
                f"{share(self.waiting_kv)} for KV, {share(self.waiting_idle)} idle",
            ),
            (
                "stalls",
                f"{self.blocked_kv:,} blocked by KV, "
                f"{self.stalled_idle:,} idle while a request waits",
            ),
        ]


def account(instance: Instance, schedule: SeparateSchedule) -> TimeAccount:
    """Split the total latency of a feasible schedule that serves all requests.

    A request that arrives during a batch waits for the rest of it under that batch's heading.

    Examples
    --------
    The second request arrives during the prompt batch of the first, which is served to its end.

    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[2, 1])
    >>> kinds = [Batch("prompt", 0, (0,)), Batch("token", 1, (0,)), Batch("prompt", 2, (1,))]
    >>> split = account(instance, SeparateSchedule(kinds))
    >>> split.prompt, split.token, split.waiting_prompts, split.waiting_tokens, split.waiting_kv
    (2, 1, 1, 1, 0)
    """
    time = timeline(instance, schedule)
    taken = time.end - time.start
    blocked = blocked_batches(instance, time)
    headings = (time.prompt, ~time.prompt & ~blocked, blocked)
    served = taken[time.batch]
    in_prompt = int(served[time.prompt[time.batch]].sum())
    in_token = int(served.sum()) - in_prompt
    waited = _within(time, headings, instance.arrival, time.prompt_start)
    ran = _within(time, headings, time.prompt_end, time.completion)
    return TimeAccount(
        prompt=in_prompt,
        token=in_token,
        waiting_prompts=waited[0],
        waiting_tokens=waited[1],
        waiting_kv=waited[2],
        waiting_idle=int((time.prompt_start - instance.arrival).sum()) - sum(waited),
        paused_prompts=ran[0],
        paused_tokens=ran[1] + ran[2] - in_token,
        paused_idle=int((time.completion - time.prompt_end).sum()) - sum(ran),
        stalled_idle=_idle_though_present(instance, time),
        blocked_kv=int(taken[blocked].sum()),
    )


def _within(
    time: Timeline, headings: tuple[_Choice, ...], begin: IntArray, end: IntArray
) -> list[int]:
    """Σ over the requests of the time of ``[begin_i, end_i)`` in batches of each heading."""
    found = []
    for heading in headings:
        start, stop = time.start[heading], time.end[heading]
        found.append(_passed(start, stop, end) - _passed(start, stop, begin))
    return found


def _passed(start: IntArray, end: IntArray, moments: IntArray) -> int:
    """Σ over moments of the time of the batches ``[start, end)`` before each of them."""
    if not start.size:
        return 0
    lasted = np.concatenate([[0], np.cumsum(end - start)])
    begun = np.searchsorted(start, moments, side="right")
    running = np.where(begun > 0, np.maximum(0, end[begun - 1] - moments), 0)
    return int((lasted[begun] - running).sum())


def _idle_though_present(instance: Instance, time: Timeline) -> int:
    """Time between batches in which a request has arrived and is not done."""
    begin = np.concatenate([[int(instance.arrival.min())], time.end[:-1]])
    arrived, done = np.sort(instance.arrival), np.sort(time.completion)
    present = np.searchsorted(arrived, begin, "right") > np.searchsorted(done, begin, "right")
    upcoming = np.append(arrived, np.iinfo(np.int64).max)
    first = np.where(present, begin, upcoming[np.searchsorted(arrived, begin, "right")])
    return int(np.maximum(0, time.start - first).sum())
