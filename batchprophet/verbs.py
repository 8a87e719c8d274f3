"""The verbs: what the command line does, as functions that return objects."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from .models.errors import BatchprophetError, InputError
from .models.feasibility import check_mixed
from .models.files import read_instance, read_schedule
from .models.instance import Instance
from .models.metrics import measure
from .models.mixed.regime import require_mixed
from .models.objectives import OBJECTIVES, Exact, evaluate
from .models.schedule import MixedSchedule
from .policy_list import split_policies
from .results import Checked, CheckedBound, Compared, Converted, Simulated, Solved
from .tables import HINDSIGHT

if TYPE_CHECKING:
    from .online.policy import Policy
    from .solvers.certificates.certificate import Certificate
    from .solvers.progress import Progress

PathLike = str | os.PathLike[str]


def load(path: PathLike) -> Instance:
    """Read an ``instance.json``; see `batchprophet.models.files.read_instance`."""
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
    warm_start: MixedSchedule | None = None,
    export: PathLike | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Solved:
    """Find the hindsight optimum of an instance, or a schedule with a proved bound.

    Parameters
    ----------
    instance : Instance or path-like
        An instance, or its file.
    model : {"mixed"}
        The batching regime.
    objective : {"latency", "weighted", "makespan", "reward"}
        What to optimise.
    time_limit : float
        Seconds, ≥ 0; with 0 only list schedules and combinatorial bounds.
    work_limit, threads, seed, formulation, warm_start, progress
        As in `batchprophet.solvers.hindsight.solve`.
    export : path-like, optional
        Write the MILP here first, for any solver; a name that ends in ``.lp`` or ``.mps``. Its
        form is the running-sum form where `formulation` is "auto".

    Returns
    -------
    Solved
        The checked solution, with its summary and pictures.

    Raises
    ------
    InputError
        If the instance or a parameter cannot be used.

    Examples
    --------
    >>> import batchprophet as bp
    >>> gpu = bp.Gpu(kv_capacity=9)
    >>> instance = bp.Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> bp.solve(instance).solution.status
    'optimal'
    """
    require_mixed_model(model)
    _require_seconds(time_limit)
    loaded = load_mixed(instance)
    from .models.mixed.formulation import write_model
    from .solvers import hindsight

    if export is not None:
        form = "running-sum" if formulation == "auto" else formulation
        write_model(loaded, export, objective=objective, formulation=form)
    solution = hindsight.solve(
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
    _require_feasible(loaded, solution.schedule, solution.method)
    return Solved(instance=loaded, solution=solution)


def simulate(
    instance: Instance | PathLike, policy: str | Policy, *, model: str = "mixed", seed: int = 0
) -> Simulated:
    """Run one online policy on an instance.

    Parameters
    ----------
    instance : Instance or path-like
        An instance, or its file.
    policy : str or Policy
        ``NAME[:key=value,…]``, ``module:Class`` or a policy.
    model : {"mixed"}
        The batching regime.
    seed : int
        ≥ 0; the same seed gives the same schedule.

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
        If the policy would go on for ever.

    Examples
    --------
    >>> import batchprophet as bp
    >>> gpu = bp.Gpu(kv_capacity=9)
    >>> instance = bp.Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> bp.simulate(instance, "mc-sf").metrics.total_latency
    7
    """
    require_mixed_model(model)
    loaded = load_mixed(instance)
    from .online import simulator
    from .online.policy import make_policy, policy_spec

    made = make_policy(policy)
    name = policy if isinstance(policy, str) else policy_spec(made)
    began = time.perf_counter()
    schedule = simulator.simulate(loaded, made, seed=seed, model=model)
    seconds = time.perf_counter() - began
    _require_feasible(loaded, schedule, name)
    metrics = measure(loaded, schedule)
    return Simulated(
        instance=loaded, policy=name, schedule=schedule, metrics=metrics, seconds=seconds
    )


def compare(
    instance: Instance | PathLike,
    *,
    policies: str | Sequence[str | Policy] | None = None,
    model: str = "mixed",
    time_limit: float = 60.0,
    threads: int | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> Compared:
    """Put the hindsight optimum and online policies side by side.

    Parameters
    ----------
    instance : Instance or path-like
        An instance, or its file.
    policies : str or sequence, optional
        ``"a,b:key=value"``, or policies one by one; the built-in ones by default.
    model : {"mixed"}
        The batching regime.
    time_limit : float
        Seconds for the hindsight solve, ≥ 0.
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

    Examples
    --------
    >>> import batchprophet as bp
    >>> gpu = bp.Gpu(kv_capacity=9)
    >>> instance = bp.Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> [row.ratio_to_bound for row in bp.compare(instance, policies="mc-sf").rows()]
    [1.0, 1.0]
    """
    require_mixed_model(model)
    _require_seconds(time_limit)
    loaded = load_mixed(instance)
    chosen = policy_specifications(policies)
    from .online import evaluation

    comparison = evaluation.compare(
        loaded,
        chosen,
        model=model,
        time_limit=time_limit,
        threads=threads,
        seed=seed,
        progress=progress,
    )
    compared = Compared(comparison=comparison)
    for name, schedule in compared.schedules().items():
        _require_feasible(loaded, schedule, name)
    return compared


def check(
    instance: Instance | PathLike,
    schedule: MixedSchedule | PathLike,
    *,
    certificate: Certificate | PathLike | None = None,
    time_limit: float | None = None,
) -> Checked:
    """Verify anyone's schedule with the independent checker, and a bound by its certificate.

    Parameters
    ----------
    instance : Instance or path-like
        An instance, or its file.
    schedule : MixedSchedule or path-like
        A schedule, or a file with ``model`` and ``schedule``.
    certificate : Certificate or path-like, optional
        The proof of a bound, or its file: it is recomputed without the solver that found it.
    time_limit : float, optional
        Seconds for the certificate, ≥ 0; as long as it takes by default.

    Returns
    -------
    Checked
        Every violated rule, or the values of a feasible schedule; and the verdict on the bound.

    Raises
    ------
    InputError
        If a file cannot be read, or schedule or certificate are those of another instance.

    Examples
    --------
    >>> import batchprophet as bp
    >>> gpu = bp.Gpu(kv_capacity=9)
    >>> instance = bp.Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> print(bp.check(instance, bp.MixedSchedule([0, 2])).summary())
    infeasible: 1 violation
      kv-capacity  KV capacity 9 exceeded by 1 token in round 4 (10 tokens held)
    """
    loaded = load_mixed(instance)
    if isinstance(schedule, MixedSchedule):
        planned, where = schedule, None
    else:
        planned, where = _read_mixed(schedule, loaded), schedule
    with _located(where):
        violations = tuple(check_mixed(loaded, planned))
    names = [name for name in OBJECTIVES if name != "reward" or loaded.horizon is not None]
    completion = planned.completion(loaded)
    values = {} if violations else {name: evaluate(loaded, completion, name) for name in names}
    bound = None
    if certificate is not None:
        bound = _verified(loaded, certificate, values, time_limit)
    return Checked(
        instance=loaded, schedule=planned, violations=violations, values=values, bound=bound
    )


def make(
    family: str, *, seed: int = 0, settings: Mapping[str, str | int | float] | None = None
) -> Instance:
    """Draw an instance from a named family.

    Parameters
    ----------
    family : str
        A name of `batchprophet.models.families.FAMILIES`.
    seed : int
        ≥ 0; the same seed gives the same instance.
    settings : mapping, optional
        The family's settings that are not to stay at their defaults.

    Raises
    ------
    InputError
        If the family, a setting or the seed cannot be used.
    """
    from .models.families import make_instance

    return make_instance(family, seed=seed, settings=settings)


def convert(
    trace: PathLike,
    *,
    round_ms: float,
    kv_capacity: int,
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
    name: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Converted:
    """Convert a window of a real trace into an instance.

    Parameters
    ----------
    trace : path-like
        The trace's file.
    round_ms, kv_capacity, format, columns, arrivals, start, count, every, load, thin, seed
        As in `batchprophet.models.traces.convert_trace`.
    sort, oversize, zero, name, progress
        As there.

    Returns
    -------
    Converted
        The instance, and the account of what was read, taken and left out.

    Raises
    ------
    InputError
        If the file, a value in it, or a choice cannot be used.
    """
    from .models.traces import convert_trace

    converted = convert_trace(
        trace,
        round_ms=round_ms,
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
        name=name,
        progress=progress,
    )
    return Converted(instance=converted.instance, report=converted.report)


def demo(
    *, time_limit: float = 60.0, progress: Callable[[Progress], None] | None = None
) -> Compared:
    """Compare all policies with the optimum on the built-in instance.

    Parameters
    ----------
    time_limit : float
        Seconds for the hindsight solve, ≥ 0. The compilation of its code, up to a minute at first
        use, comes before and is not counted.
    progress : callable, optional
        Told of the compilation, then as in `compare`.

    Returns
    -------
    Compared
        As of `compare`; the optimum is proved in about a second.

    Examples
    --------
    >>> import batchprophet as bp
    >>> bp.demo().solution.status
    'optimal'
    """
    from .demo_instance import demo_instance
    from .solvers.hindsight import load_compiled_code
    from .solvers.progress import Progress

    _require_seconds(time_limit)
    instance = demo_instance()
    if progress is not None:
        phase = "compiling (a minute or two at first use, not counted)"
        progress(Progress(seconds=0.0, incumbent=None, bound=None, gap=None, phase=phase))
    if time_limit > 0:
        load_compiled_code(instance)
    return compare(instance, time_limit=time_limit, progress=progress)


def policies() -> dict[str, type]:
    """Return all policies by name: the built-in ones, and those that installed packages register.

    Examples
    --------
    >>> import batchprophet as bp
    >>> "mc-sf" in bp.policies()
    True
    """
    from .online.policy import registered_policies

    return registered_policies()


def require_mixed_model(model: str) -> None:
    """Refuse a batching regime that this version does not schedule."""
    if model in ("separate", "both"):
        raise InputError(f"model: this version has mixed batching only, found {model!r}")
    if model != "mixed":
        raise InputError(f"model: expected 'mixed', found {model!r}")


def load_mixed(instance: Instance | PathLike) -> Instance:
    """Read an instance if it is a file, and refuse what mixed batching cannot schedule."""
    loaded = instance if isinstance(instance, Instance) else read_instance(instance)
    with _located(None if isinstance(instance, Instance) else instance):
        require_mixed(loaded)
    return loaded


def _read_mixed(path: PathLike, instance: Instance) -> MixedSchedule:
    schedule = read_schedule(path, instance)
    if not isinstance(schedule, MixedSchedule):
        raise InputError(f"{os.fspath(path)}: model: expected 'mixed', found {schedule.model!r}")
    return schedule


@contextmanager
def _located(path: PathLike | None) -> Iterator[None]:
    """Put the file's name before what is refused in it."""
    try:
        yield
    except InputError as error:
        if path is None:
            raise
        raise InputError(f"{os.fspath(path)}: {error}") from error


def policy_specifications(
    policies: str | Sequence[str | Policy] | None,
) -> list[str | Policy] | None:
    """Return policies one by one, all usable and each with a name of its own; None stays None.

    Raises
    ------
    InputError
        If there is none, one cannot be made, or two have the same name.
    """
    from .online.policy import make_policy, policy_spec

    if policies is None:
        return None
    listed = split_policies([policies]) if isinstance(policies, str) else list(policies)
    if not listed:
        raise InputError("policies: expected at least one, found none")
    names = {HINDSIGHT}
    for each in listed:
        made = make_policy(each)
        name = each if isinstance(each, str) else policy_spec(made)
        if name in names:
            raise InputError(f"policies: {name!r} stands twice")
        names.add(name)
    return list(listed)


def _verified(
    instance: Instance,
    certificate: Certificate | PathLike,
    values: Mapping[str, Exact],
    time_limit: float | None,
) -> CheckedBound:
    """Verify a certificate, which must not contradict the values of a feasible schedule either."""
    from .solvers.certificates.certificate import Certificate
    from .solvers.certificates.file import read_certificate
    from .solvers.certificates.verification import verify

    read = certificate if isinstance(certificate, Certificate) else read_certificate(certificate)
    value = values.get(read.objective_name)
    with _located(None if isinstance(certificate, Certificate) else certificate):
        verification = verify(read, instance, value=value, time_limit=time_limit)
    return CheckedBound(certificate=read, verification=verification)


def _require_seconds(time_limit: float) -> None:
    if not time_limit >= 0:
        raise InputError(f"time_limit: expected at least 0 seconds, found {time_limit}")


def _require_feasible(instance: Instance, schedule: MixedSchedule, maker: str) -> None:
    """Run the checker; a violation here is a defect of whatever made the schedule."""
    violations = check_mixed(instance, schedule)
    if violations:
        raise BatchprophetError(f"{maker}: made an infeasible schedule: {violations[0].message}")
