"""What every kind of proof can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, Self

from ...models.instance import Instance
from ...models.objectives import Exact
from .clock import Clock


class Proof(Protocol):
    """The data that prove a bound.

    A kind of proof is a frozen value with these members, listed in `registry`.

    Attributes
    ----------
    kind : str
        Its name in files.
    model : str
        The regime that it is about, "mixed" or "separate".
    objectives : tuple of str
        The objectives that it bounds.
    """

    kind: ClassVar[str]
    model: ClassVar[str]
    objectives: ClassVar[tuple[str, ...]]

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record for a JSON file, with its ``kind``."""

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read the proof from a record of `to_record`.

        Raises
        ------
        InputError
            If a key is missing or unknown, or a value is of a wrong type or out of range.
        """


class RecomputedProof(Proof, Protocol):
    """A proof from which the bound is recomputed by code that shares none with what found it."""

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Recompute the bound in exact arithmetic, before rounding to a schedule's value.

        Raises
        ------
        InputError
            If the proof does not fit the instance, or is too large.
        NotProved
            If it proves nothing, or the clock runs out first.
        """


#: Replays a proof of a kind without independent verifier, like `RecomputedProof.bound`.
Replay = Callable[[Any, Instance, Clock], Exact]
