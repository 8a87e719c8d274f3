"""Real engines that batch as a regime does: their limits, their rule, and what they log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ..models.batch_time import AffineTime
from ..models.instance import Gpu, Instance, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """Limits of an engine, as engines call them; None where there is none.

    Attributes
    ----------
    kv_capacity : int
        KV tokens, ≥ 2.
    max_num_seqs : int or None
        Most running requests.
    max_num_batched_tokens : int or None
        Most tokens in a batch.
    block_size : int
        Tokens in a KV block.
    """

    kv_capacity: int
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    block_size: int = 1


class EngineTimes(NamedTuple):
    """A feasible schedule of any regime as an engine sees it; b batches, times in the law's unit.

    Attributes
    ----------
    start, end : ndarray of int64, shape (b,)
        Of each batch.
    prompt_tokens, jobs, read : ndarray of int64, shape (b,)
        Prompt tokens p, token jobs d and KV tokens read kv of each batch: the law's variables.
    running, held : ndarray of int64, shape (b,)
        Requests that hold a cache at the end of the batch, and KV tokens that they hold.
    first_token, completion : ndarray of int64, shape (n,)
        Ends of the batches of each request's first and last token.
    """

    start: IntArray
    end: IntArray
    prompt_tokens: IntArray
    jobs: IntArray
    read: IntArray
    running: IntArray
    held: IntArray
    first_token: IntArray
    completion: IntArray


class Play(NamedTuple):
    """A rule's batches, and in which of them tokens come; b batches.

    Attributes
    ----------
    start, end : ndarray of int64, shape (b,)
        Of each batch.
    prompt_tokens, jobs, read : ndarray of int64, shape (b,)
        Prompt tokens p, token jobs d and KV tokens read kv of each batch.
    first, last : ndarray of int64, shape (n,)
        The batch of each request's first and of its last token.
    """

    start: IntArray
    end: IntArray
    prompt_tokens: IntArray
    jobs: IntArray
    read: IntArray
    first: IntArray
    last: IntArray


class Player(Protocol):
    """What plays a rule on the requests of a log, under one law after another."""

    def __call__(
        self,
        law: AffineTime,
        first: IntArray | None = None,
        last: IntArray | None = None,
        slack: float = 0.0,
    ) -> Play:
        """Play the rule.

        Parameters
        ----------
        law : AffineTime
            The batch-time law.
        first, last : ndarray of int64, shape (n,), optional
            Moments of first and last tokens that the log has, −1 where it has none. A batch with
            such tokens ends then, whatever the law has; no earlier than 1 μs after it begins.
        slack : float
            Only moments that are further from the batch's end than so many times its length set the
            clock.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKind:
    """What the engines of a regime have in common.

    Attributes
    ----------
    rule : str
        The policy that stands for an engine whose rule is not known.
    gpu : callable
        ``gpu(limits, law)``: the GPU of an engine under this regime.
    times : callable
        ``times(instance, schedule)``: what an engine would have logged of a feasible schedule.
    prompts_apart : frozenset of str
        Policies whose batches are often of prompts only, so that these need an intercept of their
        own.
    speed_gap : callable or None
        ``speed_gap(instance, schedule, bound)``: how much faster a GPU would have to be for the
        schedule to reach a bound on the total latency; None where that is not known.
    retimed : callable or None
        ``retimed(instance, schedule)``: the same batches, each begun as early as the order and the
        arrivals allow, under the law of another instance.
    player : callable or None
        ``player(instance, rule)``: what plays a rule fast, and beside a log; None where the rule
        has no compiled code. None where there is no such player.
    mixes : bool
        Whether prompts and tokens may share a batch.
    """

    rule: str
    gpu: Callable[[EngineLimits, AffineTime], Gpu]
    times: Callable[[Instance, Any], EngineTimes]
    prompts_apart: frozenset[str] = frozenset()
    speed_gap: Callable[[Instance, Any, float], float | None] | None = None
    retimed: Callable[[Instance, Any], Any] | None = None
    player: Callable[[Instance, str], Player | None] | None = None
    mixes: bool = True
