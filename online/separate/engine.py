"""Engines of separate batching: the first vLLM and its like."""

from __future__ import annotations

import numpy as np

from ...models.batch_time import AffineTime
from ...models.instance import Gpu, Instance
from ...models.separate.columns import earlier_jobs
from ...models.separate.schedule import SeparateSchedule
from ...models.separate.timeline import timeline
from ..engine import EngineKind, EngineLimits, EngineTimes
from .policy import REGISTRY


def engine_times(instance: Instance, schedule: SeparateSchedule) -> EngineTimes:
    """Return tokens and batches of a feasible schedule that serves every request.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[2])
    >>> schedule = SeparateSchedule([Batch("prompt", 0, (0,)), Batch("token", 1, (0,))])
    >>> times = engine_times(instance, schedule)
    >>> times.first_token.tolist(), times.completion.tolist(), times.read.tolist()
    ([1], [2], [0, 4])
    """
    time, columns = timeline(instance, schedule), schedule.columns
    before = earlier_jobs(columns.member)
    s, job = instance.prompt[columns.member], ~time.prompt[time.batch]
    began, ended = before == 0, before + 1 == instance.output[columns.member]
    ending = columns.total(ended.astype(np.int64))
    return EngineTimes(
        start=time.start,
        end=time.end,
        prompt_tokens=columns.total(np.where(job, 0, s)),
        jobs=np.where(time.prompt, 0, time.size),
        read=columns.total(np.where(job, s + before, 0)),
        running=np.cumsum(columns.total(began.astype(np.int64)) - ending) + ending,
        held=time.held,
        first_token=time.prompt_end,
        completion=time.completion,
    )


def engine_gpu(limits: EngineLimits, law: AffineTime) -> Gpu:
    """Return the GPU of an engine; memory is not in blocks under separate batching."""
    return Gpu(
        kv_capacity=limits.kv_capacity,
        prompt_batch_tokens=limits.max_num_batched_tokens,
        token_batch_requests=limits.max_num_seqs,
        batch_time=law,
    )


ENGINE = EngineKind(
    rule="prefill-first",
    gpu=engine_gpu,
    times=engine_times,
    prompts_apart=frozenset(REGISTRY.by_default),
    mixes=False,
)
