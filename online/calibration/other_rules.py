"""Another rule, or another law, that is much nearer to a log than the one that it is judged by."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from ...models.batch_time import AffineTime
from ...models.engine_logs.log import EngineLog
from ...models.errors import BatchprophetError
from .errors import errors
from .fit import Distance, first_requests, fit_law
from .law import coefficients_of
from .replay import Engine, Replay, replay
from .rules import ALTERNATIVES
from .signs import Sign

#: Another rule or law is the better one if it is so much nearer to the log.
NEARER = 0.7

#: Requests on which others are tried.
MOST_TRIED = 600

#: Plays of a rule for refining its law, and of the engine's own rule where its law is given.
TRIED_PLAYS, OWN_PLAYS = 20, 60


def nearer_rule(log: EngineLog, engine: Engine, played: Replay, *, given: bool) -> Sign | None:
    """Return a sign if another rule is much nearer to a log.

    Like is compared with like: every rule has the law that is fitted through it, or where the law
    is given, this one. None is sought where the engine's rule has every batch of the log.

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

    See Also
    --------
    nearer_law : Whether a given law fits.
    """
    law = _law(played)
    part, until = first_requests(log, MOST_TRIED)
    distance = Distance(part, engine, until)
    if distance.exact(law):
        return None
    own = distance(coefficients_of(law))
    found = [(own, engine.rule)]
    for rule in _others(engine):
        other = replace(engine, rule=rule)
        with suppress(BatchprophetError):  # it does not serve these requests on this GPU
            tried = law if given else fit_law(part, other, plays=TRIED_PLAYS).law
            found.append((Distance(part, other, until)(coefficients_of(tried)), rule))
    near, best = min(found)
    if near >= NEARER * own:
        return None
    return Sign(
        cause="rule",
        text=f"{'with the given batch times, ' if given else ''}the rule {best} is nearer to the "
        f"log than {engine.rule} ({_apart(near, own)}): --rule {best}",
    )


def nearer_law(log: EngineLog, engine: Engine, played: Replay) -> tuple[Sign, Replay] | None:
    """Return a sign if a fitted law is much nearer to a log than the given one, and its replay.

    A law that does not fit is not taken for a rule that does not: the fitted one must come near the
    log's latencies, and no other rule with the given law may be nearer still.

    Parameters
    ----------
    log, engine
        As in `nearer_rule`.
    played : Replay
        The rule with the given law on the log's requests.

    See Also
    --------
    nearer_rule : Whether another rule fits.
    """
    law = _law(played)
    part, until = first_requests(log, MOST_TRIED)
    own = Distance(part, engine, until)(coefficients_of(law))
    try:
        fit = fit_law(part, engine, plays=OWN_PLAYS)
        again = replay(log, engine, fit.law)
    except BatchprophetError:  # too few requests to tell a law
        return None
    if fit.distance_ms >= NEARER * own or not errors(log, again).close:
        return None
    for rule in _others(engine):
        other = replace(engine, rule=rule)
        with suppress(BatchprophetError):  # it does not serve these requests on this GPU
            if Distance(part, other, until)(coefficients_of(law)) < fit.distance_ms:
                return None
    sign = Sign(
        cause="law",
        text=f"batch times fitted to the log, by the rule {engine.rule}, are nearer to it than the "
        f"given ones ({_apart(fit.distance_ms, own)}): the given law is not that of this engine "
        "(--batch-time fit)",
    )
    return sign, again


def _law(played: Replay) -> AffineTime:
    law = played.instance.gpu.batch_time
    assert isinstance(law, AffineTime)
    return law


def _others(engine: Engine) -> list[str]:
    """Rules to be tried; none where the engine's has options that none of them has."""
    known = ALTERNATIVES.get(engine.regime, ())
    if ":" in engine.rule and engine.rule not in known:
        return []
    return [rule for rule in known if rule != engine.rule]


def _apart(near: float, own: float) -> str:
    """Say two distances.

    Examples
    --------
    >>> _apart(9.8765, 1512345.6)
    "9.88 instead of 1,512,346 ms from a token's time"
    """
    shown = [f"{each:,.0f}" if each >= 100 else f"{each:.3g}" for each in (near, own)]
    return f"{shown[0]} instead of {shown[1]} ms from a token's time"
