"""The public functions: what the command line does, as functions that return objects."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .arguments.instances import load_for, located, require_model, require_seconds
from .arguments.outputs import PathLike, require_outputs
from .arguments.policies import policy_specifications
from .models.claims import Claims
from .models.errors import BatchprophetError, InputError
from .models.files.instance_file import read_instance
from .models.files.solution_file import read_solution_file
from .models.instance import Instance
from .models.objectives import MAXIMISED, OBJECTIVES, is_defined, with_latency_limit
from .models.regime import Schedule
from .models.regimes import check as violations_of
from .models.regimes import regime_of, schedule_value
from .models.service import require_comparable
from .results.checked import Checked, CheckedBound, CheckedClaims
from .results.compared import Compared, ComparedBoth
from .results.converted import Converted
from .results.goodput import goodput_of, limits_of
from .results.regimes import Judge, counterfactuals, slo_of
from .results.simulated import Simulated
from .results.solved import Solved
from .results.studied import Studied

if TYPE_CHECKING:
    from .models.extension import Extend
    from .online.continuous.counterfactuals import Counterfactual
    from .online.mixed.policy import Policy
    from .online.regime import OnlineRegime
    from .online.separate.policy import SeparatePolicy
    from .online.study.progress import StudyProgress
    from .solvers.certificates.certificate import Certificate
    from .solvers.progress import Progress
    from .solvers.solution import Solution


def load(path: PathLike) -> Instance:
    """Read an ``instance.json``.

    See Also
    --------
    batchprophet.models.files.instance_file.read_instance : What the file must hold.
    convert, make : Instances from traces and from named families.
    """
    return read_instance(path)


def solve(
    instance: Instance | PathLike,
    *,
    model: str = "mixed",
    objective: str = "latency",
    time_limit: float = 60.0,
    work_limit: int | None = None,
    threads: int | None = None,
    seed: int = 0,
    formulation: str = "auto",
    warm_start: Schedule | None = None,
    export: PathLike | None = None,
    extend: Extend | None = None,
    horizon: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Solved:
    """Find the hindsight optimum of an instance, or a schedule with a proved bound.

    Parameters
    ----------
    instance : Instance or path-like
        An instance, or its file.
    model : {"mixed", "separate"}
        The batching regime. Mixed batching takes the unit-time law, and of
        batch limits those on the requests and tokens of a round.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        What to optimise.
    time_limit : float
        Seconds, ≥ 0; with 0 only list schedules and combinatorial bounds. Compilation at first use
        comes first and is not counted.
    work_limit, threads, seed, formulation, warm_start, progress
        As in `batchprophet.solvers.hindsight.solve`.
    export : path-like, optional
        Write the MILP to this file first, for any solver; see `export`.
    extend : callable, optional
        ``extend(model)`` adds linear constraints to the MILP, a Pyomo model (docs/how-to/
        my-constraint.md has its parts). The schedule obeys them, exactly where they have whole
        numbers; the bound holds with them.
    horizon : int, optional
        With `extend`: the latest completion of all requests, in the batch-time law's unit. By
        default it is derived, and moved until no better schedule can end later.

    Returns
    -------
    Solved
        The checked solution, with its summary and pictures.

    Raises
    ------
    InputError
        If the instance, a parameter or a constraint cannot be used.
    InfeasibleError
        If no schedule within the horizon obeys the constraints.
    BatchprophetError
        If none was found within the limits.

    See Also
    --------
    compare : The hindsight optimum and online policies side by side.
    check : Verify a schedule, and a bound by its certificate.

    Examples
    --------
    >>> import batchprophet as bp
    >>> gpu = bp.Gpu(kv_capacity=9)
    >>> instance = bp.Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> bp.solve(instance).solution.status
    'optimal'
    """
    require_model(model)
    require_seconds(time_limit)
    loaded = load_for(model, instance)
    from .solvers import hindsight
    from .solvers.regimes import recipe
    from .solvers.warm_up import compile_first

    if extend is None and horizon is not None:
        raise InputError("horizon: expected with constraints (extend), found alone")
    if export is not None:
        read = None if isinstance(instance, Instance) else instance
        require_outputs([("export", export)], [("instance", read)])
        export_model(
            loaded, export, model=model, objective=objective, formulation=formulation,
            extend=extend, horizon=horizon,
        )  # fmt: skip
    engine = extend is not None or formulation == "auto"  # else the MILP solves
    if time_limit > 0 and engine and objective in recipe(model).engine:
        compile_first(model, progress, instance=loaded)
    if extend is not None:
        from .solvers.extended import solve_extended
        from .solvers.recipe import Options

        options = Options(
            objective=objective, time_limit=time_limit, work_limit=work_limit, threads=threads,
            seed=seed, formulation=formulation,
        )  # fmt: skip
        found, constrained = solve_extended(
            recipe(model), loaded, options, extend,
            horizon=horizon, warm_start=warm_start, progress=progress,
        )  # fmt: skip
        return Solved(instance=loaded, solution=found, constrained=constrained)
    solution: Solution[Any] = hindsight.solve(
        loaded,
        model=model,
        objective=objective,
        time_limit=time_limit,
        work_limit=work_limit,
        threads=threads,
        seed=seed,
        warm_start=warm_start,
        formulation=formulation,
        progress=progress,
    )
    return Solved(instance=loaded, solution=solution)


def export_model(
    instance: Instance | PathLike,
    path: PathLike,
    *,
    model: str = "mixed",
    objective: str = "latency",
    formulation: str = "auto",
    extend: Extend | None = None,
    horizon: int | None = None,
) -> None:
    """Write the MILP of an instance to a file, for any solver, without solving it.

    Parameters
    ----------
    instance : Instance or path-like
        An instance, or its file.
    path : path-like
        A file that ends in ``.lp``, ``.mps``, ``.lp.gz`` or ``.mps.gz``.
    model, objective, extend, horizon
        As in `solve`. The default horizon is that of the instance without the constraints: with
        them the optimum may be later, so give one.
    formulation : str
        By default "running-sum", under separate batching "stages" ("time-expanded" with
        constraints), and "batch-sequence" under the affine law and continuous batching.

    Raises
    ------
    InputError
        If something cannot be used, or the file cannot be written.

    See Also
    --------
    read_solution : The way back, from a solver's solution file to a schedule.

    Examples
    --------
    >>> import batchprophet as bp, tempfile
    >>> gpu = bp.Gpu(kv_capacity=9)
    >>> instance = bp.Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bp.export_model(instance, f"{folder}/model.lp")
    """
    from .models.model_file import require_ending
    from .solvers.exported import exported
    from .solvers.regimes import recipe

    require_model(model)
    require_ending(path)
    loaded = load_for(model, instance)
    read = None if isinstance(instance, Instance) else instance
    require_outputs([("export", path)], [("instance", read)])
    exported(
        recipe(model), loaded, objective=objective, formulation=formulation, extend=extend,
        horizon=horizon,
    ).write(path)  # fmt: skip


def read_solution(
    instance: Instance | PathLike,
    path: PathLike,
    *,
    model: str = "mixed",
    objective: str = "latency",
    formulation: str = "auto",
    extend: Extend | None = None,
    horizon: int | None = None,
) -> Schedule:
    r"""Read the schedule in another solver's solution of an exported MILP.

    What the schedule is worth is for `check`. It is the model's; without constraints its batches
    start as early as their order allows, which is never worse.

    Parameters
    ----------
    instance : Instance or path-like
        An instance, or its file.
    path : path-like
        A solution file of HiGHS (raw style), SCIP, CBC, Gurobi or GLPK (``--output``).
    model, objective, formulation, extend, horizon
        As in `export_model`, when the model was written.

    Returns
    -------
    MixedSchedule or SeparateSchedule or ContinuousSchedule
        The schedule.

    Raises
    ------
    InputError
        If the file cannot be read, has other variables than the model, or its schedule does not
        obey the constraints.

    See Also
    --------
    export_model : The way there.

    Examples
    --------
    >>> import batchprophet as bp, tempfile
    >>> from pathlib import Path
    >>> gpu = bp.Gpu(kv_capacity=9)
    >>> instance = bp.Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.sol"
    ...     _ = path.write_text("# Objective value = 7\nx(0_0) 1\nx(1_3) 1\n")
    ...     bp.read_solution(instance, path)
    MixedSchedule(start=[0, 3])
    """
    from .models.solver_solutions import read_values
    from .solvers.exported import exported
    from .solvers.regimes import recipe

    require_model(model)
    loaded = load_for(model, instance)
    found = read_values(path)
    milp = exported(
        recipe(model), loaded, objective=objective, formulation=formulation, extend=extend,
        horizon=horizon,
    )  # fmt: skip
    schedule: Schedule = milp.schedule(found.values, os.fspath(path))
    return schedule


def simulate(
    instance: Instance | PathLike,
    policy: str | Policy | SeparatePolicy,
    *,
    model: str = "mixed",
    seed: int = 0,
    slo: str | None = None,
) -> Simulated:
    """Run one online policy on an instance.

    Parameters
    ----------
    instance : Instance or path-like
        An instance, or its file.
    policy : str or Policy or SeparatePolicy
        ``NAME[:key=value,…]``, ``module:Class`` or a policy, of the regime.
    model : {"mixed", "separate"}
        The batching regime.
    seed : int
        ≥ 0; the same seed gives the same schedule.
    slo : str, optional
        Latency limits ``ttft=T,tpot=T`` for the goodput, in milliseconds (rounds or slots under
        laws without seconds).

    Returns
    -------
    Simulated
        The checked schedule, with its figures and pictures.

    Raises
    ------
    InputError
        If the instance, the policy or the seed cannot be used.
    PolicyError
        If the policy decides what the rules do not allow.
    DoesNotFinish
        If the policy never finishes.

    See Also
    --------
    policies : What there is to choose from.
    compare : Several policies against the hindsight optimum.

    Examples
    --------
    >>> import batchprophet as bp
    >>> gpu = bp.Gpu(kv_capacity=9)
    >>> instance = bp.Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> bp.simulate(instance, "mc-sf").metrics.total_latency
    7
    """
    require_model(model)
    limits = slo_of(slo, model)
    loaded = load_for(model, instance)
    from .online.regimes import policy_of, regime
    from .online.registry import policy_spec

    online = regime(model)
    if policy in online.references:
        raise InputError(
            f"policy {policy}: expected a policy of {model} batching, found a reference, whose "
            "batches mix; compare shows what it reaches"
        )
    made = policy_of(model, policy)
    name = policy if isinstance(policy, str) else policy_spec(made)
    began = time.perf_counter()
    schedule = online.simulate(loaded, made, seed=seed)
    seconds = time.perf_counter() - began
    if violations := violations_of(loaded, schedule):  # a defect of the policy or the simulator
        raise BatchprophetError(f"{name}: made an infeasible schedule: {violations[0].message}")
    changes = _changes(online, loaded, [name], seed)
    return Simulated(
        instance=loaded,
        policy=name,
        schedule=schedule,
        metrics=online.measure(loaded, schedule),
        seconds=seconds,
        account=online.breakdown(loaded, schedule),
        goodput=None if limits is None else goodput_of(loaded, schedule, limits),
        changes=tuple(changes.get(name, ())),
    )


def compare(
    instance: Instance | PathLike,
    *,
    policies: str | Sequence[str | Policy | SeparatePolicy] | None = None,
    model: str = "mixed",
    objective: str = "latency",
    time_limit: float = 60.0,
    threads: int | None = None,
    seed: int = 0,
    slo: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Compared:
    """Put the hindsight optimum and online policies side by side.

    Parameters
    ----------
    instance : Instance or path-like
        An instance, or its file.
    policies : str or sequence, optional
        ``"a,b:key=value"``, or policies one by one; the built-in ones by default.
    model : {"mixed", "separate"}
        The batching regime; `compare_both` takes both.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward", "p99", "ttft", "goodput"}
        What all are judged by. By the last three (99th percentile of latency, mean time to first
        token, number of requests within the limits of `slo`) the hindsight solve still minimises
        the total latency; the best schedule known is the best of all in the table, and the bound
        holds for every schedule.
    time_limit : float
        Seconds for the hindsight solve, ≥ 0, without compilation at first use.
    slo : str, optional
        Latency limits ``ttft=T,tpot=T`` for a column of the goodput, as in `simulate`; the
        objective "goodput" needs them.
    threads, seed, progress
        As in `batchprophet.online.evaluation.compare`.

    Returns
    -------
    Compared
        Checked schedules, ratios, pictures, report.

    Raises
    ------
    InputError
        If the instance, a policy or a parameter cannot be used.
    PolicyError
        If a policy decides what the rules do not allow.

    See Also
    --------
    compare_both : Separate against mixed batching.
    simulate : One policy alone.

    Examples
    --------
    >>> import batchprophet as bp
    >>> gpu = bp.Gpu(kv_capacity=9)
    >>> instance = bp.Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> [row.ratio_to_bound for row in bp.compare(instance, policies="mc-sf").rows()]
    [1.0, 1.0]
    """
    require_model(model)
    require_seconds(time_limit)
    limits = slo_of(slo, model)
    require_comparable(objective)
    loaded = load_for(model, instance)
    chosen = policy_specifications(policies, model)
    from .online import evaluation
    from .online.warm_up import policies_compiled_beside
    from .solvers.warm_up import compile_first

    if time_limit > 0:
        with policies_compiled_beside(model if chosen is None else None) as beside:
            compile_first(model, progress, instance=loaded)
            beside.join()
    comparison = evaluation.compare(
        loaded,
        chosen,
        model=model,
        objective=objective,
        time_limit=time_limit,
        threads=threads,
        seed=seed,
        limits=None if limits is None else limits_of(loaded, limits),
        progress=progress,
    )
    from .online.regimes import regime

    finished = [each.policy for each in comparison.ranked()]
    changes = _changes(regime(model), loaded, finished, seed, comparison.value_of)
    return Compared(comparison=comparison, slo=limits, changes=changes)


def _changes(
    online: OnlineRegime,
    instance: Instance,
    finished: list[str],
    seed: int,
    value: Judge | None = None,
) -> dict[str, list[Counterfactual]]:
    """Play some of the built-in policies that finish, the best first, again on other GPUs.

    They are judged by `value`, by default the total latency.
    """
    known = online.registry.built_in
    return counterfactuals(
        instance,
        online.model,
        [name for name in finished if name.partition(":")[0] in known],
        seed=seed,
        deliberate=online.registry.deliberate,
        value=value,
    )


def compare_both(
    instance: Instance | PathLike,
    *,
    policies: str | Sequence[str | Policy | SeparatePolicy] | None = None,
    time_limit: float = 60.0,
    threads: int | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> ComparedBoth:
    """Compare separate with mixed batching on the same requests: the price of separate batching.

    Parameters
    ----------
    instance : Instance or path-like
        An instance, or its file; any batch-time law, any batch limits. The mixed side has neither:
        its rounds are as long as the shortest batch here.
    policies, time_limit, threads, seed, progress
        As in `compare`; each policy is run in the regimes that have it, and each regime has the
        whole time limit.

    Returns
    -------
    ComparedBoth
        Both comparisons, and the price.

    Raises
    ------
    InputError, PolicyError
        As in `compare`.

    See Also
    --------
    compare : One regime alone.
    batchprophet.online.separate.price : What the price is, and how it is bounded.

    Examples
    --------
    >>> import batchprophet as bp
    >>> gpu = bp.Gpu(kv_capacity=40)
    >>> instance = bp.Instance(gpu=gpu, arrival=[0, 1], prompt=[3, 1], output=[4, 2])
    >>> both = bp.compare_both(instance, policies="prefill-first,mc-sf")
    >>> round(both.price.low, 3), both.price.exact
    (1.167, True)
    """
    require_seconds(time_limit)
    loaded = load_for("both", instance)
    chosen = policy_specifications(policies, "both")
    from .online import compare_regimes
    from .solvers.warm_up import compile_first

    if time_limit > 0:
        for model in ("mixed", "separate"):
            compile_first(model, progress)
    found = compare_regimes.compare_both(
        loaded, chosen, time_limit=time_limit, threads=threads, seed=seed, progress=progress
    )
    return ComparedBoth(
        separate=Compared(comparison=found.separate, price=found.price),
        mixed=Compared(comparison=found.mixed),
    )


def study(
    file: PathLike,
    out: PathLike,
    *,
    jobs: int | None = None,
    exports: Sequence[PathLike] = (),
    progress: Callable[[StudyProgress], None] | None = None,
) -> Studied:
    """Run a study, or what is left of it, and return its table.

    Parameters
    ----------
    file : path-like
        A study file (docs/studies.md).
    out : path-like
        Folder for the store, ``results.csv`` and ``summary.json``; what it has is not run again.
    jobs : int, optional
        Processes, ≥ 1; one per core by default.
    exports : sequence of path-like
        Files for the table with seconds and machines, ``.csv`` or ``.parquet``.
    progress : callable, optional
        Called with a `StudyProgress`.

    Returns
    -------
    Studied
        The table as a data frame, performance profiles, box plots.

    Raises
    ------
    InputError
        If the study or a file cannot be used.

    See Also
    --------
    compare : One instance.

    Examples
    --------
    >>> import batchprophet as bp
    >>> studied = bp.study("studies/smoke.toml", "smoke")  # doctest: +SKIP
    >>> studied.to_frame().groupby("policy")["ratio_low"].mean()  # doctest: +SKIP
    """
    from .arguments.outputs import make_folder
    from .online.study.engine import LocalProcesses, default_jobs
    from .online.study.reading import read_study
    from .online.study.recipe import run_study

    read = read_study(Path(file))
    folder = make_folder(out)
    engine = LocalProcesses(jobs or default_jobs())
    rows, summary = run_study(read, folder, engine=engine, exports=exports, progress=progress)
    return Studied(study=read, rows=tuple(rows), summary_of=summary)


def check(
    instance: Instance | PathLike,
    schedule: Schedule | PathLike,
    *,
    certificate: Certificate | PathLike | None = None,
    time_limit: float | None = None,
    slo: str | None = None,
) -> Checked:
    """Verify anyone's schedule with the independent checker, and a bound by its certificate.

    Parameters
    ----------
    instance : Instance or path-like
        An instance, or its file.
    schedule : MixedSchedule or SeparateSchedule or path-like
        A schedule, or a file with ``model`` and ``schedule``; it states the regime. Where the
        instance has a horizon, a separate schedule may leave requests out: they are rejected, and
        only the reward has a value.
    certificate : Certificate or path-like, optional
        The proof of a bound, or its file; the bound is recomputed without the solver.
    time_limit : float, optional
        Seconds for the certificate, ≥ 0; as long as it takes by default.
    slo : str, optional
        Latency limits ``ttft=T,tpot=T`` for the goodput, as in `simulate`.

    Returns
    -------
    Checked
        Every violated rule, or the values of a feasible schedule; the verdict on the bound; and
        what the file claims of the schedule but is not so.

    Raises
    ------
    InputError
        If a file cannot be read, or the schedule or certificate is of another instance.

    See Also
    --------
    Solved.save_certificate : Write the proof of a bound.

    Examples
    --------
    >>> import batchprophet as bp
    >>> gpu = bp.Gpu(kv_capacity=9)
    >>> instance = bp.Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> print(bp.check(instance, bp.MixedSchedule([0, 2])).summary())
    infeasible: 1 violation
      kv-capacity  KV capacity 9 exceeded by 1 token in round 4 (10 tokens held)
    """
    loaded = instance if isinstance(instance, Instance) else read_instance(instance)
    planned, claims = (
        read_solution_file(schedule, loaded)
        if isinstance(schedule, (str, os.PathLike))
        else (schedule, Claims())
    )
    limits = slo_of(slo, planned.model)
    load_for(planned.model, loaded, None if isinstance(instance, Instance) else instance)
    rejects = (  # rewards need a horizon
        loaded.horizon is not None and len(regime_of(planned).accepted(loaded, planned)) < loaded.n
    )
    with located(schedule):
        violations = tuple(violations_of(loaded, planned, allow_rejected=rejects))
    names = [name for name in OBJECTIVES if is_defined(loaded, name)]
    if rejects:
        names = [name for name in names if name in MAXIMISED]
    values = {} if violations else {name: schedule_value(loaded, planned, name) for name in names}
    bound = None
    if certificate is not None:
        bound = CheckedBound.verify(
            certificate, loaded, planned.model, values=values, time_limit=time_limit
        )
    complete = not violations and not rejects
    said = CheckedClaims.compare(claims, loaded, planned, values=values, bound=bound)
    return Checked(
        instance=loaded,
        schedule=planned,
        violations=violations,
        values=values,
        bound=bound,
        claims=said,
        goodput=goodput_of(loaded, planned, limits) if complete and limits is not None else None,
    )


def make(
    family: str,
    *,
    seed: int = 0,
    settings: Mapping[str, str | int | float] | None = None,
    latency_limit: int | None = None,
) -> Instance:
    """Draw an instance from a named family.

    Parameters
    ----------
    family : str
        A name of `batchprophet.models.families.FAMILIES`.
    seed : int
        ≥ 0; the same seed gives the same instance.
    settings : mapping, optional
        Settings of the family that differ from their defaults.
    latency_limit : int, optional
        As in `with_latency_limit`.

    Raises
    ------
    InputError
        If the family, a setting or the seed cannot be used.

    See Also
    --------
    convert : An instance from a trace.
    """
    from .models.families import make_instance

    instance = make_instance(family, seed=seed, settings=settings)
    return instance if latency_limit is None else with_latency_limit(instance, latency_limit)


def convert(
    trace: PathLike,
    *,
    round_ms: float | None = None,
    kv_capacity: int | None = None,
    format: str = "auto",  # noqa: A002 - the word of the command line
    columns: str | Mapping[str, str] | None = None,
    arrivals: str | None = None,
    start: float = 0.0,
    count: int | None = None,
    every: int = 1,
    load: float = 1.0,
    thin: float = 1.0,
    seed: int = 0,
    sort: bool = False,
    oversize: Literal["refuse", "drop"] = "refuse",
    zero: Literal["refuse", "drop"] = "refuse",
    pairs: str | None = None,
    name: str | None = None,
    batch_time: str = "unit",
    prompt_batch_requests: int | None = None,
    prompt_batch_tokens: int | None = None,
    token_batch_requests: int | None = None,
    max_num_seqs: int | None = None,
    max_num_batched_tokens: int | None = None,
    block_size: int = 1,
    chunked_prefill: bool = True,
    latency_limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Converted:
    """Convert a window of a real trace into an instance.

    Parameters
    ----------
    trace : path-like
        The trace's file.
    round_ms, kv_capacity, format, columns, arrivals, start, count, every, load, thin, seed
        As in `batchprophet.models.traces.convert_trace`.
    sort, oversize, zero, pairs, name, progress
        As there.
    batch_time : str
        ``unit``, ``constant:prompt=4,token=1`` (a slot is `round_ms`) or
        ``affine:c0=…,c1=…,c2=…,c3=…`` (milliseconds; `round_ms` is 0.001 then and may be left out).
    max_num_seqs, max_num_batched_tokens : int, optional
        Limits of mixed and continuous batching, ≥ 1: running requests, tokens in a batch; none by
        default.
    block_size : int
        Tokens in a block of KV memory under continuous batching, ≥ 1.
    chunked_prefill : bool
        Whether continuous batching may read a prompt in chunks.
    prompt_batch_requests, prompt_batch_tokens, token_batch_requests : int, optional
        Batch limits, ≥ 1; none by default.
    latency_limit : int, optional
        As in `with_latency_limit`.

    Returns
    -------
    Converted
        The instance, and a report of what was read, taken and left out.

    Raises
    ------
    InputError
        If the file, a value in it, or a choice cannot be used.

    See Also
    --------
    batchprophet.models.traces.convert_trace : The parameters that describe the trace.
    make : An instance from a named family.
    """
    from .models.gpu_text import length_of_round, with_gpu
    from .models.traces import convert_trace

    converted = convert_trace(
        trace,
        round_ms=length_of_round(batch_time, round_ms),
        kv_capacity=kv_capacity,
        format=format,
        columns=columns,
        arrivals=arrivals,
        start=start,
        count=count,
        every=every,
        load=load,
        thin=thin,
        seed=seed,
        sort=sort,
        oversize=oversize,
        zero=zero,
        pairs=pairs,
        name=name,
        progress=progress,
    )
    instance = with_gpu(
        converted.instance,
        batch_time=batch_time,
        prompt_batch_requests=prompt_batch_requests,
        prompt_batch_tokens=prompt_batch_tokens,
        token_batch_requests=token_batch_requests,
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max_num_batched_tokens,
        block_size=block_size,
        chunked_prefill=chunked_prefill,
    )
    if latency_limit is not None:
        instance = with_latency_limit(instance, latency_limit)
    return Converted(instance=instance, report=converted.report)


def demo(
    *, time_limit: float = 60.0, progress: Callable[[Progress], None] | None = None
) -> Compared:
    """Compare all policies with the optimum on the built-in instance.

    Parameters
    ----------
    time_limit : float
        Seconds for the hindsight solve, ≥ 0. Compilation, up to some minutes at first use, comes
        first and is not counted.
    progress : callable, optional
        As in `compare`.

    Returns
    -------
    Compared
        As from `compare`; the optimum is proved in about a second.

    Examples
    --------
    >>> import batchprophet as bp
    >>> bp.demo().solution.status
    'optimal'
    """
    from .demo_instance import demo_instance

    return compare(demo_instance(), time_limit=time_limit, progress=progress)


def policies(model: str = "mixed") -> dict[str, type]:
    """Return all policies of a regime by name; those of other installed packages come last.

    Parameters
    ----------
    model : {"mixed", "separate"}
        The batching regime.

    See Also
    --------
    batchprophet.online.conformance.check_policy : Check a policy of your own.

    Examples
    --------
    >>> import batchprophet as bp
    >>> "mc-sf" in bp.policies(), "hysteresis" in bp.policies("separate")
    (True, True)
    """
    from .online.regimes import regime

    return regime(model).registry.registered()
