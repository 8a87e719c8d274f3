"""What a policy is, and how it is found by name: built-in, by entry point, by ``module:Class``."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from ..models.errors import InputError
from .decision import NEXT_EVENT, Decision
from .lengths import LENGTH_KINDS
from .observation import Observation, RequestView
from .options import format_options, parse_options

__all__ = [
    "BUILT_IN",
    "ENTRY_POINT_GROUP",
    "NEXT_EVENT",
    "Decision",
    "Observation",
    "Policy",
    "RequestView",
    "built_in_policies",
    "make_policy",
    "policy_spec",
    "registered_policies",
]

#: Installed packages register policies under this entry-point group.
ENTRY_POINT_GROUP = "batchprophet.policies"

_HERE = f"{__package__}.policies"

#: Where the built-in policies are, as ``module:Class`` by name; imported when they are asked for.
BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "mc-sf": f"{_HERE}.mc_sf:McSf",
        "mc-benchmark": f"{_HERE}.mc_benchmark:McBenchmark",
        "smallest-volume": f"{_HERE}.smallest_volume:SmallestVolume",
        "shortest-total": f"{_HERE}.shortest_total:ShortestTotal",
        "sorted-f": f"{_HERE}.sorted_f:SortedF",
        "alpha-greedy": f"{_HERE}.alpha_greedy:AlphaGreedy",
        "alpha-beta": f"{_HERE}.alpha_beta:AlphaBeta",
        "vllm": f"{_HERE}.vllm:Vllm",
    }
)


@runtime_checkable
class Policy(Protocol):
    """An online policy: a value (best a frozen dataclass) with one method, and no memory.

    Its fields are its options. Randomness comes from the generator that it is handed, never from
    elsewhere; what it knows is what the observation says.

    Attributes
    ----------
    name : str
        Its name in tables.
    summary : str
        One line on what it does.
    source : str
        Paper and section, or project, that it comes from.
    length_kinds : tuple of str
        What it can be told of output lengths: some of "exact", "predicted", "interval", "none".
        It is told the first, unless it has a field ``lengths`` that says which (and, for
        predictions drawn with a relative error, a field ``error``).
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    length_kinds: ClassVar[tuple[str, ...]]

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Say whom to start and whom to evict at this round boundary.

        Parameters
        ----------
        observation : Observation
            The state after completions and arrivals.
        rng : numpy.random.Generator
            The only source of randomness.

        Returns
        -------
        Decision
            Round t + 1 must fit the KV capacity after it.
        """
        ...


def registered_policies() -> dict[str, type]:
    """Return all policies by name: the built-in ones, then those that installed packages register.

    Raises
    ------
    InputError
        If a registered policy cannot be imported, is no policy, or takes a name that is in use.

    Examples
    --------
    >>> list(registered_policies())[:2]
    ['mc-sf', 'mc-benchmark']
    """
    return {name: _import_policy(where) for name, where in _places().items()}


def built_in_policies() -> dict[str, type]:
    """Return the policies that come with the package, by name."""
    return {name: _import_policy(where) for name, where in BUILT_IN.items()}


def make_policy(spec: str | Policy) -> Policy:
    """Make a policy from its specification ``NAME[:key=value,…]``.

    Parameters
    ----------
    spec : str or Policy
        NAME is that of a registered policy or ``module:Class``; a policy is returned as it is.

    Raises
    ------
    InputError
        If the policy or an option is unknown, a value is out of range, or the module or class
        cannot be imported or is no policy.

    Examples
    --------
    >>> make_policy("mc-sf:skip=true")
    McSf(skip=True, lengths='exact', error=None)
    """
    if not isinstance(spec, str):
        _require_policy(spec, type(spec).__name__)
        _require_length_kinds(spec, spec.name)
        return spec
    name, kind, options = _split(spec.strip())
    try:
        policy: Policy = kind(**parse_options(kind, name, options))
    except TypeError as error:
        raise InputError(f"policy {name}: cannot be made from its options ({error})") from error
    except InputError as error:
        prefix = f"policy {name}: "
        raise InputError(prefix + str(error).removeprefix(prefix)) from error
    _require_length_kinds(policy, name)
    return policy


def policy_spec(policy: Policy) -> str:
    """Write a policy as a specification: its name and the options that are not at their default.

    Examples
    --------
    >>> policy_spec(make_policy("mc-sf:lengths=exact,skip=true"))
    'mc-sf:skip=true'
    """
    options = format_options(policy)
    return f"{policy.name}:{options}" if options else policy.name


def _split(spec: str) -> tuple[str, type, str]:
    """Return name, class and the text of the options."""
    name, _, rest = spec.partition(":")
    known = _places()
    qualified = bool(rest) and "=" not in rest.partition(":")[0]
    if name not in known and not qualified:
        _entries.cache_clear()  # it may have been installed since
        known = _places()
    if name in known:
        return name, _import_policy(known[name]), rest
    if qualified:
        attribute, _, options = rest.partition(":")
        return f"{name}:{attribute}", _import_policy(f"{name}:{attribute}"), options
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    suggestion = f"; did you mean {close[0]}?" if close else ""
    raise InputError(
        f"policy: expected one of {', '.join(known)} or module:Class, found {name!r}{suggestion}"
    )


@lru_cache(maxsize=1)
def _entries(path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Look through all packages installed on `path` (`sys.path`): once, as it takes time."""
    return tuple(sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name))


def _places() -> dict[str, str]:
    """Return where each registered policy is, as ``module:Class`` by name."""
    places = dict(BUILT_IN)
    for entry in _entries(tuple(sys.path)):
        if entry.name in places:
            raise InputError(f"policy {entry.name}: two policies have this name ({entry.value})")
        places[entry.name] = entry.value
    return places


def _import_policy(where: str) -> type:
    module_name, _, attribute = where.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(f"policy {where}: cannot import {module_name!r} ({error})") from error
    except Exception as error:  # a module of a third party may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"policy {where}: cannot import {module_name!r} ({reason})") from error
    if not hasattr(module, attribute):
        raise InputError(f"policy {where}: module {module_name!r} has no {attribute!r}")
    found: Any = getattr(module, attribute)
    if not isinstance(found, type):
        raise InputError(f"policy {where}: expected a class, found {found!r}")
    _require_policy(found, where)
    return found


def _require_policy(found: Any, where: str) -> None:
    needed = ("name", "summary", "source", "length_kinds", "decide")
    missing = [attribute for attribute in needed if not hasattr(found, attribute)]
    if missing:
        raise InputError(f"policy {where}: no policy, it lacks {', '.join(missing)}")


def _require_length_kinds(policy: Policy, name: str) -> None:
    kinds = policy.length_kinds
    if not isinstance(kinds, tuple) or not kinds or not set(kinds) <= set(LENGTH_KINDS):
        known = ", ".join(LENGTH_KINDS)
        raise InputError(
            f"policy {name}: length_kinds: expected a tuple of some of {known}; found {kinds!r}"
        )
