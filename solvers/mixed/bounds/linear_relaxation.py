"""The bound of the linear relaxation of a formulation, by weak duality."""

from __future__ import annotations

from ....models.instance import Instance, IntArray
from ....models.mixed.milp.formulation import build_model
from ...highs import solve_model
from ...weak_duality import dual_bound


def linear_relaxation(
    instance: Instance,
    objective: str = "latency",
    *,
    formulation: str = "running-sum",
    latest: IntArray | None = None,
    time_limit: float | None = None,
    threads: int | None = None,
) -> float | None:
    """Bound on the optimum by the LP relaxation of the MILP.

    The solver's objective is not used: its dual values give the bound by weak duality, whatever
    its tolerances (`weak_duality.dual_bound`).

    Parameters
    ----------
    instance, objective, formulation, latest
        As in `formulation.build_model`.
    time_limit : float, optional
        Seconds for the LP.
    threads : int, optional
        Threads of the solver.

    Returns
    -------
    float or None
        A lower bound (for the reward an upper bound); None if the LP was not solved in time.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> round(linear_relaxation(instance), 6)
    6.571429
    """
    model = build_model(instance, objective=objective, formulation=formulation, latest=latest)
    result = solve_model(model, relax=True, time_limit=time_limit, threads=threads)
    return None if result.row_duals is None else dual_bound(result.form, result.row_duals)
