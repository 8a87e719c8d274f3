"""A study: the grid of instances, seeds, policies, predictions and limits, and its cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...models.errors import InputError
from ..lengths import HAZARD
from ..regimes import regime
from .cell import Cell, Limit, PolicyRun, Problem
from .predictions import Predictions
from .source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What is to be run: every policy and every hindsight limit on every instance and seed.

    Attributes
    ----------
    name, description : str
        For people.
    model : {"mixed", "separate"}
        The batching regime.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        What all are judged by.
    sources : tuple of Source
        Where instances come from.
    seeds : tuple of int
        Each makes one instance of each source.
    policies : tuple of str
        Their specifications.
    predictions : tuple of Predictions
        What the policies are told of output lengths; each policy is run with those that it takes.
    limits : tuple of Limit
        Of the hindsight solves; none for a study of policies alone.
    """

    name: str
    description: str = ""
    model: str = "mixed"
    objective: str = "latency"
    sources: tuple[Source, ...]
    seeds: tuple[int, ...]
    policies: tuple[str, ...]
    predictions: tuple[Predictions, ...] = (Predictions(name="default"),)
    limits: tuple[Limit, ...] = ()

    @property
    def files(self) -> list[str]:
        """Paths of the traces and instances that it reads."""
        return [source.origin for source in self.sources if source.kind != "family"]

    def problems(self) -> Iterator[Problem]:
        """Yield the problems: source by source, seed by seed."""
        for source in self.sources:
            for seed in self.seeds:
                yield Problem(source=source, seed=seed, model=self.model, objective=self.objective)

    def policy_runs(self) -> tuple[PolicyRun, ...]:
        """Return each policy with each kind of predictions that it takes.

        Raises
        ------
        InputError
            If a policy takes none of the predictions, or one of them is taken by no policy.
        """
        runs = tuple(
            PolicyRun(policy=policy, spec=spec, predictions=predictions)
            for predictions in self.predictions
            for policy in self.policies
            if (spec := told_spec(self.model, policy, predictions)) is not None
        )
        for policy in self.policies:
            if not any(run.policy == policy for run in runs):
                told = ", ".join(kind.label for kind in self.predictions)
                raise InputError(f"policies: {policy} takes none of the predictions {told}")
        for kind in self.predictions:
            if not any(run.predictions == kind for run in runs):
                raise InputError(f"predictions: no policy of the study takes {kind.label}")
        return runs

    def cells(self) -> list[Cell]:
        """Return all cells, those of one instance one after the other.

        Examples
        --------
        >>> source = Source(kind="family", origin="arrival-model-1", label="arrival-model-1")
        >>> study = Study(name="small", sources=(source,), seeds=(1, 2), policies=("mc-sf",))
        >>> [(cell.problem.seed, cell.job.spec) for cell in study.cells()]
        [(1, 'mc-sf'), (2, 'mc-sf')]
        """
        jobs: tuple[Limit | PolicyRun, ...] = (*self.limits, *self.policy_runs())
        return [Cell(problem=problem, job=job) for problem in self.problems() for job in jobs]


def told_spec(model: str, policy: str, predictions: Predictions) -> str | None:
    """Write a policy's specification so that it is told these predictions; None if it takes none.

    Raises
    ------
    InputError
        If the policy is invalid, or says itself what it is told.

    Examples
    --------
    >>> from .predictions import parse_predictions
    >>> told_spec("mixed", "mc-sf:skip=true", parse_predictions("noise:0.5"))
    'mc-sf:skip=true,lengths=predicted'
    >>> told_spec("mixed", "vllm", parse_predictions("noise:0.5"))
    """
    made = regime(model).registry.make(policy)
    told = predictions.told
    if told is None:
        return policy
    anew = told == HAZARD  # in place of one number
    if ("predicted" if anew else told) not in made.length_kinds:
        return None
    if not hasattr(made, "lengths"):  # it has one kind only
        return None if anew else policy
    if "lengths=" in policy or "error=" in policy:
        raise InputError(
            f"policies: expected no lengths= or error= beside predictions, found {policy!r}"
        )
    # A name alone has no colon yet; "module:Class" has one that begins no options.
    separator = "," if "=" in policy else ":"
    return f"{policy}{separator}lengths={told}"
