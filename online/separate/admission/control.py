"""Which batch runs next, and which requests are in it, compiled.

Control by compensation: a batch wastes the part of its time that its jobs' work does not fill, and
at the price of that time the waste is its compensation (docs/coupling.md). So the next batch is
the one that is filled best; of equals the token batch. A full batch wastes nothing, and as long as
one of the two is full the control loses nothing, whatever it chooses. Where a deadline is at stake
the makespan decides instead: without limits on KV and prompt tokens, prompt batches first and then
token batches by longest remaining output end soonest (McNaughton's rule).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from .state import (
    IDLE,
    KV,
    PROMPT,
    RUNNING,
    TOKEN,
    TOKENS,
    WAITING,
    WORK,
    Batches,
    CompiledLaw,
    State,
    accept,
    copy_state,
    start_prompts,
    start_tokens,
)

#: Beyond this many times a request's own time from T, the past speed is trusted up to a margin.
FAR, MARGIN = 8, 0.9


@njit(cache=True, nogil=True)
def longest_to_go(law: CompiledLaw, state: State) -> int:
    """Most tokens that any accepted request has to go."""
    most = 0
    for x in range(state.running.shape[1] - 1, 0, -1):
        for j in range(state.running.shape[0]):
            if state.running[j, x] > 0:
                most = x
                break
        if most > 0:
            break
    for j in range(state.waiting.size):
        if state.waiting[j] > 0:
            most = max(most, law.o[j] - 1)
    return most


@njit(cache=True, nogil=True)
def makespan(law: CompiledLaw, waiting: int, tokens: int, longest: int) -> int:
    """Least time to complete all, without limits on KV and prompt tokens.

    ⌈waiting / B_P⌉ prompt batches, then as many token batches as their capacity B_D and the longest
    remaining output ask for: McNaughton's rule attains the greater of the two.
    """
    prompts = -(-waiting // law.B_P)
    batches = max(-(-tokens // law.B_D), longest)
    return law.prompt_time * prompts + law.token_time * batches


@njit(cache=True, nogil=True)
def pick_tokens(
    law: CompiledLaw, state: State, shortest_first: bool, most: int, batch: IntArray
) -> int:
    """Fill a token batch with up to B_D requests of at most `most` tokens to go.

    Returns their number; longest remaining output first, or shortest.
    """
    left = law.B_D
    longest = batch.shape[1]
    for step in range(1, longest):
        x = step if shortest_first else longest - step
        for j in range(batch.shape[0]):
            c = 0
            if left > 0 and x <= most:
                c = min(left, state.running[j, x])
                left -= c
            batch[j, x] = c
    return law.B_D - left


@njit(cache=True, nogil=True)
def pick_prompts(
    law: CompiledLaw, state: State, slots: int, in_time: bool, batch: IntArray, trial: IntArray
) -> int:
    """Fill a prompt batch, request by request; return its number of requests.

    The longest output first. If not all that is accepted can be completed in the `slots` that are
    left (`in_time` is False): the densest type first, and only what can still be completed.
    """
    count, tokens = 0, 0
    batch[:] = 0
    closed = np.zeros(batch.size, dtype=np.bool_)
    if not law.free:
        trial[:] = state.running
    while count < law.B_P:
        j = _next_prompt(law, state, slots, in_time, batch, closed)
        if j < 0:
            break
        if tokens + law.s[j] > law.C_P:
            closed[j] = True
            continue
        if not law.free:
            trial[j, law.o[j] - 1] += 1
            if not _fits(law, state, trial, batch, j, count + 1):
                trial[j, law.o[j] - 1] -= 1
                closed[j] = True
                continue
        batch[j] += 1
        count += 1
        tokens += law.s[j]
    return count


@njit(cache=True, nogil=True)
def _next_prompt(
    law: CompiledLaw,
    state: State,
    slots: int,
    in_time: bool,
    batch: IntArray,
    closed: NDArray[np.bool_],
) -> int:
    """Type of the next request of a prompt batch, or −1."""
    best = -1
    for k in range(batch.size):
        j = int(law.order[k])
        if closed[j] or batch[j] >= state.waiting[j]:
            continue
        if not in_time:
            if law.prompt_time + law.token_time * (law.o[j] - 1) <= slots:
                return j
        elif best < 0 or law.o[j] > law.o[best]:
            best = j
    return best


@njit(cache=True, nogil=True)
def _fits(
    law: CompiledLaw, state: State, trial: IntArray, batch: IntArray, j: int, count: int
) -> bool:
    """Whether a prompt batch with one more of type j leaves KV for all to be completed.

    `trial` is who runs after it (those with o = 1 in column 0, complete at once). Checked: the end
    of the batch itself, then the end of every token batch that follows if no more is admitted.
    """
    held = state.sums[KV] + law.s[j] + 1
    for i in range(batch.size):
        held += batch[i] * (law.s[i] + 1)
    if held > law.M:
        return False
    if state.sums[RUNNING] + count <= law.B_D:
        return _fits_together(law, trial)
    return _fits_in_turn(law, trial)


@njit(cache=True, nogil=True)
def _fits_together(law: CompiledLaw, trial: IntArray) -> bool:
    """All are in every token batch: at the end of the τ-th, those with ρ ≥ τ hold τ more."""
    count, held = 0, 0
    for x in range(trial.shape[1] - 1, 0, -1):
        for j in range(trial.shape[0]):
            c = trial[j, x]
            count += c
            held += c * (law.s[j] + law.o[j] - x)
        if held + count * x > law.M:
            return False
    return True


@njit(cache=True, nogil=True)
def _fits_in_turn(law: CompiledLaw, trial: IntArray) -> bool:
    """More than B_D run: follow the token batches, shortest remaining output first."""
    K, longest = trial.shape
    now = trial.copy()
    held, running = 0, 0
    for j in range(K):
        for x in range(1, longest):
            running += now[j, x]
            held += now[j, x] * (law.s[j] + law.o[j] - x)
    while running > 0:
        left = law.B_D
        served, freed = 0, 0
        for x in range(1, longest):
            for j in range(K):
                c = min(left, now[j, x])
                left -= c
                served += c
                now[j, x] -= c
                if x > 1:
                    now[j, x - 1] += c
                else:
                    running -= c
                    freed += c * (law.s[j] + law.o[j])
        if held + served > law.M:
            return False
        held += served - freed
    return True


@njit(cache=True, nogil=True)
def choose_batch(
    law: CompiledLaw,
    state: State,
    slots: int,
    batches: Batches,
) -> int:
    """Fill the batches with what could run, and return which of them does.

    Parameters
    ----------
    slots : int
        Slots until T; a batch must end by then.
    batches : Batches
        Filled.

    Returns
    -------
    int
        IDLE, PROMPT or TOKEN.
    """
    sums, prompts, tokens = state.sums, batches.prompts, batches.tokens
    if sums[WAITING] + sums[RUNNING] == 0:
        return IDLE
    longest = longest_to_go(law, state)
    if law.free:
        in_time = makespan(law, sums[WAITING], sums[TOKENS], longest) <= slots
    else:
        in_time = sums[WORK] <= slots * law.unit
    k = 0
    if sums[WAITING] > 0 and slots >= law.prompt_time:
        k = pick_prompts(law, state, slots, in_time, prompts, batches.trial)
    d = 0
    if sums[RUNNING] > 0 and slots >= law.token_time:
        shortest = not in_time or not law.free
        most = longest if in_time else slots // law.token_time
        d = pick_tokens(law, state, shortest, most, tokens)
    if k == 0 or d == 0:
        return PROMPT if k > 0 else TOKEN if d > 0 else IDLE
    if in_time and law.free and _token_batch_is_late(law, state, tokens, d, slots):
        return PROMPT
    prompt_fill, token_fill = 0, 0
    for j in range(prompts.size):
        prompt_fill += prompts[j] * law.prompt_work[j]
        for x in range(1, tokens.shape[1]):
            token_fill += tokens[j, x] * law.token_work[j, x]
    # Work per slot of the batch's time: what is filled best wastes least.
    better = prompt_fill * law.token_time > token_fill * law.prompt_time
    return PROMPT if better else TOKEN


@njit(cache=True, nogil=True)
def _token_batch_is_late(
    law: CompiledLaw, state: State, tokens: IntArray, d: int, slots: int
) -> bool:
    """Whether after the token batch (longest first) not all can be completed by T any more."""
    longest = 0
    for j in range(state.waiting.size):
        if state.waiting[j] > 0:
            longest = max(longest, law.o[j] - 1)
    for x in range(tokens.shape[1] - 1, longest, -1):
        for j in range(tokens.shape[0]):
            if state.running[j, x] > tokens[j, x]:
                longest = max(longest, x)
            elif tokens[j, x] > 0:
                longest = max(longest, x - 1)
    after = makespan(law, state.sums[WAITING], state.sums[TOKENS] - d, longest)
    return after > slots - law.token_time


@njit(cache=True, nogil=True)
def can_complete(
    law: CompiledLaw,
    state: State,
    slots: int,
    speed: float,
    j: int,
    batches: Batches,
) -> bool:
    """Whether all that is accepted and one more of type j complete in the given slots.

    If nothing more is accepted. By the least makespan where there is a formula. Else far from T by
    the speed of the past, with a margin, and near T by following the control to the end.
    """
    alone = law.prompt_time + law.token_time * (law.o[j] - 1)
    if alone > slots:
        return False
    sums = state.sums
    if law.free:
        longest = max(longest_to_go(law, state), law.o[j] - 1)
        return makespan(law, sums[WAITING] + 1, sums[TOKENS] + law.o[j] - 1, longest) <= slots
    work = sums[WORK] + law.total_work[j]
    if work > slots * law.unit:
        return False
    if slots > FAR * alone:
        return bool(work <= MARGIN * speed * slots * law.unit)
    after = copy_state(state)
    accept(law, after, j)
    left = slots
    while after.sums[WAITING] + after.sums[RUNNING] > 0:
        kind = choose_batch(law, after, left, batches)
        if kind == PROMPT:
            start_prompts(law, after, batches.prompts)
            left -= law.prompt_time
        elif kind == TOKEN:
            start_tokens(law, after, batches.tokens)
            left -= law.token_time
        else:
            return False
    return True
