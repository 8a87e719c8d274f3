"""Another rule, or another law, that is much nearer to a log than the one that it is judged by."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from ...models.batch_time import AffineTime
from ...models.engine_logs.log import EngineLog
from ...models.errors import BatchprophetError
from .fit import Distance, first_requests, fit_law
from .law import coefficients_of
from .replay import Engine, Replay
from .rules import ALTERNATIVES
from .signs import Sign

#: Another rule or law is the better one if it is so much nearer to the log.
NEARER = 0.7

#: Requests on which others are tried.
MOST_TRIED = 600

#: Plays of a rule for refining its law, and of the engine's own rule where its law is given.
TRIED_PLAYS, OWN_PLAYS = 20, 60


def nearer(
    log: EngineLog, engine: Engine, played: Replay, *, given: bool, close: bool
) -> Sign | None:
    """Return a sign if another rule, or another law, is much nearer to a log.

    Like is compared with like. Where the law is fitted, every rule has the law that is fitted
    through it. Where the law is given, every rule has this law, and the engine's own rule is tried
    with a fitted one, too, unless the given one is close: so a law that does not fit is not taken
    for a rule that does not.

    Parameters
    ----------
    log : EngineLog
        The log.
    engine : Engine
        Rule and limits.
    played : Replay
        The rule on the log's requests.
    given : bool
        Whether the law is given, not fitted.
    close : bool
        Whether rule and law come near the log's latencies.
    """
    law = played.instance.gpu.batch_time
    assert isinstance(law, AffineTime)
    part, until = first_requests(log, MOST_TRIED)
    own = Distance(part, engine, until)(coefficients_of(law))
    found: list[tuple[float, str, Sign]] = []
    for rule in _others(engine):
        other = replace(engine, rule=rule)
        with suppress(BatchprophetError):  # it does not serve these requests on this GPU
            tried = law if given else fit_law(part, other, plays=TRIED_PLAYS, wide=False).law
            near = Distance(part, other, until)(coefficients_of(tried))
            found.append((near, rule, _rule_sign(engine.rule, rule, near, own, given)))
    if given and not close:
        with suppress(BatchprophetError):  # too few requests to tell a law
            near = fit_law(part, engine, plays=OWN_PLAYS).distance_ms
            found.append((near, "", _law_sign(engine.rule, near, own)))
    if not found:
        return None
    near, _, sign = min(found, key=lambda each: each[:2])
    return sign if near < NEARER * own else None


def _others(engine: Engine) -> list[str]:
    """Rules to be tried; none where the engine's has options that none of them has."""
    known = ALTERNATIVES.get(engine.regime, ())
    if ":" in engine.rule and engine.rule not in known:
        return []
    return [rule for rule in known if rule != engine.rule]


def _rule_sign(rule: str, other: str, near: float, own: float, given: bool) -> Sign:
    return Sign(
        cause="rule",
        text=f"{'with the given batch times, ' if given else ''}the rule {other} is nearer to the "
        f"log than {rule} ({_apart(near, own)}): --rule {other}",
    )


def _law_sign(rule: str, near: float, own: float) -> Sign:
    return Sign(
        cause="law",
        text=f"batch times fitted to the log, by the rule {rule}, are nearer to it than the given "
        f"ones ({_apart(near, own)}): the given law is not that of this engine (--batch-time fit)",
    )


def _apart(near: float, own: float) -> str:
    """Say two distances.

    Examples
    --------
    >>> _apart(9.8765, 1512345.6)
    "9.88 instead of 1,512,346 ms from a token's time"
    """
    shown = [f"{each:,.0f}" if each >= 100 else f"{each:.3g}" for each in (near, own)]
    return f"{shown[0]} instead of {shown[1]} ms from a token's time"
