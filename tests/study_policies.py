"""Policies that go wrong, for studies: named ``study_policies:Class`` in a study file."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from batchprophet.online.mixed.decision import Decision
from batchprophet.online.mixed.observation import Observation
from batchprophet.online.mixed.policies.mc_sf import McSf


@dataclass(frozen=True, slots=True)
class _Like:
    """MC-SF after what the subclass does first."""

    source: ClassVar[str] = "tests"
    length_kinds: ClassVar[tuple[str, ...]] = ("exact",)

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        self.first(observation)
        return McSf().decide(observation, rng)

    def first(self, observation: Observation) -> None:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Slow(_Like):
    """Sleeps at its first decision."""

    milliseconds: int = 30

    name: ClassVar[str] = "slow"
    summary: ClassVar[str] = "MC-SF after a sleep"

    def first(self, observation: Observation) -> None:
        if observation.time == 0:
            time.sleep(self.milliseconds / 1000)


@dataclass(frozen=True, slots=True)
class Fails(_Like):
    """Raises where the KV capacity is odd."""

    name: ClassVar[str] = "fails"
    summary: ClassVar[str] = "MC-SF, or an error"

    def first(self, observation: Observation) -> None:
        if observation.kv_capacity % 2:
            raise RuntimeError("an odd\ncapacity")


@dataclass(frozen=True, slots=True)
class Dies(_Like):
    """Kills its process where the KV capacity is at least 48."""

    name: ClassVar[str] = "dies"
    summary: ClassVar[str] = "MC-SF, or the end"

    def first(self, observation: Observation) -> None:
        if observation.kv_capacity >= 48:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class DiesOnce(_Like):
    """Kills its process the first time that the file does not exist, which it then does."""

    mark: str = ""

    name: ClassVar[str] = "dies-once"
    summary: ClassVar[str] = "MC-SF, or the end, once"

    def first(self, observation: Observation) -> None:
        try:
            Path(self.mark).touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)
