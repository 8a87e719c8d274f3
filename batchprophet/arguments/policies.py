"""Lists of policies as the command line takes them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ..models.errors import InputError


def split_policies(texts: Sequence[str]) -> list[str]:
    """Split comma-separated policy specifications, whose options have commas as well.

    A part ``key=value`` without a name before it continues the options of the policy before;
    every other part begins a policy.

    Parameters
    ----------
    texts : sequence of str
        Values of ``--policies``, which may be given several times.

    Returns
    -------
    list of str
        One specification per policy, in order.

    Raises
    ------
    InputError
        If a part is empty, or options stand before any policy.

    Examples
    --------
    >>> split_policies(["mc-sf:skip=true,lengths=predicted,vllm", "my.module:Mine"])
    ['mc-sf:skip=true,lengths=predicted', 'vllm', 'my.module:Mine']
    """
    specifications: list[str] = []
    for text in texts:
        own: list[str] = []
        for part in (each.strip() for each in text.split(",")):
            if not part:
                raise InputError(f"policies: expected names between commas, found {text!r}")
            if not _continues_options(part):
                own.append(part)
            elif own:
                own[-1] = f"{own[-1]},{part}"
            else:
                raise InputError(f"policies: expected a policy before {part!r} in {text!r}")
        specifications += own
    return specifications


def find_local_modules() -> None:
    """Let ``module:Class`` name a module of the current folder, last of all places."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)


def _continues_options(part: str) -> bool:
    before, equals, _ = part.partition("=")
    return bool(equals) and ":" not in before
