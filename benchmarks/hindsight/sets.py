"""Sets of instances by name.

A set is written ``NAME[:setting=value[,value…]]…``; several values make an instance each.

=====================  ===========================================================================
``arrival-model-1``    any family of `batchprophet make --list`, with its settings; one instance
                       a seed (without ``n``: the published scale)
``published``          arrival models 1 and 2 at the published scale
``prefixes:n=8,10``    arrival models 1 and 2, the first n requests
``traces``             windows of a trace in the data folder, without seeds; settings ``file``
                       (azure2023_conv.csv), ``count`` (1000), ``start`` (0,1200), ``load`` (1,1.5),
                       ``kv_capacity`` (65536), ``round_ms`` (50)
=====================  ===========================================================================
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchprophet.models import InputError, Instance
from batchprophet.models.families import FAMILIES, make_instance
from batchprophet.models.traces import convert_trace

#: Where public traces are looked for: the data folder beside the repository.
TRACES = Path(__file__).resolve().parents[3] / "shared" / "data" / "traces"

#: The arrival models of arXiv 2502.07115.
PUBLISHED = ("arrival-model-1", "arrival-model-2")

_WINDOWS: Mapping[str, tuple[str, ...]] = {
    "file": ("azure2023_conv.csv",),
    "count": ("1000",),
    "start": ("0", "1200"),
    "load": ("1", "1.5"),
    "kv_capacity": ("65536",),
    "round_ms": ("50",),
}


@dataclass(frozen=True, slots=True)
class Member:
    """An instance of a set, and the group that it is summed up in."""

    group: str
    instance: Instance


def members(
    texts: Sequence[str], seeds: Sequence[int], skipped: Callable[[str], None]
) -> list[Member]:
    """Make the instances of some sets, each once.

    Parameters
    ----------
    texts : sequence of str
        Sets as in the head of this file.
    seeds : sequence of int
        Seeds of the families.
    skipped : callable
        Told of each seed that draws fewer requests than the prefix asks for.

    Raises
    ------
    InputError
        If a set is malformed or unknown, or a trace is not there.
    """
    found: dict[str, Member] = {}
    for text in texts:
        name, settings = _parse(text)
        for member in _members(name, settings, seeds, skipped):
            found.setdefault(member.instance.name, member)
    return list(found.values())


def parse_seeds(text: str) -> list[int]:
    """Parse ``"100-129"`` or ``"1,5,100-102"``.

    >>> parse_seeds("1,5,100-102")
    [1, 5, 100, 101, 102]
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InputError(f"--seeds: expected FIRST-LAST or a list of seeds, found {text!r}")
        span = range(int(first), int(last or first) + 1)
        if not span:
            raise InputError(f"--seeds: expected FIRST ≤ LAST, found {part.strip()!r}")
        seeds += span
    return seeds


def _parse(text: str) -> tuple[str, dict[str, tuple[str, ...]]]:
    name, *words = text.split(":")
    settings: dict[str, tuple[str, ...]] = {}
    for word in words:
        key, _, values = word.partition("=")
        if not key or not all(values.split(",")) or key in settings:
            raise InputError(
                f"--sets: expected NAME[:setting=value[,value…]]… with each setting once, "
                f"found {text!r}"
            )
        settings[key] = tuple(values.split(","))
    return name, settings


def _members(
    name: str,
    settings: Mapping[str, tuple[str, ...]],
    seeds: Sequence[int],
    skipped: Callable[[str], None],
) -> Iterator[Member]:
    if name == "traces":
        yield from _windows(settings)
        return
    if name == "prefixes" and "n" not in settings:
        raise InputError("--sets: prefixes: expected how many requests, as in prefixes:n=8,10")
    families = PUBLISHED if name in ("published", "prefixes") else (name,)
    unknown = [family for family in families if family not in FAMILIES]
    if unknown:
        known = ", ".join(("published", "prefixes", "traces", *FAMILIES))
        raise InputError(f"--sets: expected one of {known}; found {name!r}")
    for chosen in _combinations(settings):
        group = " ".join([name, *(f"{key}={value}" for key, value in chosen.items())])
        for family, seed in itertools.product(families, seeds):
            instance = _prefix(family, seed, chosen, skipped)
            if instance is not None:
                yield Member(group, instance)


def _prefix(
    family: str, seed: int, settings: Mapping[str, str], skipped: Callable[[str], None]
) -> Instance | None:
    """Make an instance; None, and a word on it, where the seed draws fewer than n requests."""
    if family == "arrival-model-2" and "n" in settings:
        others = {key: value for key, value in settings.items() if key != "n"}
        drawn = make_instance(family, seed=seed, settings=others).n
        if settings["n"].isdecimal() and int(settings["n"]) > drawn:
            skipped(
                f"{family}, seed {seed}: draws {drawn} requests only, n={settings['n']} left out"
            )
            return None
    return make_instance(family, seed=seed, settings=settings)


def _windows(settings: Mapping[str, tuple[str, ...]]) -> Iterator[Member]:
    unknown = settings.keys() - _WINDOWS.keys()
    if unknown:
        known = ", ".join(_WINDOWS)
        raise InputError(f"--sets: traces: expected {known}; found {sorted(unknown)[0]!r}")
    for chosen in _combinations({**_WINDOWS, **settings}):
        if not (TRACES / chosen["file"]).exists():
            raise InputError(
                f"--sets: traces: {chosen['file']} is not in the data folder beside the "
                "repository (shared/data/traces); leave the set out or put the file there"
            )
        try:
            numbers = {key: float(chosen[key]) for key in _WINDOWS if key != "file"}
        except ValueError as error:
            raise InputError(f"--sets: traces: {error}") from error
        converted = convert_trace(
            TRACES / chosen["file"],
            round_ms=numbers["round_ms"],
            kv_capacity=int(numbers["kv_capacity"]),
            start=numbers["start"],
            count=int(numbers["count"]),
            load=numbers["load"],
            oversize="drop",
        )
        words = (f"{key}={value}" for key, value in chosen.items() if key != "file")
        name = "-".join([Path(chosen["file"]).stem, *words])
        yield Member("traces", converted.instance.replace(name=name))


def _combinations(settings: Mapping[str, tuple[str, ...]]) -> Iterator[dict[str, str]]:
    for values in itertools.product(*settings.values()):
        yield dict(zip(settings, values, strict=True))
