"""Batch-time laws that were measured on GPUs, with their sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..batch_time import AffineTime


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredGpu:
    """A GPU with a model on it, and the law of its batch times.

    Attributes
    ----------
    gpu, model : str
        What was measured.
    law : AffineTime
        Fitted; c2 and c3 are not separately identified by request logs.
    source : str
        Who measured it, and how.
    """

    gpu: str
    model: str
    law: AffineTime
    source: str


_LOGS = "fitted to first and last token times of a vLLM 0.19 log (casys-kaist/LLMServingSim)"

_REPORTED = "a reported measurement, of which there are no data here (docs/how-to/my-gpu.md)"

#: By name.
MEASURED: Mapping[str, MeasuredGpu] = MappingProxyType(
    {
        "a100": MeasuredGpu(
            gpu="A100",
            model="Llama-3.1-8B in bf16",
            law=AffineTime(c0=9.82, c1=0.0442, c2=0.0366, c3=9.4e-5),
            source=_REPORTED,
        ),
        "h100": MeasuredGpu(
            gpu="H100",
            model="Llama-3.1-8B in bf16",
            law=AffineTime(c0=5.64, c1=0.0127, c2=0.0135, c3=4.5e-5),
            source=_REPORTED,
        ),
        "h200": MeasuredGpu(
            gpu="H200",
            model="Llama-3.1-8B in bf16",
            law=AffineTime(c0=4.25, c1=0.0139, c2=0.0151, c3=3.2e-5),
            source=_REPORTED,
        ),
        "h200-70b-fp8": MeasuredGpu(
            gpu="H200",
            model="Llama-3.1-70B in fp8",
            law=AffineTime(c0=20.0, c1=0.110, c2=0.062, c3=8.7e-5),
            source=f"{_REPORTED}; mean error 2.5 %",
        ),
        "a800": MeasuredGpu(
            gpu="A800",
            model="Llama-2-7B",
            law=AffineTime(c0=8.95, c1=0.0875, c2=0.0580, c3=2.88e-4),
            source="measured kernels, reported; errors 3.9 % of prompt and 2.8 % of token batches",
        ),
        "a100-opt-13b": MeasuredGpu(
            gpu="A100-80G",
            model="OPT-13B",
            law=AffineTime(c0=23.48, c1=0.1405, c2=0.0607, c3=5.93e-4, c0_prompt=22.05),
            source="DistServe's profile of an older vLLM (LLMServe/DistServe), up to 95 requests, "
            "without the prompts' quadratic term of 8.1e-6 ms",
        ),
        "rtx-4090": MeasuredGpu(
            gpu="RTX 4090",
            model="Llama-3.1-8B",
            law=AffineTime(c0=13.67, c1=0.0984, c2=0.0504, c3=1.88e-4),
            source=_LOGS,
        ),
        "rtx-pro-6000": MeasuredGpu(
            gpu="RTX PRO 6000",
            model="Llama-3.1-8B",
            law=AffineTime(c0=13.29, c1=0.0399, c2=0.0289, c3=7.99e-5),
            source=_LOGS,
        ),
        "2x-rtx-pro-6000": MeasuredGpu(
            gpu="two RTX PRO 6000 in tensor parallel",
            model="Qwen3-32B",
            law=AffineTime(c0=25.65, c1=0.161, c2=0.0026, c3=2.45e-4),
            source=_LOGS,
        ),
        "blackwell-qwen3-4b": MeasuredGpu(
            gpu="a Blackwell-class GPU",
            model="Qwen3-4B",
            law=AffineTime(c0=5.25, c1=0.01434, c2=0.02725, c3=0.0),
            source="127 vLLM steps at a context of 32 tokens (weifang231/eb-vllm), which cannot "
            "tell c3; mean error 4.7 %",
        ),
    }
)
