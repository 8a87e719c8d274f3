"""Levels of the game: an instance with a title, what the player knows of it, and what is proved."""

from __future__ import annotations

import hashlib
import json
import math
import string
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.durations import durations
from ..models.errors import InputError
from ..models.files.gpu import read_gpu
from ..models.instance import Instance
from ..models.regimes import regime
from .regimes import PLAYABLE

if TYPE_CHECKING:
    from ..online.evaluation import Comparison

#: Most requests of a level: more do not fit a screen, and take too long by hand.
MOST_REQUESTS = 40

#: JavaScript counts exactly below this.
EXACT = 2**53

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
    regime : str
        The batching regime in which it is played.
    instance : Instance
        Its requests and its GPU.
    """

    title: str
    lesson: str
    knows: str
    regime: str
    instance: Instance

    def to_record(self) -> dict[str, Any]:
        """Return what the rules in the page have of it: regime, GPU and requests."""
        instance = self.instance
        columns = (instance.arrival, instance.prompt, instance.output)
        requests = [
            {"id": instance.request_id(i), "arrival": a, "prompt": s, "output": o}
            for i, (a, s, o) in enumerate(zip(*(c.tolist() for c in columns), strict=True))
        ]
        gpu = {"capacity": instance.gpu.kv_capacity, **PLAYABLE[self.regime].gpu(instance)}
        return {"regime": self.regime, **gpu, "requests": requests}


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedLevel:
    """A level with the hindsight schedule, its bound, and the policies' schedules.

    Attributes
    ----------
    level : Level
        The level.
    comparison : Comparison
        Hindsight and policies on its instance, in its regime.
    """

    level: Level
    comparison: Comparison

    def to_record(self) -> dict[str, Any]:
        """Return what the page has of this level."""
        instance, solution = self.level.instance, self.comparison.solution
        schedule = PLAYABLE[self.level.regime].schedule
        record = self.level.to_record()
        best = {"value": int(solution.objective), "bound": math.ceil(solution.bound or 0)}
        shown = regime(self.level.regime).shown_in(instance)
        return {
            "key": hashlib.sha256(json.dumps(record).encode()).hexdigest()[:12],
            "title": self.level.title,
            "lesson": self.level.lesson,
            "knows": self.level.knows,
            "time": {"unit": shown.unit, "per": shown.per},
            **record,
            "best": best | {"method": solution.method, **schedule(instance, solution.schedule)},
            "policies": [
                {
                    "name": each.policy,
                    "value": each.metrics.total_latency,
                    **schedule(instance, each.schedule),
                }
                for each in self.comparison.results
                if each.metrics is not None and each.schedule is not None
            ],
            "unfinished": [each.policy for each in self.comparison.results if each.verdict],
        }


def built_in_levels(model: str | None = None) -> list[Level]:
    """Return the levels that come with the package, from easy to hard, by regime.

    Parameters
    ----------
    model : str, optional
        Only those of this regime.

    Examples
    --------
    >>> [level.instance.n for level in built_in_levels("mixed")]
    [4, 6, 7, 6, 10, 12, 8]
    """
    text = resources.files(__package__).joinpath("data", "levels.json").read_text("utf-8")
    records = json.loads(text)["levels"]
    return [_level(record) for record in records if model in (None, record["regime"])]


def level_of(instance: Instance, model: str = "mixed") -> Level:
    """Return the level of a user's instance in a regime.

    Raises
    ------
    InputError
        If it has more than `MOST_REQUESTS` requests, limits that the page has no rules for, or
        times that it cannot count exactly.
    """
    PLAYABLE[model].require(instance)
    if instance.n > MOST_REQUESTS:
        raise InputError(
            f"play: expected at most {MOST_REQUESTS} requests, which one can start by hand, found "
            f"{instance.n:,} in {instance.name!r}"
        )
    alone = int(regime(model).time_alone(instance).sum())
    latency = instance.n * (int(instance.arrival.max()) + alone)
    work = alone * durations(instance.gpu.batch_time).divisor
    if max(latency, work) >= EXACT:
        raise InputError(
            "play: expected times that a page can count, below 2^53 in all, found "
            f"{max(latency, work)} in {instance.name!r}; let requests arrive from 0 on"
        )
    lesson = f"{instance.n} requests, {instance.gpu.kv_capacity:,} KV tokens."
    return Level(title=instance.name, lesson=lesson, knows="all", regime=model, instance=instance)


def _level(record: dict[str, Any]) -> Level:
    drawn = next(make for key, make in _SOURCES.items() if key in record)(record)
    named = drawn.replace(id=string.ascii_uppercase[: drawn.n], name=record["title"])
    return Level(
        title=record["title"],
        lesson=record["lesson"],
        knows=record["knows"],
        regime=record["regime"],
        instance=named,
    )


def _of_rows(record: dict[str, Any]) -> Instance:
    arrival, prompt, output = np.array(record["requests"], dtype=np.int64).T
    gpu = read_gpu("gpu", record["gpu"])
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
