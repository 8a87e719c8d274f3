"""The plain simulator: round by round, asking the policy at every boundary. The readable truth."""

from __future__ import annotations

from ...models.instance import Instance
from ...models.mixed.schedule import MixedSchedule
from ..protocol import session
from ..simulation import ask
from .policy import Policy
from .simulator import prepare, require_life
from .state import MixedState


def simulate_by_round(
    instance: Instance, policy: Policy | str, *, seed: int = 0, model: str = "mixed"
) -> MixedSchedule:
    """Run an online policy round by round; the schedule is that of `simulate`.

    Parameters, results and exceptions are those of `simulate`. The work is per round, so it is
    for small instances; a policy that acts at boundaries at which it did not ask to be woken, or
    draws from the generator there, may decide otherwise here.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> simulate_by_round(instance, "mc-sf").start.tolist()
    [0, 3]
    """
    policy, told, rng = prepare(instance, policy, seed, model)
    state, player = MixedState(instance, policy, told), session(policy)
    t, idle = 0, 0
    while True:
        state.advance(t)
        if state.finished:
            return state.schedule()
        decision = ask(player, state.observe(), rng, state.where)
        state.apply(decision)
        idle = require_life(state, player.name, decision, idle)
        t += 1
