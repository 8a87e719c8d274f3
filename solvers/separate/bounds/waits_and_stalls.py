r"""Lower bound from the times of prompt batches: which requests wait for one, which it stalls.

**Waits and stalls.** Let x_1 < x_2 < … be the starts of the prompt batches from a_i on, each of
which takes τ or more, and d_i what request i takes alone. Then

    C_i ≥ x_1 + d_i + τ · #{l ≥ 2 : x_l < C_i}.

*Proof.* Let i be in the m-th of them. It starts no earlier than x_1 + (m − 1)·τ, which pays for
l = 2 … m. From x_m on i takes at least d_i besides the prompt batches in which it is not, and each
of those that start before C_i stalls it for τ or more. ∎ So beside d_i it takes x_1 − a_i, its
*wait*, and τ for each later prompt batch that begins while it is there, its *stalls*.

**A path from prompt batch to prompt batch.** Waits and stalls together cost at least as much as the
cheapest path from the first prompt batch to one at or after the last arrival, where a step from p
to S costs the waits of who arrives in (p, S], and stalls at S: τ for each request that has arrived
by p and is certainly there at S. Who is, depends on the batches before p, named p', p'':

- who arrived in (p', p] has x_1 = p: if p + d_i > S.
- who arrived in (p'', p'] has been stalled at p, or is done by then: if a_i + d_i + τ > S (as
  S ≥ p + τ, this says that it was there at p); who arrived by p'' if a_i + d_i + 2τ > S.
- not knowing these: who arrived by p, if a_i + d_i > S.

**Leftovers.** If enough requests have arrived in (p', p] that by B_P and C_P at least r of them
are not in the batch at p, these wait for S: instead of a stall of τ or none, S − p each. So r · (S
− p − τ) are added. Likewise for those of (p'', p] and the two batches p' and p.

A state of the path is p with the numbers of arrivals in (p', p] and (p'', p']: the *memory*, 0 to 2
such numbers. Numbers beyond `MOST_REMEMBERED`, and steps longer than the *reach*, lead to states
that remember nothing; the latter cost no stalls, and waits of at least those who arrived within the
reach. What is bounded so is a relaxation: nothing is said of B_D and KV.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.batch_time import AffineTime
from ....models.instance import Instance, IntArray
from ....models.separate.problem import separate_problem, time_alone
from ...certificates.separate.waits_and_stalls import WaitsAndStallsProof

#: Most numbers in the memory.
MOST_MEMORY = 2

#: Most arrivals between two prompt batches that are remembered, by numbers in the memory.
MOST_REMEMBERED = (0, 24, 12)

#: The reach by numbers in the memory, in mean times between arrivals, or in prompt batches if that
#: is more.
REACH_ARRIVALS, REACH_BATCHES = (24, 24, 12), 20

#: Most slots from the first arrival to the last.
MOST_SLOTS = 5_000_000

_NONE = 2**60


class WaitsAndStalls(NamedTuple):
    """The bound, and the path.

    Attributes
    ----------
    bound : int
        Lower bound on the total latency.
    proof : WaitsAndStallsProof
        What anyone needs to recompute it.
    starts : ndarray of int64, or None
        Starts of the path's prompt batches; only where one number is remembered.
    """

    bound: int
    proof: WaitsAndStallsProof
    starts: IntArray | None


def work_of(instance: Instance, memory: int) -> int | None:
    """Return how many steps from state to state the bound takes, about; None if it has none.

    It takes the unit and the constant law, whose times are slots, and few enough of these.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> work_of(instance, 0), work_of(instance, 2)
    (1480, 85176)
    """
    span = int(np.ptp(instance.arrival)) + 1
    if isinstance(instance.gpu.batch_time, AffineTime) or span > MOST_SLOTS:
        return None
    reach = _reach(instance, memory)
    return int((span + reach) * reach * (1 + MOST_REMEMBERED[memory]) ** memory)


def waits_and_stalls(instance: Instance, memory: int = 1) -> WaitsAndStalls:
    """Return the lower bound on the total latency that waits and stalls give.

    Parameters
    ----------
    instance : Instance
        One for which `work_of` is not None.
    memory : int
        Numbers in the memory, 0 to `MOST_MEMORY`: with more the bound is better.

    See Also
    --------
    certificates.separate.waits_and_stalls.WaitsAndStallsProof : Verifies the bound.
    bounds.gpu_path_prices.path_prices : A Lagrangian bound that knows KV and batch limits.

    Examples
    --------
    The first waits a round for the second, or is stalled by its prompt batch:

    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 1], prompt=[3, 1], output=[4, 2])
    >>> waits_and_stalls(instance).bound, waits_and_stalls(instance).starts.tolist()
    (7, [1])
    """
    order = np.lexsort((instance.prompt, instance.arrival))
    first = int(instance.arrival.min())
    arrival = instance.arrival[order] - first
    problem = separate_problem(instance)
    alone, tau = time_alone(instance)[order], _shortest_prompt_batch(instance)
    W = MOST_REMEMBERED[memory]
    sizes = _Sizes(instance.prompt[order], problem.B_P, problem.C_P)
    reach = _reach(instance, memory)
    slots = int(arrival[-1]) + reach + 1
    clock = np.arange(slots)
    arrived = np.searchsorted(arrival, clock, side="right").astype(np.int64)
    calendar = _Calendar(
        arrival,
        alone,
        arrived,
        np.concatenate([[0], np.cumsum(arrival)])[arrived],
        np.searchsorted(np.sort(arrival + alone), clock, side="right").astype(np.int64),
    )
    left = (_left_over(sizes, W, 1), _left_over(sizes, 2 * W, 2))
    shape = (reach + 1, W + 2 if memory > 0 else 1, W + 2 if memory > 1 else 1)
    rows = slots if memory == 1 else 0
    before = np.zeros((rows, W + 2, 2), np.int32)
    cost, end, number = _cheapest_path(calendar, tau, left, np.full(shape, _NONE, np.int64), before)
    starts = None if memory != 1 else first + _starts(before, end, number)
    proof = WaitsAndStallsProof(memory=memory, remembered=W, reach=reach)
    return WaitsAndStalls(int(alone.sum()) + int(cost), proof, starts)


def _reach(instance: Instance, memory: int) -> int:
    span = int(np.ptp(instance.arrival)) + 1
    waits = REACH_BATCHES * _shortest_prompt_batch(instance)
    return max(REACH_ARRIVALS[memory] * span // instance.n, waits) + 1


def _shortest_prompt_batch(instance: Instance) -> int:
    """τ: no prompt batch takes less."""
    return separate_problem(instance).law.prompt_batch(int(instance.prompt.min()))


class _Sizes(NamedTuple):
    """Prompts in the order of arrival, and the limits of a prompt batch."""

    prompt: IntArray
    requests: int
    tokens: int


class _Calendar(NamedTuple):
    """Requests in the order of arrival, and by slot who has arrived, and who is done if alone.

    `arrival_sum` is the sum of the arrivals so far.
    """

    arrival: IntArray
    alone: IntArray
    arrived: IntArray
    arrival_sum: IntArray
    done: IntArray


@njit(cache=True, nogil=True)
def _left_over(sizes: _Sizes, most: int, batches: int) -> NDArray[np.int32]:
    """Least number, ``[x, w]``, of the last w among the first x that this many batches leave over.

    These are the largest; the tokens of the others may be divided among the batches.
    """
    n = sizes.prompt.size
    least = np.zeros((n + 1, most + 1), np.int32)
    by_size = np.zeros(most, np.int64)  # falling
    for x in range(1, n + 1):
        tokens = 0
        for w in range(1, min(most, x) + 1):
            size = sizes.prompt[x - w]
            at = w - 1
            while at > 0 and by_size[at - 1] < size:
                by_size[at] = by_size[at - 1]
                at -= 1
            by_size[at] = size
            tokens += size
            count, rest = 0, tokens
            while rest > batches * sizes.tokens or w - count > batches * sizes.requests:
                rest -= by_size[count]
                count += 1
            least[x, w] = count
    return least


@njit(cache=True, nogil=True)
def _cheapest_path(
    calendar: _Calendar,
    tau: int,
    left: tuple[NDArray[np.int32], NDArray[np.int32]],
    value: NDArray[np.int64],
    before: NDArray[np.int32],
) -> tuple[int, int, int]:
    """Cost of the cheapest path, its last prompt batch, and its arrivals since the one before.

    ``value[t % rows, w, v]`` is the least cost up to a prompt batch at t, if w have arrived since
    the one before, and v between the two before it; the last index stands for what is not known.
    """
    arrived, arrival_sum = calendar.arrived, calendar.arrival_sum
    rows, unknown, unknown_2 = value.shape[0], value.shape[1] - 1, value.shape[2] - 1
    n, reach, last = calendar.arrival.size, rows - 1, calendar.arrival[-1]
    least = np.full(arrived.size, _NONE, np.int64)
    there = np.zeros((3, n + 1), np.int64)
    far, best, end, number = _NONE, _NONE, 0, 0
    for S in range(arrived.size):
        X = arrived[S]
        here = value[S % rows]
        here[:] = _NONE
        if reach < S:
            far = _from_afar(arrived, arrival_sum, least, reach, S, far)
            here[unknown, unknown_2] = far
        w = min(X, unknown)
        v = 0 if w < unknown else unknown_2
        here[w, v] = min(here[w, v], X * S - arrival_sum[S])  # the first prompt batch of all
        lowest = max(0, arrived[max(0, S - reach)] - 2 * unknown)
        _count_there(calendar, tau, S, lowest, there)
        for p in range(max(0, S - reach), S - tau + 1):
            _step(calendar, tau, left, value[p % rows], there, p, S, here, before)
        least[S] = here.min()
        if last <= S and least[S] < best:
            best, end = least[S], S
            for w in range(unknown + 1):
                if here[w].min() == best:
                    number = w
    best = min(best, _from_afar(arrived, arrival_sum, least, reach, arrived.size, far))
    return best, end, number


@njit(cache=True, nogil=True)
def _from_afar(
    arrived: IntArray, arrival_sum: IntArray, least: IntArray, reach: int, S: int, far: int
) -> int:
    """Least cost of a path to S whose last step is longer than the reach, at least.

    ``far`` is that of S − 1: those who arrived within the reach wait a slot more.
    """
    p = S - reach - 1
    far += arrived[S - 1] - arrived[p]
    return int(min(far, least[p] + _waits(arrived, arrival_sum, p, S), _NONE))


@njit(cache=True, nogil=True)
def _waits(arrived: IntArray, arrival_sum: IntArray, p: int, S: int) -> int:
    """Sum of the waits until S of those that arrive in (p, S]; none does after the last slot."""
    now = min(S, arrived.size - 1)
    return int((arrived[now] - arrived[p]) * S - (arrival_sum[now] - arrival_sum[p]))


@njit(cache=True, nogil=True)
def _count_there(
    calendar: _Calendar, tau: int, S: int, lowest: int, there: NDArray[np.int64]
) -> None:
    """Write ``there[k, x]``, from `lowest` on: who of the first x is there at S after k stalls."""
    X = calendar.arrived[S]
    for k in range(3):
        due = S - k * tau
        there[k, X] = X - (calendar.done[due] if due >= 0 else 0)
        for i in range(X - 1, lowest - 1, -1):
            stays = calendar.arrival[i] + calendar.alone[i] > due
            there[k, i] = there[k, i + 1] - (1 if stays else 0)


@njit(cache=True, nogil=True)
def _step(
    calendar: _Calendar,
    tau: int,
    left: tuple[NDArray[np.int32], NDArray[np.int32]],
    states: NDArray[np.int64],
    there: NDArray[np.int64],
    p: int,
    S: int,
    here: NDArray[np.int64],
    before: NDArray[np.int32],
) -> None:
    """Go from all states at p to S."""
    unknown, unknown_2 = states.shape[0] - 1, states.shape[1] - 1
    x, longer = calendar.arrived[p], S - p - tau
    wait = _waits(calendar.arrived, calendar.arrival_sum, p, S)
    cost = states[unknown, unknown_2] + wait + tau * there[0, x]
    to = min(calendar.arrived[S] - x, unknown)
    if cost < here[to, unknown_2]:
        here[to, unknown_2] = cost
        if before.shape[0] > 0:
            before[S, to, 0], before[S, to, 1] = p, unknown
    new = 0  # of those who arrived in (p', p], who is there at S
    for w1 in range(min(unknown - 1, x) + 1):
        y = x - w1
        if w1 > 0 and p + calendar.alone[y] > S:
            new += 1
        rest = left[0][x, w1]
        base = wait + tau * new
        v = min(w1, unknown_2) if to < unknown else unknown_2
        if states[w1, unknown_2] < _NONE:
            cost = states[w1, unknown_2] + base + tau * there[1, y] + rest * longer
            if cost < here[to, v]:
                here[to, v] = cost
                if before.shape[0] > 0:
                    before[S, to, 0], before[S, to, 1] = p, w1
        for w2 in range(min(unknown_2, y + 1)):
            if states[w1, w2] < _NONE:
                z = y - w2
                stalls = new + there[2, z] + there[1, y] - there[1, z]
                cost = states[w1, w2] + wait + tau * stalls
                cost += max(rest, left[1][x, w1 + w2]) * longer
                here[to, v] = min(here[to, v], cost)


def _starts(before: NDArray[np.int32], end: int, number: int) -> IntArray:
    """Prompt batches of the path, from the first."""
    starts = [end]
    p, w = before[end, number].tolist()
    while w > 0 or p > 0:
        starts.append(p)
        p, w = before[p, w].tolist()
    return np.array(starts[::-1], np.int64)
