"""A rule run on a whole instance as compiled code."""

from __future__ import annotations

import numpy as np

from ...models.continuous.problem import limits
from ...models.continuous.schedule import ContinuousSchedule
from ...models.durations import batch_durations
from ...models.instance import Instance, IntArray
from .kernel_state import Requests
from .kernels import run
from .rule import Rule
from .state import stalls


def run_rule(
    instance: Instance, name: str, rule: Rule, ranks: IntArray, planned: IntArray
) -> ContinuousSchedule:
    """Run a rule.

    Parameters
    ----------
    instance : Instance
        The instance.
    name : str
        The policy's name, for messages.
    rule : Rule
        Its rule on the instance's GPU.
    ranks : ndarray of int64, shape (1, n) or (3, n)
        Place of each request in the order in which they are admitted; in three orders for Sorted-F.
    planned : ndarray of int64, shape (n,)
        Output lengths to reckon with, ≥ 1.

    Raises
    ------
    DoesNotFinish
        If a request is left that the rule never admits.
    """
    gpu, law = limits(instance), batch_durations(instance)
    requests = requests_of(instance, ranks, planned)
    kv = gpu.blocks * gpu.block
    stalled, since, columns = run(requests, law, kv, gpu.block, gpu.chunked, rule)
    if stalled >= 0:
        raise stalls(name, instance.request_id(stalled), since)
    return ContinuousSchedule.of_columns(columns)


def requests_of(instance: Instance, ranks: IntArray, planned: IntArray) -> Requests:
    """Return the requests as compiled code takes them."""
    return Requests(
        instance.arrival.copy(),
        instance.prompt.copy(),
        instance.output.copy(),
        planned.astype(np.int64),
        np.argsort(instance.arrival, kind="stable"),
        ranks,
        np.argsort(ranks, axis=1),
    )
