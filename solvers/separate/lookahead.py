"""Lower bound on the sum of all completions, from what a state has done: two relaxations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ...models.instance import IntArray
from .machine import Machine, prompt_time, token_time
from .profile_costs import SCALE, CostTable
from .profiles import Profiles, drop_longest, profile_number


class Lookahead(NamedTuple):
    """What bounds need besides the machine.

    Attributes
    ----------
    has_table : bool
        Whether there is a table of costs to go of the profile relaxation.
    profiles, table : Profiles, CostTable
        If so: its profiles, and the table; the prices are those of the machine's requests.
    shortest_prompt, shortest_token : int
        Least time of a prompt batch of each request alone, shape (n,), and of any token batch.
    space : ndarray of int64, shape (R,)
        Working space.
    """

    has_table: bool
    profiles: Profiles
    table: CostTable
    shortest_prompt: IntArray
    shortest_token: int
    space: IntArray


@njit(cache=True, nogil=True)
def least_times(machine: Machine) -> tuple[IntArray, int]:
    """Time of each request's prompt batch alone, and of the shortest token batch."""
    n = machine.prompt.size
    prompts = np.empty(n, np.int64)
    for i in range(n):
        prompts[i] = prompt_time(machine.law, machine.prompt[i])
    return prompts, token_time(machine.law, 1, machine.prompt.min() + 1)


@njit(cache=True, nogil=True)
def bound_on_completions(
    machine: Machine, lookahead: Lookahead, g: IntArray, time: int, cost: int
) -> int:
    """Lower bound on Σ completions, given tokens at a time and Σ completions of the complete."""
    simple = cost + _simple(machine, lookahead, g, time)
    if not lookahead.has_table:
        return simple
    return max(simple, cost + _by_profiles(machine, lookahead, g, time))


@njit(cache=True, nogil=True)
def _simple(machine: Machine, lookahead: Lookahead, g: IntArray, time: int) -> int:
    """Everybody goes on alone, and those that run share token batches of B_D, shortest first.

    With the running requests in order of their tokens to go, the k-th of them to complete does so
    after at least ``⌈(Σ of the k smallest) / B_D⌉`` token batches.
    """
    to_go, running = lookahead.space, 0
    total = 0
    for i in range(g.size):
        left = machine.output[i] - g[i]
        if g[i] == 0:
            begin = max(time, machine.arrival[i])
            total += begin + lookahead.shortest_prompt[i]
            total += (left - 1) * lookahead.shortest_token
        elif left > 0:
            k = running
            while k > 0 and to_go[k - 1] > left:
                to_go[k] = to_go[k - 1]
                k -= 1
            to_go[k] = left
            running += 1
    tokens = 0
    for k in range(running):
        tokens += to_go[k]
        batches = max(to_go[k], -(-tokens // machine.B_D))
        total += time + batches * lookahead.shortest_token
    return total


@njit(cache=True, nogil=True)
def _by_profiles(machine: Machine, lookahead: Lookahead, g: IntArray, time: int) -> int:
    """Time for those that run, arrivals of the others, and the costs to go of the profile."""
    profiles, table = lookahead.profiles, lookahead.table
    c = lookahead.space
    c[:] = 0
    prompts = total = 0
    priced = 0
    longest = 0
    for i in range(g.size):
        if g[i] == 0:
            total += machine.arrival[i]
            priced += table.price[i]
            continue
        prompts += 1
        left = machine.output[i] - g[i]
        if left > 0:
            c[left - 1] += 1
            total += time
            longest = max(longest, left)
    R = max(1, machine.output.max() - 1)
    vector = c[:R]
    dropped = drop_longest(vector, profiles.most, machine.B_D)
    profile = profiles.rank[profile_number(vector, profiles.most, profiles.binomial)]
    late = max(0, time - table.last)
    row = table.row[time - late - table.first] + prompts
    to_go = priced + table.value[row, profile]
    to_go += (late * (g.size - prompts) + dropped * machine.law.token) * SCALE
    return total - (-to_go // SCALE)
