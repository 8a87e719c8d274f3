"""Records of a certificate, read strictly: no unknown key, integers only, every refusal located."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...models.errors import InputError

#: Numbers in a certificate stay below this, like those of instances.
LIMIT = 2**62


def require_object(place: str, value: object) -> Mapping[str, Any]:
    """Refuse what is not a JSON object."""
    if not isinstance(value, Mapping):
        raise InputError(f"{place}: expected an object, found {shown(value)}")
    return value


def require_keys(place: str, record: Mapping[str, Any], expected: tuple[str, ...]) -> None:
    """Refuse a record that lacks a key or has another; `place` is "" or ends in a dot.

    Examples
    --------
    >>> require_keys("proof.", {"kind": "x", "colour": 1}, ("kind",))
    Traceback (most recent call last):
    ...
    batchprophet.models.errors.InputError: proof.colour: unknown key
    """
    for key in expected:
        if key not in record:
            raise InputError(f"{place}{key}: missing")
    for key in record:
        if key not in expected:
            raise InputError(f"{place}{key}: unknown key")


def integer(place: str, value: object, *, low: int) -> int:
    """Return an integer from `low` to 2^62, refuse anything else.

    Examples
    --------
    >>> integer("scale", 1.0, low=1)
    Traceback (most recent call last):
    ...
    batchprophet.models.errors.InputError: scale: expected an integer from 1 to 2^62, found 1.0
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not low <= value < LIMIT:  # type: ignore[operator]  # `whole` says integer
        raise InputError(f"{place}: expected an integer from {low} to 2^62, found {shown(value)}")
    return value  # type: ignore[return-value]  # likewise


def integers(place: str, value: object, *, low: int) -> list[int]:
    """Return a list of integers from `low` to 2^62, refuse anything else."""
    return [integer(f"{place}[{j}]", each, low=low) for j, each in enumerate(array(place, value))]


def array(place: str, value: object) -> list[Any]:
    """Return a list, refuse anything else."""
    if not isinstance(value, list):
        raise InputError(f"{place}: expected an array, found {shown(value)}")
    return value


def text(place: str, value: object) -> str:
    """Return a string, refuse anything else."""
    if not isinstance(value, str):
        raise InputError(f"{place}: expected a string, found {shown(value)}")
    return value


def shown(value: object) -> str:
    """Return a value as messages show it: cut short.

    Examples
    --------
    >>> shown(10**100)
    '1000000000000000000000000000000000000000…'
    """
    plain = repr(value)
    return plain if len(plain) <= 40 else f"{plain[:40]}…"
