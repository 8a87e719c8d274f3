"""The packing LP with at most two resources, solved by its table of bases.

``max r·x`` over ``A x ≤ b``, ``0 ≤ x ≤ u`` has as many rows as resources, so a basis has one or two
columns, and whether it is dual feasible does not depend on b and u. The dual feasible ones are
listed once; a solve looks for one that is primal feasible, the last one first: it is re-solved only
when the stored solution stops being valid. All of it in integers: with uses of 0 or 1 every basis
has determinant ±1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product

import numpy as np
from numba import njit

from ...models.instance import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class PackingProgram:
    """The dual feasible bases of a packing LP.

    Attributes
    ----------
    uses : ndarray of int64, shape (2, n)
        A; a missing second resource is a row of zeros.
    rewards : ndarray of int64, shape (n,)
        r.
    columns : ndarray of int64, shape (bases, 2)
        The two basic columns: a type, or n (n + 1) for the slack of the first (second) resource.
    inverse : ndarray of int64, shape (bases, 2, 2)
        Inverse of the two columns.
    full : ndarray of int64, shape (bases, n)
        1 for the non-basic types at their upper limit.
    """

    uses: IntArray
    rewards: IntArray
    columns: IntArray
    inverse: IntArray
    full: IntArray

    def solution(self, budgets: tuple[int, ...], counts: tuple[int, ...]) -> tuple[int, ...]:
        """Return the optimal x for budgets b and upper limits u.

        Examples
        --------
        >>> packing_program(((1, 1),), (9, 4)).solution((3,), (2, 7))
        (2, 1)
        """
        b = np.array([*budgets, 0][:2], dtype=np.int64)
        u = np.array(counts, dtype=np.int64)
        x = np.zeros(u.size, dtype=np.int64)
        solve_packing(b[0], b[1], u, self.uses, self.columns, self.inverse, self.full, 0, x)
        return tuple(x.tolist())

    def value(self, budgets: tuple[int, ...], counts: tuple[int, ...]) -> int:
        """Return the optimal value."""
        solution = self.solution(budgets, counts)
        return sum(r * x for r, x in zip(self.rewards.tolist(), solution, strict=True))


@lru_cache(maxsize=64)
def packing_program(uses: tuple[tuple[int, ...], ...], rewards: tuple[int, ...]) -> PackingProgram:
    """List the dual feasible bases for a matrix of zeros and ones and a vector of rewards."""
    n = len(rewards)
    A = np.zeros((2, n), dtype=np.int64)
    A[: len(uses)] = uses
    r = np.array(rewards, dtype=np.int64)
    every = np.hstack([A, np.eye(2, dtype=np.int64)])
    worth = np.append(r, [0, 0])
    found = [
        (pair, inverse, full)
        for pair in combinations(range(n + 2), 2)
        if (inverse := _inverse(every[:, pair])) is not None
        for full in _upper_limits(worth[list(pair)] @ inverse, every, worth, pair)
    ]
    return PackingProgram(
        uses=A,
        rewards=r,
        columns=np.array([pair for pair, _, _ in found], dtype=np.int64),
        inverse=np.array([inverse for _, inverse, _ in found], dtype=np.int64),
        full=np.array([full for _, _, full in found], dtype=np.int64),
    )


def _inverse(columns: IntArray) -> IntArray | None:
    """Inverse of two columns of zeros and ones; None if they are dependent."""
    (a, b), (c, d) = columns.tolist()
    determinant = a * d - b * c
    return None if determinant == 0 else np.array([[d, -b], [-c, a]]) * determinant  # ±1 = 1/±1


def _upper_limits(
    prices: IntArray, every: IntArray, worth: IntArray, pair: tuple[int, ...]
) -> list[list[int]]:
    """Which non-basic types stand at their upper limit; where it makes no difference, both."""
    if prices.min() < 0:  # a slack would be worth having: not dual feasible
        return []
    reduced = worth - prices @ every
    n = worth.size - 2
    choices = [
        [0] if j in pair or reduced[j] < 0 else [1] if reduced[j] > 0 else [0, 1] for j in range(n)
    ]
    return [list(choice) for choice in product(*choices)]


@njit(cache=True, nogil=True)
def solve_packing(
    b0: int,
    b1: int,
    u: IntArray,
    uses: IntArray,
    columns: IntArray,
    inverse: IntArray,
    full: IntArray,
    stored: int,
    x: IntArray,
) -> int:
    """Write the optimal x for budgets b and limits u; return its basis.

    Parameters
    ----------
    stored : int
        The basis to try first.
    x : ndarray of int64, shape (n,)
        Filled with the solution.
    """
    for step in range(columns.shape[0] + 1):
        basis = stored if step == 0 else step - 1
        if _primal_feasible(b0, b1, u, uses, columns, inverse, full, basis, x):
            return basis
    raise ValueError("a packing LP with non-negative budgets has an optimal basis")


@njit(cache=True, nogil=True)
def _primal_feasible(
    b0: int,
    b1: int,
    u: IntArray,
    uses: IntArray,
    columns: IntArray,
    inverse: IntArray,
    full: IntArray,
    basis: int,
    x: IntArray,
) -> bool:
    """Write the basis' x; return whether it is feasible, and so optimal."""
    n = u.size
    for j in range(n):
        x[j] = full[basis, j] * u[j]
        b0 -= uses[0, j] * x[j]
        b1 -= uses[1, j] * x[j]
    for i in range(2):
        value = inverse[basis, i, 0] * b0 + inverse[basis, i, 1] * b1
        j = columns[basis, i]
        if value < 0 or (j < n and value > u[j]):
            return False
        if j < n:
            x[j] = value
    return True
