"""Rules of continuous batching, compiled: batch by batch, as `batch_builder` has it.

A batch costs a few operations per token job. Requests that run stand in the order in which they
began; those that wait are a heap by rank, since the order of the waiting requests never changes.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...models.continuous.schedule import Columns
from ...models.durations import Durations
from .kernel_record import JOB_COUNT, blank, duration, is_full, longer, record, recorded
from .kernel_state import (
    CHUNKS,
    DROPS,
    FREE,
    JOBS,
    LEFT,
    NUMBER,
    PROMPT_LEFT,
    READ,
    REFUSED,
    REFUSED_AT,
    RUNNING,
    WAITING,
    Requests,
    State,
    begin,
    head,
    pop,
    push,
)
from .rule import CHUNK, FITS, PEAK, PLAN, PROMPT, PROMPTS_FIRST, TOGETHER, Rule


@njit(cache=True, nogil=True)
def run(
    requests: Requests, law: Durations, kv: int, block: int, chunked: bool, rule: Rule
) -> tuple[int, int, Columns]:
    """Run a rule; return which request stalls and when (−1 if none does), and the batches."""
    n = requests.arrival.size
    state = begin(n, requests.ranks.shape[0], kv, block)
    at = state.at
    found = blank(n, (requests.output - 1).sum() + 1)  # a chunk emits the first token
    counts = np.zeros(4, np.int64)
    arrived = completed = 0
    now, stalled, since = int(requests.arrival[requests.by_arrival[0]]), -1, -1
    while completed < n:
        while arrived < n and requests.arrival[requests.by_arrival[arrived]] <= now:
            push(requests, state, requests.by_arrival[arrived])
            arrived += 1
        jobs = found.job_of[counts[JOB_COUNT] :]
        done = build(requests, state, kv, block, chunked, rule, jobs)
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
            complete(requests, state)
            completed += done
    return stalled, since, recorded(found, counts)


@njit(cache=True, nogil=True)
def first_unfinished(requests: Requests, state: State) -> int:
    """Return the first to arrive of the requests that are not complete."""
    place = 0
    while state.tokens[requests.by_arrival[place]] == requests.output[requests.by_arrival[place]]:
        place += 1
    return int(requests.by_arrival[place])


@njit(cache=True, nogil=True)
def build(
    requests: Requests,
    state: State,
    kv: int,
    block: int,
    chunked: bool,
    rule: Rule,
    job_of: NDArray[np.int32],
) -> int:
    """Build the next batch and give its tokens; return how many requests complete in it."""
    at = state.at
    at[LEFT], at[PROMPT_LEFT] = rule.tokens, rule.prompt_tokens
    at[CHUNKS] = at[DROPS] = at[JOBS] = at[READ] = 0
    at[NUMBER] += 1
    done = 0
    if rule.shape == TOGETHER:
        if rule.decodes_first == 1:
            done += _serve(requests, state, block, chunked, rule, job_of, True, False)
            done += _serve(requests, state, block, chunked, rule, job_of, False, True)
        else:
            done += _serve(requests, state, block, chunked, rule, job_of, True, True)
        if at[DROPS] == 0:
            done += _admit(requests, state, kv, block, chunked, rule, job_of)
        return done
    alone = at[RUNNING] == 0
    done += _serve(requests, state, block, chunked, rule, job_of, False, True)
    if rule.shape == PROMPTS_FIRST or alone:
        done += _admit(requests, state, kv, block, chunked, rule, job_of)
    if at[CHUNKS] == 0:
        done += _serve(requests, state, block, chunked, rule, job_of, True, False)
    return done


@njit(cache=True, nogil=True)
def _serve(
    requests: Requests,
    state: State,
    block: int,
    chunked: bool,
    rule: Rule,
    job_of: NDArray[np.int32],
    decode: bool,
    prefill: bool,
) -> int:
    """Give running requests in turn a token job or a chunk; preempt from the tail."""
    at, running, ready, cached, room = (
        state.at, state.running, state.ready, state.cached, state.room,
    )  # fmt: skip
    tokens_of, prompt, output = state.tokens, requests.prompt, requests.output
    place = done = 0
    while place < at[RUNNING] and at[LEFT] > 0:
        i = running[place]
        place += 1
        if not (decode if ready[i] else prefill):
            continue
        tokens = 1 if ready[i] else next_chunk(requests, state, i, chunked, rule)
        if tokens == 0:
            continue
        over = cached[i] + tokens - room[i]
        if over > 0:
            needed = (over + block - 1) // block * block
            while needed > at[FREE] and at[RUNNING] >= place:
                _drop_last(requests, state)
            if at[RUNNING] < place:
                return done
            room[i] += needed
            at[FREE] -= needed
        if not ready[i]:
            done += _take(requests, state, i, tokens, job_of)
            continue
        job_of[at[JOBS]] = i  # as `_take` does, for most of all jobs are of this kind
        at[JOBS] += 1
        at[LEFT] -= 1
        at[READ] += prompt[i] + tokens_of[i]
        cached[i] += 1
        tokens_of[i] += 1
        done += tokens_of[i] == output[i]
    return done


@njit(cache=True, nogil=True)
def next_chunk(requests: Requests, state: State, i: int, chunked: bool, rule: Rule) -> int:
    """Prompt tokens that the batch can still read of a request; 0 for none."""
    left = requests.prompt[i] + state.tokens[i] - state.cached[i]
    tokens = min(left, rule.chunk, state.at[LEFT], state.at[PROMPT_LEFT])
    most = min(rule.chunk, rule.prompt_tokens, rule.tokens)
    if rule.whole == 1 and tokens < left and (left <= most or not chunked):
        return 0
    return int(tokens)


@njit(cache=True, nogil=True)
def _take(requests: Requests, state: State, i: int, tokens: int, job_of: NDArray[np.int32]) -> int:
    """Put a request into the batch; return 1 if it completes, else 0."""
    at = state.at
    at[LEFT] -= tokens
    if state.ready[i]:
        job_of[at[JOBS]] = i
        at[JOBS] += 1
        at[READ] += requests.prompt[i] + state.tokens[i]
    else:
        at[PROMPT_LEFT] -= tokens
        state.chunk_of[at[CHUNKS]] = i
        state.chunk_tokens[at[CHUNKS]] = tokens
        at[CHUNKS] += 1
        if state.cached[i] + tokens < requests.prompt[i] + state.tokens[i]:
            state.cached[i] += tokens
            return 0
        state.ready[i] = True
    state.cached[i] += tokens
    state.tokens[i] += 1
    return 1 if state.tokens[i] == requests.output[i] else 0


@njit(cache=True, nogil=True)
def _drop_last(requests: Requests, state: State) -> None:
    """Preempt the request that began last; it has no part in this batch."""
    at = state.at
    at[RUNNING] -= 1
    i = state.running[at[RUNNING]]
    at[FREE] += state.room[i]
    state.room[i] = state.cached[i] = 0
    state.ready[i] = False
    state.drop_of[at[DROPS]] = i
    at[DROPS] += 1
    push(requests, state, i)


@njit(cache=True, nogil=True)
def complete(requests: Requests, state: State) -> None:
    """Let go of the requests that are complete."""
    at, running, tokens, output, kept = state.at, state.running, state.tokens, requests.output, 0
    for place in range(at[RUNNING]):
        i = running[place]
        if tokens[i] < output[i]:
            running[kept] = i
            kept += 1
        else:
            at[FREE] += state.room[i]
    at[RUNNING] = kept


@njit(cache=True, nogil=True)
def _admit(
    requests: Requests,
    state: State,
    kv: int,
    block: int,
    chunked: bool,
    rule: Rule,
    job_of: NDArray[np.int32],
) -> int:
    """Admit waiting requests in turn, up to the first that does not fit."""
    at, done = state.at, 0
    while at[WAITING] > 0 and at[RUNNING] < rule.seats:
        i = head(requests, state, kv // block, block, rule.seats)
        tokens = next_chunk(requests, state, i, chunked, rule)
        if tokens == 0:
            return done
        s, g = requests.prompt[i], state.tokens[i]
        aside = tokens
        if rule.reserve == PROMPT:
            aside = s + g
        elif rule.reserve == PEAK:
            aside = max(tokens, min(kv, s + max(requests.planned[i] - 1, g)))
        needed = (aside + block - 1) // block * block
        spare = rule.watermark if rule.reserve != CHUNK and at[RUNNING] > 0 else 0
        fits = needed
        if rule.reserve == FITS:
            fits = (s + g + block - 1) // block * block
        if fits + spare > at[FREE]:
            return done
        if rule.reserve == PLAN and not all_complete(requests, state, kv, block, rule, i, tokens):
            return done
        pop(requests, state, i)
        state.running[at[RUNNING]] = i
        at[RUNNING] += 1
        state.room[i] = needed
        at[FREE] -= needed
        done += _take(requests, state, i, tokens, job_of)
    return done


@njit(cache=True, nogil=True)
def all_complete(
    requests: Requests, state: State, kv: int, block: int, rule: Rule, newcomer: int, tokens: int
) -> bool:
    """Whether with a newcomer all complete at planned lengths, a token each in every batch.

    Where it was refused before, the batch at which memory ran out then is looked at first.
    """
    at, blocks = state.at, kv // block
    k = at[RUNNING]
    per = max(1, min(rule.chunk, rule.prompt_tokens, rule.tokens - k))
    for place in range(k):
        i = state.running[place]
        _line(requests, state, per, i, state.cached[i], place)
    _line(requests, state, per, newcomer, tokens, k)
    start, last = state.start[: k + 1], state.last[: k + 1]
    if at[REFUSED] == newcomer:
        end, held = at[REFUSED_AT] - at[NUMBER], 0
        for place in range(k + 1):
            if last[place] >= end:
                held += (start[place] + end + block - 1) // block
        if end >= 1 and held > blocks:
            return False
    residues = state.residues
    residues[:] = 0
    alive = whole = 0
    order = np.argsort(last)
    for turn in range(k, -1, -1):
        place = order[turn]
        alive += 1
        whole += start[place] // block
        residues[start[place] % block] += 1
        end = last[place]
        if turn > 0 and last[order[turn - 1]] == end:
            continue
        quotient, rest = end // block, end % block
        held = whole + alive * (quotient + 1)
        if rest == 0:
            held -= residues[0]
        else:
            held += residues[block - rest + 1 :].sum()
        if held > blocks:
            at[REFUSED], at[REFUSED_AT] = newcomer, at[NUMBER] + end
            return False
    return True


@njit(cache=True, nogil=True)
def _line(requests: Requests, state: State, per: int, i: int, cached: int, place: int) -> None:
    """Plan a running request's cache from its state after the batch that is being built."""
    s, g, planned = requests.prompt[i], state.tokens[i], requests.planned[i]
    if state.ready[i]:
        state.start[place] = cached - 1
        state.last[place] = max(1, planned - g + 1)
        return
    reads = -(-(s + g - cached) // per)
    state.start[place] = s + g - reads - 1
    state.last[place] = reads + max(1, planned - g)
