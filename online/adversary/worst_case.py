"""The recipe: search for a worst case of a policy, shrink it, and certify it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from ...models.errors import DoesNotFinish, InputError
from ...models.instance import Gpu, Instance
from ...models.shown import alternatives
from ..continuous.policy import ContinuousPolicy
from ..judged import POLICY_SEED, Judged
from ..mixed.policy import Policy
from ..regimes import regime
from ..registry import policy_spec
from ..separate.policy import SeparatePolicy
from .regimes import JUDGES
from .search import Hunt
from .shrink import shrink
from .space import LIMITS, Space, default_span
from .witness import Witness

#: Share of the time limit after which the shrinking begins.
SEARCH_SHARE = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase:
    """What a search has found.

    Attributes
    ----------
    policy : str
        The policy's specification.
    space : Space
        Where was searched.
    witness : Witness or None
        The worst case, shrunk; None if the policy finishes on no candidate.
    unfinished : Instance or None
        An instance on which the policy would go on forever: no ratio is as bad.
    candidates : int
        Instances looked at by the search.
    seconds : float
        Time that it took.
    interrupted : bool
        Whether a keyboard interrupt ended it.
    """

    policy: str
    space: Space
    witness: Witness | None
    unfinished: Instance | None
    candidates: int
    seconds: float
    interrupted: bool


def find_worst_case(
    policy: Policy | SeparatePolicy | ContinuousPolicy | str,
    *,
    model: str = "mixed",
    n: int = 6,
    kv_capacity: int = 12,
    gpu: Gpu | None = None,
    vary_limits: bool = False,
    span: int | None = None,
    time_limit: float = 60.0,
    work_limit: int | None = None,
    target: Fraction | None = None,
    seed: int = 0,
    found: Callable[[Witness], None] | None = None,
    progress: Callable[[str], None] | None = None,
) -> WorstCase:
    """Search for the instance on which a policy costs most over the optimum, and shrink it.

    Parameters
    ----------
    policy : Policy, SeparatePolicy, ContinuousPolicy or str
        A policy of the regime.
    model : {"mixed", "separate", "continuous"}
        The batching regime.
    n, kv_capacity : int
        Most requests, and M in tokens.
    gpu : Gpu, optional
        Limits and batch times of the GPU, for separate and continuous batching; M is
        `kv_capacity`.
    vary_limits : bool
        Whether limits on running requests and on the tokens of a batch are sought too, up to
        those of the GPU (continuous batching).
    span : int, optional
        Latest arrival; by default M rounds, or the time of M batches of one token.
    time_limit : float
        Seconds, > 0; the compilation of code at first use is not counted.
    work_limit : int, optional
        Candidates, ≥ 1. With it the clock plays no part: the same seed gives the same witness.
    target : Fraction, optional
        Stop at this ratio, and shrink to a smallest instance that has it.
    seed : int
        Of the search. The policy's own draws have the seed `witness.POLICY_SEED`.
    found : callable, optional
        Called with each worse case, and with the shrunk one.
    progress : callable, optional
        Told in words what is going on.

    Returns
    -------
    WorstCase
        The worst case; an interrupt ends the search and keeps what it found.

    Raises
    ------
    InputError
        If the policy cannot be made, or a number is out of its range.

    Examples
    --------
    >>> worst = find_worst_case("mc-sf", n=4, kv_capacity=6, work_limit=300)
    >>> worst.witness.judged.ratio > 1, worst.witness.judged.proved
    (True, True)
    """
    made = regime(model).registry.make(policy)
    spec = policy if isinstance(policy, str) else policy_spec(made)
    _require_gpu_of(model, gpu, vary_limits)
    span = default_span(kv_capacity, gpu) if span is None else span
    space = Space(n=n, kv_capacity=kv_capacity, span=span, gpu=gpu, vary_limits=vary_limits)
    _check(time_limit, work_limit, seed)
    listener = _Listener(spec, found, progress)
    hunt = Hunt(space=space, judge=_judge_of(model, made), found=listener.keep)
    with suppress(DoesNotFinish):  # compiles, or loads, all code before the clock starts
        hunt.judge(space.draw(np.random.default_rng(seed)), 0.0)
    clock = _Clock(math.inf if work_limit is not None else time_limit)

    def done() -> bool:
        listener.tell(hunt)
        if target is not None and hunt.worst is not None and hunt.worst.ratio >= target:
            return True
        return clock.share >= SEARCH_SHARE or (
            work_limit is not None and hunt.candidates >= work_limit
        )

    interrupted = False
    try:
        hunt.run(np.random.default_rng(seed), done)
        if hunt.worst is not None:
            keep = hunt.worst.ratio if target is None else min(hunt.worst.ratio, target)
            hunt.worst = shrink(
                hunt.worst, space, hunt.judge, at_least=keep, stop=lambda: clock.share >= 1
            )
            listener.keep(hunt.worst)
    except KeyboardInterrupt:
        interrupted = True
    return WorstCase(
        policy=spec,
        space=space,
        witness=None if hunt.worst is None else listener.witness(hunt.worst),
        unfinished=hunt.unfinished,
        candidates=hunt.candidates,
        seconds=clock.seconds,
        interrupted=interrupted,
    )


def _require_gpu_of(model: str, gpu: Gpu | None, vary_limits: bool) -> None:
    """Refuse limits on a round of mixed batching, of which a witness holds none but M.

    Elsewhere refuse to vary limits where there is none.
    """
    found = [name for name in LIMITS if gpu is not None and getattr(gpu, name) is not None]
    if regime(model).rules.takes_limits:
        if vary_limits and not found:
            raise InputError(
                "vary_limits: expected a limit up to which to vary it (max_num_seqs or "
                "max_num_batched_tokens), found neither"
            )
        return
    if found or vary_limits:
        name = f"gpu.{found[0]}" if found else "vary_limits"
        raise InputError(
            f"{name}: worst cases of {model} batching are searched under the KV capacity alone; "
            "leave it out, or take continuous batching"
        )


def _check(time_limit: float, work_limit: int | None, seed: int) -> None:
    if not time_limit > 0:
        raise InputError(f"time_limit: expected more than 0 seconds, found {time_limit}")
    if work_limit is not None and work_limit < 1:
        raise InputError(f"work_limit: expected at least 1 candidate, found {work_limit}")
    if seed < 0:
        raise InputError(f"seed: expected an integer of at least 0, found {seed}")


def _judge_of(model: str, policy: Any) -> Callable[[Instance, float], Judged | None]:
    """Return what judges a policy of a regime."""
    if model not in JUDGES:
        raise InputError(f"adversary: takes --model {alternatives(JUDGES)}, found {model!r}")
    judged = JUDGES[model]
    return lambda instance, above: judged(instance, policy, seed=POLICY_SEED, above=above)


@dataclass(frozen=True, slots=True)
class _Clock:
    time_limit: float
    began: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    @property
    def share(self) -> float:
        """Share of the time limit that has gone by."""
        return self.seconds / self.time_limit


@dataclass(frozen=True, slots=True)
class _Listener:
    """Who wants to know of worse cases, and of progress."""

    policy: str
    found: Callable[[Witness], None] | None
    progress: Callable[[str], None] | None

    def witness(self, worst: Judged) -> Witness:
        return Witness(policy=self.policy, judged=worst)

    def keep(self, worst: Judged) -> None:
        if self.found is not None:
            self.found(self.witness(worst))

    def tell(self, hunt: Hunt) -> None:
        if self.progress is None or hunt.candidates % 20:
            return
        ratio = "none yet" if hunt.worst is None else f"{float(hunt.worst.ratio):.4f}"
        self.progress(f"{hunt.candidates:,} candidates, worst ratio {ratio}")
