"""Waves of admission run on a whole instance, compiled: the loop of `policies.waves`.

Batches are built by the compiled rule; between them the setting of the next wave is chosen
(`wave_rollouts`), and where lengths are learned, planned lengths are what is expected now.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ...models.continuous.schedule import Columns
from ...models.durations import Durations
from ...models.instance import IntArray
from .hindsight_kernels import Scene
from .kernel_record import JOB_COUNT, blank, duration, is_full, longer, record, recorded
from .kernel_state import CHUNKS, DROPS, JOBS, RUNNING, WAITING, Requests, State, begin, push
from .kernels import build, complete, first_unfinished, next_chunk
from .rule import Rule
from .wave_rollouts import LIMIT, MOST_WAITING, PROMPT_TOKENS, SHARE, Grid, choose

#: Fraction of the golden ratio: its multiples modulo 1 are spread evenly.
GOLDEN = 0.6180339887498949


@njit(cache=True, nogil=True)
def expected_length(outputs: IntArray, above: IntArray, tokens: int) -> int:
    """Return the mean of the outputs longer than some tokens, rounded up; see `LearnedLengths`.

    Parameters
    ----------
    outputs : ndarray of int64, shape (m,)
        Completed outputs in non-decreasing order.
    above : ndarray of int64, shape (m,)
        The sum of each and all after it.
    tokens : int
        Output tokens so far.
    """
    first = np.searchsorted(outputs, tokens, side="right")
    if first == outputs.size:
        return tokens + 1
    return int(-(-above[first] // (outputs.size - first)))


@njit(cache=True, nogil=True)
def sampled_lengths(
    outputs: IntArray, request: IntArray, tokens: IntArray, longest: IntArray, samples: int
) -> IntArray:
    """Draw output lengths from the completed ones that are longer than the tokens so far.

    Each sample takes the quantile ``(i·φ + sample/samples) mod 1`` for request i, φ the golden
    ratio: the samples of one request are spread evenly, and the same from decision to decision.

    Parameters
    ----------
    outputs : ndarray of int64, shape (m,)
        Completed outputs in non-decreasing order.
    request, tokens, longest : ndarray of int64, shape (n,)
        Indices, tokens so far, and the longest outputs that fit the GPU.
    samples : int
        How many are drawn, ≥ 1.

    Returns
    -------
    ndarray of int64, shape (samples, n)
        Tokens; where no completed output is longer, a token more than so far.
    """
    lengths: IntArray = np.empty((samples, request.size), np.int64)
    for j in range(request.size):
        first = np.searchsorted(outputs, tokens[j], side="right")
        longer = outputs.size - first
        for sample in range(samples):
            length = tokens[j] + 1
            if longer > 0:
                u = (request[j] * GOLDEN + sample / samples) % 1.0
                length = outputs[first + int(u * longer)]
            lengths[sample, j] = max(tokens[j] + 1, min(length, longest[j]))
    return lengths


@njit(cache=True, nogil=True)
def run_waves(
    requests: Requests,
    law: Durations,
    kv: int,
    block: int,
    chunked: bool,
    rule: Rule,
    grid: Grid,
    samples: int,
) -> tuple[int, int, Columns]:
    """Run waves; return which request stalls and when (−1 if none does), and the batches.

    Parameters
    ----------
    requests : Requests
        In one order of admission.
    law, kv, block, chunked, rule
        As in `kernels.run`.
    grid : Grid
        What a setting may be.
    samples : int
        Sampled lengths per decision where they are learned; 0 where the planned ones are told.
    """
    n = requests.arrival.size
    state = begin(n, 1, kv, block)
    at = state.at
    found = blank(n, (requests.output - 1).sum() + 1)  # a chunk emits the first token
    counts = np.zeros(4, np.int64)
    known, above = np.empty(n, np.int64), np.empty(n, np.int64)
    arrived = completed = peak = 0
    setting: IntArray = np.zeros((2, 3), np.int64)
    admits, changed = True, False
    now, stalled, since = int(requests.arrival[requests.by_arrival[0]]), -1, -1
    while completed < n:
        while arrived < n and requests.arrival[requests.by_arrival[arrived]] <= now:
            push(requests, state, requests.by_arrival[arrived])
            arrived += 1
            changed = True
        outputs = known[:completed]
        if samples > 0:
            _expect(requests, state, outputs, above, kv)
        if changed and at[WAITING] > 0 and (samples == 0 or completed > 0):
            scene, lengths, beyond = _scene(
                requests, state, law, now, kv, block, chunked, rule, outputs, samples
            )
            choose(scene, lengths, admits, peak, beyond, grid, setting)
            changed = False
        here = setting[0]
        admits = admits or at[RUNNING] * 100 <= (100 - grid.shares[here[SHARE]]) * peak
        limited = Rule(
            rule.shape, rule.reserve, rule.decodes_first, rule.whole,
            grid.limits[here[LIMIT]] if admits else at[RUNNING], rule.tokens,
            grid.prompt_tokens[here[PROMPT_TOKENS]], rule.chunk, rule.watermark,
        )  # fmt: skip
        before = at[RUNNING]
        jobs = found.job_of[counts[JOB_COUNT] :]
        done = build(requests, state, kv, block, chunked, limited, jobs)
        if admits and _refused(requests, state, chunked, limited):
            admits, peak = False, at[RUNNING]
            changed = changed or at[RUNNING] > before
            setting[0] = setting[1]
        if at[CHUNKS] + at[JOBS] == 0:
            if arrived == n:
                stalled, since = first_unfinished(requests, state), now
                break
            now = requests.arrival[requests.by_arrival[arrived]]
            continue
        if is_full(found, counts, state):
            found = longer(found, counts, state)
        record(found, counts, state, now)
        now += duration(law, state)
        if done > 0:
            _learn(requests, state, known, above, completed)
            complete(requests, state)
            completed += done
            changed = True
    return stalled, since, recorded(found, counts)


@njit(cache=True, nogil=True)
def _refused(requests: Requests, state: State, chunked: bool, rule: Rule) -> bool:
    """Whether a request waits though the batch could have read some of it, or seats ran out."""
    at = state.at
    if at[DROPS] > 0 or at[WAITING] == 0:
        return False
    head = int(requests.of_rank[0, state.waiting[0, 0]])
    return bool(at[RUNNING] >= rule.seats or next_chunk(requests, state, head, chunked, rule) > 0)


@njit(cache=True, nogil=True)
def _learn(
    requests: Requests, state: State, known: IntArray, above: IntArray, completed: int
) -> None:
    """Put the outputs of those that are complete in their places among the known."""
    size = completed
    for place in range(state.at[RUNNING]):
        i = state.running[place]
        if state.tokens[i] == requests.output[i]:
            at = size
            while at > 0 and known[at - 1] > requests.output[i]:
                known[at] = known[at - 1]
                at -= 1
            known[at] = requests.output[i]
            size += 1
    total = 0
    for at in range(size - 1, -1, -1):
        total += known[at]
        above[at] = total


@njit(cache=True, nogil=True)
def _expect(requests: Requests, state: State, outputs: IntArray, above: IntArray, kv: int) -> None:
    """Plan all that are present with what is expected now, none longer than fits the GPU."""
    at = state.at
    for place in range(at[RUNNING] + at[WAITING]):
        if place < at[RUNNING]:
            i = state.running[place]
        else:
            i = requests.of_rank[0, state.waiting[0, place - at[RUNNING]]]
        length = expected_length(outputs, above, state.tokens[i])
        requests.planned[i] = min(length, kv - requests.prompt[i] + 1)


@njit(cache=True, nogil=True)
def _scene(
    requests: Requests,
    state: State,
    law: Durations,
    now: int,
    kv: int,
    block: int,
    chunked: bool,
    rule: Rule,
    outputs: IntArray,
    samples: int,
) -> tuple[Scene, IntArray, int]:
    """Return who runs and who waits, output lengths to reckon with, and how many wait beside."""
    at = state.at
    k = at[RUNNING]
    waiting = np.sort(state.waiting[0, : at[WAITING]])[:MOST_WAITING]
    who = np.concatenate((state.running[:k], requests.of_rank[0][waiting]))
    prompt, tokens, cached = requests.prompt[who], state.tokens[who], state.cached[who]
    unread = np.where(state.ready[who], 0, prompt + tokens - cached)
    planned = np.maximum(tokens + 1, requests.planned[who])
    if samples > 0:
        lengths = sampled_lengths(outputs, who, tokens, kv - prompt + 1, samples)
    else:
        lengths = planned.reshape((1, who.size))
    numbers = np.array([now, kv, block, rule.seats, rule.tokens, int(chunked)])
    scene = Scene(
        requests.arrival[who], prompt, planned, tokens, cached, unread, np.arange(k), numbers, law
    )
    return scene, lengths, int(at[WAITING] - waiting.size)
