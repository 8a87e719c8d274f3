"""Run a policy of continuous batching on an instance, batch by batch."""

from __future__ import annotations

from ...models.continuous.problem import require_continuous
from ...models.continuous.schedule import ContinuousSchedule
from ...models.instance import Instance
from ..lengths import is_told_anew
from ..protocol import session
from ..simulation import ask, begin_run
from .policy import REGISTRY, ContinuousPolicy
from .state import ContinuousState


def simulate_continuous(
    instance: Instance,
    policy: ContinuousPolicy | str,
    *,
    seed: int = 0,
    compiled: bool = True,
) -> ContinuousSchedule:
    """Run an online policy of continuous batching and return its schedule.

    Parameters
    ----------
    instance : Instance
        An instance of continuous batching.
    policy : ContinuousPolicy or str
        A policy, or its specification ``NAME[:key=value,…]``.
    seed : int
        ≥ 0; the same seed gives the same schedule. Predictions and the policy's own draws come
        from separate streams of it.
    compiled : bool
        Let a policy that has compiled code use it; the schedule is the same without.

    Returns
    -------
    ContinuousSchedule
        A feasible schedule that serves every request.

    Raises
    ------
    InputError
        If the instance is not one of continuous batching, or the policy or seed is invalid.
    PolicyError
        If the policy decides what the rules do not allow.
    DoesNotFinish
        If the policy idles forever, or preempts without end.

    Notes
    -----
    The policy is asked whenever a batch has ended, when a request arrives while the GPU idles, and
    when it wants to be (`ContinuousDecision.wake_at`); never while no request waits or runs.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, batch_tokens=3)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[3, 2], output=[3, 1])
    >>> schedule = simulate_continuous(instance, "vllm")
    >>> [(batch.prefill, batch.decode) for batch in schedule.batches]
    [(((0, 3),), ()), (((1, 2),), (0,)), ((), (0,))]
    """
    require_continuous(instance)
    made, told, rng = begin_run(instance, REGISTRY, policy, seed)
    run_compiled = getattr(made, "run_compiled", None)
    if compiled and run_compiled is not None and not is_told_anew(made):
        schedule: ContinuousSchedule | None = run_compiled(instance, told)
        if schedule is not None:
            return schedule
    state, player = ContinuousState(instance, made, told), session(made)
    while not state.finished:
        state.arrive()
        state.apply(ask(player, state.observe(), rng, state.where))
    return state.schedule()
