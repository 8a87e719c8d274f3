"""What all strict readers of JSON share."""

from __future__ import annotations

from typing import Any

import msgspec

from .errors import InputError


class Strict(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=False):
    """A record that refuses keys it does not know."""


def refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs, for `json.loads(…, object_pairs_hook=…)`.

    Parameters
    ----------
    pairs : list of (str, value)
        Keys and values in order.

    Raises
    ------
    InputError
        If a key appears more than once, where `json` would silently keep the last.

    Examples
    --------
    >>> import json
    >>> json.loads('{"n": 1, "n": 2}', object_pairs_hook=refuse_repeated_keys)
    Traceback (most recent call last):
    ...
    batchprophet.models.errors.InputError: key 'n' appears more than once in one object
    """
    record = dict(pairs)
    if len(record) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InputError(f"key {key!r} appears more than once in one object")
            seen.add(key)
    return record
