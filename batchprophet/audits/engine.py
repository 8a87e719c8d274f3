"""Which engine made a log: from what the caller says, what the engine wrote, and defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..models.engine_logs.log import EngineLog
from ..models.errors import InputError
from ..online.audit.stages import CAPACITY, begin
from ..online.calibration.capacity import ample, fit_capacity
from ..online.calibration.replay import Engine, engine_kind
from ..online.engine import EngineLimits
from ..online.regimes import regime
from ..solvers.progress import Progress

#: The option of rules that says how much memory a request needs to be admitted.
RESERVES = "scheduler_reserve_full_isl"

#: What vLLM takes where nothing else is said.
DEFAULT_SEATS, DEFAULT_TOKENS, DEFAULT_BLOCK = 256, 2048, 16


@dataclass(frozen=True, slots=True)
class Said:
    """What a caller says of an engine; None where nothing is said."""

    regime: str = "continuous"
    rule: str | None = None
    kv_capacity: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    block_size: int | None = None


def engine_for(
    log: EngineLog, said: Said, progress: Callable[[Progress], None] | None = None
) -> tuple[Engine, list[str]]:
    """Return the engine of a log, and what is assumed or fitted because it is not said.

    KV memory that is not known is fitted, with the law.

    Raises
    ------
    InputError
        If a limit is out of its range, the rule is unknown, or a request does not fit the KV
        memory.
    """
    kind, facts = engine_kind(said.regime), log.facts
    continuous = kind.mixes
    assumed: list[str] = []

    def limit(name: str, default: int | None, noun: str) -> int | None:
        for source in (said, facts):
            if (value := getattr(source, name)) is not None:
                return int(value)
        assumed.append(
            f"no limit on {noun}" if default is None else f"{default:,} {noun} (vLLM's default)"
        )
        return default

    seats = limit("max_num_seqs", DEFAULT_SEATS if continuous else None, "seats")
    tokens = limit(
        "max_num_batched_tokens", DEFAULT_TOKENS if continuous else None, "tokens in a batch"
    )
    block = limit("block_size", DEFAULT_BLOCK, "tokens in a KV block") if continuous else 1
    assert block is not None
    capacity = said.kv_capacity or facts.kv_capacity
    if capacity is not None:
        _require_fits(log, capacity)
    limits = EngineLimits(
        kv_capacity=ample(log.prompt, log.output, seats, block) if capacity is None else capacity,
        max_num_seqs=seats,
        max_num_batched_tokens=tokens,
        block_size=block,
    )
    rule = _usual_rule(said.regime, log) if said.rule is None else said.rule
    regime(said.regime).registry.make(rule)  # an unknown one is refused before any fit
    engine = Engine(regime=said.regime, rule=rule, limits=limits)
    if capacity is None:
        begin(CAPACITY, progress)
        fitted = fit_capacity(log, engine)
        limits = replace(limits, kv_capacity=fitted.value)
        engine = replace(engine, limits=limits, ample=not fitted.binds)
        assumed.append(
            f"KV memory of {fitted.value:,} tokens, fitted ({fitted.low:,} to {fitted.high:,} are "
            "about as good)"
            if fitted.binds
            else f"{never_binds(limits)}, which the log agrees with"
        )
    if log.cached:
        share = log.cached / int(log.prompt.sum())
        assumed.append(
            f"prompts read in full, though {share:.1%} of their tokens came from a prefix cache"
        )
    return engine, assumed


def _usual_rule(name: str, log: EngineLog) -> str:
    """Return the usual rule of a regime, with the options that the engine wrote down."""
    rule = engine_kind(name).rule
    reserves = log.facts.reserves_whole_prompt
    usual = getattr(regime(name).registry.make(rule), RESERVES, None)
    if None in (reserves, usual) or reserves == usual:
        return rule
    return f"{rule}:{RESERVES}={str(reserves).lower()}"


def never_binds(limits: EngineLimits) -> str:
    """Say that KV memory is taken as ample, and how much that is.

    Examples
    --------
    >>> never_binds(EngineLimits(kv_capacity=9000, max_num_seqs=4))
    'KV memory that never binds (9,000 tokens, the most that 4 requests hold)'
    """
    seats = limits.max_num_seqs
    held = (
        "all requests together hold" if seats is None else f"the most that {seats:,} requests hold"
    )
    return f"KV memory that never binds ({limits.kv_capacity:,} tokens, {held})"


def _require_fits(log: EngineLog, capacity: int) -> None:
    tokens = log.prompt + log.output
    largest = int(tokens.argmax())
    if int(tokens[largest]) > capacity:
        raise InputError(
            f"{log.where(largest)}: expected prompt + output of at most the {capacity:,} KV tokens "
            f"of the engine, found {int(tokens[largest]):,}"
        )
