"""Workloads like the Azure conversation and code traces of 2023."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..instance import Gpu, Instance
from .arrivals import poisson
from .azure_figures import COARSE, CODE, CONVERSATION, AzureFigures
from .family import Family
from .lengths import GivenPrompt, draw_fitting
from .setting import Setting

MILLISECONDS = 1000.0


def azure_like(
    rng: np.random.Generator,
    figures: AzureFigures,
    *,
    n: int,
    kv_capacity: int,
    round_ms: float,
    arrivals: str,
    rate: float,
    lengths: str,
) -> Instance:
    """Return n requests with the arrivals and lengths of a trace, as far as its figures say them.

    Arrivals are a Poisson process, or the fitted two-state Markov-modulated one with its time
    stretched to the rate; a request arrives in the round ``⌊seconds · 1000 / round_ms⌋``. Prompt
    and output lengths are independent, from the trace's quantiles or a lognormal law (at least 1
    token); or (``joint``) outputs are drawn from the quantiles of those whose prompts are in the
    same twentieth. Requests larger than the GPU are drawn again. The first m requests are the same
    for every n ≥ m.
    """
    times, tokens = rng.spawn(2)
    process = poisson if arrivals == "poisson" else figures.modulated.draw
    seconds = process(times, n, rate)
    joint = lengths == "joint"
    prompt = figures.prompt.law("quantiles" if joint else lengths)
    output = GivenPrompt(COARSE, figures.given_prompt) if joint else figures.output.law(lengths)
    s, o = draw_fitting(tokens, n, prompt, output, kv_capacity)
    return Instance(
        gpu=Gpu(kv_capacity=kv_capacity),
        arrival=np.floor(seconds * (MILLISECONDS / round_ms)).astype(np.int64),
        prompt=s,
        output=o,
    )


def _family(name: str, description: str, figures: AzureFigures, arrivals: str) -> Family:
    return Family(
        name=name,
        description=description,
        source="figures fitted to the Azure LLM inference traces of 2023 (CC-BY-4.0)",
        settings=(
            Setting(name="n", kind="integer", description="requests", default=1000, low=1),
            Setting(
                name="kv_capacity",
                kind="integer",
                description="M in tokens",
                default=65536,
                low=2,
                high=10**9,
            ),
            Setting(
                name="round_ms",
                kind="number",
                description="milliseconds that a round stands for",
                default=50.0,
                low=1e-3,
                high=1e6,
            ),
            Setting(
                name="arrivals",
                kind="choice",
                description="Poisson, or Markov-modulated Poisson with two states",
                default=arrivals,
                choices=("poisson", "mmpp"),
            ),
            Setting(
                name="rate",
                kind="number",
                description="mean requests per second",
                default=figures.rate,
                low=1e-3,
                high=1e6,
            ),
            Setting(
                name="lengths",
                kind="choice",
                description="empirical quantiles, outputs given prompts, or lognormal (long tails)",
                default="quantiles",
                choices=("quantiles", "joint", "lognormal"),
            ),
        ),
        make=partial(azure_like, figures=figures),
    )


AZURE_CONVERSATION = _family(
    "azure-conversation",
    "like the Azure conversation trace of 2023: nearly Poisson, prompts about 1,000 tokens",
    CONVERSATION,
    arrivals="poisson",
)

AZURE_CODE = _family(
    "azure-code",
    "like the Azure code trace of 2023: very bursty, long prompts, outputs about 10 tokens",
    CODE,
    arrivals="mmpp",
)
