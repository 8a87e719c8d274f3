"""The continuous-batching MILP: its table of contents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import pyomo.environ as pyo
from pyomo.common.gc_manager import PauseGC

from ...default_horizon import note_default_horizon
from ...errors import InputError
from ...instance import Instance, IntArray
from ..problem import require_continuous
from .batch_sequence import add_batch_sequence
from .horizon import latest_completions

_Builder = Callable[[pyo.ConcreteModel, Instance, IntArray, str], None]

#: The forms of the MILP.
FORMULATIONS: Mapping[str, _Builder] = MappingProxyType({"batch-sequence": add_batch_sequence})


def default_form(instance: Instance) -> str:
    """Return the form that is taken where none is named.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> default_form(Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2]))
    'batch-sequence'
    """
    del instance  # there is one form, for all
    return "batch-sequence"


def build_model(
    instance: Instance,
    *,
    objective: str = "latency",
    formulation: str = "batch-sequence",
    latest: IntArray | None = None,
    any_start: bool = False,
) -> pyo.ConcreteModel:
    """Build the hindsight-optimal MILP of continuous batching, for tiny instances.

    Parameters
    ----------
    instance : Instance
        The instance; any limits.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        The objective. For the reward the model rejects what it does not complete in time.
    formulation : {"batch-sequence"}
        The form.
    latest : ndarray of int64, shape (n,), optional
        Latest completion of each request; by default those of `horizon.latest_completions`, which
        need no known schedule. Later ones change nothing; earlier ones may lose the optimum. The
        default holds for this model only: if you add constraints that a schedule may violate, give
        the latest completions of some schedule that is good enough and obeys them.

    any_start : bool
        Whether batches may start at any integer time, and not only where a left-shifted schedule
        has them: for constraints that such schedules may violate.

    Returns
    -------
    ConcreteModel
        Its integer variables are read by `from_variables.decode`; the objective is `goal`.

    Raises
    ------
    InputError
        If the objective or the formulation is unknown, the reward is asked for without a horizon,
        no request can complete, the instance is none of continuous batching, or the model would
        have more than `batch_sequence.MOST_PLACES` requests × batches.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> model = build_model(instance)
    >>> len(model.BATCHES), model.nvariables(), model.nconstraints()
    (6, 146, 306)
    """
    require_continuous(instance)
    if formulation not in FORMULATIONS:
        known = ", ".join(FORMULATIONS)
        raise InputError(f"formulation: expected one of {known}; found {formulation!r}")
    default = latest is None
    if latest is None:
        latest = latest_completions(instance, objective)

    with PauseGC():  # many small objects and no cycle among them
        model = pyo.ConcreteModel(name=f"continuous batching, {formulation} form, {objective}")
        model.formulation, model.any_start = formulation, any_start
        FORMULATIONS[formulation](model, instance, latest, objective)
    if default:
        note_default_horizon(model)
    return model
