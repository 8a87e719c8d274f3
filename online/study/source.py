"""Where a study's instances come from: a family, a window of a trace, or a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...models.disk import open_input
from ...models.errors import InputError
from ...models.families.registry import FAMILIES, make_instance
from ...models.files.instance_file import read_instance
from ...models.gpu_text import length_of_round, with_gpu
from ...models.instance import Gpu, Instance
from ...models.objectives import with_latency_limit
from ...models.traces import convert_trace
from ...models.traces.window import Window

Kind = Literal["family", "trace", "file"]

#: What may be set of a trace: the parameters of `convert_trace` that say what is taken.
TRACE_SETTINGS = (
    "round_ms",
    "kv_capacity",
    "format",
    "columns",
    "arrivals",
    "start",
    "count",
    "every",
    "load",
    "thin",
    "sort",
    "oversize",
    "zero",
)
#: What may be set of the GPU that serves it: the parameters of `with_gpu`.
GPU_SETTINGS = (
    "batch_time",
    "prompt_batch_requests",
    "prompt_batch_tokens",
    "token_batch_requests",
    "max_num_seqs",
    "max_num_batched_tokens",
    "block_size",
    "chunked_prefill",
)
#: What may be set of every source: a deadline so long after each arrival.
LIMIT = "latency_limit"
_OF_WINDOW = ("start", "count", "every", "thin", "kv_capacity", "oversize")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source of instances: with a seed it makes an instance, the same one every time.

    Attributes
    ----------
    kind : {"family", "trace", "file"}
        What `origin` is.
    origin : str
        Name of a family, or the absolute path of a trace or an instance file.
    settings : tuple of (str, value)
        Of the family or of the trace's window, and `latency_limit` of any source.
    label : str
        Its name in tables.
    sha256 : str
        Of a file's content, so that a changed file is another source; "" for a family.

    Examples
    --------
    >>> source = Source(
    ...     kind="family", origin="arrival-model-1", settings=(("n", 8),), label="small"
    ... )
    >>> source.make(100).n
    8
    >>> (due,) = sources("family", "arrival-model-1", {"n": 2, "latency_limit": 20})
    >>> due.make(100).deadline.tolist()
    [20, 20]
    """

    kind: Kind
    origin: str
    settings: tuple[tuple[str, Any], ...] = ()
    label: str
    sha256: str = ""

    def make(self, seed: int) -> Instance:
        """Make the instance of a seed; an instance file has one instance for all seeds.

        Parameters
        ----------
        seed : int
            ≥ 0: of the family's draws, or of the thinning of a trace.

        Raises
        ------
        InputError
            If the file is not what it was, or nothing can be made of it.
        """
        settings = dict(self.settings)
        limit = settings.pop(LIMIT, None)
        made = self._made(seed, settings)
        return made if limit is None else with_latency_limit(made, limit)

    def _made(self, seed: int, settings: dict[str, Any]) -> Instance:
        if self.kind == "family":
            return make_instance(self.origin, seed=seed, settings=settings)
        if file_digest(self.origin) != self.sha256:
            raise InputError(f"{self.origin}: expected the file that the study began with")
        if self.kind == "file":
            return read_instance(self.origin)
        window, gpu = _window_and_gpu(settings)
        return with_gpu(convert_trace(self.origin, seed=seed, **window).instance, **gpu)

    @property
    def record(self) -> dict[str, Any]:
        """What identifies it, whatever it is called and wherever it lies."""
        record: dict[str, Any] = {self.kind: self.origin if self.kind == "family" else self.sha256}
        if self.settings:
            record["settings"] = dict(sorted(self.settings))
        return record


def sources(
    kind: Kind, origin: str, settings: dict[str, Any], label: str | None = None
) -> tuple[Source, ...]:
    """Return the sources that a table of settings names: one for each combination of its lists.

    Parameters
    ----------
    kind, origin
        As in `Source`; the path of a file may be relative.
    settings : dict
        Values, or lists of values.
    label : str, optional
        Name in tables; the origin's by default. Settings that vary, and without a label all of
        them, are appended.

    Raises
    ------
    InputError
        If the family or a setting is unknown, a value has a wrong type or range, or the file
        cannot be read.

    Examples
    --------
    >>> [source.label for source in sources("family", "arrival-model-1", {"n": [6, 8]})]
    ['arrival-model-1 n=6', 'arrival-model-1 n=8']
    """
    varying = [key for key, value in settings.items() if isinstance(value, list)]
    shown = varying if label is not None else list(settings)
    name = label if label is not None else origin if kind == "family" else Path(origin).name
    path = origin if kind == "family" else os.path.realpath(origin)
    digest = "" if kind == "family" else file_digest(path)
    found = []
    for chosen in _combinations(settings):
        _require_settings(kind, origin, chosen)
        found.append(
            Source(
                kind=kind,
                origin=path,
                settings=tuple(chosen.items()),
                label=" ".join([name, *(f"{key}={chosen[key]}" for key in shown)]),
                sha256=digest,
            )
        )
    return tuple(found)


def file_digest(path: str) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with open_input(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _combinations(settings: dict[str, Any]) -> Iterable[dict[str, Any]]:
    lists = [value if isinstance(value, list) else [value] for value in settings.values()]
    for values in product(*lists):
        yield dict(zip(settings, values, strict=True))


def _require_settings(kind: Kind, origin: str, settings: dict[str, Any]) -> None:
    if LIMIT in settings:
        with_latency_limit(_ANY, settings[LIMIT])
        settings = {key: value for key, value in settings.items() if key != LIMIT}
    if kind == "family":
        if origin not in FAMILIES:
            raise InputError(f"family: expected one of {', '.join(FAMILIES)}; found {origin!r}")
        FAMILIES[origin].read(settings)
        return
    known = (*TRACE_SETTINGS, *GPU_SETTINGS, LIMIT) if kind == "trace" else (LIMIT,)
    for key in settings:
        if key not in known:
            takes = f"settings among {', '.join(known)}"
            raise InputError(f"{origin}: expected {takes}; found {key!r}")
    if kind == "trace":
        window, gpu = _window_and_gpu(settings)
        for key in ("round_ms", "kv_capacity"):
            if window.get(key) is None:
                raise InputError(f"{origin}: settings: expected {key}, found none")
        Window(**{key: window[key] for key in _OF_WINDOW if key in window})
        with_gpu(_ANY, **gpu)


_ONE = np.ones(1, np.int64)

#: An instance to try settings of a GPU on.
_ANY = Instance(gpu=Gpu(kv_capacity=2), arrival=np.zeros(1, np.int64), prompt=_ONE, output=_ONE)


def _window_and_gpu(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of a trace's window, with the length of a round, and of the GPU."""
    gpu = {key: settings[key] for key in GPU_SETTINGS if key in settings}
    window = {key: value for key, value in settings.items() if key not in gpu}
    round_ms = length_of_round(gpu.get("batch_time", "unit"), window.get("round_ms"))
    return window | {"round_ms": round_ms}, gpu
