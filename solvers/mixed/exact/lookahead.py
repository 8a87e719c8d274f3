"""What the rounds to come must cost at least, given what runs and what waits, compiled.

From a state at boundary t let a waiting request i start at k ≥ t. Of its start cost, let

    e_i(k) = start cost at k − least start cost among the starts that fit beside what runs

be paid in its rounds, ``⌊e_i(k) / o_i⌋`` in each. Whatever happens from t on, the excess then
grows by at least the least start costs of the waiting requests and, over any set of rounds u > t,

    σ_u − U_u·R_u − max Σ_{(i, k) ∈ C} ( U_u(type of i at u) − ⌊e_i(k) / o_i⌋ ).

R_u are the running requests that are still there at u. C is any set of pairs (i, k), t ≤ k < u, of
waiting requests and starts that fit beside what runs, such that all together stay within M from u
on. A term is what the slack of round u and the payments in it come to at least; terms left out are
≥ 0. (A set C may hold a request at two starts: that only lowers the bound.)

The maximum is found as in `bounds.configuration_pricing`, by a dynamic program over the pairs by
falling rounds to go with state (members, their total size), with less room where something runs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import IntArray
from .excess import Excess

_NO = np.int64(-1)


class Running(NamedTuple):
    """What runs from a boundary t on; index u stands for round t + 1 + u.

    Attributes
    ----------
    held : ndarray of int64, shape (at least `rounds`,)
        KV tokens.
    earned : ndarray of int64, shape (at least `rounds`,)
        Σ of the prices of their types.
    rounds : int
        Rounds in which something runs.
    """

    held: IntArray
    earned: IntArray
    rounds: int


class Outlook(NamedTuple):
    """Arrays that the bound is computed in.

    Attributes
    ----------
    share : ndarray of int64, shape (n, longest output + 1)
        Payment per round of a waiting request that starts at t + v; −1 if it cannot.
    size, to_go, weight, by_to_go : ndarray of int64, shape (n · longest output,)
        The pairs (i, k) of one round, and their order by rising rounds to go.
    first : ndarray of int64, shape (M + 2,)
        Counts for sorting.
    heaviest : ndarray of int64, shape (M // 2 + 2, M + 1)
        Largest weight of c pairs of total size W; −1 for none.
    widest : ndarray of int64, shape (M // 2 + 2,)
        Largest total size of c pairs.
    """

    share: IntArray
    size: IntArray
    to_go: IntArray
    weight: IntArray
    by_to_go: IntArray
    first: IntArray
    heaviest: IntArray
    widest: IntArray


def outlook(excess: Excess) -> Outlook:
    """Allocate for an instance."""
    n, longest, M = excess.output.size, int(excess.output.max()), excess.M
    size, to_go, weight, by_to_go = (np.zeros(n * (longest + 1), np.int64) for _ in range(4))
    return Outlook(
        share=np.zeros((n, longest + 1), np.int64),
        size=size,
        to_go=to_go,
        weight=weight,
        by_to_go=by_to_go,
        first=np.zeros(M + 2, np.int64),
        heaviest=np.zeros((M // 2 + 2, M + 1), np.int64),
        widest=np.zeros(M // 2 + 2, np.int64),
    )


@njit(cache=True, nogil=True)
def fits(running: Running, s: int, o: int, delay: int, M: int) -> bool:
    """Whether request (s, o) started at t + delay keeps within M beside what runs."""
    for u in range(delay, min(running.rounds, delay + o)):
        if running.held[u] + s + u - delay + 1 > M:
            return False
    return True


@njit(cache=True, nogil=True)
def exceeds(
    excess: Excess, t: int, running: Running, waiting: IntArray, allowance: int, look: Outlook
) -> bool:
    """Whether the excess from t on is more than `allowance`, by the bound.

    Parameters
    ----------
    excess : Excess
        The terms of the excess.
    t : int
        The boundary.
    running : Running
        What runs after it.
    waiting : ndarray of int64
        The requests that have not started.
    allowance : int
        Budget less the excess so far.
    look : Outlook
        Is overwritten.
    """
    for i in waiting:
        allowance -= excess.later[i, t]
    allowance = _payments(excess, t, running, waiting, allowance, look)
    for u in range(running.rounds):
        if allowance < 0:
            return True
        if t + 1 + u < excess.slack.size:
            allowance -= excess.slack[t + 1 + u] - running.earned[u]
            allowance += _heaviest(excess, t, u, running, waiting, look)
    return allowance < 0


@njit(cache=True, nogil=True)
def _payments(
    excess: Excess, t: int, running: Running, waiting: IntArray, allowance: int, look: Outlook
) -> int:
    """Fill ``look.share``; return the allowance less what the least start costs rise by.

    A start whose cost exceeds the allowance needs no payment: it cannot be.
    """
    end = min(running.rounds, excess.start.shape[1] - 1 - t)
    for place in range(waiting.size):
        i = waiting[place]
        share = look.share[place]
        share[:] = _NO
        least = excess.later[i, t + end]
        for v in range(end):
            cost = excess.start[i, t + v]
            if cost - excess.later[i, t] <= allowance and fits(
                running, excess.prompt[i], excess.output[i], v, excess.M
            ):
                share[v] = cost
                least = min(least, cost)
        allowance -= least - excess.later[i, t]
        for v in range(end):
            if share[v] != _NO:
                share[v] -= least
    for place in range(waiting.size):
        for v in range(end):
            extra = look.share[place, v]
            if extra > allowance:
                look.share[place, v] = _NO
            elif extra != _NO:
                look.share[place, v] = extra // excess.output[waiting[place]]
    return allowance


@njit(cache=True, nogil=True)
def _heaviest(
    excess: Excess, t: int, u: int, running: Running, waiting: IntArray, look: Outlook
) -> int:
    """Largest total weight of pairs that fit beside what runs from round t + 1 + u on."""
    M, held, rounds = excess.M, running.held, running.rounds
    pairs = _pairs(excess, t, u, M - held[u], waiting, look)
    heaviest, widest = look.heaviest, look.widest
    heaviest[0, 0] = 0
    widest[0] = 0
    deepest, x = 0, rounds - 1 - u
    for place in range(pairs - 1, -1, -1):
        pair = look.by_to_go[place]
        w, r = look.size[pair], look.to_go[pair]
        while x > r:
            _trim(look, deepest, x, M - held[u + x])
            x -= 1
        free = M - held[u + r] if u + r < rounds else M
        for c in range(min(deepest, widest.size - 2), -1, -1):
            room = min(free - (c + 1) * r - w, widest[c])
            if room < 0:
                continue
            if c == deepest:
                heaviest[c + 1, :] = _NO
                widest[c + 1] = -1
                deepest += 1
            for W in range(room + 1):
                total = heaviest[c, W] + look.weight[pair]
                if heaviest[c, W] != _NO and total > heaviest[c + 1, W + w]:
                    heaviest[c + 1, W + w] = total
                    widest[c + 1] = max(widest[c + 1], W + w)
    for left in range(x, -1, -1):
        _trim(look, deepest, left, M - held[u + left])
    best = np.int64(0)
    for c in range(1, deepest + 1):
        for W in range(widest[c] + 1):
            best = max(best, heaviest[c, W])
    return int(best)


@njit(cache=True, nogil=True)
def _trim(look: Outlook, deepest: int, x: int, free: int) -> None:
    """Drop what has no room x rounds later: c pairs of total size W hold ``W + c·x`` tokens."""
    for c in range(1, deepest + 1):
        while look.widest[c] >= 0 and look.widest[c] + c * x > free:
            look.heaviest[c, look.widest[c]] = _NO
            look.widest[c] -= 1


@njit(cache=True, nogil=True)
def _pairs(excess: Excess, t: int, u: int, free: int, waiting: IntArray, look: Outlook) -> int:
    """List the pairs of positive weight that may be alive in round t + 1 + u, sorted."""
    count = 0
    look.first[:] = 0
    for place in range(waiting.size):
        i = waiting[place]
        s, o = excess.prompt[i], excess.output[i]
        for v in range(max(0, u - o + 1), u + 1):
            share, age = look.share[place, v], u - v + 1
            weight = excess.earned[i, t + 1 + u, age - 1] - share
            if share != _NO and weight > 0 and s + age <= free:
                look.size[count], look.to_go[count] = s + age, o - age
                look.weight[count] = weight
                look.first[o - age + 1] += 1
                count += 1
    for r in range(1, look.first.size):
        look.first[r] += look.first[r - 1]
    for pair in range(count):
        r = look.to_go[pair]
        look.by_to_go[look.first[r]] = pair
        look.first[r] += 1
    return count
