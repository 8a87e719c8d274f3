"""Small changes of an instance: the neighbourhood in which worse cases are sought."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...models.instance import Instance, IntArray
from .space import Space

#: Arrivals, prompts and outputs, changed in place.
_Columns = tuple[IntArray, IntArray, IntArray]

#: Share of the moves that change a limit of the GPU, where limits vary.
LIMIT_SHARE = 0.15


def neighbour(instance: Instance, space: Space, rng: np.random.Generator) -> Instance:
    """Return the instance after one to three random moves; it is one of the space.

    Examples
    --------
    >>> space, rng = Space(n=6, kv_capacity=12, span=12), np.random.default_rng(0)
    >>> instance = space.draw(rng)
    >>> neighbour(instance, space, rng) == instance
    False
    """
    columns: _Columns = (instance.arrival.copy(), instance.prompt.copy(), instance.output.copy())
    gpu = instance.gpu
    for _ in range(int(rng.integers(1, 4))):
        if space.vary_limits and rng.random() < LIMIT_SHARE:
            gpu = space.with_other_limits(gpu, rng)
            continue
        move = _MOVES[int(rng.integers(len(_MOVES)))]
        columns = move(columns, space, rng)
    return space.instance(*columns, gpu=gpu)


def _move_arrival(columns: _Columns, space: Space, rng: np.random.Generator) -> _Columns:
    """Move a request, or all that arrive with it, to another round, most often one near."""
    a, s, o = columns
    i = int(rng.integers(a.size))
    moved = a == a[i] if rng.random() < 0.5 else np.arange(a.size) == i
    a[moved] = _near(int(a[i]), 0, space.span, rng)
    return a, s, o


def _change_prompt(columns: _Columns, space: Space, rng: np.random.Generator) -> _Columns:
    """Change the prompt of a request, or of all that are equal to it."""
    a, s, o = columns
    i = int(rng.integers(a.size))
    changed = _equal_to(columns, i, rng)
    s[changed] = _near(int(s[i]), 1, min(space.most_tokens - int(o[i]), space.most_prompt), rng)
    return a, s, o


def _change_output(columns: _Columns, space: Space, rng: np.random.Generator) -> _Columns:
    """Change the output of a request, or of all that are equal to it."""
    a, s, o = columns
    i = int(rng.integers(a.size))
    changed = _equal_to(columns, i, rng)
    o[changed] = _near(int(o[i]), 1, space.most_tokens - int(s[i]), rng)
    return a, s, o


def _trade(columns: _Columns, space: Space, rng: np.random.Generator) -> _Columns:
    """Divide the peak of a request, or of all that are equal to it, anew."""
    a, s, o = columns
    i = int(rng.integers(a.size))
    changed = _equal_to(columns, i, rng)
    peak = int(s[i] + o[i])
    s[changed] = _near(int(s[i]), 1, min(peak - 1, space.most_prompt), rng)
    o[changed] = peak - s[changed]
    return a, s, o


def _copy(columns: _Columns, space: Space, rng: np.random.Generator) -> _Columns:
    """Make a request like another one, its arrival too."""
    i, j = rng.integers(columns[0].size, size=2)
    for column in columns:
        column[i] = column[j]
    return columns


def _add(columns: _Columns, space: Space, rng: np.random.Generator) -> _Columns:
    """Add a request like one that is there, if there is room for one more."""
    size = columns[0].size
    if size >= space.n:
        return _copy(columns, space, rng)
    j = int(rng.integers(size))
    a, s, o = (np.append(column, column[j]) for column in columns)
    return a, s, o


def _drop(columns: _Columns, space: Space, rng: np.random.Generator) -> _Columns:
    """Leave a request out, if another one stays."""
    size = columns[0].size
    if size == 1:
        return _add(columns, space, rng)
    i = int(rng.integers(size))
    a, s, o = (np.delete(column, i) for column in columns)
    return a, s, o


_MOVES: tuple[Callable[[_Columns, Space, np.random.Generator], _Columns], ...] = (
    _move_arrival,
    _move_arrival,
    _change_prompt,
    _change_output,
    _trade,
    _copy,
    _add,
    _drop,
)


def _equal_to(columns: _Columns, i: int, rng: np.random.Generator) -> IntArray:
    """Positions of a request and, half of the time, of all that have its prompt and output."""
    _, s, o = columns
    if rng.random() < 0.5:
        return np.array([i])
    return np.flatnonzero((s == s[i]) & (o == o[i]))


def _near(value: int, low: int, high: int, rng: np.random.Generator) -> int:
    """Draw a value from `low` to `high`: one step away half of the time, else any."""
    if high <= low:
        return low
    if rng.random() < 0.5:
        step = 1 if rng.random() < 0.5 else -1
        return min(high, max(low, value + step))
    return int(rng.integers(low, high + 1))
