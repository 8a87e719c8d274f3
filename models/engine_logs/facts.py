"""What an engine wrote down of itself beside its log: limits, memory, replicas."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..disk import read_input
from ..errors import InputError
from ..strict import refuse_repeated_keys
from ..traces.beside import META

_MOST_BYTES = 2**24

#: The key of vLLM's scheduler that says how much memory a request needs to be admitted.
_RESERVES = "scheduler_reserve_full_isl"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """Limits of the engine that made a log; None where it does not say.

    Attributes
    ----------
    kv_capacity : int or None
        KV tokens.
    max_num_seqs : int or None
        Most running requests.
    max_num_batched_tokens : int or None
        Most tokens in a batch.
    block_size : int or None
        Tokens in a KV block.
    replicas : int or None
        Copies of the model behind the log (``data_parallel_size``).
    prefix_caching : bool or None
        Whether prompts that begin alike share their caches.
    reserves_whole_prompt : bool or None
        Whether a request is admitted only if all that it has to read fits
        (``scheduler_reserve_full_isl``).
    engine : str or None
        Name and version.
    device, model : str or None
        The GPU and the model.
    source : str or None
        The file that says so.
    """

    kv_capacity: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    block_size: int | None = None
    replicas: int | None = None
    prefix_caching: bool | None = None
    reserves_whole_prompt: bool | None = None
    engine: str | None = None
    device: str | None = None
    model: str | None = None
    source: str | None = None


#: Where `EngineFacts` stand in a ``meta.json``, with the least value of a number.
_PLACES: Mapping[str, tuple[tuple[str, str], int]] = {
    "kv_capacity": (("kv_cache", "num_kv_tokens"), 2),
    "block_size": (("kv_cache", "block_size"), 1),
    "max_num_seqs": (("engine_kwargs", "max_num_seqs"), 1),
    "max_num_batched_tokens": (("engine_kwargs", "max_num_batched_tokens"), 1),
    "replicas": (("engine_kwargs", "data_parallel_size"), 1),
}


def facts_beside(log: str | os.PathLike[str]) -> EngineFacts:
    """Read the ``meta.json`` beside a log; where there is none, nothing is known."""
    path = Path(log).parent / META
    return read_facts(path) if path.exists() else EngineFacts()


def read_facts(path: str | os.PathLike[str]) -> EngineFacts:
    """Read what an engine wrote down of itself.

    Parameters
    ----------
    path : path-like
        A JSON object with any of ``kv_cache.num_kv_tokens``, ``kv_cache.block_size``,
        ``kv_cache.enable_prefix_caching``, ``engine_kwargs.max_num_seqs``,
        ``engine_kwargs.max_num_batched_tokens``, ``engine_kwargs.data_parallel_size`` and
        ``resolved_config.scheduler_config.scheduler_reserve_full_isl``.

    Raises
    ------
    InputError
        If it is no JSON object, or one of these is no number in its range.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "meta.json"
    ...     _ = file.write_text('{"engine_kwargs": {"max_num_seqs": 128}}')
    ...     read_facts(file).max_num_seqs
    128
    """
    content = read_input(path, most=_MOST_BYTES)
    try:
        found = json.loads(content.decode("utf-8"), object_pairs_hook=refuse_repeated_keys)
    except (InputError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(found).__name__}")
    numbers = {name: _number(path, found, place, low) for name, (place, low) in _PLACES.items()}
    caching = _entry(path, found, "kv_cache", "enable_prefix_caching")
    scheduler = _entry(path, found, "resolved_config", "scheduler_config")
    reserves = scheduler.get(_RESERVES) if isinstance(scheduler, dict) else None
    version = found.get("vllm_version")
    return EngineFacts(
        **numbers,
        prefix_caching=caching if isinstance(caching, bool) else None,
        reserves_whole_prompt=reserves if isinstance(reserves, bool) else None,
        engine=f"vLLM {version}" if isinstance(version, str) else None,
        device=_text(_entry(path, found, "hardware", "device_name")),
        model=_text(found.get("model")),
        source=Path(path).name,
    )


def _entry(path: object, record: dict[str, Any], room: str, key: str) -> Any:
    inner = record.get(room)
    if inner is None:
        return None
    if not isinstance(inner, dict):
        raise InputError(f"{path}: {room}: expected a JSON object, found {type(inner).__name__}")
    return inner.get(key)


def _number(path: object, record: dict[str, Any], place: tuple[str, str], low: int) -> int | None:
    value = _entry(path, record, *place)
    if value is not None and not (type(value) is int and low <= value < 2**62):
        raise InputError(
            f"{path}: {'.'.join(place)}: expected an integer from {low} to 2^62, found {value!r}"
        )
    number: int | None = value
    return number


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.isprintable() else None
