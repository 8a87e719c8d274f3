"""One request as a policy sees it, as far as the batching regimes agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from ..models.instance import Instance
from .lengths import Told


@dataclass(frozen=True, slots=True)
class View:
    """A request that has arrived.

    Attributes
    ----------
    index : int
        Position in the instance; decisions name requests by it.
    arrival : int
        When it arrived, in the batch-time law's unit.
    prompt : int
        Prompt length s, in tokens.
    shortest, longest : int or None
        What is known of its output length: an interval of tokens, with equal ends for an exact or
        predicted length or once it is complete, None where the policy is told nothing.
    """

    index: int
    arrival: int
    prompt: int
    shortest: int | None = None
    longest: int | None = None

    @property
    def planned(self) -> int:
        """Output length to plan with, the upper end of what is told, in tokens.

        Raises
        ------
        ValueError
            If the policy is told nothing of lengths.
        """
        if self.longest is None:
            raise ValueError("planned: this policy is told nothing of lengths (lengths=none)")
        return self.longest


@dataclass(frozen=True, slots=True)
class ServedView(View):
    """A request with the output tokens that it has so far.

    Attributes
    ----------
    tokens : int
        Output tokens so far.
    """

    tokens: int = 0


ViewType = TypeVar("ViewType", bound=View)


def first_views(kind: type[ViewType], instance: Instance, told: Told) -> list[ViewType]:
    """Return the views of all requests before anything has run."""
    columns = (instance.arrival, instance.prompt, told.low, told.high)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [
        kind(i, arrival, prompt, low or None, high or None)
        for i, (arrival, prompt, low, high) in enumerate(rows)
    ]
