"""Policies under limits on a round: requests that run at once, and tokens."""

import numpy as np
import pytest

from batchprophet.models.errors import DoesNotFinish, PolicyError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.online.mixed.decision import Decision
from batchprophet.online.mixed.plain_simulator import simulate_by_round
from batchprophet.online.mixed.policy import built_in_policies
from batchprophet.online.mixed.simulator import simulate
from batchprophet.online.mixed.steps import mixed_steps
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from batchprophet.solvers.random_stream import random_stream
from tests.brute_force import brute_force
from tests.tiny_instances import tiny_limited_instance

SPECS = [
    f"{name}:law=arrival-model-1,samples=2,effort=30" if name == "bayes" else name
    for name in built_in_policies()
]
SPECS += [
    "mc-sf:skip=true",
    "mc-benchmark:skip=true",
    "sorted-f:lengths=predicted,error=0.5",
    "vllm:max_requests=2,token_budget=9",
    "alpha-beta:beta=1",
]


def draw(rng):
    n, M = int(rng.integers(2, 15)), int(rng.integers(8, 40))
    prompt = rng.integers(1, max(2, M // 2), size=n)
    output = rng.integers(1, M - prompt, endpoint=True)
    which = int(rng.integers(3))
    gpu = Gpu(
        kv_capacity=M,
        running_requests=int(rng.integers(1, 5)) if which != 0 else None,
        batch_tokens=int(prompt.max() + rng.integers(0, 6)) if which != 1 else None,
    )
    return Instance(
        gpu=gpu,
        arrival=np.sort(rng.integers(0, rng.choice([1, 10, 40]), size=n)),
        prompt=prompt,
        output=output,
        predicted_low=output,
        predicted_high=output,
    )


def outcome(run, instance, spec, **options):
    try:
        return run(instance, spec, seed=1, **options)
    except DoesNotFinish as error:
        return str(error)


@pytest.mark.parametrize("spec", SPECS)
def test_every_policy_keeps_the_limits_compiled_or_not(spec):
    rng = np.random.default_rng(len(spec))
    by_round = spec.partition(":")[0] not in ("bayes", "flow-control", "class-budget")
    finished = 0
    for _ in range(6 if spec.startswith("bayes") else 40):
        instance = draw(rng)
        found = outcome(simulate, instance, spec)
        if not isinstance(found, str):
            finished += 1
            assert check_mixed(instance, found) == []
        assert outcome(simulate, instance, spec, compiled=False) == found
        if by_round:
            assert outcome(simulate_by_round, instance, spec) == found
    assert finished >= 5


@pytest.mark.parametrize("spec", SPECS)
def test_limits_that_never_bind_change_nothing(spec):
    rng = np.random.default_rng(7)
    for _ in range(2 if spec.startswith("bayes") else 10):
        instance = draw(rng)
        M = instance.gpu.kv_capacity
        free = instance.replace(gpu=Gpu(kv_capacity=M))
        loose = instance.replace(gpu=Gpu(kv_capacity=M, running_requests=99, batch_tokens=9999))
        assert outcome(simulate, free, spec) == outcome(simulate, loose, spec)


class AllAtOnce:
    """A plug-in that starts whatever waits."""

    name = "all-at-once"
    summary = "starts all"
    source = "this test"
    lengths = "exact"
    length_kinds = ("exact",)
    error = None

    def decide(self, observation, rng):
        return Decision(start=tuple(view.index for view in observation.waiting))


def test_a_start_that_breaks_a_limit_is_refused_with_the_reason():
    columns = {"arrival": [0, 0, 0], "prompt": [3, 2, 1], "output": [2, 3, 4]}
    full = Instance(gpu=Gpu(kv_capacity=40, running_requests=2), **columns)
    with pytest.raises(
        PolicyError,
        match=(
            r"round 1 would have 3 requests, 1 over gpu\.running_requests = 2; it must start less"
        ),
    ):
        simulate(full, AllAtOnce())
    busy = Instance(gpu=Gpu(kv_capacity=40, batch_tokens=4), **columns)
    with pytest.raises(
        PolicyError,
        match=(r"round 1 would have 6 tokens, 2 over gpu\.batch_tokens = 4; it must start less"),
    ):
        simulate_by_round(busy, AllAtOnce())


def test_the_budget_is_there_again_in_the_next_round():
    instance = Instance(
        gpu=Gpu(kv_capacity=99, batch_tokens=4), arrival=[0] * 3, prompt=[3] * 3, output=[9] * 3
    )
    for spec in ("mc-sf", "vllm", "alpha-greedy", "sorted-f", "least-lost"):
        # 3, 1 + 3, and 2 + 3 tokens are over 4 until the first is done.
        assert simulate(instance, spec).start.tolist() == [0, 1, 9], spec


def test_hindsight_beside_a_run_keeps_the_limits():
    """What continues a run is never better than the optimum, and at last it is the run itself."""
    evicting = 0
    for seed in range(40):
        instance = tiny_limited_instance(seed + 60)
        best, _ = brute_force(instance)
        plan = list_schedule(instance, instance.output)
        run = outcome(simulate, instance, ("vllm", "mc-benchmark", "gsa")[seed % 3])
        if isinstance(run, str):
            continue
        evicting += len(run.evicted) > 0
        steps = mixed_steps(instance, run, plan, 50, random_stream(seed))
        known = [step.best for step in steps if step.best is not None]
        assert min(known) >= best
        assert known[-1] == int((run.completion(instance) - instance.arrival).sum())
    assert evicting > 3
