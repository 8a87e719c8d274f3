"""Whether an engine's rule and a law explain its log; if not, which signs of what are seen."""

from __future__ import annotations

from dataclasses import dataclass

from ...models.engine_logs.log import EngineLog
from .errors import Errors
from .other_rules import nearer_law, nearer_rule
from .replay import Engine, Replay
from .signs import DOUBTFUL, Sign, kinds_apart, signs_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Whether a model explains a log.

    Attributes
    ----------
    explained : bool
        Whether it does; only then hindsight says something about the engine.
    why : str
        The reason, in one line.
    errors : Errors
        Errors of the requests that the law has not seen; of all, where the law was given.
    signs : tuple of Sign
        What speaks against the model, the strongest first.
    """

    explained: bool
    why: str
    errors: Errors
    signs: tuple[Sign, ...] = ()


def explain(
    log: EngineLog, engine: Engine, played: Replay, found: Errors, *, given: bool
) -> Explanation:
    """Judge whether a rule and a law explain a log.

    Parameters
    ----------
    log : EngineLog
        The log.
    engine : Engine
        Rule and limits.
    played : Replay
        The rule on the log's requests.
    found : Errors
        Of requests that were held out, or of all if the law was not fitted to them.
    given : bool
        Whether the law was given, not fitted.
    """
    signs = signs_of(log, engine, played)
    apart = any(sign.cause == "clock" for sign in signs)
    law = nearer_law(log, engine, played) if given and not found.close and not apart else None
    if law is not None:  # signs that only the given law gives are none
        sign, again = law
        signs = (sign, *signs_of(log, engine, again))
    elif all(sign.cause == "rule" for sign in signs):  # otherwise another rule explains nothing
        better = nearer_rule(log, engine, played, given=given)
        signs += () if better is None else (better,)
    if not signs and not found.close and (kinds := kinds_apart(log, played, DOUBTFUL)) is not None:
        signs = (kinds,)
    which = "" if given else " held out of the fit"
    size = (
        f"the rule {engine.rule} gives the mean latency within {abs(found.mean_latency):.1%} and "
        f"a request's within {found.median_request:.1%} (median), {found.p95_request:.1%} (95 %)"
        f", over {found.requests:,} requests{which}"
    )
    if signs:
        said = "; ".join(sign.text for sign in signs)
        return Explanation(explained=False, why=f"{said} ({size})", errors=found, signs=signs)
    if not found.close:
        text = f"{size}: another scheduler, another limit, or other work on the GPU"
        return Explanation(explained=False, why=text, errors=found)
    return Explanation(explained=True, why=size, errors=found)
