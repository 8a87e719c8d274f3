"""Limits on a round as settings of a family of mixed batching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..instance import Instance
from ..mixed.problem import require_mixed
from .family import Family
from .setting import Setting

SETTINGS = (
    Setting(
        name="running_requests",
        kind="integer",
        description="B, requests that run at once; no limit unless set",
        low=1,
    ),
    Setting(
        name="batch_tokens",
        kind="integer",
        description="C, tokens in a round (a prompt job has s); no limit unless set",
        low=1,
    ),
)


def with_round_limits(family: Family) -> Family:
    """Return the family with the limits of a round as settings; it draws what it drew without.

    Examples
    --------
    >>> from .registry import make_instance
    >>> settings = {"n": 5, "running_requests": 3}
    >>> gpu = make_instance("arrival-model-1", settings=settings).gpu
    >>> gpu.running_requests, gpu.batch_tokens
    (3, None)
    """
    return replace(family, settings=(*family.settings, *SETTINGS), make=_limited(family.make))


def _limited(make: Callable[..., Instance]) -> Callable[..., Instance]:
    def limited(
        rng: np.random.Generator,
        *,
        running_requests: int | None,
        batch_tokens: int | None,
        **settings: object,
    ) -> Instance:
        instance = make(rng, **settings)
        if running_requests is None and batch_tokens is None:
            return instance
        gpu = replace(instance.gpu, running_requests=running_requests, batch_tokens=batch_tokens)
        instance = instance.replace(gpu=gpu)
        require_mixed(instance)
        return instance

    return limited
