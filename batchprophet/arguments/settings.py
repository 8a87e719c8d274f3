"""Settings of a family, as the command line takes them."""

from __future__ import annotations

from collections.abc import Sequence

from ..models.errors import InputError


def parse_settings(texts: Sequence[str]) -> dict[str, str]:
    """Parse ``key=value`` words; the family turns the values into numbers.

    Raises
    ------
    InputError
        If a word has no key or no ``=``, or a key appears more than once.

    Examples
    --------
    >>> parse_settings(["n=20", "rate=0.5"])
    {'n': '20', 'rate': '0.5'}
    """
    settings: dict[str, str] = {}
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not (key and equals and value):
            raise InputError(f"--set: expected key=value, found {text!r}")
        if key in settings:
            raise InputError(f"--set: {key!r} appears more than once")
        settings[key] = value
    return settings
