"""Make a schedule obey the rules of `dominance` and `symmetry`: never worse, often better."""

from __future__ import annotations

from ...batch_time import AffineTime
from ...instance import Instance
from ..schedule import Batch, Kind, SeparateSchedule
from .from_variables import left_shifted
from .request_types import request_types

Order = list[tuple[Kind, tuple[int, ...]]]


def tidied(
    instance: Instance, schedule: SeparateSchedule, objective: str = "latency"
) -> SeparateSchedule:
    """Return a schedule that is as good or better and obeys every rule of the strengthened models.

    Batches are left-shifted; prompt batches in a row are merged where they fit into one; token jobs
    move into the token batch just before, and where KV never binds all jobs into any earlier batch
    that has room; equal requests change names so that
    the first to arrive is never behind. Under the affine law only the first and the last.

    Parameters
    ----------
    instance : Instance
        The instance.
    schedule : SeparateSchedule
        A feasible schedule of it; requests in no batch stay so.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        Which requests are equal depends on it.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=20), arrival=[0, 0], prompt=[3, 1], output=[2, 2])
    >>> apart = [Batch("prompt", 0, (0,)), Batch("prompt", 4, (1,)), Batch("token", 5, (0, 1))]
    >>> for batch in tidied(instance, SeparateSchedule(apart)).batches:
    ...     print(batch)
    Batch(kind='prompt', start=0, requests=(0, 1))
    Batch(kind='token', start=1, requests=(0, 1))
    """
    schedule = left_shifted(instance, _renamed(instance, schedule, objective))
    if isinstance(instance.gpu.batch_time, AffineTime):
        return schedule
    while better := (
        _merge_prompts(instance, schedule)
        or _advance_tokens(instance, schedule)
        or _fill(instance, schedule)
    ):
        schedule = left_shifted(instance, _renamed(instance, better, objective))
    return schedule


def _merge_prompts(instance: Instance, schedule: SeparateSchedule) -> SeparateSchedule | None:
    """Merge the first two prompt batches in a row that fit into one; None if there are none."""
    ends = schedule.ends(instance).tolist()
    for b, (first, second) in enumerate(zip(schedule.batches, schedule.batches[1:], strict=False)):
        together = (*first.requests, *second.requests)
        if (
            first.kind == second.kind == "prompt"
            and second.start == ends[b]
            and all(instance.output[i] > 1 for i in first.requests)
            and all(instance.arrival[i] <= first.start for i in second.requests)
            and _fits_prompt_batch(instance, together)
        ):
            merged = Batch("prompt", first.start, tuple(sorted(together)))
            return SeparateSchedule([*schedule.batches[:b], merged, *schedule.batches[b + 2 :]])
    return None


def _fits_prompt_batch(instance: Instance, requests: tuple[int, ...]) -> bool:
    gpu = instance.gpu
    few = gpu.prompt_batch_requests is None or len(requests) <= gpu.prompt_batch_requests
    tokens = sum(int(instance.prompt[i]) for i in requests)
    return few and (gpu.prompt_batch_tokens is None or tokens <= gpu.prompt_batch_tokens)


def _advance_tokens(instance: Instance, schedule: SeparateSchedule) -> SeparateSchedule | None:
    """Move one job into the token batch just before, if that has room and completes none."""
    B_D = instance.gpu.token_batch_requests
    ends = schedule.ends(instance).tolist()
    tokens = [0] * instance.n
    for b, (first, second) in enumerate(zip(schedule.batches, schedule.batches[1:], strict=False)):
        for i in first.requests:
            tokens[i] += 1
        late = [i for i in second.requests if i not in first.requests]
        if (
            first.kind == second.kind == "token"
            and second.start == ends[b]
            and (B_D is None or len(first.requests) < B_D)
            and all(tokens[i] < instance.output[i] for i in first.requests)
            and late
        ):
            return _moved(schedule, late[0], b + 1, b)
    return None


def _fill(instance: Instance, schedule: SeparateSchedule) -> SeparateSchedule | None:
    """Move one job into an earlier batch with room, if KV never binds; None if there is none."""
    accepted = schedule.accepted().tolist()
    if sum(int(instance.peak[i]) for i in accepted) > instance.gpu.kv_capacity:
        return None
    for b, batch in enumerate(schedule.batches):
        for i in accepted:
            later = [
                k
                for k in range(b + 1, len(schedule.batches))
                if schedule.batches[k].kind == batch.kind and i in schedule.batches[k].requests
            ]
            if later and _may_join(instance, schedule, b, i):
                return _moved(schedule, i, later[-1], b)
    return None


def _may_join(instance: Instance, schedule: SeparateSchedule, b: int, i: int) -> bool:
    batch = schedule.batches[b]
    if i in batch.requests:
        return False
    if batch.kind == "prompt":
        joined = _fits_prompt_batch(instance, (*batch.requests, i))
        return joined and bool(instance.arrival[i] <= batch.start)
    B_D = instance.gpu.token_batch_requests
    read = any(
        earlier.kind == "prompt" and i in earlier.requests for earlier in schedule.batches[:b]
    )
    return read and (B_D is None or len(batch.requests) < B_D)


def _moved(schedule: SeparateSchedule, i: int, source: int, target: int) -> SeparateSchedule:
    batches = list(schedule.batches)
    joined = tuple(sorted((*batches[target].requests, i)))
    left = tuple(k for k in batches[source].requests if k != i)
    batches[target] = Batch(batches[target].kind, batches[target].start, joined)
    batches[source] = Batch(batches[source].kind, batches[source].start, left)
    return SeparateSchedule(batch for batch in batches if batch.requests)


def _renamed(instance: Instance, schedule: SeparateSchedule, objective: str) -> Order:
    """Let a batch that advances m requests of a type from g tokens advance the first to arrive.

    They are m that have g tokens under the new names: as many have as under the old ones.
    """
    types = request_types(instance, objective)
    of_type = {i: j for j, members in enumerate(types) for i in members}
    old, new = [0] * instance.n, [0] * instance.n
    order: Order = []
    for batch in schedule.batches:
        taken: list[int] = []
        for i in batch.requests:
            alike = (k for k in types[of_type[i]] if new[k] == old[i] and k not in taken)
            taken.append(next(alike))
        for i, k in zip(batch.requests, taken, strict=True):
            old[i] += 1
            new[k] += 1
        order.append((batch.kind, tuple(sorted(taken))))
    return order
