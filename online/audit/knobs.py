"""What an engineer can turn, one thing at a time: the rule played, and a bound for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ...models.batch_time import AffineTime
from ...models.errors import DoesNotFinish, InputError
from ...models.instance import Instance
from ...solvers.hindsight import solve
from ..calibration.capacity import ample
from ..calibration.law import coefficients_of, law_of
from ..calibration.replay import Engine, Replay
from ..engine import EngineLimits
from ..evaluation import Comparison
from ..regimes import regime
from .bounds import transferred
from .figures import ServiceFigures, figures
from .stages import require_uninterrupted

#: By how much batches are shorter on a faster GPU.
FASTER = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """An engine that differs in one thing.

    Attributes
    ----------
    name : str
        Which: "KV memory", "seats", "token budget", "chunk size", "order", "admission cap", "load"
        or "GPU".
    change : str
        How it is turned, such as "× 2".
    figures : ServiceFigures
        What its rule gives.
    lower_bound_ms : float or None
        Proved bound on the mean latency of any schedule with this knob turned.
    relative : float
        Mean latency relative to that of the simulated engine as it is, minus 1.
    """

    name: str
    change: str
    figures: ServiceFigures
    lower_bound_ms: float | None
    relative: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A knob before it is played.

    Attributes
    ----------
    name, change : str
        As in `Knob`.
    instance : Instance
        Requests and GPU.
    rule : str
        The policy.
    relaxes : bool
        Whether schedules become possible that were not: then the bound must be proved anew, and
        otherwise that of the engine as it is holds.
    """

    name: str
    change: str
    instance: Instance
    rule: str
    relaxes: bool


def turned(
    played: Replay, engine: Engine, comparison: Comparison, *, seconds: float, seed: int
) -> tuple[Knob, ...]:
    """Turn one knob after another.

    Parameters
    ----------
    played : Replay
        The engine as it is.
    engine : Engine
        Its rule and limits.
    comparison : Comparison
        Hindsight on the engine as it is.
    seconds : float
        For all bounds together.
    seed : int
        Of the solver.
    """
    turns = list(_turns(played, engine, comparison))
    anew = sum(turn.relaxes for turn in turns)
    usual = float(played.latency.mean())
    found = []
    for turn in turns:
        with suppress(DoesNotFinish):
            found.append(_played(turn, engine, comparison, usual, seconds / max(1, anew), seed))
    return tuple(found)


def _played(
    turn: Turn, engine: Engine, comparison: Comparison, usual: float, seconds: float, seed: int
) -> Knob:
    instance = turn.instance
    schedule = regime(engine.regime).simulate(instance, turn.rule)
    times = engine.kind.times(instance, schedule)
    bound = comparison.lower_bound
    if turn.relaxes:
        solved = solve(
            instance, model=engine.regime, time_limit=seconds, seed=seed, warm_start=schedule
        )
        require_uninterrupted(solved)
        bound = transferred(comparison, instance, solved.bound)
    return Knob(
        name=turn.name,
        change=turn.change,
        figures=figures(instance.arrival, times.first_token, times.completion, instance.output),
        lower_bound_ms=None if bound is None else float(Fraction(bound) / instance.n / 1000),
        relative=float((times.completion - instance.arrival).mean()) / usual - 1,
    )


def _turns(played: Replay, engine: Engine, comparison: Comparison) -> Iterator[Turn]:
    yield from _limits(played, engine)
    yield from _options(played, engine)
    best = min(
        (each for each in comparison.results if each.metrics is not None),
        key=lambda each: each.metrics.total_latency,  # type: ignore[union-attr]  # finished
        default=None,
    )
    if best is not None and best.policy != engine.rule:
        yield Turn(
            name="order", change=best.policy, instance=played.instance, rule=best.policy,
            relaxes=False,
        )  # fmt: skip
    for factor in (0.8, 1.2):
        arrival = np.rint(played.instance.arrival / factor).astype(np.int64)
        yield Turn(
            name="load", change=f"× {factor:g}", instance=played.instance.replace(arrival=arrival),
            rule=engine.rule, relaxes=True,
        )  # fmt: skip


def _limits(played: Replay, engine: Engine) -> Iterator[Turn]:
    """Other limits, and a faster GPU."""
    limits, law = engine.limits, played.instance.gpu.batch_time
    assert isinstance(law, AffineTime)
    peak = int((played.instance.prompt + played.instance.output).max())
    longest = int(played.instance.prompt.max())
    changes: list[tuple[str, str, EngineLimits, bool]] = []
    for factor, sign in ((2.0, "× 2"), (0.5, "÷ 2")):
        for name, field, least in (
            ("KV memory", "kv_capacity", peak + limits.block_size),
            ("seats", "max_num_seqs", 1),
            ("token budget", "max_num_batched_tokens", longest),
        ):
            value = getattr(limits, field)
            if field == "kv_capacity" and engine.ample:
                continue  # it is not the engine's own: there is nothing to double or halve
            if value is not None and int(factor * value) >= least:
                changed = _still_ample(
                    replace(limits, **{field: int(factor * value)}), played, engine
                )
                changes.append((name, sign, changed, factor > 1))
    for name, sign, changed, relaxes in changes:
        gpu = engine.kind.gpu(changed, law)
        with suppress(InputError):
            yield Turn(
                name=name, change=sign, instance=played.instance.replace(gpu=gpu),
                rule=engine.rule, relaxes=relaxes,
            )  # fmt: skip
    shorter = law_of((1 - FASTER) * coefficients_of(law))
    yield Turn(
        name="GPU", change=f"{FASTER:.0%} faster",
        instance=played.instance.replace(gpu=engine.kind.gpu(limits, shorter)), rule=engine.rule,
        relaxes=True,
    )  # fmt: skip


def _still_ample(limits: EngineLimits, played: Replay, engine: Engine) -> EngineLimits:
    """Return limits with ample KV memory for their own seats, where the engine's is so."""
    if not engine.ample:
        return limits
    instance = played.instance
    needed = ample(instance.prompt, instance.output, limits.max_num_seqs, limits.block_size)
    return replace(limits, kv_capacity=max(limits.kv_capacity, needed))


def _options(played: Replay, engine: Engine) -> Iterator[Turn]:
    """Options of the rule that need no other GPU."""
    registry = regime(engine.regime).registry
    _, own, options = engine.rule.partition(":")
    given = {each.partition("=")[0].strip() for each in options.split(",")}
    known = getattr(registry.make(engine.rule), "__dataclass_fields__", {})
    running = int(played.times.running.max())
    wanted = [
        ("admission cap", "max_num_seqs", f"{cap}", cap)
        for cap in (3 * running // 4, running // 2)
        if cap >= 1
    ]
    wanted += [
        ("chunk size", "long_prefill_token_threshold", f"{chunk} tokens", chunk)
        for chunk in (512, 128)
    ]
    for name, option, change, value in wanted:
        if option in known and option not in given:
            yield Turn(
                name=name, change=change, instance=played.instance,
                rule=f"{engine.rule}{',' if own else ':'}{option}={value}", relaxes=False,
            )  # fmt: skip
