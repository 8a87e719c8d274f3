"""Levels of the game: an instance with a title, what the player knows of it, and what is proved."""

from __future__ import annotations

import hashlib
import json
import string
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.errors import InputError
from ..models.instance import Gpu, Instance
from ..models.mixed.problem import is_limited
from ..models.regimes import regime_of

if TYPE_CHECKING:
    from ..models.regime import Schedule
    from ..online.evaluation import Comparison

#: Most requests of a level: more do not fit a screen, and take too long by hand.
MOST_REQUESTS = 40

#: What the player knows, from all to least.
KNOWS = ("all", "arrived", "prompts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level.

    Attributes
    ----------
    title, lesson : str
        Its name, and what to look at.
    knows : {"all", "arrived", "prompts"}
        What the player sees at first: all requests, those that have arrived, or these without
        their output lengths.
    instance : Instance
        Its requests under mixed batching.
    """

    title: str
    lesson: str
    knows: str
    instance: Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedLevel:
    """A level with the hindsight schedule, its bound, and the policies' schedules.

    Attributes
    ----------
    level : Level
        The level.
    comparison : Comparison
        Hindsight and policies on its instance, under mixed batching.
    """

    level: Level
    comparison: Comparison

    def to_record(self) -> dict[str, Any]:
        """Return what the page has of this level."""
        instance, solution = self.level.instance, self.comparison.solution
        columns = (instance.arrival, instance.prompt, instance.output)
        requests = [
            {"id": instance.request_id(i), "arrival": a, "prompt": s, "output": o}
            for i, (a, s, o) in enumerate(zip(*(c.tolist() for c in columns), strict=True))
        ]
        record = {"capacity": instance.gpu.kv_capacity, "requests": requests}
        best = {"value": int(solution.objective), "bound": int(solution.bound or 0)}
        return {
            "key": hashlib.sha256(json.dumps(record).encode()).hexdigest()[:12],
            "regime": self.comparison.model,
            "title": self.level.title,
            "lesson": self.level.lesson,
            "knows": self.level.knows,
            **record,
            "best": best | {"method": solution.method, **_runs(solution.schedule)},
            "policies": [
                {"name": each.policy, "value": each.metrics.total_latency, **_runs(each.schedule)}
                for each in self.comparison.results
                if each.metrics is not None and each.schedule is not None
            ],
            "unfinished": [each.policy for each in self.comparison.results if each.verdict],
        }


def _runs(schedule: Schedule) -> dict[str, Any]:
    record = regime_of(schedule).to_record(schedule)
    lost = [[run["request"], run["start"], run["end"]] for run in record.get("evicted", [])]
    return {"start": record["start"], "lost": lost}


def built_in_levels() -> list[Level]:
    """Return the levels that come with the package, from easy to hard.

    Examples
    --------
    >>> [level.instance.n for level in built_in_levels()]
    [4, 6, 7, 6, 10, 12, 8]
    """
    text = resources.files(__package__).joinpath("data", "levels.json").read_text("utf-8")
    return [_level(record) for record in json.loads(text)["levels"]]


def level_of(instance: Instance) -> Level:
    """Return the level of a user's instance.

    Raises
    ------
    InputError
        If it has more than `MOST_REQUESTS` requests, or limits on a round that may bind.
    """
    if is_limited(instance):
        limits = ("running_requests", "batch_tokens")
        names = ", ".join(name for name in limits if getattr(instance.gpu, name) is not None)
        raise InputError(
            "play: the page has the KV capacity as its only rule, and no limits on the requests "
            f"or tokens of a round; drop {names} from {instance.name!r}"
        )
    if instance.n > MOST_REQUESTS:
        raise InputError(
            f"play: expected at most {MOST_REQUESTS} requests, which one can start by hand, found "
            f"{instance.n:,} in {instance.name!r}"
        )
    lesson = f"{instance.n} requests, {instance.gpu.kv_capacity:,} KV tokens."
    return Level(title=instance.name, lesson=lesson, knows="all", instance=instance)


def _level(record: dict[str, Any]) -> Level:
    drawn = next(make for key, make in _SOURCES.items() if key in record)(record)
    named = drawn.replace(id=string.ascii_uppercase[: drawn.n], name=record["title"])
    return Level(
        title=record["title"], lesson=record["lesson"], knows=record["knows"], instance=named
    )


def _of_rows(record: dict[str, Any]) -> Instance:
    arrival, prompt, output = np.array(record["requests"], dtype=np.int64).T
    gpu = Gpu(kv_capacity=record["kv_capacity"])
    return Instance(gpu=gpu, arrival=arrival, prompt=prompt, output=output)


def _of_family(record: dict[str, Any]) -> Instance:
    from ..models.families import make_instance

    return make_instance(record["family"], seed=record["seed"], settings=record["settings"])


def _of_library(record: dict[str, Any]) -> Instance:
    from ..solvers.library.catalogue import Library

    return Library().entry(record["library"]).instance()


#: Where a level's requests come from, by the key that says so.
_SOURCES: dict[str, Callable[[dict[str, Any]], Instance]] = {
    "requests": _of_rows,
    "family": _of_family,
    "library": _of_library,
}
