"""Lists of policies as commands and public functions take them."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.errors import InputError

if TYPE_CHECKING:
    from ..online.mixed.policy import Policy
    from ..online.separate.policy import SeparatePolicy


def split_policies(texts: Sequence[str]) -> list[str]:
    """Split comma-separated policy specifications, whose options contain commas as well.

    A part ``key=value`` without a name in front continues the options of the previous policy;
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
        If a part is empty, policies are separated by blanks, or options come before any policy.

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
            if len(part.split()) > 1 and "=" not in part:
                raise InputError(
                    f"policies: expected commas between policies, found {part!r}; did you mean "
                    f"{','.join(part.split())}?"
                )
            before, equals, _ = part.partition("=")
            if not equals or ":" in before:
                own.append(part)
            elif own:
                own[-1] = f"{own[-1]},{part}"
            else:
                raise InputError(f"policies: expected a policy before {part!r} in {text!r}")
        specifications += own
    return specifications


def policy_specifications(
    policies: str | Sequence[str | Policy | SeparatePolicy] | None, model: str = "mixed"
) -> list[str | Policy | SeparatePolicy] | None:
    """Return policies one by one, all usable and with different names; None stays None.

    With the model "both", a policy is one of either regime.

    Raises
    ------
    InputError
        If there is none, one cannot be made, or two have the same name.
    """
    from ..online.compare_regimes import policies_by_regime
    from ..online.regimes import policy_of, regime
    from ..online.registry import policy_spec
    from ..report.table import HINDSIGHT

    if policies is None:
        return None
    listed = split_policies([policies]) if isinstance(policies, str) else list(policies)
    if not listed:
        raise InputError("policies: expected at least one, found none")
    names = {HINDSIGHT}
    for each in listed:
        if model == "both":
            policies_by_regime([each])
        elif each not in regime(model).references:
            policy_of(model, each)
        name = each if isinstance(each, str) else policy_spec(each)
        if name in names:
            raise InputError(f"policies: {name!r} appears more than once")
        names.add(name)
    return list(listed)


def refuse_policies_as_instances(paths: Sequence[Path]) -> None:
    """Refuse names of policies where instances are expected, as after ``--policies a b``.

    Raises
    ------
    InputError
        If a path is no file and the name of a policy, or looks like ``module:Class``.
    """
    from ..online.regimes import REGIMES

    for path in paths:
        name = str(path).partition(":")[0]
        known = any(name in rules.registry.names() for rules in REGIMES.values())
        known = known or re.fullmatch(r"[\w.]+:[A-Za-z_]\w*(:.*)?", str(path)) is not None
        if known and not path.exists():
            raise InputError(
                f"INSTANCE: expected a file, found the policy {path}; several policies are "
                "separated by commas: --policies a,b"
            )


def find_local_modules() -> None:
    """Let ``module:Class`` name a module of the current folder, which is searched last."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
