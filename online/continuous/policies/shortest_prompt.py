"""Shortest prompt first under the rule of vLLM: a better order without any output length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ....models.durations import Durations
from ....models.instance import IntArray
from .vllm import Vllm


@dataclass(frozen=True, slots=True)
class ShortestPrompt(Vllm):
    """Batch as `Vllm` does, but admit the shortest prompt first; ties by arrival.

    It knows no output lengths. Short prompts are read sooner and hold less KV memory, so more
    requests run; long ones wait longer, which high percentiles of the latency show. A small
    `max_num_seqs` limits how many caches grow at once, and so the preemptions. Options are those
    of `Vllm`.

    See Also
    --------
    Vllm : First come, first served.
    LeastWork : The same question with output lengths told.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[6, 1], output=[2, 4])
    >>> [batch.prefill for batch in simulate_continuous(instance, ShortestPrompt()).batches]
    [((1, 1), (0, 6)), (), (), ()]

    References
    ----------
    Shortest job first by the part of the job that is known, in the engine's own rule (a baseline
    of this project); vLLM runs it with ``--scheduling-policy priority``, prompt lengths as
    priorities.
    """

    name: ClassVar[str] = "shortest-prompt"
    summary: ClassVar[str] = "the rule of vllm, shortest prompt first; no output lengths"
    source: ClassVar[str] = "shortest job first by the prompt alone (a baseline of this project)"

    def key(self, prompt: IntArray, planned: IntArray, law: Durations) -> IntArray:
        """Return prompt lengths, shape (m,)."""
        return prompt
