"""The independent checker of separate batching: every violated rule, when, and by how much.

It shares no code with formulations, decoders and simulators, nor with the durations that they use:
it knows only the rules of docs/model/index.md §1 and docs/model/separate.md §1 and computes batch
times from the law itself, in whole picoseconds. `feasible_columns` says yes or no for all batches
at once; if it is no, a walk through the batches tells what is violated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from ..batch_time import AffineTime, BatchTime, ConstantTime, UnitTime
from ..errors import InputError
from ..instance import Instance
from ..violation import Violation
from .feasible_columns import surely_feasible
from .schedule import Batch, SeparateSchedule


class _Run(NamedTuple):
    """A batch as it runs: its end, and the KV tokens held at its end (completed ones included)."""

    batch: Batch
    end: int
    held: int

    @property
    def name(self) -> str:
        return f"{self.batch.kind} batch at {self.batch.start}"


def check_separate(
    instance: Instance, schedule: SeparateSchedule, *, allow_rejected: bool = False
) -> list[Violation]:
    """List every rule of separate batching that a schedule violates; none means feasible.

    Parameters
    ----------
    instance : Instance
        What was to be scheduled; any batch-time law, any batch limits.
    schedule : SeparateSchedule
        Anyone's schedule.
    allow_rejected : bool
        Whether requests may be in no batch (admission: they were rejected). A request that is in
        a batch must get all its tokens in any case.

    Returns
    -------
    list of Violation
        Ordered by rule (what a batch may be, overlaps, batch limits, prompt jobs, token jobs,
        unserved requests, KV capacity), then by time.

    Raises
    ------
    InputError
        If a batch is of an unknown kind, or holds a request that the instance does not have.

    See Also
    --------
    models.separate.metrics.measure_separate : Figures of a feasible schedule.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=7), arrival=[0, 0], prompt=[3, 1], output=[2, 2])
    >>> schedule = SeparateSchedule([Batch("prompt", 0, (0, 1)), Batch("token", 1, (0, 1))])
    >>> check_separate(instance, schedule)[0].message  # 3 + 2 and 1 + 2 tokens at the end
    'KV capacity 7 exceeded by 1 token at the end of the token batch at 1, at 2 (8 tokens held)'
    >>> one_by_one = [Batch("token", 1, (0,)), Batch("token", 2, (1,))]
    >>> check_separate(instance, SeparateSchedule([schedule.batches[0], *one_by_one]))
    []

    References
    ----------
    docs/model/separate.md §1.
    """
    if surely_feasible(instance, schedule, allow_rejected=allow_rejected):
        return []
    _require_known(instance, schedule)
    runs = _runs(instance, schedule)
    return [
        *_malformed(instance, runs),
        *_overlaps(runs),
        *_limit_excesses(instance, runs),
        *_wrong_prompt_jobs(instance, runs),
        *_wrong_token_jobs(instance, runs),
        *_unserved(instance, runs, allow_rejected),
        *_capacity_excesses(instance, runs),
    ]


def _require_known(instance: Instance, schedule: SeparateSchedule) -> None:
    n = instance.n
    for position, batch in enumerate(schedule.batches):
        for i in batch.requests:
            if not 0 <= i < n:
                where = f"schedule.batches[{position}].requests"
                raise InputError(f"{where}: expected requests from 0 to {n - 1}, found {i}")


def _runs(instance: Instance, schedule: SeparateSchedule) -> list[_Run]:
    """Walk through the batches: when each ends, and how many KV tokens are held then."""
    s, o = instance.prompt.tolist(), instance.output.tolist()
    emitted = [0] * instance.n
    size = [0] * instance.n  # KV tokens of each request, 0 before its prompt and once it is done
    held = 0
    law = instance.gpu.batch_time
    reads = isinstance(law, AffineTime)
    runs = []
    for batch in schedule.batches:
        members = batch.requests
        prompt = batch.kind == "prompt"
        read = sum([s[i] if prompt else s[i] + emitted[i] for i in members]) if reads else 0
        end = batch.start + _batch_time(law, batch, read)
        for i in members:
            emitted[i] += 1
            grown = 1 if size[i] else s[i] + 1 if prompt else 0
            size[i] += grown
            held += grown
        runs.append(_Run(batch, end, held))
        for i in members:
            if emitted[i] >= o[i]:
                held -= size[i]
                size[i] = 0
    return runs


def _batch_time(law: BatchTime, batch: Batch, read: int) -> int:
    """Time of a batch whose jobs read this many tokens: of prompts, or of KV caches."""
    if isinstance(law, UnitTime):
        return 1
    if isinstance(law, ConstantTime):
        return law.prompt if batch.kind == "prompt" else law.token
    c0_prompt, c0, c1, c2, c3 = _coefficients(law)
    if batch.kind == "prompt":
        picoseconds = c0_prompt + c1 * read
    else:
        picoseconds = c0 + c2 * len(batch.requests) + c3 * read
    return -(-picoseconds // 10**6)


@lru_cache(maxsize=8)
def _coefficients(law: AffineTime) -> list[int]:
    """Return c0_prompt, c0 … c3, milliseconds, as the whole picoseconds that count."""
    c0_prompt = law.c0 if law.c0_prompt is None else law.c0_prompt
    numbers = (c0_prompt, law.c0, law.c1, law.c2, law.c3)
    return [round(Fraction(repr(c)) * 10**9) for c in numbers]


def _malformed(instance: Instance, runs: list[_Run]) -> list[Violation]:
    """Empty batches, and batches that hold a request twice."""
    found = []
    for run in runs:
        start, members = run.batch.start, run.batch.requests
        if not members:
            found.append(Violation("empty-batch", start, 1, f"{run.name} holds no request"))
        if len(set(members)) == len(members):
            continue
        for i, count in Counter(run.batch.requests).items():
            if count > 1:
                message = f"{run.name} holds request {instance.request_id(i)} {count} times"
                found.append(Violation("twice", start, count - 1, message, i))
    return found


def _overlaps(runs: list[_Run]) -> list[Violation]:
    """Batches that start before all earlier ones have ended."""
    found = []
    latest: _Run | None = None
    for run in runs:
        if latest is not None and run.batch.start < latest.end:
            over = latest.end - run.batch.start
            message = f"{run.name} starts before the {latest.name} ends at {latest.end}"
            found.append(Violation("overlap", run.batch.start, over, message))
        if latest is None or run.end > latest.end:
            latest = run
    return found


def _limit_excesses(instance: Instance, runs: list[_Run]) -> list[Violation]:
    """Batches larger than B_P requests, C_P prompt tokens, or B_D requests."""
    gpu, s = instance.gpu, instance.prompt.tolist()
    found: list[Violation] = []
    if not gpu.batch_limits:
        return found
    for run in runs:
        requests = len(run.batch.requests)
        if run.batch.kind == "prompt":
            tokens = sum(s[i] for i in run.batch.requests)
            sizes = [
                ("prompt-batch-requests", requests, gpu.prompt_batch_requests, "requests"),
                ("prompt-batch-tokens", tokens, gpu.prompt_batch_tokens, "prompt tokens"),
            ]
        else:
            sizes = [("token-batch-requests", requests, gpu.token_batch_requests, "requests")]
        for rule, size, limit, what in sizes:
            if limit is not None and size > limit:
                message = f"{run.name} holds {size} {what}, more than {limit}"
                found.append(Violation(rule, run.batch.start, size - limit, message))
    return found


def _wrong_prompt_jobs(instance: Instance, runs: list[_Run]) -> list[Violation]:
    """Prompt jobs before the arrival, and second ones."""
    arrival = instance.arrival.tolist()
    found = []
    first: dict[int, int] = {}
    for run, i in _jobs(runs, "prompt"):
        start = run.batch.start
        if start >= arrival[i] and i not in first:
            first[i] = start
            continue
        name = instance.request_id(i)
        if start < arrival[i]:
            message = f"{run.name} holds request {name} before its arrival at {arrival[i]}"
            found.append(Violation("arrival", start, arrival[i] - start, message, i))
        if i in first:
            message = f"{run.name} holds request {name} again, after its prompt job at {first[i]}"
            found.append(Violation("prompt-again", start, 1, message, i))
        first.setdefault(i, start)
    return found


def _wrong_token_jobs(instance: Instance, runs: list[_Run]) -> list[Violation]:
    """Token jobs before the end of the prompt batch, and more than ``o_i − 1`` of them."""
    needed = (instance.output - 1).tolist()
    prompt_end: dict[int, int] = {}
    for run, i in _jobs(runs, "prompt"):
        prompt_end.setdefault(i, run.end)
    found = []
    jobs = [0] * instance.n
    last: dict[int, int] = {}
    for run, i in _jobs(runs, "token"):
        start = run.batch.start
        jobs[i] += 1
        last[i] = start
        if i in prompt_end and start >= prompt_end[i]:
            continue
        name = instance.request_id(i)
        if i not in prompt_end:
            message = f"{run.name} holds request {name}, which has no prompt job"
            found.append(Violation("prompt-first", start, 1, message, i))
        else:
            message = f"{run.name} holds request {name} before its prompt batch ends"
            message += f" at {prompt_end[i]}"
            found.append(Violation("prompt-first", start, prompt_end[i] - start, message, i))
    for i, count in enumerate(jobs):
        if count > needed[i]:
            message = f"request {instance.request_id(i)} has {_count(count, 'token job')}, "
            message += f"more than the {needed[i]} that it needs"
            found.append(Violation("tokens", last[i], count - needed[i], message, i))
    return found


def _unserved(instance: Instance, runs: list[_Run], allow_rejected: bool) -> list[Violation]:
    """Requests that do not get all their jobs by the end of the schedule."""
    end = max((run.end for run in runs), default=0)
    prompts = Counter(i for _, i in _jobs(runs, "prompt"))
    tokens = Counter(i for _, i in _jobs(runs, "token"))
    found = []
    for i, output in enumerate(instance.output.tolist()):
        missing = max(0, 1 - prompts[i]) + max(0, output - 1 - tokens[i])
        if not missing or (allow_rejected and not prompts[i] and not tokens[i]):
            continue
        name = instance.request_id(i)
        message = f"request {name} is in no batch"
        if prompts[i] or tokens[i]:
            message = f"request {name} lacks {_count(missing, 'job')} of {output}"
        found.append(Violation("unserved", end, missing, message, i))
    return found


def _capacity_excesses(instance: Instance, runs: list[_Run]) -> list[Violation]:
    """Batches at whose end more than M tokens are held, those that complete in it included."""
    M = instance.gpu.kv_capacity
    found = []
    for run in runs:
        if run.held > M:
            message = f"KV capacity {M} exceeded by {_count(run.held - M, 'token')} at the end of "
            message += f"the {run.name}, at {run.end} ({run.held} tokens held)"
            found.append(Violation("kv-capacity", run.end, run.held - M, message))
    return found


def _jobs(runs: list[_Run], kind: str) -> Iterable[tuple[_Run, int]]:
    """Yield the jobs of one kind, in order: the batch as it runs, and the request."""
    for run in runs:
        if run.batch.kind == kind:
            for i in run.batch.requests:
                yield run, i


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"
