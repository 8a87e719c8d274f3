"""The environments by name, and the one way to make one of a name or a file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from types import MappingProxyType

from ..models.disk import read_input
from ..models.errors import InputError
from .environments.environment import Environment, EnvironmentKind
from .mixed.latency_environment import MIXED_LATENCY_KIND
from .packing.environment import MULTI_SECRETARY_KIND, ONLINE_PACKING_KIND
from .separate.admission.environment import SEPARATE_ADMISSION_KIND
from .separate.latency_environment import SEPARATE_LATENCY_KIND

#: Environments by name.
ENVIRONMENTS: Mapping[str, EnvironmentKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            ONLINE_PACKING_KIND,
            MULTI_SECRETARY_KIND,
            SEPARATE_ADMISSION_KIND,
            MIXED_LATENCY_KIND,
            SEPARATE_LATENCY_KIND,
        )
    }
)


def make_environment(name: str, settings: Mapping[str, object] | None = None) -> Environment:
    """Make an environment of its name, or of a TOML file.

    Parameters
    ----------
    name : str
        A name of `ENVIRONMENTS`, or the path of a file that ends in ``.toml`` with
        ``environment = "name"`` and, if need be, a table ``[settings]``.
    settings : mapping, optional
        Settings as text or as values; they go before those of the file.

    Raises
    ------
    InputError
        If the environment, a setting or the file cannot be used.

    Examples
    --------
    >>> make_environment("online-packing", {"scale": "2"}).horizons[0]
    400
    """
    if name.endswith(".toml"):
        kind, given = _read_file(name)
        try:
            return kind.make(given | dict(settings or {}))
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
    return _kind(name).make(settings or {})


def _kind(name: object) -> EnvironmentKind:
    if not isinstance(name, str) or name not in ENVIRONMENTS:
        raise InputError(
            f"environment: expected one of {', '.join(ENVIRONMENTS)}, or a .toml file; "
            f"found {name!r}"
        )
    return ENVIRONMENTS[name]


def _read_file(path: str) -> tuple[EnvironmentKind, dict[str, object]]:
    try:
        record = tomllib.loads(read_input(path).decode("utf-8"))
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, thousands of digits
        raise InputError(f"{path}: expected TOML, found: {error}") from error
    for key in record:
        if key not in ("environment", "settings"):
            raise InputError(f"{path}: expected keys environment and settings, found {key!r}")
    settings = record.get("settings", {})
    if not isinstance(settings, dict):
        raise InputError(f"{path}: settings: expected a table, found {settings!r}")
    try:
        return _kind(record.get("environment")), settings
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
