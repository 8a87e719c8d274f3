"""One instance of the library: where it comes from, and the number that identifies its data."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...models.errors import InputError
from ...models.families import make_instance
from ...models.files.instance_file import encode_instance
from ...models.instance import Gpu, Instance
from ...models.regimes import REGIMES
from ..certificates.strict import array, integer, integers, require_keys, require_object, text

_KEYS = ("name", "model", "group", "source", "n", "kv_capacity", "digest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An instance, as the catalogue describes it.

    Attributes
    ----------
    name : str
        Its name: small letters, digits and dashes.
    model : {"mixed", "separate", "continuous"}
        The regime that its schedule and bound are of.
    group : str
        The group in lists: "published law", "trace-like", "adversarial" or "found by search".
    source : mapping
        ``family``, ``seed`` and ``settings`` of `make_instance`, or ``requests``: rows of arrival,
        prompt and output.
    n, kv_capacity : int
        Number of requests, and M.
    digest : str
        `data_digest` of the instance.
    """

    name: str
    model: str
    group: str
    source: Mapping[str, Any]
    n: int
    kv_capacity: int
    digest: str

    def to_record(self) -> dict[str, Any]:
        """Return the entry as the object that stands in the catalogue."""
        return {key: getattr(self, key) for key in _KEYS} | {"source": dict(self.source)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Entry:
        """Read an entry from a record of `to_record`.

        Raises
        ------
        InputError
            If a key is missing or unknown, or a value is of a wrong type or out of range.
        """
        require_keys("", record, _KEYS)
        name, model = text("name", record["name"]), text("model", record["model"])
        if not re.fullmatch("[a-z0-9-]+", name):
            raise InputError(f"name: expected small letters, digits and dashes, found {name!r}")
        if model not in REGIMES:
            raise InputError(f"model: expected one of {', '.join(REGIMES)}; found {model!r}")
        source = require_object("source", record["source"])
        keys = ("requests",) if "requests" in source else ("family", "seed", "settings")
        require_keys("source.", source, keys)
        return cls(
            name=name,
            model=model,
            group=text("group", record["group"]),
            source=source,
            n=integer("n", record["n"], low=1),
            kv_capacity=integer("kv_capacity", record["kv_capacity"], low=2),
            digest=text("digest", record["digest"]),
        )

    def instance(self) -> Instance:
        """Make the instance, and compare its data with the digest.

        Raises
        ------
        InputError
            If it cannot be made, or has other data than it had when it came into the library: a
            changed entry, or a random generator that draws other numbers.
        """
        made = self._make().replace(name=self.name)
        found = data_digest(made)
        if found != self.digest:
            raise InputError(
                f"digest: expected {self.digest[:12]}…, found {found[:12]}…: the instance that was "
                "made is not the one of the library"
            )
        return made

    def _make(self) -> Instance:
        if "family" in self.source:
            seed = integer("source.seed", self.source["seed"], low=0)
            settings = require_object("source.settings", self.source["settings"])
            return make_instance(
                text("source.family", self.source["family"]), seed=seed, settings=settings
            )
        rows = [
            integers(f"source.requests[{i}]", row, low=0)
            for i, row in enumerate(array("source.requests", self.source["requests"]))
        ]
        if any(len(row) != 3 for row in rows):
            raise InputError("source.requests: expected rows of arrival, prompt and output")
        arrival, prompt, output = np.array(rows, dtype=np.int64).reshape(-1, 3).T
        gpu = Gpu(kv_capacity=self.kv_capacity)
        return Instance(gpu=gpu, arrival=arrival, prompt=prompt, output=output)


def data_digest(instance: Instance) -> str:
    """SHA-256 of the instance's file without its name and provenance, in hexadecimal digits.

    Examples
    --------
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> data_digest(instance) == data_digest(instance.replace(name="other"))
    True
    >>> data_digest(instance) == data_digest(instance.replace(arrival=[0, 3]))
    False
    """
    bare = instance.replace(name="", provenance=None)
    return hashlib.sha256(encode_instance(bare)).hexdigest()
