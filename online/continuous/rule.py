"""What the built-in policies differ in: an engine's rule, as numbers that compiled code takes.

A rule is an order of the waiting requests, the shape of its batches, what must be free before a
request is admitted, and limits that are no wider than the GPU's. When blocks run out the request
that began last is preempted; it reads its prompt and its tokens again, later.
"""

from __future__ import annotations

from typing import NamedTuple

from ...models.continuous.problem import Limits
from ..options import require_integer

#: Shapes of batches: both kinds of jobs together; batches of prompts only, whenever one fits; the
#: same, but only when the requests of the last batch are all complete.
TOGETHER, PROMPTS_FIRST, REQUEST_LEVEL = range(3)

#: What must be free when a request is admitted: its first chunk; all that it reads, which is set
#: aside; the planned length at its end, which is set aside; a plan in which all running requests
#: complete; or all that it reads, of which only the first chunk is taken.
CHUNK, PROMPT, PEAK, PLAN, FITS = range(5)


class Rule(NamedTuple):
    """An engine's rule.

    Attributes
    ----------
    shape : int
        `TOGETHER`, `PROMPTS_FIRST` or `REQUEST_LEVEL`.
    reserve : int
        `CHUNK`, `PROMPT`, `PEAK`, `PLAN` or `FITS`; `PLAN` only with batches of both.
    decodes_first : int
        1 if all token jobs come before all chunks, 0 if requests are taken in their order.
    whole : int
        1 if prompts that fit in a batch are read in one.
    seats : int
        Most requests that hold a cache.
    tokens : int
        Most tokens in a batch.
    prompt_tokens : int
        Most prompt tokens in a batch.
    chunk : int
        Most prompt tokens of one request in a batch.
    watermark : int
        KV tokens that an admission leaves free while others run.
    """

    shape: int = TOGETHER
    reserve: int = CHUNK
    decodes_first: int = 0
    whole: int = 0
    seats: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    chunk: int = 0
    watermark: int = 0


def rule_of(
    gpu: Limits,
    *,
    seats: int | None = None,
    tokens: int | None = None,
    prompt_tokens: int | None = None,
    chunk: int | None = None,
) -> Rule:
    """Return the plain rule with a GPU's limits, or narrower ones.

    Examples
    --------
    >>> rule_of(Limits(9, 16, 4, 2048, True), seats=2, chunk=512)[4:8]
    (2, 2048, 2048, 512)
    """
    most = min(gpu.tokens, gpu.tokens if tokens is None else tokens)
    return Rule(
        whole=int(not gpu.chunked),
        seats=min(gpu.running, gpu.running if seats is None else seats),
        tokens=most,
        prompt_tokens=most if prompt_tokens is None else min(most, prompt_tokens),
        chunk=most if chunk is None else min(most, chunk),
    )


def require_limits(**options: int | None) -> None:
    """Refuse options that are neither left out nor integers of at least 1."""
    for name, value in options.items():
        if value is not None:
            require_integer(name, value, low=1)
