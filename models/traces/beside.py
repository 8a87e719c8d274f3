"""What an engine wrote down beside its log: the KV capacity that it ran with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..disk import read_input
from ..errors import InputError
from ..strict import refuse_repeated_keys

#: Name of the file in the log's folder.
META = "meta.json"

_MOST_BYTES = 2**24


def kv_tokens_beside(log: str | os.PathLike[str]) -> int | None:
    """Return ``kv_cache.num_kv_tokens`` of the ``meta.json`` beside a log; None where it has none.

    Raises
    ------
    InputError
        If there is such a file but it cannot be read, is no JSON object, or says something else
        than a number of tokens, at least 2.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "meta.json").write_text('{"kv_cache": {"num_kv_tokens": 41408}}')
    ...     kv_tokens_beside(Path(folder) / "requests.jsonl")
    41408
    """
    path = Path(log).parent / META
    if not path.exists():
        return None
    content = read_input(path, most=_MOST_BYTES)
    try:
        found = json.loads(content.decode("utf-8"), object_pairs_hook=refuse_repeated_keys)
    except (InputError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from error
    cache = _entry(path, "the file", found, "kv_cache")
    tokens = None if cache is None else _entry(path, "kv_cache", cache, "num_kv_tokens")
    if tokens is not None and not (type(tokens) is int and 2 <= tokens < 2**62):
        raise InputError(
            f"{path}: kv_cache.num_kv_tokens: expected an integer from 2 to 2^62, found {tokens!r}"
        )
    return tokens


def _entry(path: Path, place: str, record: Any, key: str) -> Any:
    if not isinstance(record, dict):
        raise InputError(f"{path}: {place}: expected a JSON object, found {type(record).__name__}")
    return record.get(key)
