"""A GPU as it stands in files."""

from __future__ import annotations

from typing import Any

import msgspec

from ..batch_time import AffineTime, BatchTime, ConstantTime, UnitTime
from ..errors import InputError
from ..instance import Gpu
from ..strict import Strict


class _Unit(Strict, tag="unit", tag_field="law"):
    pass


class _Constant(Strict, tag="constant", tag_field="law"):
    prompt: int
    token: int


class _Affine(Strict, tag="affine", tag_field="law"):
    c0: float
    c1: float
    c2: float
    c3: float
    c0_prompt: float | None = None


class GpuRecord(Strict):
    """A GPU: capacity, limits and law."""

    kv_capacity: int
    prompt_batch_requests: int | None = None
    prompt_batch_tokens: int | None = None
    token_batch_requests: int | None = None
    running_requests: int | None = None
    batch_tokens: int | None = None
    kv_block: int = 1
    chunked_prefill: bool = True
    batch_time: _Unit | _Constant | _Affine = msgspec.field(default_factory=_Unit)


def to_gpu(record: GpuRecord) -> Gpu:
    """Return the GPU of a record."""
    law: BatchTime
    match record.batch_time:
        case _Constant(prompt=prompt, token=token):
            law = ConstantTime(prompt=prompt, token=token)
        case _Affine(c0=c0, c1=c1, c2=c2, c3=c3, c0_prompt=c0_prompt):
            law = AffineTime(c0=c0, c1=c1, c2=c2, c3=c3, c0_prompt=c0_prompt)
        case _:
            law = UnitTime()
    return Gpu(
        kv_capacity=record.kv_capacity,
        prompt_batch_requests=record.prompt_batch_requests,
        prompt_batch_tokens=record.prompt_batch_tokens,
        token_batch_requests=record.token_batch_requests,
        running_requests=record.running_requests,
        batch_tokens=record.batch_tokens,
        kv_block=record.kv_block,
        chunked_prefill=record.chunked_prefill,
        batch_time=law,
    )


def read_gpu(place: str, record: object) -> Gpu:
    """Return the GPU of a record of `gpu_record`; `place` is where it stands, for errors.

    Raises
    ------
    InputError
        If it is none.

    Examples
    --------
    >>> read_gpu("gpu", gpu_record(Gpu(kv_capacity=9))).kv_capacity
    9
    """
    try:
        return to_gpu(msgspec.convert(record, GpuRecord))
    except msgspec.ValidationError as error:
        raise InputError(f"{place}: {error}") from error


def gpu_record(gpu: Gpu) -> dict[str, Any]:
    """Return a GPU as the object that stands in instance files."""
    law: dict[str, Any] = {"law": gpu.batch_time.name}
    match gpu.batch_time:
        case ConstantTime(prompt=prompt, token=token):
            law |= {"prompt": prompt, "token": token}
        case AffineTime(c0=c0, c1=c1, c2=c2, c3=c3):
            law |= {"c0": c0, "c1": c1, "c2": c2, "c3": c3}
            if gpu.batch_time.c0_prompt is not None:
                law["c0_prompt"] = gpu.batch_time.c0_prompt
    record: dict[str, Any] = {
        "kv_capacity": gpu.kv_capacity,
        "prompt_batch_requests": gpu.prompt_batch_requests,
        "prompt_batch_tokens": gpu.prompt_batch_tokens,
        "token_batch_requests": gpu.token_batch_requests,
    }
    continuous = {
        "running_requests": gpu.running_requests,
        "batch_tokens": gpu.batch_tokens,
        "kv_block": gpu.kv_block,
        "chunked_prefill": gpu.chunked_prefill,
    }
    unset = {"running_requests": None, "batch_tokens": None, "kv_block": 1, "chunked_prefill": True}
    record |= {key: value for key, value in continuous.items() if value != unset[key]}
    return record | {"batch_time": law}
