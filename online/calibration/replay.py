"""An engine's rule, played on the requests of a log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...models.batch_time import AffineTime
from ...models.engine_logs.log import EngineLog
from ...models.errors import InputError
from ...models.instance import Instance, IntArray
from ..engine import EngineKind, EngineLimits, EngineTimes, Play, Player
from ..regimes import regime


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine as the model has it, without its batch-time law.

    Attributes
    ----------
    regime : str
        The batching regime.
    rule : str
        The policy that it follows: a specification ``NAME[:key=value,…]`` of the regime.
    limits : EngineLimits
        Memory and seats.
    ample : bool
        Whether the KV capacity in `limits` is not the engine's own, but one that its seats never
        need more of (`capacity.ample`).
    """

    regime: str
    rule: str
    limits: EngineLimits
    ample: bool = False

    @property
    def kind(self) -> EngineKind:
        """Engines of the regime.

        Raises
        ------
        InputError
            If there are none.
        """
        return engine_kind(self.regime)

    @property
    def prompts_apart(self) -> bool:
        """Whether batches of prompts only are usual, and have an intercept of their own."""
        return self.rule.partition(":")[0] in self.kind.prompts_apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A log's requests under an engine's rule and a law.

    Attributes
    ----------
    instance : Instance
        The requests, on the GPU with the law.
    schedule : object
        What the rule does.
    times : EngineTimes
        What the engine would have logged.
    """

    instance: Instance
    schedule: Any
    times: EngineTimes

    @property
    def latency(self) -> IntArray:
        """From arrival to last token, microseconds, shape (n,)."""
        return self.times.completion - self.instance.arrival

    @property
    def time_to_first_token(self) -> IntArray:
        """From arrival to first token, microseconds, shape (n,)."""
        return self.times.first_token - self.instance.arrival


def engine_kind(name: str) -> EngineKind:
    """Return what the engines of a regime have in common.

    Examples
    --------
    >>> engine_kind("separate").rule
    'prefill-first'
    """
    kind = regime(name).engine
    if kind is None:
        raise InputError(f"regime: expected one that engines have, found {name!r}")
    return kind


def instance_of(log: EngineLog, engine: Engine, law: AffineTime) -> Instance:
    """Return the requests of a log as an instance: arrivals in microseconds, ids kept."""
    return Instance(
        gpu=engine.kind.gpu(engine.limits, law),
        arrival=log.arrival,
        prompt=log.prompt,
        output=log.output,
        id=log.id,
        name=log.name,
        provenance={
            "engine_log": log.name,
            "sha256": log.sha256,
            "format": log.format,
            "failed": log.failed,
            "regime": engine.regime,
        },
    )


def replay(log: EngineLog, engine: Engine, law: AffineTime) -> Replay:
    """Play an engine's rule on the requests of a log.

    Raises
    ------
    InputError
        If a request does not fit the GPU, or the rule is unknown.
    DoesNotFinish
        If the rule never finishes.

    Examples
    --------
    >>> log = EngineLog(
    ...     name="a", format="-", arrival=[0], first_token=[3000], last_token=[9000], prompt=[4],
    ...     output=[3],
    ... )
    >>> engine = Engine(regime="continuous", rule="vllm", limits=EngineLimits(kv_capacity=9))
    >>> replay(log, engine, AffineTime(c0=2.0, c1=0.25, c2=0.0, c3=0.0)).latency.tolist()
    [7000]
    """
    instance = instance_of(log, engine, law)
    rules = regime(engine.regime)
    rules.require(instance)
    schedule = rules.simulate(instance, engine.rule)
    return Replay(instance=instance, schedule=schedule, times=engine.kind.times(instance, schedule))


def player_of(log: EngineLog, engine: Engine) -> Player | None:
    """Return what plays an engine's rule on the requests of a log fast, and beside its tokens.

    None where the rule has no such compiled code.

    See Also
    --------
    replay : One play, with its schedule.

    Examples
    --------
    >>> log = EngineLog(
    ...     name="a", format="-", arrival=[0], first_token=[3000], last_token=[9000], prompt=[4],
    ...     output=[3],
    ... )
    >>> engine = Engine(regime="continuous", rule="vllm", limits=EngineLimits(kv_capacity=9))
    >>> play = player_of(log, engine)
    >>> play(AffineTime(c0=2.0, c1=0.25, c2=0.0, c3=0.0)).end.tolist()
    [3000, 5000, 7000]
    """
    if engine.kind.player is None:
        return None
    unit = AffineTime(c0=1.0, c1=0.0, c2=0.0, c3=0.0)  # that of each play is asked for
    return engine.kind.player(instance_of(log, engine, unit), engine.rule)


def play_of(times: EngineTimes) -> Play:
    """Return a replay's batches, and in which of them tokens come."""
    return Play(
        start=times.start,
        end=times.end,
        prompt_tokens=times.prompt_tokens,
        jobs=times.jobs,
        read=times.read,
        first=np.searchsorted(times.end, times.first_token),
        last=np.searchsorted(times.end, times.completion),
    )


def part_of(log: EngineLog, kept: IntArray) -> EngineLog:
    """Return the log of some of its requests, increasing, on the same clock."""
    return replace(
        log,
        arrival=log.arrival[kept],
        first_token=log.first_token[kept],
        last_token=log.last_token[kept],
        prompt=log.prompt[kept],
        output=log.output[kept],
        id=None if log.id is None else tuple(log.id[i] for i in np.asarray(kept).tolist()),
        line=None if log.line is None else log.line[kept],
    )
