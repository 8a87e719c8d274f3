"""What of the gain needs output lengths: the best policy for each kind of knowledge."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from ...models.errors import DoesNotFinish, InputError
from ...models.instance import Instance, IntArray
from ..calibration.replay import Engine
from ..evaluation import Comparison
from ..regimes import regime
from .figures import ServiceFigures, of_schedule

#: Quantiles of the prompt lengths between which outputs are predicted alike.
BINS = 50

#: Up to so many output tokens policies run that learn the lengths: they plan anew whenever a
#: request arrives or completes.
MOST_LEARNED = 400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """The best policy that is told so much of output lengths.

    Attributes
    ----------
    lengths : {"none", "predicted", "exact"}
        What it is told; predictions are those of `predicted_outputs`.
    policy : str
        Its specification.
    figures : ServiceFigures
        What it gives.
    """

    lengths: str
    policy: str
    figures: ServiceFigures


def by_knowledge(
    instance: Instance, engine: Engine, comparison: Comparison
) -> tuple[Knowledge, ...]:
    """Return the best policy for each kind of knowledge, of those that the regime has."""
    guess = predicted_outputs(instance.prompt, instance.output, instance.gpu.kv_capacity)
    guessed = instance.replace(predicted_low=guess, predicted_high=guess)
    found = []
    for lengths in ("none", "predicted", "exact"):
        tried = []
        learning = int(instance.output.sum()) <= MOST_LEARNED
        for spec in _policies(engine, comparison, lengths, learning=learning):
            with suppress(DoesNotFinish, InputError):  # some regimes take no short predictions
                schedule = regime(engine.regime).simulate(guessed, spec)
                total = int((schedule.completion(guessed) - guessed.arrival).sum())
                tried.append((total, spec, schedule))
        if tried:
            _, spec, schedule = min(tried, key=lambda each: each[:2])
            served = of_schedule(instance, schedule, engine)
            found.append(Knowledge(lengths=lengths, policy=spec, figures=served))
    return tuple(found)


def predicted_outputs(prompt: IntArray, output: IntArray, kv_capacity: int) -> IntArray:
    """Predict outputs from prompts: the mean output of the other half's requests in the same bin.

    Every other request is one half; bins are `BINS` quantiles of the prompt lengths, or fewer where
    there are few requests. So no request predicts itself.

    Examples
    --------
    >>> prompt = np.array([5, 5, 900, 900] * 20)
    >>> output = np.array([100, 100, 7, 9] * 20)
    >>> predicted_outputs(prompt, output, 4000)[:4].tolist()
    [100, 100, 9, 7]
    """
    n = prompt.size
    bins = max(1, min(BINS, n // 20))
    edges = np.quantile(prompt, np.linspace(0, 1, bins + 1)[1:-1])
    bin_of = np.searchsorted(edges, prompt, side="left")
    half = np.arange(n) % 2
    guess = np.empty(n)
    for side in (0, 1):
        known = half != side
        usual = float(output[known].mean()) if known.any() else float(output.mean())
        total = np.bincount(bin_of[known], weights=output[known], minlength=bins)
        number = np.bincount(bin_of[known], minlength=bins)
        mean = np.where(number > 0, total / np.maximum(number, 1), usual)
        guess[half == side] = mean[bin_of[half == side]]
    whole = np.maximum(1, np.rint(guess)).astype(np.int64)
    within: IntArray = np.minimum(whole, kv_capacity - prompt)
    return within


def _policies(engine: Engine, comparison: Comparison, lengths: str, *, learning: bool) -> list[str]:
    """Policies of the comparison, told so much; the engine's own rule knows what it knows."""
    registry, specs = regime(engine.regime).registry, []
    for result in comparison.results:
        if ":" in result.policy:
            continue
        kinds = registry.make(result.policy).length_kinds
        if kinds == (lengths,) or (kinds and kinds[0] == lengths):
            specs.append(result.policy)
        elif lengths in kinds and (lengths != "none" or learning):
            specs.append(f"{result.policy}:lengths={lengths}")
    return specs
