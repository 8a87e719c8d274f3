"""How policies are found by name: built-in, by entry point, by ``module:Class``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic

from ..models.errors import InputError
from ..models.shown import suggestion, without_ending
from .lengths import LENGTH_KINDS
from .options import format_options, parse_options
from .protocol import PolicyType

#: The regime of policies, and of witnesses, that say none.
UNNAMED = "mixed"


@dataclass(frozen=True, slots=True)
class PolicyRegistry(Generic[PolicyType]):
    """The policies of one regime.

    Attributes
    ----------
    model : {"mixed", "separate"}
        The regime; a policy's class attribute ``model`` says its own, "mixed" where it has none.
    group : str
        Entry-point group under which installed packages register theirs.
    built_in : mapping of str to str
        Where the built-in policies are, as ``module:Class`` by name; imported when asked for.
    deliberate : tuple of str
        Those that take seconds where the others take milliseconds: they run only where named.
    """

    model: str
    group: str
    built_in: Mapping[str, str]
    deliberate: tuple[str, ...] = ()

    @property
    def by_default(self) -> tuple[str, ...]:
        """Names of the built-in policies that run where none are named."""
        return tuple(name for name in self.built_in if name not in self.deliberate)

    def registered(self) -> dict[str, type]:
        """Return all policies by name: built-in ones, then those that installed packages register.

        Raises
        ------
        InputError
            If one cannot be imported, is no policy of this regime, or takes a name that is in use.

        Examples
        --------
        >>> from batchprophet.online.separate.policy import REGISTRY
        >>> list(REGISTRY.registered())[:2]
        ['prefill-first', 'decode-first']
        """
        return {name: self._import(where) for name, where in self._places().items()}

    def names(self) -> list[str]:
        """Return the names of `registered`, without importing the policies."""
        return list(self._places())

    def built_in_policies(self) -> dict[str, type]:
        """Return the policies that come with the package, by name."""
        return {name: self._import(where) for name, where in self.built_in.items()}

    def make(self, spec: str | PolicyType) -> PolicyType:
        """Make a policy from its specification ``NAME[:key=value,…]``.

        Parameters
        ----------
        spec : str or Policy
            NAME is that of a registered policy or ``module:Class``; a policy is returned as it is.

        Raises
        ------
        InputError
            If the policy or an option is unknown, a value is out of range, or the module or class
            cannot be imported or is no policy of this regime.

        Examples
        --------
        >>> from batchprophet.online.mixed.policy import REGISTRY
        >>> REGISTRY.make("mc-sf:skip=true")
        McSf(skip=True, lengths='exact', error=None)
        """
        if not isinstance(spec, str):
            self._require_policy(spec, type(spec).__name__)
            _require_length_kinds(spec, spec.name)
            return spec
        name, kind, options = self._split(spec.strip())
        try:
            policy: PolicyType = kind(**parse_options(kind, name, options))
        except TypeError as error:
            raise InputError(f"policy {name}: cannot be made from its options ({error})") from error
        except InputError as error:
            prefix = f"policy {name}: "
            raise InputError(prefix + str(error).removeprefix(prefix)) from error
        _require_length_kinds(policy, name)
        return policy

    def _split(self, spec: str) -> tuple[str, type, str]:
        """Return name, class and the text of the options."""
        name, _, rest = spec.partition(":")
        known = self._places()
        qualified = bool(rest) and "=" not in rest.partition(":")[0]
        if name not in known and not qualified:
            _entries.cache_clear()  # it may have been installed since
            known = self._places()
        if name in known:
            return name, self._import(known[name]), rest
        if qualified:
            attribute, _, options = rest.partition(":")
            return f"{name}:{attribute}", self._import(f"{name}:{attribute}"), options
        policy = "policy" if self.model == UNNAMED else f"policy of {self.model} batching"
        raise InputError(
            f"{policy}: expected one of {', '.join(known)} or module:Class, found {name!r}"
            f"{suggestion(name, known)}"
        )

    def _places(self) -> dict[str, str]:
        """Return where each registered policy is, as ``module:Class`` by name."""
        places = dict(self.built_in)
        for entry in _entries(self.group, tuple(sys.path)):
            if entry.name in places:
                raise InputError(
                    f"policy {entry.name}: two policies have this name ({entry.value})"
                )
            places[entry.name] = entry.value
        return places

    def _import(self, where: str) -> type:
        found = import_class(where)
        self._require_policy(found, where)
        return found

    def _require_policy(self, found: Any, where: str) -> None:
        needed = ("name", "summary", "source", "length_kinds", "decide")
        missing = [attribute for attribute in needed if not hasattr(found, attribute)]
        if missing:
            raise InputError(f"policy {where}: no policy, it lacks {', '.join(missing)}")
        model = getattr(found, "model", UNNAMED)
        if model != self.model:
            raise InputError(
                f"policy {where}: expected a policy of {self.model} batching, found one of {model} "
                "batching (its attribute model)"
            )


def policy_spec(policy: Any) -> str:
    """Write a policy as a specification: its name and the options that are not at their default.

    Examples
    --------
    >>> from batchprophet.online.mixed.policies.mc_sf import McSf
    >>> policy_spec(McSf(skip=True))
    'mc-sf:skip=true'
    """
    options = format_options(policy)
    return f"{policy.name}:{options}" if options else policy.name


@lru_cache(maxsize=4)
def _entries(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Look through all packages installed on `path` (`sys.path`): once, as it takes time."""
    return tuple(sorted(entry_points(group=group), key=lambda entry: entry.name))


def import_class(where: str) -> type:
    """Return the class that ``module:Class`` names, whatever it is.

    Raises
    ------
    InputError
        If there is none.
    """
    module_name, _, attribute = where.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        hint = without_ending(module_name, attribute)
        raise InputError(
            f"policy {where}: cannot import {module_name!r} ({error}){hint}"
        ) from error
    except Exception as error:  # a module of a third party may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"policy {where}: cannot import {module_name!r} ({reason})") from error
    if not hasattr(module, attribute):
        raise InputError(f"policy {where}: module {module_name!r} has no {attribute!r}")
    found: Any = getattr(module, attribute)
    if not isinstance(found, type):
        raise InputError(f"policy {where}: expected a class, found {found!r}")
    return found


def _require_length_kinds(policy: Any, name: str) -> None:
    kinds = policy.length_kinds
    if not isinstance(kinds, tuple) or not kinds or not set(kinds) <= set(LENGTH_KINDS):
        known = ", ".join(LENGTH_KINDS)
        raise InputError(
            f"policy {name}: length_kinds: expected a tuple of some of {known}; found {kinds!r}"
        )
