"""What the page has of each regime: the only module of the game that names one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..models.durations import batch_durations
from ..models.errors import InputError
from ..models.gpu import SEPARATE_LIMITS
from ..models.instance import Instance
from ..models.mixed.problem import is_limited
from ..models.regime import Schedule
from ..models.regimes import regime_of


def _anything(instance: Instance) -> None:
    """Take every instance of the regime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Playable:
    """A regime that can be played.

    Attributes
    ----------
    gpu : callable
        ``gpu(instance)``: the GPU's numbers beside its KV capacity, as JSON values.
    schedule : callable
        ``schedule(instance, schedule)``: a schedule as JSON values.
    require : callable
        ``require(instance)`` refuses an instance with limits that the page has no rules for.
    """

    gpu: Callable[[Instance], dict[str, Any]]
    schedule: Callable[[Instance, Schedule], dict[str, Any]]
    require: Callable[[Instance], None] = _anything


def _without_round_limits(instance: Instance) -> None:
    if is_limited(instance):
        limits = ("running_requests", "batch_tokens")
        names = ", ".join(name for name in limits if getattr(instance.gpu, name) is not None)
        raise InputError(
            "play: the page has the KV capacity as its only rule, and no limits on the requests "
            f"or tokens of a round; drop {names} from {instance.name!r}"
        )


def _no_more(instance: Instance) -> dict[str, Any]:
    return {}


def _starts(instance: Instance, schedule: Schedule) -> dict[str, Any]:
    record = _record(schedule)
    lost = [[run["request"], run["start"], run["end"]] for run in record.get("evicted", [])]
    return {"start": record["start"], "lost": lost}


def _law(instance: Instance) -> dict[str, int]:
    return dict(batch_durations(instance)._asdict())


def _separate_gpu(instance: Instance) -> dict[str, Any]:
    limits = {name: getattr(instance.gpu, name) for name in SEPARATE_LIMITS}
    return {"law": _law(instance), "limits": limits}


def _batches_of_a_kind(instance: Instance, schedule: Schedule) -> dict[str, Any]:
    """Return batches as continuous batching has them: whole prompts, or token jobs."""
    batches = []
    for batch in _record(schedule)["batches"]:
        members, prompts = batch["requests"], batch["kind"] == "prompt"
        read = [[i, int(instance.prompt[i])] for i in members] if prompts else []
        decode = [] if prompts else members
        batches.append({"start": batch["start"], "prefill": read, "decode": decode, "preempt": []})
    return {"batches": batches}


def _continuous_gpu(instance: Instance) -> dict[str, Any]:
    names = ("running_requests", "batch_tokens", "kv_block", "chunked_prefill")
    limits = {name: getattr(instance.gpu, name) for name in names}
    return {"law": _law(instance), "limits": limits}


def _batches(instance: Instance, schedule: Schedule) -> dict[str, Any]:
    none: dict[str, list[Any]] = {"prefill": [], "decode": [], "preempt": []}
    return {"batches": [none | batch for batch in _record(schedule)["batches"]]}


def _record(schedule: Schedule) -> dict[str, Any]:
    return regime_of(schedule).to_record(schedule)


#: By the name of the regime, in the order of the page.
PLAYABLE: Mapping[str, Playable] = MappingProxyType(
    {
        "mixed": Playable(gpu=_no_more, schedule=_starts, require=_without_round_limits),
        "separate": Playable(gpu=_separate_gpu, schedule=_batches_of_a_kind),
        "continuous": Playable(gpu=_continuous_gpu, schedule=_batches),
    }
)
