"""What has been seen so far, as laws of futures read it: the same for every batching regime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class SeenRequest(Protocol):
    """A request that has arrived, with what is known of its length (see `Seen`)."""

    @property
    def index(self) -> int:
        """Its position in the instance."""

    @property
    def arrival(self) -> int:
        """When it arrived."""

    @property
    def prompt(self) -> int:
        """Prompt length, in tokens."""

    @property
    def shortest(self) -> int | None:
        """The least that its output length can be."""

    @property
    def longest(self) -> int | None:
        """The most that its output length can be."""


class SeenSoFar(Protocol):
    """All that has arrived up to now (see `Past`)."""

    @property
    def time(self) -> int:
        """Now."""

    @property
    def kv_capacity(self) -> int:
        """M, in tokens."""

    @property
    def arrived(self) -> Sequence[SeenRequest]:
        """The requests, in order of arrival."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that has arrived.

    Attributes
    ----------
    index : int
        Its position in the instance.
    arrival : int
        When it arrived, in the batch-time law's unit.
    prompt : int
        Prompt length, in tokens.
    shortest, longest : int or None
        What is known of its output length; equal once it is complete.
    """

    index: int
    arrival: int
    prompt: int
    shortest: int | None
    longest: int | None


@dataclass(frozen=True, slots=True)
class Past:
    """All that has arrived up to now.

    Attributes
    ----------
    time : int
        Now.
    kv_capacity : int
        M, in tokens.
    arrived : tuple of Seen
        In order of arrival.
    """

    time: int
    kv_capacity: int
    arrived: tuple[Seen, ...]
