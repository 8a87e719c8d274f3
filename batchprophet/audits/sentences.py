"""What an audit says, in sentences."""

from __future__ import annotations

from ..online.audit.audit import Audit, Hindsight
from ..online.calibration.fit import FittedLaw
from ..report.table import percent, ratio_down, ratio_up


def headline(audit: Audit) -> str:
    """Say in one sentence how far the engine was from the best possible, or that nothing can be."""
    ratio, hindsight = audit.ratio, audit.hindsight
    if ratio is None or hindsight is None:
        return (
            "The model does not explain this log, so nothing is claimed about the best possible: "
            f"{audit.explanation.why}."
        )
    low, high = ratio
    mean = f"mean latency of {duration(audit.logged.mean_latency_ms)}"
    best = duration(hindsight.figures.mean_latency_ms)
    if high is None:
        return (
            f"The engine's {mean} is at least {ratio_down(low)} times the best possible: a "
            f"schedule with {best} is known."
        )
    bound = hindsight.lower_bound_ms
    assert bound is not None
    if low <= 1:
        return (
            f"The engine's {mean} is at most {ratio_up(high)} times the best possible: no schedule "
            f"has less than {duration(bound)}, and none that is better than the engine's is known."
        )
    return (
        f"The engine's {mean} is between {ratio_down(low)} and {ratio_up(high)} times the best "
        f"possible: a schedule with {best} is known, and none has less than {duration(bound)}."
    )


def reading(audit: Audit, assumed: list[str]) -> list[str]:
    """Return what the audit shows, sentence by sentence, the headline first."""
    found = [headline(audit)]
    laws = audit.ratio_over_laws
    if laws is not None and audit.hindsight is not None:
        found.append(
            f"Over {len(audit.hindsight.other_laws) + 1} laws that explain the log about as well, "
            f"the interval is {ratio_down(laws[0])} to {ratio_up(laws[1])}."
        )
    if audit.explanation.explained:
        found.append(f"The model explains the log: {audit.explanation.why}.")
    if assumed:
        found.append(f"Not in the log, and assumed: {'; '.join(assumed)}.")
    if audit.log.failed:
        found.append(f"{audit.log.failed:,} requests failed and are left out.")
    if audit.fit is not None:
        found.append(law_sentence(audit.fit))
    if audit.hindsight is not None:
        found += _gains(audit, audit.hindsight)
    return found


def law_sentence(fit: FittedLaw) -> str:
    """Say the fitted law, with intervals, and what of it the log does not tell."""
    parts = [
        f"{each.name} {each.value:.4g} ({each.low:.4g} to {each.high:.4g})"
        for each in fit.coefficients
    ]
    text = f"Fitted batch times in ms, with intervals of about 95 %: {', '.join(parts)}."
    if missing := fit.not_identified:
        sum_ = fit.token_job
        text += (
            f" The log does not tell {' and '.join(missing)} apart from the others; a token job at "
            f"the mean context takes {sum_.name} = {sum_.value:.4g} ms ({sum_.low:.4g} to "
            f"{sum_.high:.4g})."
        )
    return text


def _gains(audit: Audit, hindsight: Hindsight) -> list[str]:
    found = []
    best, figures = hindsight.policies[0]
    usual = audit.simulated.mean_latency_ms
    if figures is not None and figures.mean_latency_ms < 0.995 * usual:
        found.append(
            f"The best policy here, {best.policy}, would have given a mean latency of "
            f"{duration(figures.mean_latency_ms)}, {1 - figures.mean_latency_ms / usual:.0%} less "
            "than the engine's own rule."
        )
    turned = [knob for knob in hindsight.knobs if knob.relative < -0.01 and knob.name != "order"]
    if turned:
        knob = min(turned, key=lambda each: each.relative)
        found.append(
            f"Of the knobs, {knob.name} {knob.change} gains most: {-knob.relative:.0%} less mean "
            "latency."
        )
    gap = hindsight.speed_equivalent_gap
    if gap is not None and 0 < gap < 1:
        found.append(
            f"The best schedule would reach the bound on a GPU that is {percent(gap)} faster."
        )
    return found


def duration(ms: float) -> str:
    """Return milliseconds for people.

    Examples
    --------
    >>> duration(86578.3), duration(433.21), duration(3.14159)
    ('86.58 s', '433 ms', '3.14 ms')
    """
    if ms >= 1000:
        return f"{ms / 1000:,.2f} s"
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.3g} ms"
