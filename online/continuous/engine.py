"""Engines of continuous batching: vLLM v1 and its like."""

from __future__ import annotations

import numpy as np

from ...models.batch_time import AffineTime
from ...models.continuous.schedule import ContinuousSchedule
from ...models.instance import Gpu, Instance
from ..engine import EngineKind, EngineLimits, EngineTimes, Player


def engine_times(instance: Instance, schedule: ContinuousSchedule) -> EngineTimes:
    """Return tokens and batches of a feasible schedule.

    Examples
    --------
    >>> from batchprophet.models.continuous.schedule import Batch
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[2])
    >>> schedule = ContinuousSchedule([Batch(0, prefill=((0, 3),)), Batch(1, decode=(0,))])
    >>> times = engine_times(instance, schedule)
    >>> times.first_token.tolist(), times.completion.tolist(), times.read.tolist()
    ([1], [2], [0, 4])
    """
    time = schedule.timeline(instance)
    return EngineTimes(
        start=time.start,
        end=time.end,
        prompt_tokens=time.prompt_tokens,
        jobs=time.jobs,
        read=time.read,
        running=time.running,
        held=time.held,
        first_token=time.first_token,
        completion=time.completion,
    )


def engine_gpu(limits: EngineLimits, law: AffineTime) -> Gpu:
    """Return the GPU of an engine."""
    return Gpu(
        kv_capacity=limits.kv_capacity,
        running_requests=limits.max_num_seqs,
        batch_tokens=limits.max_num_batched_tokens,
        kv_block=limits.block_size,
        batch_time=law,
    )


def retimed(instance: Instance, schedule: ContinuousSchedule) -> ContinuousSchedule:
    """Return the same batches, each begun as early as their order and the arrivals allow.

    What they hold does not change, so memory, seats and budget are kept.

    Examples
    --------
    >>> from batchprophet.models.continuous.schedule import Batch
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[2], prompt=[3], output=[2])
    >>> late = ContinuousSchedule([Batch(5, prefill=((0, 3),)), Batch(9, decode=(0,))])
    >>> [batch.start for batch in retimed(instance, late).batches]
    [2, 3]
    """
    time, columns = schedule.timeline(instance), schedule.columns
    length = time.end - time.start
    ready = np.zeros(length.size, dtype=np.int64)
    batch = np.repeat(np.arange(length.size), columns.chunks)
    np.maximum.at(ready, batch, instance.arrival[columns.chunk_of])
    before = np.cumsum(length) - length
    start = np.maximum.accumulate(ready - before) + before
    return ContinuousSchedule.of_columns(columns._replace(start=start))


def _player(instance: Instance, rule: str) -> Player | None:
    """Return what plays a rule beside a log (`synchronised.player`)."""
    from .synchronised import player

    return player(instance, rule)


def _speed_gap(instance: Instance, schedule: ContinuousSchedule, bound: float) -> float | None:
    from ...solvers.continuous.speed_gap import speed_equivalent_gap

    return speed_equivalent_gap(instance, schedule, bound)


ENGINE = EngineKind(
    rule="vllm",
    gpu=engine_gpu,
    times=engine_times,
    prompts_apart=frozenset({"prefill-first", "decode-first"}),
    speed_gap=_speed_gap,
    retimed=retimed,
    player=_player,
)
