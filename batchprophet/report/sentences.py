"""A comparison in plain words: the instance, what is proved, and how far each policy is."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from ..models.batch_time import AffineTime, ConstantTime, UnitTime
from ..models.figures import Figures
from ..models.regime import Shown
from ..models.regimes import regime
from .table import HINDSIGHT, JUDGED, Row, number_text, percent, ratio_down, ratio_text, ratio_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..models.instance import Instance, IntArray
    from ..models.objectives import Exact
    from ..online.continuous.counterfactuals import Counterfactual
    from ..online.evaluation import Comparison, PolicyResult
    from ..online.separate.price import Price
    from ..results.classes import ClassLatency


def facts(instance: Instance) -> list[tuple[str, str]]:
    """Return the facts of an instance, as (term, value)."""
    found = [
        ("requests", f"{instance.n:,}"),
        ("KV capacity M", f"{instance.gpu.kv_capacity:,} tokens"),
        ("prompt lengths", _spread(instance.prompt)),
        ("output lengths", _spread(instance.output)),
        ("arrivals", _arrivals(instance)),
        ("KV work", _load(instance)),
        *_gpu(instance),
    ]
    if instance.predicted_low is not None:
        found.append(("length predictions", "given"))
    return found


def units(instance: Instance) -> str:
    """Name of the instance's time unit, in the plural."""
    return f"{instance.gpu.batch_time.time_unit}s"


def provenance(instance: Instance) -> list[tuple[str, str]]:
    """Return where an instance comes from, as (term, value)."""
    return [(str(key), _plain(value)) for key, value in (instance.provenance or {}).items()]


def reading(comparison: Comparison) -> list[str]:
    """Return what the comparison shows, sentence by sentence.

    Nothing is claimed that is not proved: where the optimum is not known, ratios are intervals.
    """
    finished = comparison.ranked()
    sentences = [_proof(comparison)]
    if len(finished) > 1 and comparison.value(finished[0]) == comparison.value(finished[-1]):
        ratio = _ratio(comparison, finished[0])
        sentences.append(f"All {len(finished)} policies that finish tie, each {ratio}.")
    elif finished:
        ends = [("best", "here is", "here are", 0)]
        ends += [("worst", "that finishes is", "that finish are", -1)] * (len(finished) > 1)
        sentences += [_end(comparison, finished, *each) for each in ends]
    sentences += [
        f"{result.policy} {result.verdict}." for result in comparison.results if not result.metrics
    ]
    name = _phrase(comparison)
    for reference in comparison.references:
        value, far = number_text(comparison.value(reference)), comparison.ratio_to_best(reference)
        if comparison.value(reference) is None:
            continue
        sentences.append(
            f"{reference.name} is a reference, since its batches mix prompt and token jobs: {name} "
            f"{value}, {ratio_text(far)} times the best schedule known."
        )
    return sentences


#: Policies of a tie that are named.
MOST_NAMED = 3


def _end(
    comparison: Comparison,
    finished: Sequence[PolicyResult],
    kind: str,
    of_one: str,
    of_several: str,
    place: int,
) -> str:
    """Name the policies at one end of the table, and say how far they are from the optimum."""
    value = comparison.value(finished[place])
    tied = [each.policy for each in finished if comparison.value(each) == value]
    ratio = _ratio(comparison, finished[place])
    if len(tied) == 1:
        return f"The {kind} policy {of_one} {tied[0]}, {ratio}."
    if len(tied) > MOST_NAMED + 1:
        tied = [*tied[:MOST_NAMED], f"{len(tied) - MOST_NAMED} more"]
    names = f"{', '.join(tied[:-1])} and {tied[-1]}"
    return f"The {kind} policies {of_several} {names}, each {ratio}."


def speed_text(speed: float) -> str:
    """Say by how much a faster GPU closes a gap.

    Examples
    --------
    >>> speed_text(0.05119)
    'a GPU 5.12 % faster would close it'
    """
    return f"a GPU {percent(speed)} faster would close it"


def speed_reading(speed: float | None) -> list[str]:
    """Return the gap as speed of the GPU, as a sentence; none where there is no gap to close."""
    if not speed:
        return []
    return [
        f"On a GPU that is {percent(speed)} faster, the best schedule's batches would reach the "
        "lower bound."
    ]


def changes_reading(
    changes: Mapping[str, Sequence[Counterfactual]], objective: str = "latency"
) -> list[str]:
    """Return what other GPUs would have given policies by what is judged, a sentence for each."""
    return [
        f"The {judged_phrase(objective)} of {policy} changes by "
        + ", ".join(f"{change_text(each.relative)} with {each.change}" for each in found)
        + "."
        for policy, found in changes.items()
    ]


def tail_reading(bound: float | None, rows: Sequence[Row], *, judged: bool = False) -> list[str]:
    """Return how long the longest waits are, and have to be, as a sentence.

    Parameters
    ----------
    bound : float or None
        Lower bound on the 99th percentile of latency, in the instance's time unit.
    rows : sequence of Row
        The table; references, which break the regime's rules, are left out.
    judged : bool
        Whether the schedules are judged by it, so that the bound has been told.
    """
    kept = [(row.metrics.p99_latency, row) for row in rows if isinstance(row.metrics, Figures)]
    if bound is None or len(kept) < 2:
        return []
    least, row = min(kept, key=lambda each: each[0])
    per, unit = row.shown.per, row.shown.unit
    low = math.floor(10 * bound / per) / 10
    most = f", at most {ratio_up(least / bound)} times the least possible" if bound else ""
    if judged:
        return _who_pays(least, rows)
    return [
        f"No schedule has a 99th percentile of latency below {low:,.1f} {unit}; the least here is "
        f"{least / per:,.1f}, of {row.policy}{most}.",
        *_who_pays(least, rows),
    ]


#: A 99th percentile is worth a word from this many times the least on.
WORTH_SAYING = 1.1


def _who_pays(least: float, rows: Sequence[Row]) -> list[str]:
    """What the policy with the least mean costs the requests that wait longest."""
    policies = [
        (row.metrics, row)
        for row in rows
        if row.policy != HINDSIGHT and isinstance(row.metrics, Figures)
    ]
    if not policies:
        return []
    best, row = min(policies, key=lambda each: each[0].mean_latency)
    if not least or best.p99_latency < WORTH_SAYING * least:
        return []
    tail = f"{best.p99_latency / row.shown.per:,.1f} {row.shown.unit}"
    return [
        f"Of the policies {row.policy} has the least mean, and some requests pay for it: its 99th "
        f"percentile is {tail}, {ratio_text(best.p99_latency / least)} times the least here."
    ]


def class_reading(classes: Mapping[str, Sequence[ClassLatency]], shown: Shown) -> list[str]:
    """Return the class that waits most in hindsight and under the best policy, as a sentence.

    Parameters
    ----------
    classes : mapping of str to sequence of ClassLatency
        By schedule in the order of the table, the worst class first; empty without classes.
    shown : Shown
        The unit.

    Examples
    --------
    >>> from batchprophet.results.classes import ClassLatency
    >>> chat = ClassLatency(label="chat", requests=3, mean_latency=6, p99_latency=9)
    >>> class_reading({"hindsight": [chat], "vllm": [chat]}, Shown("rounds"))
    ['By class, the largest mean latency is 6.0 rounds in hindsight (chat), 6.0 under vllm (chat).']
    """
    worst = [(name, each[0]) for name, each in classes.items() if each][:2]
    if not worst:
        return []
    told = [
        f"{each.mean_latency / shown.per:,.1f}{f' {shown.unit}' if first == 0 else ''} "
        f"{'in hindsight' if name == HINDSIGHT else f'under {name}'} ({each.label})"
        for first, (name, each) in enumerate(worst)
    ]
    return [f"By class, the largest mean latency is {', '.join(told)}."]


def signed(change: float) -> str:
    """Return a relative change as a signed percentage.

    Examples
    --------
    >>> signed(-0.1734), signed(0.00001)
    ('−17.3 %', '0.0 %')
    """
    text = f"{100 * abs(change):.1f} %"
    return text if text == "0.0 %" else ("−" if change < 0 else "+") + text


def change_text(relative: float | None) -> str:
    """Return a relative change, which what was 0 and is not does not have.

    Examples
    --------
    >>> change_text(0.5), change_text(None)
    ('+50.0 %', 'more than 0 from 0')
    """
    return "more than 0 from 0" if relative is None else signed(relative)


def price_reading(price: Price) -> list[str]:
    """Return what separate batching costs, sentence by sentence, and what it is compared with."""
    unit, bound = price.time_unit, price.mixing_bound
    meaning = "its optimal total latency divided by that of a GPU whose batches may mix"
    if price.high is None:
        found = f"at least {ratio_down(price.low)}: {meaning}."
    elif price.exact:
        found = f"{ratio_text(price.low)}: {meaning}, both proved."
    else:
        found = f"between {ratio_down(price.low)} and {ratio_up(price.high)}: {meaning}."
    length = _time(price.side.round, unit)
    known = number_text(price.orca)
    if price.side.equal:
        terms = f"Every batch takes {length} on both sides."
    elif bound is None:
        terms = f"No bound is known for the GPU that may mix; Orca reaches {known} {unit}s on it."
    else:
        terms = (
            f"The GPU that may mix needs at least {number_text(bound)} {unit}s (mixed batching in "
            f"rounds of {length}, the shortest batch here), and Orca reaches {known} on it."
        )
    dropped = f" Mixed batching ignores {', '.join(price.dropped)}." if price.dropped else ""
    return [f"The price of separate batching is {found}", terms + dropped]


def _time(length: int, unit: str) -> str:
    return f"{length:,} {unit}" if length == 1 else f"{length:,} {unit}s"


def _proof(comparison: Comparison) -> str:
    if comparison.service is not None:
        return _service_proof(comparison)
    solution = comparison.solution
    name = JUDGED[solution.objective_name][0]
    shown = _shown(comparison)
    unit = f" {shown.unit}" if shown.unit else ""
    value = _value(shown, solution.objective)
    if solution.status == "optimal":
        beyond = "above" if comparison.maximised else "below"
        return f"The optimum is proved: no schedule has a {name} {beyond} {value}{unit}."
    if solution.bound is None or solution.gap is None:
        return (
            f"The best schedule found has a {name} of {value}{unit}; no "
            f"{'upper' if comparison.maximised else 'lower'} bound on the optimum is known."
        )
    ends = [_value(shown, solution.bound), value]
    low, high = reversed(ends) if comparison.maximised else ends
    return (
        f"The optimum is not known exactly: it lies between {low} and {high}{unit} of {name} "
        f"(gap {percent(solution.gap)})."
    )


#: Service objectives in sentences.
SERVICE_PHRASES = {
    "p99": "99th percentile of latency",
    "ttft": "mean time to first token",
    "goodput": "number of requests within the limits",
}


def _service_proof(comparison: Comparison) -> str:
    """What is proved of a service objective: the best schedule known is any of the table."""
    name, shown = SERVICE_PHRASES[comparison.objective_name], _shown(comparison)
    unit = f" {shown.unit}" if shown.unit else ""
    best, bound = comparison.best_known, comparison.bound
    if bound is None or comparison.proved:
        beyond = "above" if comparison.maximised else "below"
        value = _rounded(shown, best, 1 if comparison.maximised else -1)
        found = f"The optimum is proved: no schedule has a {name} {beyond} {value}{unit}."
    else:
        low, high = sorted((Fraction(best), Fraction(bound)))
        gap = "" if comparison.gap is None else f" (gap {percent(comparison.gap)})"
        found = (
            f"The least {name} is not known exactly: it lies between {_rounded(shown, low, -1)} "
            f"and {_rounded(shown, high, 1)}{unit}{gap}."
        )
        found = found.replace("The least", "The largest") if comparison.maximised else found
    if comparison.service is not None and comparison.service.solved:
        return found
    return (
        f"{found} The best schedule known is that of {comparison.best_known_by}; the hindsight "
        "schedule is made for the least total latency."
    )


def _shown(comparison: Comparison) -> Shown:
    """The unit of what is judged."""
    if comparison.maximised:
        return Shown("")
    return regime(comparison.model).shown_in(comparison.instance)


def _rounded(shown: Shown, value: Exact, direction: int) -> str:
    """Return a value with at most two decimals, rounded down, up or to the nearest."""
    hundredths = Fraction(value) * 100 / shown.per
    whole = (round, math.ceil, math.floor)[direction](hundredths)
    return f"{whole / 100:,.2f}".removesuffix("00").removesuffix(".")


def _value(shown: Shown, value: Exact) -> str:
    return number_text(value) if shown.per == 1 else shown.text(value)


def _ratio(comparison: Comparison, result: PolicyResult) -> str:
    """Say how far a policy that finishes is from the optimum, as far as it is proved."""
    best, bound = comparison.ratio_to_best(result), comparison.ratio_to_bound(result)
    name = _phrase(comparison)
    if comparison.maximised and comparison.value(result) == 0 and best is not None:
        return f"with a {name} of 0"
    if best is None:
        return f"without a ratio, since the best {name} known is 0"
    if comparison.proved if comparison.service else comparison.solution.status == "optimal":
        if best == 1:
            return "with an optimal schedule"
        return f"at {ratio_text(best)} times the optimal {name}"
    if bound is None:
        return (
            f"at {ratio_text(best)} times the {name} of the best schedule known; without a "
            "bound its ratio to the optimum is not certified"
        )
    low, high = sorted((best, bound))
    return f"certified to be between {ratio_down(low)} and {ratio_up(high)} times optimal"


def _phrase(comparison: Comparison) -> str:
    """Return what is judged, in a sentence."""
    return judged_phrase(comparison.objective_name)


def judged_phrase(objective: str) -> str:
    """Return what is judged, in a sentence.

    Examples
    --------
    >>> judged_phrase("p99"), judged_phrase("latency")
    ('99th percentile of latency', 'total latency')
    """
    return SERVICE_PHRASES.get(objective) or JUDGED[objective][0]


def _spread(values: IntArray) -> str:
    low, middle, high = int(values.min()), float(np.median(values)), int(values.max())
    if low == high:
        return f"all {low:,} tokens"
    mean = number_text(round(float(values.mean()), 1))
    return f"{low:,} to {high:,} tokens (median {number_text(middle)}, mean {mean})"


def _arrivals(instance: Instance) -> str:
    first, last = int(instance.arrival.min()), int(instance.arrival.max())
    unit = instance.gpu.batch_time.time_unit
    if unit == "microsecond":
        span = (last - first) / 10**6
        if span == 0:
            return "all at once"
        return f"within {span:,.3g} s ({(instance.n - 1) / span:,.3g} a second)"
    if first == last:
        return f"all at {unit} {first:,}"
    return f"{unit}s {first:,} to {last:,}"


def _gpu(instance: Instance) -> list[tuple[str, str]]:
    """Batch times and limits, where they are not those of mixed batching."""
    gpu, found = instance.gpu, []
    law = gpu.batch_time
    if isinstance(law, ConstantTime):
        found.append(("batch times", f"prompt {_time(law.prompt, 'slot')}, token {law.token:,}"))
    elif isinstance(law, AffineTime):
        terms = f"{law.c0:g} + {law.c1:g}·p + {law.c2:g}·d + {law.c3:g}·kv ms"
        if law.c0_prompt is not None:
            terms += f"; prompts only: {law.c0_prompt:g} + {law.c1:g}·p ms"
        found.append(("batch times", terms))
    limits = (
        ("prompt batch", gpu.prompt_batch_requests, "requests"),
        ("prompt batch", gpu.prompt_batch_tokens, "tokens"),
        ("token batch", gpu.token_batch_requests, "requests"),
        ("running requests", gpu.running_requests, "requests"),
        ("batch", gpu.batch_tokens, "tokens"),
    )
    if gpu.kv_block > 1:
        found.append(("KV memory", f"in blocks of {gpu.kv_block:,} tokens"))
    found += [(batch, f"at most {most:,} {what}") for batch, most, what in limits if most]
    return found


def _load(instance: Instance) -> str:
    """KV area over capacity, in rounds of full memory, and relative to the arrival span."""
    rounds = int(instance.volume.sum()) / instance.gpu.kv_capacity
    span = int(instance.arrival.max()) - int(instance.arrival.min())
    if not isinstance(instance.gpu.batch_time, UnitTime):
        return f"{rounds:,.1f} batches with full memory"
    text = f"{rounds:,.1f} rounds of full memory"
    return text if span == 0 else f"{text}, {rounds / span:.2f} times the arrival span"


def _plain(value: object) -> str:
    if isinstance(value, (dict, list, tuple)) and not value:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(entry)}" for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(entry) for entry in value)
    return str(value)
