"""Rules of continuous batching, compiled: batch by batch, as `batch_builder` has it.

A batch costs a few operations per token job. Requests that run stand in the order in which they
began; those that wait are a heap by rank, since the order of the waiting requests never changes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...models.continuous.schedule import Columns
from ...models.durations import Durations
from ...models.instance import IntArray
from .rule import CHUNK, PEAK, PLAN, PROMPT, PROMPTS_FIRST, TOGETHER, Rule
from .sorted_f_order import first_of_best_set, insert, remove


class Requests(NamedTuple):
    """The requests, shape (n,) each.

    Attributes
    ----------
    arrival, prompt, output, planned : ndarray of int64
        The planned output lengths are those that the rule reckons with.
    by_arrival : ndarray of int64
        Requests in order of arrival.
    ranks, of_rank : ndarray of int64, shape (1, n) or (3, n)
        Place of each request among all in the order in which they are admitted, and its inverse;
        for Sorted-F in the three orders of `sorted_f_order`.
    """

    arrival: IntArray
    prompt: IntArray
    output: IntArray
    planned: IntArray
    by_arrival: IntArray
    ranks: IntArray
    of_rank: IntArray


class State(NamedTuple):
    """What the GPU does; shape (n,) where nothing is said.

    Attributes
    ----------
    cached, tokens, room : ndarray of int64
        Cache, output tokens so far, and KV tokens set aside (whole blocks), of each request.
    ready : ndarray of bool
        Whether all that is to be read is read.
    running : ndarray of int64
        The running requests in order.
    waiting : ndarray of int64, shape (1, n) or (3, n)
        A heap of the ranks of those that wait; three sorted lists of them for Sorted-F.
    chunk_of, chunk_tokens, drop_of : ndarray of int64
        The batch: its chunks and its dropped caches.
    start, last : ndarray of int64
        The plan: where each running request's cache is on its line at 0, and when it completes.
    residues : ndarray of int64, shape (block,)
        Requests of the plan by their start, modulo a block.
    at : ndarray of int64, shape (13,)
        Numbers, by the constants below.
    """

    cached: IntArray
    tokens: IntArray
    room: IntArray
    ready: NDArray[np.bool_]
    running: IntArray
    waiting: IntArray
    chunk_of: IntArray
    chunk_tokens: IntArray
    drop_of: IntArray
    start: IntArray
    last: IntArray
    residues: IntArray
    at: IntArray


#: Places in `State.at`: how many run and wait; free KV tokens; tokens and prompt tokens that the
#: batch can still take; its chunks, drops and token jobs; KV tokens that it reads; its number; the
#: request that last did not fit the plan, and the batch in which it did not; the
#: request that is first in turn where it is known.
(
    RUNNING, WAITING, FREE, LEFT, PROMPT_LEFT, CHUNKS, DROPS, JOBS, READ, NUMBER, REFUSED,
    REFUSED_AT, HEAD,
) = range(13)  # fmt: skip


@njit(cache=True, nogil=True)
def run(
    requests: Requests, law: Durations, kv: int, block: int, chunked: bool, rule: Rule
) -> tuple[int, int, Columns]:
    """Run a rule; return which request stalls and when (−1 if none does), and the batches."""
    n = requests.arrival.size
    state = _begin(n, requests.ranks.shape[0], kv, block)
    at = state.at
    start, chunks, jobs, drops = (
        np.empty(4 * n, np.int64), np.empty(4 * n, np.int64),
        np.empty(4 * n, np.int64), np.empty(4 * n, np.int64),
    )  # fmt: skip
    chunk_of, chunk_tokens = np.empty(2 * n, np.int64), np.empty(2 * n, np.int64)
    drop_of = np.empty(n, np.int64)
    job_of = np.empty((requests.output - 1).sum() + 1, np.int32)  # a chunk emits the first
    b = p = d = x = arrived = completed = 0
    now, stalled, since = requests.arrival[requests.by_arrival[0]], np.int64(-1), np.int64(-1)
    while completed < n:
        while arrived < n and requests.arrival[requests.by_arrival[arrived]] <= now:
            _push(requests, state, requests.by_arrival[arrived])
            arrived += 1
        done = _build(requests, state, kv, block, chunked, rule, job_of[d:])
        read = state.chunk_tokens[: at[CHUNKS]].sum()
        if at[CHUNKS] + at[JOBS] == 0:
            if arrived == n:
                stalled, since = _first_unfinished(requests, state), now
                break
            now = requests.arrival[requests.by_arrival[arrived]]
            continue
        if b == start.size:
            start, chunks, jobs, drops = _more(start), _more(chunks), _more(jobs), _more(drops)
        start[b], chunks[b], jobs[b], drops[b] = now, at[CHUNKS], at[JOBS], at[DROPS]
        b += 1
        while p + at[CHUNKS] > chunk_of.size:
            chunk_of, chunk_tokens = _more(chunk_of), _more(chunk_tokens)
        chunk_of[p : p + at[CHUNKS]] = state.chunk_of[: at[CHUNKS]]
        chunk_tokens[p : p + at[CHUNKS]] = state.chunk_tokens[: at[CHUNKS]]
        while x + at[DROPS] > drop_of.size:
            drop_of = _more(drop_of)
        drop_of[x : x + at[DROPS]] = state.drop_of[: at[DROPS]]
        p, d, x = p + at[CHUNKS], d + at[JOBS], x + at[DROPS]
        work = law.token if at[JOBS] > 0 else law.prompt
        work += law.per_prompt_token * read + law.per_token_job * at[JOBS]
        now -= -(work + law.per_kv_token * at[READ]) // law.divisor
        if done > 0:
            _complete(requests, state)
            completed += done
    columns = Columns(
        start[:b], chunks[:b], jobs[:b], drops[:b], chunk_of[:p], chunk_tokens[:p], job_of[:d],
        drop_of[:x],
    )  # fmt: skip
    return stalled, since, columns


@njit(cache=True, nogil=True)
def _first_unfinished(requests: Requests, state: State) -> int:
    place = 0
    while state.tokens[requests.by_arrival[place]] == requests.output[requests.by_arrival[place]]:
        place += 1
    return requests.by_arrival[place]


@njit(cache=True, nogil=True)
def _begin(n: int, orders: int, kv: int, block: int) -> State:
    """Return the state before the first batch."""
    numbers = np.zeros((9, n), np.int64)
    at = np.zeros(13, np.int64)
    at[FREE], at[REFUSED], at[HEAD] = kv, -1, -1
    return State(
        numbers[0], numbers[1], numbers[2], np.zeros(n, np.bool_), numbers[3],
        np.zeros((orders, n), np.int64),
        numbers[4], numbers[5], numbers[6], numbers[7], numbers[8], np.zeros(block, np.int64), at,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _more(column: IntArray) -> IntArray:
    longer = np.empty(2 * column.size + 1, np.int64)
    longer[: column.size] = column
    return longer


@njit(cache=True, nogil=True)
def _build(
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
    at, running = state.at, state.running
    place = done = 0
    while place < at[RUNNING] and at[LEFT] > 0:
        i = running[place]
        place += 1
        if not (decode if state.ready[i] else prefill):
            continue
        tokens = 1 if state.ready[i] else _chunk(requests, state, i, chunked, rule)
        if tokens == 0:
            continue
        over = state.cached[i] + tokens - state.room[i]
        if over > 0:
            needed = (over + block - 1) // block * block
            while needed > at[FREE] and at[RUNNING] >= place:
                _drop_last(requests, state)
            if at[RUNNING] < place:
                return done
            state.room[i] += needed
            at[FREE] -= needed
        done += _take(requests, state, i, tokens, job_of)
    return done


@njit(cache=True, nogil=True)
def _chunk(requests: Requests, state: State, i: int, chunked: bool, rule: Rule) -> int:
    """Prompt tokens that the batch can still read of a request; 0 for none."""
    left = requests.prompt[i] + state.tokens[i] - state.cached[i]
    tokens = min(left, rule.chunk, state.at[LEFT], state.at[PROMPT_LEFT])
    most = min(rule.chunk, rule.prompt_tokens, rule.tokens)
    if rule.whole == 1 and tokens < left and (left <= most or not chunked):
        return 0
    return tokens


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
    _push(requests, state, i)


@njit(cache=True, nogil=True)
def _complete(requests: Requests, state: State) -> None:
    """Let go of the requests that are complete."""
    at, kept = state.at, 0
    for place in range(at[RUNNING]):
        i = state.running[place]
        if state.tokens[i] < requests.output[i]:
            state.running[kept] = i
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
        i = _head(requests, state, kv // block, block, rule.seats)
        tokens = _chunk(requests, state, i, chunked, rule)
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
        if needed + spare > at[FREE]:
            return done
        if rule.reserve == PLAN and not all_complete(requests, state, kv, block, rule, i, tokens):
            return done
        _pop(requests, state, i)
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


@njit(cache=True, nogil=True)
def _head(requests: Requests, state: State, blocks: int, block: int, seats: int) -> int:
    """Return the waiting request that is first in turn."""
    if state.waiting.shape[0] == 1:
        return requests.of_rank[0, state.waiting[0, 0]]
    at = state.at
    if at[HEAD] < 0:
        at[HEAD] = first_of_best_set(
            state.waiting, requests.ranks, requests.of_rank, at[WAITING], requests.prompt,
            requests.planned, blocks, block, seats,
        )  # fmt: skip
    return at[HEAD]


@njit(cache=True, nogil=True)
def _push(requests: Requests, state: State, i: int) -> None:
    """Let a request wait."""
    size = state.at[WAITING]
    state.at[WAITING] += 1
    state.at[HEAD] = -1
    if state.waiting.shape[0] > 1:
        for row in range(state.waiting.shape[0]):
            insert(state.waiting[row], size, requests.ranks[row, i])
        return
    heap, rank, at = state.waiting[0], requests.ranks[0, i], size
    while at > 0:
        above = (at - 1) // 2
        if heap[above] <= rank:
            break
        heap[at] = heap[above]
        at = above
    heap[at] = rank


@njit(cache=True, nogil=True)
def _pop(requests: Requests, state: State, i: int) -> None:
    """Let the request that is first in turn wait no longer."""
    state.at[WAITING] -= 1
    state.at[HEAD] = -1
    size = state.at[WAITING]
    if state.waiting.shape[0] > 1:
        for row in range(state.waiting.shape[0]):
            remove(state.waiting[row], size + 1, requests.ranks[row, i])
        return
    heap = state.waiting[0]
    rank, at = heap[size], 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and heap[below + 1] < heap[below]:
            below += 1
        if heap[below] >= rank:
            break
        heap[at] = heap[below]
        at = below
    heap[at] = rank
