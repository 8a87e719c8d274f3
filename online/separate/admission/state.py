"""The law and the GPU's state for compiled code, and how acceptances and batches change it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import IntArray
from .law import UNLIMITED, AdmissionLaw
from .workloads import Workloads

IDLE, PROMPT, TOKEN = range(3)


class CompiledLaw(NamedTuple):
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
        As in `Workloads`.
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
        At `WAITING` waiting requests, at `RUNNING` running ones, at `TOKENS` token jobs to go (of
        both), at `WORK` units of work to go, at `KV` tokens held.
    """

    waiting: IntArray
    running: IntArray
    sums: IntArray


WAITING, RUNNING, TOKENS, WORK, KV = range(5)


class Batches(NamedTuple):
    """Space for the batches that could run next.

    Attributes
    ----------
    prompts : ndarray of int64, shape (K,)
        Prompt jobs by type.
    tokens : ndarray of int64, shape (K, longest)
        Token jobs by type and tokens to go.
    trial : ndarray of int64, shape (K, longest)
        The running requests after a prompt batch.
    """

    prompts: IntArray
    tokens: IntArray
    trial: IntArray


def compiled_law(law: AdmissionLaw, workloads: Workloads) -> CompiledLaw:
    """Put a law into numbers."""
    M, C_P = law.kv_capacity, law.prompt_batch_tokens
    return CompiledLaw(
        B_P=law.prompt_batch_requests,
        C_P=UNLIMITED if C_P is None else C_P,
        B_D=law.token_batch_requests,
        M=UNLIMITED if M is None else M,
        prompt_time=law.prompt_time,
        token_time=law.token_time,
        free=M is None and C_P is None,
        s=np.array(law.prompt, dtype=np.int64),
        o=np.array(law.output, dtype=np.int64),
        prompt_work=workloads.prompt,
        token_work=workloads.token,
        total_work=workloads.total,
        unit=workloads.unit,
        order=workloads.order,
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
def no_batches(K: int, longest: int) -> Batches:
    """Return empty batches."""
    return Batches(
        np.zeros(K, dtype=np.int64),
        np.zeros((K, longest), dtype=np.int64),
        np.zeros((K, longest), dtype=np.int64),
    )


@njit(cache=True, nogil=True)
def copy_state(state: State) -> State:
    """Return a state that can be changed on its own."""
    return State(state.waiting.copy(), state.running.copy(), state.sums.copy())


@njit(cache=True, nogil=True)
def accept(law: CompiledLaw, state: State, j: int) -> None:
    """Let one more request of type j wait."""
    state.waiting[j] += 1
    state.sums[WAITING] += 1
    state.sums[TOKENS] += law.o[j] - 1
    state.sums[WORK] += law.total_work[j]


@njit(cache=True, nogil=True)
def withdraw(law: CompiledLaw, state: State, j: int) -> None:
    """Undo `accept`."""
    state.waiting[j] -= 1
    state.sums[WAITING] -= 1
    state.sums[TOKENS] -= law.o[j] - 1
    state.sums[WORK] -= law.total_work[j]


@njit(cache=True, nogil=True)
def start_prompts(law: CompiledLaw, state: State, batch: IntArray) -> int:
    """Run a prompt batch, `batch[j]` requests of type j; return the units of work done.

    KV is that after the batch: what completes in it has freed its own.
    """
    done = 0
    for j in range(batch.size):
        c = batch[j]
        if c > 0:
            state.waiting[j] -= c
            state.sums[WAITING] -= c
            done += c * law.prompt_work[j]
            if law.o[j] > 1:
                state.running[j, law.o[j] - 1] += c
                state.sums[RUNNING] += c
                state.sums[KV] += c * (law.s[j] + 1)
    state.sums[WORK] -= done
    return done


@njit(cache=True, nogil=True)
def start_tokens(law: CompiledLaw, state: State, batch: IntArray) -> int:
    """Run a token batch, `batch[j, ρ]` requests of each kind; return the units of work done."""
    done = 0
    for x in range(1, batch.shape[1]):
        for j in range(batch.shape[0]):
            c = batch[j, x]
            if c > 0:
                done += c * law.token_work[j, x]
                state.running[j, x] -= c
                state.sums[TOKENS] -= c
                if x > 1:
                    state.running[j, x - 1] += c
                    state.sums[KV] += c
                else:
                    state.sums[RUNNING] -= c
                    state.sums[KV] -= c * (law.s[j] + law.o[j] - 1)
    state.sums[WORK] -= done
    return done
