"""The GPU's state for compiled code, and its control: which batch next, and who is in it.

Control by compensation: a batch wastes the part of its time that its jobs' work does not fill, and
at the price of that time the waste is its compensation (docs/coupling.md). So the next batch is
the one that is filled best; of equals the token batch. A full batch wastes nothing, and as long as
one of the two is full the control loses nothing, whatever it chooses. Where a deadline is at stake
the makespan decides instead: without limits on KV and prompt tokens, prompt batches first and then
token batches by longest remaining output end soonest (McNaughton's rule).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from .law import UNLIMITED, AdmissionLaw
from .workloads import Work

IDLE, PROMPT, TOKEN = range(3)

#: Beyond so many times a request's own time from T, the past speed is trusted up to a margin.
FAR, MARGIN = 8, 0.9


class Machine(NamedTuple):
    """GPU and types, as numbers and arrays that do not change.

    Attributes
    ----------
    B_P, C_P, B_D, M, prompt_time, token_time : int
        Limits (`UNLIMITED` where there is none) and batch times.
    free : bool
        Whether neither KV nor prompt tokens are limited.
    s, o : ndarray of int64, shape (K,)
        Prompt and output lengths.
    prompt_work, token_work, total_work, unit, order
        As in `Work`.
    """

    B_P: int
    C_P: int
    B_D: int
    M: int
    prompt_time: int
    token_time: int
    free: bool
    s: IntArray
    o: IntArray
    prompt_work: IntArray
    token_work: IntArray
    total_work: IntArray
    unit: int
    order: IntArray


class State(NamedTuple):
    """What is accepted and not complete.

    Attributes
    ----------
    waiting : ndarray of int64, shape (K,)
        Requests whose prompt job has not started, by type.
    running : ndarray of int64, shape (K, longest)
        Requests with ρ tokens to go, in column ρ.
    sums : ndarray of int64, shape (5,)
        Waiting requests, running requests, token jobs to go (of both), units of work to go, KV
        tokens held.
    """

    waiting: IntArray
    running: IntArray
    sums: IntArray


WAITING, RUNNING, TOKENS, WORK, KV = range(5)


def make_machine(law: AdmissionLaw, work: Work) -> Machine:
    """Put a law into numbers."""
    M, C_P = law.kv_capacity, law.prompt_batch_tokens
    return Machine(
        B_P=law.prompt_batch_requests,
        C_P=UNLIMITED if C_P is None else C_P,
        B_D=law.token_batch_requests,
        M=UNLIMITED if M is None else M,
        prompt_time=law.prompt_time,
        token_time=law.token_time,
        free=M is None and C_P is None,
        s=np.array(law.prompt, dtype=np.int64),
        o=np.array(law.output, dtype=np.int64),
        prompt_work=work.prompt,
        token_work=work.token,
        total_work=work.total,
        unit=work.unit,
        order=work.order,
    )


@njit(cache=True, nogil=True)
def empty_state(K: int, longest: int) -> State:
    """Nothing accepted."""
    return State(
        np.zeros(K, dtype=np.int64),
        np.zeros((K, longest), dtype=np.int64),
        np.zeros(5, dtype=np.int64),
    )


@njit(cache=True, nogil=True)
def copy_state(state: State) -> State:
    """Return a state that can be changed on its own."""
    return State(state.waiting.copy(), state.running.copy(), state.sums.copy())


@njit(cache=True, nogil=True)
def accept(machine: Machine, state: State, j: int) -> None:
    """Let one more request of type j wait."""
    state.waiting[j] += 1
    state.sums[WAITING] += 1
    state.sums[TOKENS] += machine.o[j] - 1
    state.sums[WORK] += machine.total_work[j]


@njit(cache=True, nogil=True)
def withdraw(machine: Machine, state: State, j: int) -> None:
    """Undo `accept`."""
    state.waiting[j] -= 1
    state.sums[WAITING] -= 1
    state.sums[TOKENS] -= machine.o[j] - 1
    state.sums[WORK] -= machine.total_work[j]


@njit(cache=True, nogil=True)
def start_prompts(machine: Machine, state: State, batch: IntArray) -> int:
    """Run a prompt batch, `batch[j]` requests of type j; return the units of work done.

    KV is that after the batch: what completes in it has freed its own.
    """
    done = 0
    for j in range(batch.size):
        c = batch[j]
        if c > 0:
            state.waiting[j] -= c
            state.sums[WAITING] -= c
            done += c * machine.prompt_work[j]
            if machine.o[j] > 1:
                state.running[j, machine.o[j] - 1] += c
                state.sums[RUNNING] += c
                state.sums[KV] += c * (machine.s[j] + 1)
    state.sums[WORK] -= done
    return done


@njit(cache=True, nogil=True)
def start_tokens(machine: Machine, state: State, batch: IntArray) -> int:
    """Run a token batch, `batch[j, ρ]` requests of each kind; return the units of work done."""
    done = 0
    for x in range(1, batch.shape[1]):
        for j in range(batch.shape[0]):
            c = batch[j, x]
            if c > 0:
                done += c * machine.token_work[j, x]
                state.running[j, x] -= c
                state.sums[TOKENS] -= c
                if x > 1:
                    state.running[j, x - 1] += c
                    state.sums[KV] += c
                else:
                    state.sums[RUNNING] -= c
                    state.sums[KV] -= c * (machine.s[j] + machine.o[j] - 1)
    state.sums[WORK] -= done
    return done


@njit(cache=True, nogil=True)
def longest_to_go(machine: Machine, state: State) -> int:
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
            most = max(most, machine.o[j] - 1)
    return most


@njit(cache=True, nogil=True)
def makespan(machine: Machine, waiting: int, tokens: int, longest: int) -> int:
    """Least time to complete all, without limits on KV and prompt tokens.

    ⌈waiting / B_P⌉ prompt batches, then as many token batches as their capacity B_D and the longest
    remaining output ask for: McNaughton's rule attains the greater of the two.
    """
    prompts = -(-waiting // machine.B_P)
    batches = max(-(-tokens // machine.B_D), longest)
    return machine.prompt_time * prompts + machine.token_time * batches


@njit(cache=True, nogil=True)
def pick_tokens(
    machine: Machine, state: State, shortest_first: bool, most: int, batch: IntArray
) -> int:
    """Fill a token batch with up to B_D requests of at most `most` tokens to go.

    Returns their number; longest remaining output first, or shortest.
    """
    left = machine.B_D
    longest = batch.shape[1]
    for step in range(1, longest):
        x = step if shortest_first else longest - step
        for j in range(batch.shape[0]):
            c = 0
            if left > 0 and x <= most:
                c = min(left, state.running[j, x])
                left -= c
            batch[j, x] = c
    return machine.B_D - left


@njit(cache=True, nogil=True)
def pick_prompts(
    machine: Machine, state: State, slots: int, in_time: bool, batch: IntArray, trial: IntArray
) -> int:
    """Fill a prompt batch, request by request; return its number of requests.

    The longest output first. If not all that is accepted can be completed in the `slots` that are
    left (`in_time` is False): the densest type first, and only what can still be completed.
    """
    count, tokens = 0, 0
    batch[:] = 0
    closed = np.zeros(batch.size, dtype=np.bool_)
    if not machine.free:
        trial[:] = state.running
    while count < machine.B_P:
        j = _next_prompt(machine, state, slots, in_time, batch, closed)
        if j < 0:
            break
        if tokens + machine.s[j] > machine.C_P:
            closed[j] = True
            continue
        if not machine.free:
            trial[j, machine.o[j] - 1] += 1
            if not _fits(machine, state, trial, batch, j, count + 1):
                trial[j, machine.o[j] - 1] -= 1
                closed[j] = True
                continue
        batch[j] += 1
        count += 1
        tokens += machine.s[j]
    return count


@njit(cache=True, nogil=True)
def _next_prompt(
    machine: Machine,
    state: State,
    slots: int,
    in_time: bool,
    batch: IntArray,
    closed: NDArray[np.bool_],
) -> int:
    """Type of the next request of a prompt batch, or −1."""
    best = -1
    for k in range(batch.size):
        j = int(machine.order[k])
        if closed[j] or batch[j] >= state.waiting[j]:
            continue
        if not in_time:
            if machine.prompt_time + machine.token_time * (machine.o[j] - 1) <= slots:
                return j
        elif best < 0 or machine.o[j] > machine.o[best]:
            best = j
    return best


@njit(cache=True, nogil=True)
def _fits(
    machine: Machine, state: State, trial: IntArray, batch: IntArray, j: int, count: int
) -> bool:
    """Whether a prompt batch with one more of type j leaves KV for all to be completed.

    `trial` is who runs after it (those with o = 1 in column 0, complete at once). Checked: the end
    of the batch itself, then the end of every token batch that follows if no more is admitted.
    """
    held = state.sums[KV] + machine.s[j] + 1
    for i in range(batch.size):
        held += batch[i] * (machine.s[i] + 1)
    if held > machine.M:
        return False
    if state.sums[RUNNING] + count <= machine.B_D:
        return _fits_together(machine, trial)
    return _fits_in_turn(machine, trial)


@njit(cache=True, nogil=True)
def _fits_together(machine: Machine, trial: IntArray) -> bool:
    """All are in every token batch: at the end of the τ-th, those with ρ ≥ τ hold τ more."""
    count, held = 0, 0
    for x in range(trial.shape[1] - 1, 0, -1):
        for j in range(trial.shape[0]):
            c = trial[j, x]
            count += c
            held += c * (machine.s[j] + machine.o[j] - x)
        if held + count * x > machine.M:
            return False
    return True


@njit(cache=True, nogil=True)
def _fits_in_turn(machine: Machine, trial: IntArray) -> bool:
    """More than B_D run: follow the token batches, shortest remaining output first."""
    K, longest = trial.shape
    now = trial.copy()
    held, running = 0, 0
    for j in range(K):
        for x in range(1, longest):
            running += now[j, x]
            held += now[j, x] * (machine.s[j] + machine.o[j] - x)
    while running > 0:
        left = machine.B_D
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
                    freed += c * (machine.s[j] + machine.o[j])
        if held + served > machine.M:
            return False
        held += served - freed
    return True


@njit(cache=True, nogil=True)
def choose_batch(
    machine: Machine,
    state: State,
    slots: int,
    prompts: IntArray,
    tokens: IntArray,
    trial: IntArray,
) -> int:
    """Fill `prompts` and `tokens` with what could be run, and return which of them is.

    Parameters
    ----------
    slots : int
        Slots until T; a batch must end by then.
    prompts, tokens, trial : ndarray of int64
        Filled; shapes (K,), (K, longest) and (K, longest).

    Returns
    -------
    int
        IDLE, PROMPT or TOKEN.
    """
    sums = state.sums
    if sums[WAITING] + sums[RUNNING] == 0:
        return IDLE
    longest = longest_to_go(machine, state)
    if machine.free:
        in_time = makespan(machine, sums[WAITING], sums[TOKENS], longest) <= slots
    else:
        in_time = sums[WORK] <= slots * machine.unit
    k = 0
    if sums[WAITING] > 0 and slots >= machine.prompt_time:
        k = pick_prompts(machine, state, slots, in_time, prompts, trial)
    d = 0
    if sums[RUNNING] > 0 and slots >= machine.token_time:
        shortest = not in_time or not machine.free
        most = longest if in_time else slots // machine.token_time
        d = pick_tokens(machine, state, shortest, most, tokens)
    if k == 0 or d == 0:
        return PROMPT if k > 0 else TOKEN if d > 0 else IDLE
    if in_time and machine.free and _token_batch_is_late(machine, state, tokens, d, slots):
        return PROMPT
    prompt_fill, token_fill = 0, 0
    for j in range(prompts.size):
        prompt_fill += prompts[j] * machine.prompt_work[j]
        for x in range(1, tokens.shape[1]):
            token_fill += tokens[j, x] * machine.token_work[j, x]
    # Work per slot of the batch's time: what is filled best wastes least.
    better = prompt_fill * machine.token_time > token_fill * machine.prompt_time
    return PROMPT if better else TOKEN


@njit(cache=True, nogil=True)
def _token_batch_is_late(
    machine: Machine, state: State, tokens: IntArray, d: int, slots: int
) -> bool:
    """Whether after the token batch (longest first) not all can be completed by T any more."""
    longest = 0
    for j in range(state.waiting.size):
        if state.waiting[j] > 0:
            longest = max(longest, machine.o[j] - 1)
    for x in range(tokens.shape[1] - 1, longest, -1):
        for j in range(tokens.shape[0]):
            if state.running[j, x] > tokens[j, x]:
                longest = max(longest, x)
            elif tokens[j, x] > 0:
                longest = max(longest, x - 1)
    after = makespan(machine, state.sums[WAITING], state.sums[TOKENS] - d, longest)
    return after > slots - machine.token_time


@njit(cache=True, nogil=True)
def can_complete(
    machine: Machine,
    state: State,
    slots: int,
    speed: float,
    j: int,
    prompts: IntArray,
    tokens: IntArray,
    trial: IntArray,
) -> bool:
    """Whether all that is accepted and one more of type j complete in so many slots.

    If nothing more is accepted. By the least makespan where there is a formula. Else far from T by
    the speed of the past, with a margin, and near T by following the control to the end.
    """
    alone = machine.prompt_time + machine.token_time * (machine.o[j] - 1)
    if alone > slots:
        return False
    sums = state.sums
    if machine.free:
        longest = max(longest_to_go(machine, state), machine.o[j] - 1)
        return (
            makespan(machine, sums[WAITING] + 1, sums[TOKENS] + machine.o[j] - 1, longest) <= slots
        )
    work = sums[WORK] + machine.total_work[j]
    if work > slots * machine.unit:
        return False
    if slots > FAR * alone:
        return bool(work <= MARGIN * speed * slots * machine.unit)
    after = copy_state(state)
    accept(machine, after, j)
    left = slots
    while after.sums[WAITING] + after.sums[RUNNING] > 0:
        kind = choose_batch(machine, after, left, prompts, tokens, trial)
        if kind == PROMPT:
            start_prompts(machine, after, prompts)
            left -= machine.prompt_time
        elif kind == TOKEN:
            start_tokens(machine, after, tokens)
            left -= machine.token_time
        else:
            return False
    return True
