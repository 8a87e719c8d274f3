"""The command ``adversary``: search for a worst case of a policy, save it, recheck it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..arguments.outputs import make_folder, require_outputs_in
from ..arguments.policies import find_local_modules
from ..models.errors import InputError
from . import console
from .options import BatchLimit, BlockSize, ChunkedPrefill, ContinuousLimit, Json, Model, Seed

if TYPE_CHECKING:
    from ..models.instance import Gpu
    from ..online.adversary.witness import Recheck, Witness
    from ..online.adversary.worst_case import WorstCase

#: What is written into the folder.
FILES = [
    f"{name}.json"
    for name in ("witness", "instance", "policy", "solution", "certificate", "unfinished")
]


def adversary(
    policy: Annotated[
        str | None, typer.Option(metavar="NAME[:key=value,…]", help="The policy to attack.")
    ] = None,
    n: Annotated[int, typer.Option("--n", metavar="N", help="Most requests.")] = 6,
    kv_capacity: Annotated[int, typer.Option(metavar="M", help="KV capacity in tokens.")] = 12,
    model: Model = "mixed",
    batch_time: Annotated[
        str,
        typer.Option(
            metavar="LAW",
            help="unit, constant:prompt=2,token=1 (separate batching) or affine:c0=…,c1=…,c2=…,"
            "c3=…; separate and continuous batching.",
        ),
    ] = "unit",
    prompt_batch_requests: BatchLimit = None,
    prompt_batch_tokens: BatchLimit = None,
    token_batch_requests: BatchLimit = None,
    max_num_seqs: ContinuousLimit = None,
    max_num_batched_tokens: ContinuousLimit = None,
    block_size: BlockSize = 1,
    chunked_prefill: ChunkedPrefill = True,
    vary_limits: Annotated[
        bool,
        typer.Option(
            "--vary-limits",
            help="Also seek the worst --max-num-seqs and --max-num-batched-tokens, up to those "
            "given; continuous batching.",
        ),
    ] = False,
    span: Annotated[
        int | None,
        typer.Option(
            metavar="A",
            help="Latest arrival, in rounds, or in microseconds under an affine law; by default M "
            "batches of one token.",
        ),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(metavar="S", help="Seconds for the search, 60 by default; or for --recheck."),
    ] = None,
    work_limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Limit on candidates instead of time: reproducible."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="RATIO", help="Stop at this ratio, and shrink to a smallest instance with it."
        ),
    ] = None,
    seed: Seed = 0,
    recheck: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Recheck a witness, or its folder, instead.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the witness.")] = Path(
        "batchprophet-adversary"
    ),
    as_json: Json = False,
) -> None:
    """Search for the instance with the largest ratio of a policy's cost to the proved optimum.

    The worst case is shrunk and saved: witness.json (all of it, for --recheck), and instance.json,
    policy.json, solution.json and certificate.json for the other commands. --recheck runs the
    policy again, and imports it if it is one of yours (module:Class).
    """
    if (policy is None) == (recheck is None):
        raise InputError("adversary: expected either --policy NAME or --recheck PATH")
    find_local_modules()
    if recheck is not None:
        return _check_again(recheck, time_limit, as_json=as_json)
    assert policy is not None
    aim = None if target is None else _ratio(target)
    gpu = _gpu(
        model,
        kv_capacity,
        batch_time,
        separate={
            "prompt_batch_requests": prompt_batch_requests,
            "prompt_batch_tokens": prompt_batch_tokens,
            "token_batch_requests": token_batch_requests,
        },
        continuous={
            "max_num_seqs": max_num_seqs,
            "max_num_batched_tokens": max_num_batched_tokens,
            "block_size": block_size,
            "chunked_prefill": chunked_prefill,
            "vary_limits": vary_limits,
        },
    )
    from ..online.adversary.witness import write_witness
    from ..online.adversary.worst_case import find_worst_case

    require_outputs_in("--out", out, FILES)

    def save(witness: Witness) -> None:
        write_witness(witness, make_folder(out) / "witness.json")

    with console.live_text(f"adversary {policy}") as progress:
        worst = find_worst_case(
            policy,
            model=model,
            n=n,
            kv_capacity=kv_capacity,
            gpu=gpu,
            vary_limits=vary_limits,
            span=span,
            time_limit=60.0 if time_limit is None else time_limit,
            work_limit=work_limit,
            target=aim,
            seed=seed,
            found=save,
            progress=progress,
        )
    _save_parts(worst, out)
    if as_json:
        console.print_json(_record(worst))
    else:
        print(_summary(worst))
    if worst.interrupted:
        raise KeyboardInterrupt
    return None


def _gpu(
    model: str,
    kv_capacity: int,
    batch_time: str,
    *,
    separate: dict[str, Any],
    continuous: dict[str, Any],
) -> Gpu | None:
    """Return the GPU with limits of its regime; None for mixed batching, which has none but M."""
    from ..models.gpu_text import parse_batch_time
    from ..models.instance import Gpu
    from ..models.regimes import regime

    law = parse_batch_time(batch_time)
    if not regime(model).takes_limits:
        _refuse({"batch_time": batch_time}, "separate or continuous")
    for owner, options in (("separate", separate), ("continuous", continuous)):
        if owner != model:
            _refuse(options, owner)
    if not regime(model).takes_limits:
        return None
    return Gpu(
        kv_capacity=max(kv_capacity, 2),
        batch_time=law,
        running_requests=continuous["max_num_seqs"],
        batch_tokens=continuous["max_num_batched_tokens"],
        kv_block=continuous["block_size"],
        chunked_prefill=continuous["chunked_prefill"],
        **separate,
    )


#: Options as they are where they are not given.
_NOT_GIVEN = {"batch_time": "unit", "block_size": 1, "chunked_prefill": True, "vary_limits": False}


def _refuse(options: dict[str, Any], models: str) -> None:
    """Refuse options of another regime that are given."""
    for name, value in options.items():
        if value == _NOT_GIVEN.get(name):
            continue
        option = ("no-" if name == "chunked_prefill" else "") + name.replace("_", "-")
        found = f", found {value!r}" if not isinstance(value, bool) else ""
        raise InputError(f"adversary: --{option} takes --model {models}{found}")


def _ratio(word: str) -> Fraction:
    try:
        ratio = Fraction(word)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"target: expected a ratio like 1.3 or 13/10, found {word!r}") from error
    if ratio < 1:
        raise InputError(f"target: expected a ratio of at least 1, found {word}")
    return ratio


def _save_parts(worst: WorstCase, out: Path) -> None:
    """Write what the other commands read."""
    from ..models.files.instance_file import write_instance
    from ..models.files.solution_file import solution_record
    from ..models.files.writing import write_json
    from ..solvers.certificates.file import write_certificate

    if worst.unfinished is not None:
        write_instance(worst.unfinished, make_folder(out) / "unfinished.json")
    if worst.witness is None:
        return
    judged, folder = worst.witness.judged, make_folder(out)
    instance = judged.instance.replace(name=f"worst case of {worst.policy}")
    write_instance(instance, folder / "instance.json")
    for name, schedule in (("policy", judged.schedule), ("solution", judged.hindsight)):
        write_json(solution_record(instance.name, schedule), folder / f"{name}.json")
    certificate = judged.certificate()
    if certificate is not None:
        write_certificate(certificate, folder / "certificate.json")
    console.note(f"wrote {folder}/witness.json, and its parts")


def _summary(worst: WorstCase) -> str:
    from ..report.table import ratio_down, ratio_up

    space = worst.space
    lines = [
        f"{worst.policy}: {worst.candidates:,} instances of up to {space.n} requests, M = "
        f"{space.kv_capacity:,}, arrivals up to {space.span:,}"
        f"{' µs' if space.counts_microseconds else ''}, {worst.seconds:.1f} s"
    ]
    if worst.unfinished is not None:
        lines.append(
            f"does not finish on an instance of {worst.unfinished.n} requests (unfinished.json), "
            "which is worse than any ratio"
        )
    if worst.witness is None:
        return "\n".join([*lines, "no ratio found: it did not finish on any instance"])
    judged = worst.witness.judged
    lines.append(
        f"ratio {ratio_down(judged.ratio)}: cost {judged.cost}, optimum {judged.value} (proved)"
        if judged.proved
        else f"ratio {ratio_down(judged.ratio)} or more (at most {ratio_up(judged.most)}): cost "
        f"{judged.cost}, optimum from {judged.bound} to {judged.value}"
    )
    instance = judged.instance
    lines.append("  arrival  prompt  output | done: policy    hindsight")
    ends = judged.schedule.completion(instance), judged.hindsight.completion(instance)
    columns = (instance.arrival, instance.prompt, instance.output, *ends)
    for a, s, o, ours, best in zip(*(column.tolist() for column in columns), strict=True):
        lines.append(f"  {a:7}  {s:6}  {o:6} | {ours:14}  {best:9}")
    return "\n".join(lines)


def _record(worst: WorstCase) -> dict[str, Any]:
    record: dict[str, Any] = {
        "policy": worst.policy,
        "n": worst.space.n,
        "kv_capacity": worst.space.kv_capacity,
        "span": worst.space.span,
        "candidates": worst.candidates,
        "seconds": round(worst.seconds, 3),
        "finishes": worst.unfinished is None,
    }
    if worst.witness is None:
        return record | {"ratio": None, "witness": None}
    judged = worst.witness.judged
    return record | {
        "ratio": float(judged.ratio),
        "ratio_at_most": float(judged.most),
        "proved": judged.proved,
        "witness": worst.witness.to_record(),
    }


def _check_again(path: Path, time_limit: float | None, *, as_json: bool) -> None:
    from ..online.adversary.witness import recheck

    found = recheck(path, time_limit=time_limit)
    if as_json:
        console.print_json(_recheck_record(found))
    else:
        print(_recheck_text(found))
    if not found.holds:
        raise typer.Exit(1)


def _recheck_record(found: Recheck) -> dict[str, Any]:
    return {
        "policy": found.policy,
        "holds": found.holds,
        "cost": found.cost,
        "hindsight": found.value,
        "bound": found.bound,
        "faults": list(found.faults),
    }


def _recheck_text(found: Recheck) -> str:
    from ..report.table import ratio_down, ratio_up

    if not found.holds:
        return "\n".join(["the witness does not hold", *(f"  {fault}" for fault in found.faults)])
    assert found.interval is not None
    low, high = found.interval
    ratio = ratio_down(low) if low == high else f"{ratio_down(low)} to {ratio_up(high)}"
    return (
        f"the witness holds: {found.policy} costs {found.cost}, {ratio} times the optimum "
        f"(n = {found.instance.n}, M = {found.instance.gpu.kv_capacity:,})"
    )
