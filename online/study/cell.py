"""A cell of a study: one run of a policy, or one hindsight solve, on one instance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .predictions import Predictions
from .source import Source

#: Writes keys; `json.dumps` would make an encoder for each.
_ENCODER = json.JSONEncoder(ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a hindsight solve may spend.

    Attributes
    ----------
    label : str
        Its name in tables.
    work : int or None
        Units of work (`solvers.hindsight.solve`): the result does not depend on the clock.
    seconds : float or None
        Seconds of wall-clock time; one of the two is set.
    """

    label: str
    work: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An instance and what schedules of it are judged by; its policies and solves share it.

    Attributes
    ----------
    source : Source
        Where the instance comes from.
    seed : int
        Of the instance, of predictions, of the policies and of the solver.
    model : {"mixed", "separate"}
        The batching regime.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        The objective.
    """

    source: Source
    seed: int
    model: str
    objective: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRun:
    """One policy with what it is told of output lengths.

    Attributes
    ----------
    policy : str
        Its specification as in the study file: its name in tables.
    spec : str
        Its specification with the option ``lengths`` that goes with the predictions.
    predictions : Predictions
        What it is told.
    """

    policy: str
    spec: str
    predictions: Predictions


@dataclass(frozen=True, kw_only=True)  # no slots: they leave no room for cached properties
class Cell:
    """The unit of work: it is done, or not yet.

    Attributes
    ----------
    problem : Problem
        The instance and the objective.
    job : Limit or PolicyRun
        A hindsight solve within a limit, or a policy.

    Examples
    --------
    >>> source = Source(kind="family", origin="arrival-model-1", label="small")
    >>> problem = Problem(source=source, seed=1, model="mixed", objective="latency")
    >>> Cell(problem=problem, job=Limit(label="short", work=100)).key  # doctest: +ELLIPSIS
    '{"family": "arrival-model-1", "seed": 1, "model": "mixed", ..., "work": 100}'
    """

    problem: Problem
    job: Limit | PolicyRun

    @cached_property
    def key(self) -> str:
        """What identifies it, as a line of JSON: equal for cells that must have equal results."""
        problem = self.problem
        record: dict[str, Any] = problem.source.record | {
            "seed": problem.seed,
            "model": problem.model,
            "objective": problem.objective,
        }
        if isinstance(self.job, PolicyRun):
            record |= {"policy": self.job.spec, "predictions": self.job.predictions.label}
        elif self.job.work is not None:
            record["work"] = self.job.work
        else:
            record["seconds"] = self.job.seconds
        return _ENCODER.encode(record)

    @cached_property
    def group(self) -> str:
        """Cells that may be expected to take about as long."""
        job = self.job
        kind = job.spec if isinstance(job, PolicyRun) else f"hindsight {job.label}"
        return f"{self.problem.source.label}: {kind}"
