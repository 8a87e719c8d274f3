"""Columns of an instance, checked: what has a wrong shape, type or range is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

#: The deadline of a request that has none (the largest 64-bit integer).
NO_DEADLINE = int(np.iinfo(np.int64).max)

#: Times and token counts must fit the exact 64-bit arithmetic of the compiled code:
#: n · (last arrival + Σ output + kv_capacity) stays below this.
ARITHMETIC_LIMIT = 2**62

#: Rewards, weights and penalties each sum up to at most this: their products with times are finite.
LARGEST_SUM = 1e280

#: What no name may have: controls, line ends, halves of surrogate pairs.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def require_integer(name: str, value: object, *, low: int) -> None:
    """Refuse what is not an integer from `low` to `ARITHMETIC_LIMIT`."""
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not integer or not low <= int(value) < ARITHMETIC_LIMIT:  # type: ignore[call-overload]
        raise InputError(f"{name}: expected an integer from {low} to 2^62, found {_shown(value)}")


def integers(name: str, values: ArrayLike, n: int | None, *, low: int) -> IntArray:
    """Copy `values` into an int64 array of shape (n,), refusing what is not an integer ≥ low."""
    array = _one_dimensional(name, values, n)
    if array.dtype == object or not np.issubdtype(array.dtype, np.integer):
        for i, value in enumerate(array.tolist()):
            require_integer(f"requests[{i}].{name}", value, low=low)
    wrong = np.flatnonzero((array < low) | (array > NO_DEADLINE))
    if wrong.size:
        i = int(wrong[0])
        raise InputError(
            f"requests[{i}].{name}: expected an integer of at least {low}, found {array[i]}"
        )
    return array.astype(np.int64, copy=True)


def numbers(name: str, values: ArrayLike, n: int) -> FloatArray:
    """Copy `values` into a float64 array of shape (n,), refusing what is not finite and ≥ 0."""
    array = _one_dimensional(name, values, n)
    if not np.issubdtype(array.dtype, np.integer) and not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"{name}: expected numbers, found values of type {array.dtype}")
    array = array.astype(np.float64, copy=True)
    wrong = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if wrong.size:
        i = int(wrong[0])
        raise InputError(
            f"requests[{i}].{name}: expected a finite number of at least 0, found {array[i]}"
        )
    with np.errstate(over="ignore"):
        total = float(np.sum(array))
    if total > LARGEST_SUM:
        raise InputError(
            f"{name}: expected numbers whose sum is at most 10^280, so that their products with "
            f"times are finite, found {total:g}"
        )
    return array


def _one_dimensional(name: str, values: ArrayLike, n: int | None) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{name}: expected one number per request ({error})") from error
    if array.ndim != 1 or (n is not None and array.size != n):
        expected = "(n,)" if n is None else f"({n},)"
        raise InputError(f"{name}: expected shape {expected}, found {array.shape}")
    return array


def strings(name: str, values: Sequence[str], n: int) -> tuple[str, ...]:
    """Return n strings that can be printed on one line."""
    found = tuple(values)
    if len(found) != n:
        raise InputError(f"{name}: expected {n} strings, found {len(found)}")
    for i, value in enumerate(found):
        if not isinstance(value, str):
            raise InputError(f"requests[{i}].{name}: expected a string, found {value!r}")
    if _UNPRINTABLE.search("".join(found)):
        for i, value in enumerate(found):
            require_printable(f"requests[{i}].{name}", value)
    return found


def require_printable(where: str, text: str) -> None:
    """Refuse a name that would break a line or steer a terminal."""
    if _UNPRINTABLE.search(text):
        raise InputError(
            f"{where}: expected text without line ends and control characters, found {_shown(text)}"
        )


def _shown(value: object) -> str:
    """Return a value for a message: on one line, and not long."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
