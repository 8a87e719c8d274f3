"""A reference that may mix: what iteration-level batching would reach on the same GPU.

It runs outside of the rules of separate batching: its batches hold prompt and token jobs together,
so it has no separate schedule, and it is no policy that others are measured against the optimum
beside. It is judged by its own latency, which may lie below the separate optimum.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import numpy as np

from ...models.durations import Durations, batch_durations
from ...models.instance import Instance, IntArray
from ...models.separate.problem import require_separate
from .safety import HeldAndNeeded, plan_fits


@dataclass(frozen=True, slots=True)
class MixedBatch:
    """One batch that may hold both: when it runs, whose prompts it reads, who gets a token."""

    start: int
    end: int
    prompts: tuple[int, ...]
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceRun:
    """What a reference did: its batches, and the completion of each request, shape (n,)."""

    batches: tuple[MixedBatch, ...]
    completion: IntArray


@dataclass(frozen=True, slots=True)
class Orca:
    """Iteration-level batching, like Orca's: every batch serves all that runs and may admit.

    Each batch gives every running request a token and reads the prompts of those whom it admits: in
    order of arrival, up to the first that exceeds B_P, C_P, B_D (requests in the batch) or the
    future check (all running and admitted requests, served in every batch, keep within M at each
    completion; Orca itself reserves the KV cache of the longest allowed output).

    Its batch times, under laws that are stated for separate batches: 1 under the unit law; under
    the constant law the larger of τ_P (if it reads prompts) and τ_D (if it gives tokens); under the
    affine law ``c0 + c1·p + c2·d + c3·kv``, with c0 paid once.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 1], prompt=[3, 1], output=[3, 1])
    >>> run = Orca().run(instance)
    >>> run.completion.tolist(), run.batches[1].prompts, run.batches[1].tokens
    ([3, 2], (1,), (0,))

    References
    ----------
    Yu et al., *Orca: A Distributed Serving System for Transformer-Based Generative Models*, OSDI
    2022, §4.1 (iteration-level scheduling).
    """

    name: ClassVar[str] = "orca"
    summary: ClassVar[str] = "every batch serves all that runs and may admit (mixes: a reference)"
    source: ClassVar[str] = "Orca, OSDI 2022, §4.1 (iteration-level scheduling)"
    length_kinds: ClassVar[tuple[str, ...]] = ("exact",)

    def run(self, instance: Instance) -> ReferenceRun:
        """Run on a whole instance, with exact lengths.

        Raises
        ------
        InputError
            If times leave exact arithmetic (`require_separate`).
        """
        require_separate(instance)
        law = batch_durations(instance)
        arrival, output = instance.arrival.tolist(), instance.output.tolist()
        queue = np.argsort(instance.arrival, kind="stable").tolist()
        tokens: dict[int, int] = {}  # of the running, in order of admission
        completion = np.zeros(instance.n, dtype=np.int64)
        batches = []
        t, upcoming = 0, 0
        while tokens or upcoming < instance.n:
            if not tokens:
                t = max(t, arrival[queue[upcoming]])
            admitted = _admitted(instance, islice(queue, upcoming, None), tokens, t)
            served = tuple(tokens)
            end = t + _duration(law, instance, admitted, tokens)
            batches.append(MixedBatch(t, end, admitted, served))
            upcoming, t = upcoming + len(admitted), end
            for i in (*served, *admitted):
                tokens[i] = tokens.get(i, 0) + 1
                if tokens[i] == output[i]:
                    completion[i] = t
                    del tokens[i]
        return ReferenceRun(tuple(batches), completion)


def _admitted(
    instance: Instance, queue: Iterable[int], tokens: dict[int, int], t: int
) -> tuple[int, ...]:
    """Return whom the next batch admits, in order of arrival."""
    gpu = instance.gpu
    s, o, a = instance.prompt, instance.output, instance.arrival
    plan: list[HeldAndNeeded] = [(int(s[i]) + g, int(o[i]) - g) for i, g in tokens.items()]
    read = 0
    admitted: list[int] = []
    for i in queue:
        read += int(s[i])
        plan.append((int(s[i]), int(o[i])))
        stops = (
            a[i] > t
            or len(admitted) == gpu.prompt_batch_requests
            or (gpu.token_batch_requests is not None and len(plan) > gpu.token_batch_requests)
            or (gpu.prompt_batch_tokens is not None and read > gpu.prompt_batch_tokens)
            or not plan_fits(plan, gpu.kv_capacity, None)
        )
        if stops:
            break
        admitted.append(i)
    return tuple(admitted)


def _duration(
    law: Durations, instance: Instance, admitted: tuple[int, ...], tokens: dict[int, int]
) -> int:
    """Time of a batch of both kinds of jobs."""
    p = int(instance.prompt[list(admitted)].sum()) if admitted else 0
    kv = sum(int(instance.prompt[i]) + g for i, g in tokens.items())
    fixed = max(law.prompt if admitted else 0, law.token if tokens else 0)
    work = fixed + law.per_prompt_token * p + law.per_token_job * len(tokens)
    return -(-(work + law.per_kv_token * kv) // law.divisor)
