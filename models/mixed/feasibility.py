"""The independent checker: every rule that a schedule violates, when, and by how much.

It shares no code with formulations, decoders and simulators: it knows only the rules of
model/mixed.md §1 and recomputes the KV occupancy from the starts. The rules of separate batching
are checked in `separate.feasibility`.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..instance import Instance, IntArray
from ..violation import Violation
from .schedule import MixedSchedule


def check_mixed(instance: Instance, schedule: MixedSchedule) -> list[Violation]:
    """List every rule of mixed batching that a schedule violates; an empty list means feasible.

    Parameters
    ----------
    instance : Instance
        What was to be scheduled (unit-time law).
    schedule : MixedSchedule
        Anyone's schedule.

    Returns
    -------
    list of Violation
        Ordered by rule (arrivals, evicted runs, KV capacity, running requests, tokens of a round),
        then by time.

    Raises
    ------
    InputError
        If the schedule is not one of this instance: a wrong number of starts, or an evicted run
        of a request that does not exist.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> check_mixed(instance, MixedSchedule([0, 2]))[0].message
    'KV capacity 9 exceeded by 1 token in round 4 (10 tokens held)'
    >>> check_mixed(instance, MixedSchedule([0, 4]))
    []

    References
    ----------
    arXiv 2502.07115, §2 (feasible schedules); docs/model/mixed.md §1.
    """
    _require_same_requests(instance, schedule)
    return [
        *_early_starts(instance, schedule),
        *_impossible_evictions(instance, schedule),
        *_overlapping_runs(instance, schedule),
        *_capacity_excesses(instance, schedule),
        *_round_excesses(instance, schedule),
    ]


def kv_profile(instance: Instance, schedule: MixedSchedule) -> tuple[IntArray, IntArray, IntArray]:
    """KV occupancy as a piecewise linear function of the round.

    Returns
    -------
    boundary : ndarray of int64, shape (b + 1,)
        Round boundaries at which a run starts or ends, increasing.
    alive : ndarray of int64, shape (b,)
        Runs in the batch of each round of ``(boundary[j], boundary[j+1]]``.
    offset : ndarray of int64, shape (b,)
        The occupancy in such a round ``t`` is ``alive[j]·t + offset[j]`` tokens.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> [part.tolist() for part in kv_profile(instance, MixedSchedule([0, 2]))]
    [[0, 2, 4], [1, 2], [3, 2]]
    """
    begin = [schedule.start, np.array([run.start for run in schedule.evicted], dtype=np.int64)]
    end = [
        schedule.start + instance.output,
        np.array([run.end for run in schedule.evicted], dtype=np.int64),
    ]
    owner = np.array([run.request for run in schedule.evicted], dtype=np.int64)
    first, last = np.concatenate(begin), np.concatenate(end)
    size_at_zero = np.concatenate([instance.prompt, instance.prompt[owner]]) - first
    lasting = last > first
    first, last, size_at_zero = first[lasting], last[lasting], size_at_zero[lasting]
    boundary, where = np.unique(np.concatenate([first, last]), return_inverse=True)
    change = np.zeros((2, boundary.size), dtype=np.int64)
    np.add.at(change[0], where[: first.size], 1)
    np.add.at(change[0], where[first.size :], -1)
    np.add.at(change[1], where[: first.size], size_at_zero)
    np.add.at(change[1], where[first.size :], -size_at_zero)
    alive, offset = change.cumsum(axis=1)[:, :-1]
    return boundary, alive, offset


def _require_same_requests(instance: Instance, schedule: MixedSchedule) -> None:
    if schedule.start.size != instance.n:
        raise InputError(
            f"schedule.start: expected {instance.n} starts, one per request of {instance.name!r}, "
            f"found {schedule.start.size}"
        )
    for position, run in enumerate(schedule.evicted):
        if not 0 <= run.request < instance.n:
            raise InputError(
                f"schedule.evicted[{position}].request: expected a request from 0 to "
                f"{instance.n - 1}, found {run.request}"
            )
    latest = max([int(schedule.start.max()), *(run.end for run in schedule.evicted)])
    earliest = min([int(schedule.start.min()), *(run.start for run in schedule.evicted)])
    runs = instance.n + len(schedule.evicted)
    span = max(abs(latest), abs(earliest)) + instance.gpu.kv_capacity
    if runs * span >= 2**62:
        raise InputError(
            "schedule: starts are too large to be checked in 64-bit arithmetic "
            f"(found {earliest} … {latest})"
        )


def _early_starts(instance: Instance, schedule: MixedSchedule) -> list[Violation]:
    runs = [(run.start, run.request) for run in schedule.evicted]
    runs += [
        (int(schedule.start[i]), int(i)) for i in np.flatnonzero(schedule.start < instance.arrival)
    ]
    return [
        Violation(
            "arrival",
            start,
            int(instance.arrival[i]) - start,
            f"request {instance.request_id(i)} starts at {start}, before its arrival at "
            f"{int(instance.arrival[i])}",
            i,
        )
        for start, i in sorted(runs)
        if start < instance.arrival[i]
    ]


def _impossible_evictions(instance: Instance, schedule: MixedSchedule) -> list[Violation]:
    """Evicted runs that hold no round, or that would have completed."""
    found = []
    for run in schedule.evicted:
        name, length = instance.request_id(run.request), run.end - run.start
        if length < 1:
            message = f"evicted run of {name} must last at least one round, found {length}"
            found.append(Violation("eviction", run.start, 1 - length, message, run.request))
        elif length >= instance.output[run.request]:
            late = length - int(instance.output[run.request]) + 1
            message = (
                f"evicted run of {name} lasts {length} rounds, but the request completes after "
                f"{int(instance.output[run.request])}"
            )
            found.append(Violation("eviction", run.end, late, message, run.request))
    return found


def _overlapping_runs(instance: Instance, schedule: MixedSchedule) -> list[Violation]:
    """Runs of one request that begin before its earlier run has ended."""
    again = {run.request for run in schedule.evicted}
    runs = [(run.request, run.start, run.end) for run in schedule.evicted]
    final = [
        (i, int(schedule.start[i]), int(schedule.start[i] + instance.output[i])) for i in again
    ]
    found = []
    latest_end: dict[int, int] = {}
    for request, start, end in sorted(runs) + final:  # the final run comes after all others
        if start < latest_end.get(request, start):
            found.append(_restart_violation(instance, request, start, latest_end[request]))
        latest_end[request] = max(end, latest_end.get(request, end))
    return sorted(found, key=lambda violation: violation.time)


def _restart_violation(instance: Instance, request: int, start: int, end: int) -> Violation:
    message = (
        f"request {instance.request_id(request)} starts again at {start}, before its evicted run "
        f"ends at {end}"
    )
    return Violation("restart", start, end - start, message, request)


def _capacity_excesses(instance: Instance, schedule: MixedSchedule) -> list[Violation]:
    """Maximal spans of rounds with more than M tokens (occupancy grows until a run ends)."""
    M = instance.gpu.kv_capacity
    boundary, alive, offset = kv_profile(instance, schedule)
    peak = alive * boundary[1:] + offset
    spans: list[tuple[int, int, int]] = []  # first round, last round, most tokens held
    for j in np.flatnonzero((peak > M) & (alive > 0)):
        last_fitting = (M - int(offset[j])) // int(alive[j])
        first = max(int(boundary[j]), last_fitting) + 1
        last, held = int(boundary[j + 1]), int(peak[j])
        if spans and spans[-1][1] == first - 1:
            earlier_first, _, earlier_held = spans.pop()
            first, held = earlier_first, max(held, earlier_held)
        spans.append((first, last, held))
    return [_capacity_violation(M, *span) for span in spans]


def _capacity_violation(M: int, first: int, last: int, held: int) -> Violation:
    over = held - M
    tokens = "1 token" if over == 1 else f"{over} tokens"
    if first == last:
        span, up_to = f"round {first}", ""
    else:
        span, up_to = f"rounds {first}-{last}", "up to "
    message = f"KV capacity {M} exceeded by {up_to}{tokens} in {span} ({up_to}{held} tokens held)"
    return Violation("kv-capacity", first, over, message)


def _round_excesses(instance: Instance, schedule: MixedSchedule) -> list[Violation]:
    """Spans of rounds with more than B requests, and rounds with more than C tokens."""
    B, C = instance.gpu.running_requests, instance.gpu.batch_tokens
    found: list[Violation] = []
    if B is None and C is None:
        return found
    boundary, alive, _ = kv_profile(instance, schedule)
    rounds = list(zip(boundary[:-1].tolist(), boundary[1:].tolist(), alive.tolist(), strict=True))
    if B is not None:
        spans: list[tuple[int, int, int]] = []
        for before, last, runs in rounds:
            if runs > B:
                spans = _extended(spans, before + 1, last, runs)
        found += [_excess("running-requests", B, "request", *span) for span in spans]
    if C is not None:
        read = _prompt_tokens(instance, schedule)
        spans = []
        for before, last, runs in rounds:
            tokens, starts = read.get(before, (0, 0))
            if tokens + runs - starts > C:  # the round in which prompts are read
                spans = _extended(spans, before + 1, before + 1, tokens + runs - starts)
            if runs > C and last > before + 1:
                spans = _extended(spans, before + 2, last, runs)
        found += [_excess("batch-tokens", C, "token", *span) for span in spans]
    return found


def _prompt_tokens(instance: Instance, schedule: MixedSchedule) -> dict[int, tuple[int, int]]:
    """By start: tokens of the prompts that the round after it reads, and how many they are."""
    read: dict[int, tuple[int, int]] = {}
    runs = [(i, int(start)) for i, start in enumerate(schedule.start.tolist())]
    runs += [(run.request, run.start) for run in schedule.evicted if run.end > run.start]
    for i, start in runs:
        tokens, count = read.get(start, (0, 0))
        read[start] = (tokens + int(instance.prompt[i]), count + 1)
    return read


def _extended(
    spans: list[tuple[int, int, int]], first: int, last: int, found: int
) -> list[tuple[int, int, int]]:
    """Add rounds, with what was found in them; to the last span where they follow it."""
    if spans and spans[-1][1] == first - 1:
        return [*spans[:-1], (spans[-1][0], last, max(spans[-1][2], found))]
    return [*spans, (first, last, found)]


def _excess(rule: str, most: int, unit: str, first: int, last: int, found: int) -> Violation:
    rounds = f"round {first}" if first == last else f"rounds {first}-{last}"
    up_to = "" if first == last else "up to "
    units = unit if most == 1 else f"{unit}s"
    message = (
        f"{rounds} may have {most} {units} (gpu.{rule.replace('-', '_')}), found {up_to}{found}"
    )
    return Violation(rule, first, found - most, message)
