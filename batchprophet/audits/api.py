"""The public functions on engine logs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..arguments.instances import require_model, require_seconds
from ..arguments.outputs import PathLike
from ..arguments.slo import parse_slo
from ..models.batch_time import AffineTime
from ..models.engine_logs.log import EngineLog
from ..models.errors import InputError
from ..online.calibration.replay import engine_kind
from .audited import Audited, Calibrated, CalibratedSteps
from .engine import Said, engine_for

if TYPE_CHECKING:
    from ..models.engine_logs.iterations import Iterations
    from ..online.audit.figures import Limits
    from ..solvers.progress import Progress

#: The law that is fitted to the log.
FIT = "fit"

#: Fewest requests of a log that is judged: 95 % of fewer are all of them.
LEAST_REQUESTS = 20


def audit(
    log: EngineLog | PathLike,
    *,
    meta: PathLike | None = None,
    regime: str = "continuous",
    rule: str | None = None,
    kv_capacity: int | None = None,
    max_num_seqs: int | None = None,
    max_num_batched_tokens: int | None = None,
    block_size: int | None = None,
    batch_time: str = FIT,
    time_limit: float = 60.0,
    slo: str | None = None,
    format: str = "auto",  # noqa: A002 - the word of the command line
    columns: str | Mapping[str, str] | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> Audited:
    """Put an engine's log beside the best that was possible with its requests.

    Parameters
    ----------
    log : EngineLog or path-like
        A log, or its file.
    meta, format, columns
        As in `batchprophet.models.engine_logs.reading.read_engine_log`.
    regime : {"continuous", "separate"}
        How the engine batches.
    rule : str, optional
        The policy that the engine follows; ``vllm``, under separate batching ``prefill-first``.
    kv_capacity, max_num_seqs, max_num_batched_tokens, block_size : int, optional
        Limits of the engine; by default those of `meta`.
    batch_time : str
        ``"fit"``, or a law as ``affine:c0=…,c1=…,c2=…,c3=…`` (milliseconds).
    time_limit : float
        Seconds for the hindsight solve, ≥ 0; half of it is spent again on the bounds of knobs, and
        fits and plays of rules come on top of it.
    slo : str, optional
        Latencies that requests should keep, in milliseconds: ``ttft=2000,tpot=50``.
    seed : int
        Of the solver.
    progress : callable, optional
        Called with the stages of the audit and the solver's progress.

    Returns
    -------
    Audited
        Whether the model explains the log; if so the engine's ratio to the best possible.

    Raises
    ------
    InputError
        If the log, a limit or an option cannot be used, or the log has less than 20 requests.

    See Also
    --------
    calibrate : Only the batch-time law.

    Examples
    --------
    >>> import batchprophet as bp
    >>> from batchprophet.models.engine_logs.log import EngineLog
    >>> at = range(0, 200_000, 10_000)
    >>> log = EngineLog(
    ...     name="alone", format="-", arrival=at, first_token=[t + 2500 for t in at],
    ...     last_token=[t + 4500 for t in at], prompt=[4] * 20, output=[2] * 20,
    ... )
    >>> audited = bp.audit(
    ...     log, kv_capacity=99, batch_time="affine:c0=2,c1=0.125,c2=0,c3=0", time_limit=0
    ... )
    >>> audited.explained, round(audited.ratio[0], 2)
    (True, 1.0)
    """
    require_model(regime)
    require_seconds(time_limit)
    law, limits = _law(batch_time), _limits(slo)
    said = Said(regime, rule, kv_capacity, max_num_seqs, max_num_batched_tokens, block_size)
    from ..online.audit.audit import audit as audited
    from ..solvers.warm_up import compile_first

    if time_limit > 0:
        compile_first(regime, progress)
    found = _read(log, meta, format, columns)
    _require_enough(found)
    engine, assumed = engine_for(found, said, progress)
    return Audited(
        audit=audited(
            found,
            engine,
            law=law,
            time_limit=time_limit,
            limits=limits,
            seed=seed,
            progress=progress,
        ),
        assumed=tuple(assumed),
    )


def calibrate(
    log: EngineLog | PathLike,
    *,
    meta: PathLike | None = None,
    regime: str = "continuous",
    rule: str | None = None,
    kv_capacity: int | None = None,
    max_num_seqs: int | None = None,
    max_num_batched_tokens: int | None = None,
    block_size: int | None = None,
    format: str = "auto",  # noqa: A002 - the word of the command line
    columns: str | Mapping[str, str] | None = None,
) -> Calibrated | CalibratedSteps:
    """Fit the batch-time law to an engine's log, or to the batches that it measured.

    Parameters
    ----------
    log, meta, regime, rule, kv_capacity, max_num_seqs, max_num_batched_tokens, block_size
        As in `audit`.
    format, columns
        As there. Iteration logs (`batchprophet.models.engine_logs.iterations`) are recognised, and
        a table of batches by columns ``prompt=…,jobs=…,time=…[,kv=…|context=…][,unit=ms]``.

    Returns
    -------
    Calibrated or CalibratedSteps
        The law, with intervals of its coefficients and errors of requests or batches held out.

    Raises
    ------
    InputError
        As `audit`, or if the log has too few requests.

    See Also
    --------
    audit : The log against hindsight.
    """
    require_model(regime)
    if not isinstance(log, EngineLog):
        steps = _iterations(log, format, columns, kv_capacity)
        if steps is not None:
            from ..online.calibration.steps import fit_steps

            own = not engine_kind(regime).mixes
            return CalibratedSteps(fit=fit_steps(steps, own_prompt_intercept=own))
    said = Said(regime, rule, kv_capacity, max_num_seqs, max_num_batched_tokens, block_size)
    found = _read(log, meta, format, columns)
    engine, assumed = engine_for(found, said)
    from ..online.calibration.errors import held_out
    from ..online.calibration.explanation import explain
    from ..online.calibration.fit import fit_law
    from ..online.calibration.replay import replay

    fit = fit_law(found, engine)
    played = replay(found, engine, fit.law)
    errors = held_out(found, engine, played)
    explanation = explain(found, engine, played, errors, given=False)
    return Calibrated(fit=fit, explanation=explanation, rule=engine.rule, assumed=tuple(assumed))


def _read(
    log: EngineLog | PathLike,
    meta: PathLike | None,
    known: str,
    columns: str | Mapping[str, str] | None,
) -> EngineLog:
    if isinstance(log, EngineLog):
        return log
    from ..models.engine_logs.reading import read_engine_log

    return read_engine_log(log, format=known, columns=columns, meta=meta)


def _require_enough(log: EngineLog) -> None:
    """Refuse a log of so few requests that its 95 % are no share of its own."""
    if log.n < LEAST_REQUESTS:
        raise InputError(
            f"{log.path}: expected at least {LEAST_REQUESTS} requests that were served, found "
            f"{log.n}: too few requests to judge whether a model explains them"
        )


def _iterations(
    log: PathLike,
    known: str,
    columns: str | Mapping[str, str] | None,
    kv_capacity: int | None,
) -> Iterations | None:
    """Read measured batches, if the file is of these; None if it is a log of requests."""
    from ..models.engine_logs import iterations
    from ..models.traces.column_mapping import parse_columns
    from ..models.traces.file import TraceFile

    roles = parse_columns(columns) if isinstance(columns, str) else columns
    with TraceFile(log) as file:
        if roles is not None:
            return iterations.read_table(file, roles) if "jobs" in roles else None
        name = iterations.format_of(file.head()) if known == "auto" else known
        if name is None or name not in iterations.FORMATS:
            return None
        return iterations.read_iterations(file, name, kv_capacity)


def _law(batch_time: str) -> AffineTime | None:
    if batch_time.strip() == FIT:
        return None
    from ..models.gpu_text import parse_batch_time

    law = parse_batch_time(batch_time)
    if not isinstance(law, AffineTime):
        raise InputError(f"batch_time: expected fit or an affine law, found {batch_time!r}")
    return law


def _limits(slo: str | None) -> Limits:
    from ..online.audit.figures import Limits

    if slo is None:
        return Limits()
    found = parse_slo(slo)
    return Limits(
        ttft=None if found.ttft == math.inf else found.ttft,
        tpot=None if found.tpot == math.inf else found.tpot,
    )
