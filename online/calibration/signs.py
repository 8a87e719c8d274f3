"""Signs that a log is not of one engine that follows one rule: each with what it points to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtr

from ...models.batch_time import AffineTime
from ...models.engine_logs.log import EngineLog
from ...models.instance import FloatArray, IntArray
from ..engine import EngineTimes
from .replay import Engine, Replay

#: Most requests that may have failed: their work is not in the log.
MOST_FAILED = 0.02

#: Parts of the shortest batch between which two moments are of two engines.
OFF_BEAT = (0.25, 0.75)

#: Most such moments, relative to all, and fewest that say something.
MOST_OFF_BEAT, FEW_OFF_BEAT = 0.01, 4

#: Most requests that may overtake an earlier one, where the rule lets none.
MOST_OVERTAKING = 0.01

#: Batches by which first tokens may come late where nothing is to wait for.
MOST_LATE = 2.0

#: Half of them come early by at most so many.
MOST_EARLY = 0.2

#: First tokens within so many batches have no queue before them; fewer requests say nothing.
AT_ONCE, FEW = 2.5, 20

#: Last tokens that come together with first tokens are as many as the rule would have but for a
#: probability of this; a rule that has none may have this share of the requests, for mistimed ones.
UNLIKELY, MISTIMED = 0.002, 0.02

#: The same where rule and law are not near the log, and nothing else says why.
DOUBTFUL = 0.1

#: By how much more KV than there is a log may seem to hold: caches are estimated between tokens.
MORE_KV = 1.1

#: By how much more requests than by the rule may be between their tokens.
MORE_SEATS = 1.05

#: Moments at which the KV of a log is estimated.
MOMENTS = 400

#: No request waits less than so many seconds for its first token: then clocks are apart.
CLOCKS_APART = 60

#: Microseconds of a second.
_SECOND = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A sign.

    Attributes
    ----------
    cause : {"replicas", "failed", "rule", "law", "delay", "clock", "memory"}
        What it points to first.
    text : str
        What is seen, and what it points to.
    """

    cause: str
    text: str


def signs_of(log: EngineLog, engine: Engine, played: Replay) -> tuple[Sign, ...]:
    """Return the signs that a log shows against a rule and its limits.

    Where clocks are apart, the times say nothing of queues: no sign is sought in them.
    """
    if (clocks := _clocks(log)) is not None:
        written = (clocks, _replicas_written(log), _failed(log))
        return tuple(sign for sign in written if sign is not None)
    found = (
        _replicas_written(log),
        _failed(log),
        _seats(log, engine, played),
        _memory(log, engine, played),
        _off_beat(log, played),
        _overtaking(log, played),
        _late(log, played),
        _early(log, played),
        kinds_apart(log, played),
        _kinds_together(log, played),
    )
    return tuple(sign for sign in found if sign is not None)


def most_at_once(begin: IntArray, end: IntArray) -> int:
    """Return the most intervals [begin, end) that hold at one moment.

    Examples
    --------
    >>> most_at_once(np.array([0, 1, 5]), np.array([5, 3, 9]))
    2
    """
    moments = np.concatenate([end, begin])  # ends first where they are equal
    step = np.concatenate([np.full(end.size, -1), np.full(begin.size, 1)])
    order = np.argsort(moments, kind="stable")
    return int(np.cumsum(step[order]).max(initial=0))


def most_kv(log: EngineLog, first: IntArray | None = None, last: IntArray | None = None) -> int:
    """Return about the most KV tokens that requests between first and last token hold at once.

    Those that are preempted are counted, though they hold nothing. Other times than the log's may
    be given.

    Examples
    --------
    >>> log = EngineLog(
    ...     name="a", format="-", arrival=[0, 0], first_token=[1000, 1000],
    ...     last_token=[9000, 9000], prompt=[40, 50], output=[9, 9],
    ... )
    >>> most_kv(log)
    106
    """
    begin = log.first_token if first is None else first
    end = log.last_token if last is None else last
    most = 0.0
    for moment in np.quantile(end, np.linspace(0, 1, MOMENTS)) - 1:
        runs = (begin <= moment) & (moment < end)
        share = (moment - begin[runs]) / np.maximum(end[runs] - begin[runs], 1)
        most = max(most, float((log.prompt[runs] + share * (log.output[runs] - 1)).sum()))
    return round(most)


def overtaking(log: EngineLog, first: IntArray, margin: float) -> NDArray[np.bool_]:
    """Whether each request gets its first token before one that arrived earlier, shape (n,).

    Both differences are more than the margin: what arrives at about the same time has no order.
    """
    latest = np.maximum.accumulate(first)
    earlier = np.searchsorted(log.arrival, log.arrival - margin, side="left") - 1
    before = np.where(earlier >= 0, latest[np.maximum(earlier, 0)], -1)
    found: NDArray[np.bool_] = first < before - margin
    return found


def _clocks(log: EngineLog) -> Sign | None:
    """Even the request that waits least waits long, though the first one finds no queue."""
    least = float(log.time_to_first_token.min()) / _SECOND
    if least < CLOCKS_APART:
        return None
    return Sign(
        cause="clock",
        text=f"every first token comes {least:,.0f} s or more after its request's arrival: the "
        "clocks of arrivals and tokens are apart by about so much, or the log begins amid a long "
        "queue",
    )


def _replicas_written(log: EngineLog) -> Sign | None:
    replicas = log.facts.replicas
    if replicas is None or replicas == 1:
        return None
    return Sign(
        cause="replicas",
        text=f"{replicas} replicas are behind the log (data_parallel_size of {log.facts.source})",
    )


def _failed(log: EngineLog) -> Sign | None:
    if log.failed <= MOST_FAILED * (log.n + log.failed):
        return None
    share = log.failed / (log.n + log.failed)
    return Sign(
        cause="failed",
        text=f"{log.failed:,} requests ({share:.0%}) failed: the work that they made is not in the "
        "log",
    )


def _seats(log: EngineLog, engine: Engine, played: Replay) -> Sign | None:
    """More requests are between their tokens at once than one engine has seats.

    Preempted ones have no seat, so as many are allowed as the rule has.
    """
    seats = engine.limits.max_num_seqs
    if seats is None:
        return None
    running = most_at_once(log.first_token, log.last_token)
    by_rule = most_at_once(played.times.first_token, played.times.completion)
    if running <= seats or running <= MORE_SEATS * by_rule:
        return None
    return Sign(
        cause="replicas",
        text=f"{running:,} requests get tokens at once, more than the {seats:,} seats: several "
        "replicas behind one log, or more seats",
    )


def _memory(log: EngineLog, engine: Engine, played: Replay) -> Sign | None:
    """More KV tokens are held than one engine has; preempted requests count, as by the rule."""
    held, capacity = most_kv(log), engine.limits.kv_capacity
    by_rule = most_kv(log, played.times.first_token, played.times.completion)
    if held <= MORE_KV * max(capacity, by_rule):
        return None
    return Sign(
        cause="memory",
        text=f"about {held:,} KV tokens are held at once, more than the {capacity:,} of the "
        "engine: several replicas behind one log, a prefix cache, or more memory",
    )


def off_beat(log: EngineLog, shortest: float) -> tuple[int, int]:
    """Count moments of tokens that no one engine can have, and all.

    One engine emits tokens at the ends of its batches only: at one time, or a batch apart. Moments
    that are apart by a quarter to three quarters of the shortest batch are of two engines.

    Examples
    --------
    >>> log = EngineLog(
    ...     name="a", format="-", arrival=[0, 0, 0], first_token=[1000, 1001, 1500],
    ...     last_token=[2000, 2000, 4000], prompt=[1, 1, 1], output=[2, 2, 2],
    ... )
    >>> off_beat(log, 1000.0)
    (2, 5)
    """
    moments = np.sort(np.concatenate([log.first_token, log.last_token]))
    apart = np.diff(moments) / shortest
    low, high = OFF_BEAT
    return int(((apart > low) & (apart < high)).sum()), apart.size


def _off_beat(log: EngineLog, played: Replay) -> Sign | None:
    """Tokens come less than a batch apart, and not together."""
    shortest = float((played.times.end - played.times.start).min())
    off, every = off_beat(log, shortest)
    if off < FEW_OFF_BEAT or off <= MOST_OFF_BEAT * every:
        return None
    return Sign(
        cause="replicas",
        text=f"{off:,} tokens come less than the shortest batch ({shortest / 1000:.3g} ms) after "
        "another one, and not with it: several replicas behind one log, or times that were not "
        "measured at the engine",
    )


def _usual_batch(played: Replay) -> float:
    """Median length of a batch, microseconds."""
    return float(np.median(played.times.end - played.times.start))


def _overtaking(log: EngineLog, played: Replay) -> Sign | None:
    """Later requests get their first tokens before earlier ones, though the rule has none do."""
    margin = _usual_batch(played)
    seen = float(overtaking(log, log.first_token, margin).mean())
    by_rule = float(overtaking(log, played.times.first_token, margin).mean())
    if seen <= by_rule + MOST_OVERTAKING:
        return None
    return Sign(
        cause="rule",
        text=f"{seen:.1%} of the requests get their first token before an earlier one "
        f"({by_rule:.1%} by the rule): another order, several replicas behind one log, or "
        "arrivals that were not measured at the engine",
    )


def _off_queue(log: EngineLog, played: Replay) -> FloatArray:
    """Batches by which first tokens come late, of the requests that have no queue before them.

    By the rule these are read at once: their first token comes within three batches and the time of
    their own prompt.
    """
    batch, law = _usual_batch(played), played.instance.gpu.batch_time
    assert isinstance(law, AffineTime)
    own = 1000 * law.c1 * log.prompt
    at_once = played.times.first_token - log.arrival <= AT_ONCE * batch + own
    late: FloatArray = (log.first_token - played.times.first_token)[at_once] / batch
    return late


def _late(log: EngineLog, played: Replay) -> Sign | None:
    """First tokens come late even where no queue is."""
    late = _off_queue(log, played)
    if late.size < FEW or np.quantile(late, 0.25) <= MOST_LATE:
        return None
    middle = float(np.median(late)) * _usual_batch(played) / 1000
    return Sign(
        cause="delay",
        text=f"first tokens come {middle:,.0f} ms later than by the rule even where no queue is: a "
        "delay before the engine (client, network, router), or arrivals that were not measured at "
        "the engine",
    )


def _early(log: EngineLog, played: Replay) -> Sign | None:
    """First tokens come before the rule can have read the prompts."""
    late = _off_queue(log, played)
    if late.size < FEW or np.median(late) >= -MOST_EARLY:
        return None
    return Sign(
        cause="rule",
        text=f"first tokens come {-float(np.median(late)):.1f} batches earlier than by the rule "
        "where no queue is: prompts in batches of their own (--regime separate), or prompts that "
        "are not read (a prefix cache)",
    )


def together(first: IntArray, last: IntArray, margin: float) -> int:
    """Count the last tokens that come together with another request's first token.

    Where a request's first token is its last, they are one.

    Examples
    --------
    >>> together(np.array([1000, 5000]), np.array([5000, 9000]), 100.0)
    1
    """
    many = last > first
    moments = np.sort(first)
    after = np.searchsorted(moments, last[many])
    near = np.stack(
        [moments[np.maximum(after - 1, 0)], moments[np.minimum(after, moments.size - 1)]]
    )
    return int((np.abs(near - last[many]) <= margin).any(axis=0).sum())


def expected_together(log: EngineLog, times: EngineTimes) -> float:
    """Return how many last tokens a rule has come together with first tokens, on the average.

    Each token job is a request's last one about as often: so these are the token jobs in batches
    that emit first tokens, times the share of last tokens in all token jobs.
    """
    batches = np.unique(np.searchsorted(times.end, times.first_token))
    jobs = max(1, int((log.output - 1).sum()))
    return float(times.jobs[batches].sum()) * int((log.output > 1).sum()) / jobs


def kinds_apart(log: EngineLog, played: Replay, unlikely: float = UNLIKELY) -> Sign | None:
    """Hardly a last token comes with first tokens, though by the rule they share batches.

    A sign is given if that has at most this probability by the rule.
    """
    times = played.times
    margin = OFF_BEAT[0] * float((times.end - times.start).min())
    seen = together(log.first_token, log.last_token, margin)
    by_rule = min(
        together(times.first_token, times.completion, margin), expected_together(log, times)
    )
    if seen >= by_rule or pdtr(seen, by_rule) >= unlikely:
        return None
    return Sign(
        cause="rule",
        text=f"{seen:,} last tokens come together with a first token, about {by_rule:,.0f} by the "
        "rule: batches hold prompts apart from token jobs (--regime separate, or --rule "
        "prefill-first)",
    )


def _kinds_together(log: EngineLog, played: Replay) -> Sign | None:
    """Last tokens come with first tokens, though by the rule they share no batch."""
    times = played.times
    margin = OFF_BEAT[0] * float((times.end - times.start).min())
    seen = together(log.first_token, log.last_token, margin)
    if expected_together(log, times) > 0 or seen <= MISTIMED * log.n:
        return None
    return Sign(
        cause="rule",
        text=f"{seen:,} last tokens come together with a first token, none by the rule: batches "
        "of prompts and token jobs (--regime continuous --rule vllm)",
    )
