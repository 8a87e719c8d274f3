"""What a batch of the GPU's path may do to its counts, and its least cost.

A *token option* (m, c) is a token batch of m jobs of which c complete their requests. A *prompt
option* (m, r) is a prompt batch of m prompts, of whose requests r go on to run.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ....models.separate.problem import Problem
from .prompt_choices import IMPOSSIBLE, token_units


class Classes(NamedTuple):
    """The classes of running requests (`models.separate.milp.classes`) as columns.

    Attributes
    ----------
    held, members : ndarray of int64, shape (classes,)
        h, and the most requests of the class in a batch: those that pass through it, as KV allows.
    following : ndarray of int64, shape (classes,)
        The class after one more job, −1 where it was the last.
    first, last : ndarray of int64, shape (classes,)
        First and last time, from the first arrival, of a job of the class in a schedule that is
        done by the end.
    entry : ndarray of int64, shape (n,)
        Class of each request when its prompt is read; −1 if it is done then.
    last_prompt : ndarray of int64, shape (n,)
        Last start of its prompt.
    """

    held: IntArray
    members: IntArray
    following: IntArray
    first: IntArray
    last: IntArray
    entry: IntArray
    last_prompt: IntArray


class Options(NamedTuple):
    """Tables of one time, written by `tabulate`.

    Attributes
    ----------
    jobs : ndarray of int64, shape (2, B + 1)
        Least cost of this many token jobs, B being the most in a batch: of those that are not the
        last of their requests, and of those that are.
    job_class : ndarray of int64, shape (2, B)
        Their classes, the cheapest first.
    prompts : ndarray of int64, shape (B_P + 1, B_P + 1)
        Least cost of a prompt batch by (m, r).
    by_tokens : ndarray of int64, shape (B_P + 1, B_P + 1, units + 1)
        The same by prompt tokens, in units.
    members : ndarray of bool, shape (B_P + 1, B_P + 1, units + 1, n)
        Who is in it.
    """

    jobs: NDArray[np.int64]
    job_class: NDArray[np.int64]
    prompts: NDArray[np.int64]
    by_tokens: NDArray[np.int64]
    members: NDArray[np.bool_]


def empty_options(problem: Problem, most_running: int) -> Options:
    """Room for the tables."""
    B, B_P, n = min(problem.B_D, most_running), problem.B_P, problem.arrival.size
    _, units = token_units(problem)
    return Options(
        jobs=np.empty((2, B + 1), np.int64),
        job_class=np.empty((2, B), np.int64),
        prompts=np.empty((B_P + 1, B_P + 1), np.int64),
        by_tokens=np.empty((B_P + 1, B_P + 1, units + 1), np.int64),
        members=np.empty((B_P + 1, B_P + 1, units + 1, n), np.bool_),
    )


@njit(cache=True, nogil=True)
def tabulate(
    problem: Problem,
    classes: Classes,
    time: int,
    prompt_cost: IntArray,
    job_cost: IntArray,
    options: Options,
    who: bool,
) -> None:
    """Fill the tables for a time, from the first arrival; with `who`, also the members.

    A class is in a batch at most as often as it has members.
    """
    for last in range(2):
        _tabulate_jobs(
            classes, time, job_cost, last == 1, options.jobs[last], options.job_class[last]
        )
    _tabulate_prompts(problem, classes, time, prompt_cost, options, who)


@njit(cache=True, nogil=True)
def _tabulate_jobs(
    classes: Classes, time: int, job_cost: IntArray, last: bool, jobs: IntArray, job_class: IntArray
) -> None:
    jobs[:] = IMPOSSIBLE
    jobs[0] = 0
    count = 0  # the cheapest jobs so far, sorted
    for a in range(classes.held.size):
        if (classes.following[a] < 0) != last or not classes.first[a] <= time <= classes.last[a]:
            continue
        for _ in range(classes.members[a]):
            if count == job_class.size and job_cost[a] >= job_cost[job_class[count - 1]]:
                break
            place = min(count, job_class.size - 1)
            while place > 0 and job_cost[job_class[place - 1]] > job_cost[a]:
                job_class[place] = job_class[place - 1]
                place -= 1
            job_class[place] = a
            count = min(count + 1, job_class.size)
    for m in range(count):
        jobs[m + 1] = jobs[m] + job_cost[job_class[m]]


@njit(cache=True, nogil=True)
def _tabulate_prompts(
    problem: Problem,
    classes: Classes,
    time: int,
    prompt_cost: IntArray,
    options: Options,
    who: bool,
) -> None:
    by_tokens, members = options.by_tokens, options.members
    size, units = token_units(problem)
    B_P = by_tokens.shape[0] - 1
    first_arrival = problem.arrival.min()
    by_tokens[:] = IMPOSSIBLE
    by_tokens[0, 0, 0] = 0
    if who:
        members[:] = False
    for i in range(problem.arrival.size):
        if problem.arrival[i] - first_arrival > time or time > classes.last_prompt[i]:
            continue
        runs = 1 if classes.entry[i] >= 0 else 0
        for m in range(B_P - 1, -1, -1):
            for r in range(m, -1, -1):
                for x in range(units - size[i], -1, -1):
                    before = by_tokens[m, r, x]
                    cost = before + prompt_cost[i]
                    if before < IMPOSSIBLE and cost < by_tokens[m + 1, r + runs, x + size[i]]:
                        by_tokens[m + 1, r + runs, x + size[i]] = cost
                        if who:
                            members[m + 1, r + runs, x + size[i]] = members[m, r, x]
                            members[m + 1, r + runs, x + size[i], i] = True
    for m in range(B_P + 1):
        for r in range(B_P + 1):
            options.prompts[m, r] = by_tokens[m, r].min()
