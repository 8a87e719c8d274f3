"""The separate-batching MILPs: their table of contents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

import networkx as nx
import pyomo.environ as pyo
from pyomo.common.gc_manager import PauseGC

from ...batch_time import AffineTime
from ...default_horizon import note_default_horizon
from ...errors import InputError
from ...instance import Instance, IntArray
from ..problem import require_separate
from .batch_sequence import add_batch_sequence
from .classes import add_classes
from .horizon import latest_completions
from .network import Windows, gpu_network, job_windows
from .stages import add_stages
from .strengthening import STRENGTHENINGS, strengthen
from .time_expanded import add_time_expanded

_Builder = Callable[[pyo.ConcreteModel, Instance, IntArray, str], None]
_Form = Callable[[pyo.ConcreteModel, Instance, "nx.MultiDiGraph[int]", Windows, str], None]


def _on_network(add: _Form) -> _Builder:
    """Return the builder of a form of S1: they share the windows and the GPU's network."""

    def build(model: pyo.ConcreteModel, instance: Instance, latest: IntArray, name: str) -> None:
        windows = job_windows(instance, latest)
        graph = gpu_network(instance, windows, any_start=model.any_start)
        add(model, instance, graph, windows, name)

    return build


#: S1 request by request, aggregated by type, merged by class (these for the unit and the constant
#: law), and S2.
FORMULATIONS: Mapping[str, _Builder] = MappingProxyType(
    {
        "time-expanded": _on_network(add_time_expanded),
        "stages": _on_network(add_stages),
        "classes": _on_network(add_classes),
        "batch-sequence": add_batch_sequence,
    }
)


def default_form(instance: Instance) -> str:
    """Return the form that is taken where none is named: by stages, or by batches for any law.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> default_form(Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2]))
    'stages'
    """
    return "batch-sequence" if isinstance(instance.gpu.batch_time, AffineTime) else "stages"


def build_model(
    instance: Instance,
    *,
    objective: str = "latency",
    formulation: str = "stages",
    latest: IntArray | None = None,
    strengthenings: Collection[str] = tuple(STRENGTHENINGS),
    any_start: bool = False,
) -> pyo.ConcreteModel:
    """Build the hindsight-optimal MILP of separate batching (docs/model/separate.md §2).

    Parameters
    ----------
    instance : Instance
        The instance; any batch limits.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        The objective. For the reward the model rejects what it does not complete in time.
    formulation : {"time-expanded", "stages", "classes", "batch-sequence"}
        The form; all but the last take the unit and the constant law.
    latest : ndarray of int64, shape (n,), optional
        Latest completion of each request; by default those of `horizon.latest_completions`, which
        need no known schedule. Later ones change nothing; earlier ones may lose the optimum. The
        default holds for this model only: if you add constraints that a schedule may violate, give
        the latest completions of some schedule that is good enough and obeys them, and no
        strengthenings that these constraints contradict.
    strengthenings : collection of str
        Names of `strengthening.STRENGTHENINGS`: valid inequalities, symmetry breaking, dominance.
        Those that do not apply to the form or the instance add nothing.
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
        If the objective, the formulation or a strengthening is unknown, the reward is asked for
        without a horizon, no request can complete, or the form does not take the batch-time law.

    Examples
    --------
    >>> from batchprophet.models.batch_time import ConstantTime
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, batch_time=ConstantTime(prompt=3, token=1))
    >>> instance = Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> model = build_model(instance, strengthenings=())
    >>> len(model.NODES), len(model.q), model.nconstraints()
    (12, 41, 94)
    """
    require_separate(instance)
    if formulation not in FORMULATIONS:
        known = ", ".join(FORMULATIONS)
        raise InputError(f"formulation: expected one of {known}; found {formulation!r}")
    for name in strengthenings:
        if name not in STRENGTHENINGS:
            known = ", ".join(STRENGTHENINGS)
            raise InputError(f"strengthenings: expected some of {known}; found {name!r}")
    default = latest is None
    if latest is None:
        latest = latest_completions(instance, objective)

    with PauseGC():  # many small objects and no cycle among them
        model = pyo.ConcreteModel(name=f"separate batching, {formulation} form, {objective}")
        model.formulation, model.any_start = formulation, any_start
        FORMULATIONS[formulation](model, instance, latest, objective)
        strengthen(model, instance, objective, strengthenings)
    if default:
        note_default_horizon(model)
    return model
