"""JSON as it is written: numbers, and objects with one key a line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ..disk import write_atomically


def json_number(value: int | float | Fraction | None) -> int | float | None:
    """Return a number as JSON has it: integers stay integers, fractions become floats."""
    return float(value) if isinstance(value, Fraction) else value


def write_json(record: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a JSON object with one key a line, atomically."""
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in record.items()
    ]
    write_atomically(path, ("{\n  " + ",\n  ".join(lines) + "\n}\n").encode())
