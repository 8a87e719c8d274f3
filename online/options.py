"""Policy options as text: ``NAME[:key=value,…]`` to typed fields and back."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_args, get_type_hints

from ..models.errors import InputError
from ..models.shown import suggestion


def parse_options(policy: type, name: str, text: str) -> dict[str, Any]:
    """Parse ``key=value,…`` into the fields of a policy.

    Parameters
    ----------
    policy : type
        A dataclass whose fields are of type bool, int, float or str (or one of these or None).
    name : str
        How the policy was called, for messages.
    text : str
        The options; "" for none.

    Raises
    ------
    InputError
        If a key is unknown or repeated, or a value does not have the field's type.

    Examples
    --------
    >>> from batchprophet.online.mixed.policies.mc_sf import McSf
    >>> parse_options(McSf, "mc-sf", "skip=true,error=0.5")
    {'skip': True, 'error': 0.5}
    """
    types = _option_types(policy)
    options: dict[str, Any] = {}
    for part in text.split(",") if text else []:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key:
            raise InputError(
                f"policy {name}: expected options as key=value, found {part.strip()!r}"
            )
        if key not in types:
            known = f"it has {', '.join(types)}" if types else "it has none"
            raise InputError(
                f"policy {name}: unknown option {key!r}; {known}{suggestion(key, types)}"
            )
        if key in options:
            raise InputError(f"policy {name}: option {key!r} appears more than once")
        options[key] = _parse(f"policy {name}: {key}", value, types[key])
    return options


def format_options(policy: object) -> str:
    """Write the options of a policy that are not at their default as ``key=value,…``."""
    if not is_dataclass(policy):
        return ""
    parts = []
    for option in fields(policy):
        value = getattr(policy, option.name)
        if option.default is MISSING or value != option.default:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            parts.append(f"{option.name}={text}")
    return ",".join(parts)


def require_integer(where: str, value: object, low: int) -> None:
    """Refuse what is not an integer of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InputError(f"{where}: expected an integer of at least {low}, found {value!r}")


def require_probability(where: str, value: object, *, one: bool) -> None:
    """Refuse what is not a number in (0, 1), or in (0, 1] if `one`."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not (0 < value < 1 or (one and value == 1)):  # type: ignore[operator]  # number
        interval = "(0, 1]" if one else "(0, 1)"
        raise InputError(f"{where}: expected a number in {interval}, found {value!r}")


def require_positive(where: str, value: object) -> None:
    """Refuse what is not a finite number above 0."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:  # type: ignore[arg-type,operator]
        raise InputError(f"{where}: expected a number above 0, found {value!r}")


def require_truth(where: str, value: object) -> None:
    """Refuse what is not True or False."""
    if not isinstance(value, bool):
        raise InputError(f"{where}: expected true or false, found {value!r}")


def _option_types(policy: type) -> dict[str, type]:
    if not is_dataclass(policy):
        return {}
    hints = get_type_hints(policy)
    return {
        option.name: next(t for t in get_args(hints[option.name]) or (hints[option.name],))
        for option in fields(policy)
        if option.init
    }


def _parse(where: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text not in ("true", "false"):
            raise InputError(f"{where}: expected true or false, found {text!r}")
        return text == "true"
    if kind is str:
        return text
    try:
        value = kind(text)
    except ValueError as error:
        noun = "an integer" if kind is int else "a number"
        raise InputError(f"{where}: expected {noun}, found {text!r}") from error
    if not math.isfinite(value):
        raise InputError(f"{where}: expected a finite number, found {text!r}")
    return value
