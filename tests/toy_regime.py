"""A batching regime of its own in one file: the GPU serves one request at a time.

It shows what the contract asks for. Three lines register it (`registered`).
"""

from contextlib import contextmanager
from itertools import pairwise, permutations
from typing import ClassVar

import numpy as np

from batchprophet.models import regimes as models
from batchprophet.models.errors import InputError
from batchprophet.models.figures import Figures, ServiceTimes
from batchprophet.models.objectives import evaluate
from batchprophet.models.regime import Regime
from batchprophet.models.strict import Strict
from batchprophet.models.violation import Violation
from batchprophet.online import regimes as online
from batchprophet.online.mixed.regime import MIXED
from batchprophet.online.regime import OnlineRegime
from batchprophet.online.registry import PolicyRegistry
from batchprophet.solvers import regimes as solvers
from batchprophet.solvers.recipe import Recipe

#: Up to this many requests every order is tried.
MOST = 7


class ToySchedule:
    model: ClassVar[str] = "toy"

    def __init__(self, start):
        self.start = np.array(start, dtype=np.int64)

    def completion(self, instance):
        return self.start + instance.output


class ToyRecord(Strict):
    start: list[int]


def in_order(instance, order):
    """Serve requests in this order, each as early as it can be."""
    start, free = np.zeros(instance.n, dtype=np.int64), 0
    for i in order:
        start[i] = max(free, int(instance.arrival[i]))
        free = int(start[i] + instance.output[i])
    return ToySchedule(start)


def check(instance, schedule, *, allow_rejected=False):
    order = np.argsort(schedule.start, kind="stable")
    found = [
        Violation("arrival", int(k), int(a - k), f"a request starts at {k}, before {a}")
        for k, a in zip(schedule.start, instance.arrival, strict=True)
        if k < a
    ]
    ends = schedule.completion(instance)
    for i, j in pairwise(order):
        if schedule.start[j] < ends[i]:
            message = f"requests {i} and {j} run at the same time"
            late = int(ends[i] - schedule.start[j])
            found.append(Violation("overlap", int(schedule.start[j]), late, message))
    return found


def measure(instance, schedule):
    latency, wait = (
        each - instance.arrival for each in (schedule.completion(instance), schedule.start)
    )
    p50, p90, p99 = np.percentile(latency, [50, 90, 99])
    return Figures(
        total_latency=int(latency.sum()), mean_latency=float(latency.mean()), p50_latency=p50,
        p90_latency=p90, p99_latency=p99, max_latency=int(latency.max()),
        mean_ttft=float(wait.mean() + 1), p99_ttft=float(np.percentile(wait + 1, 99)),
        mean_waiting=float(wait.mean()), makespan=int(schedule.completion(instance).max()),
        kv_utilisation=0.0, peak_kv=int(instance.peak.max()),
    )  # fmt: skip


def value(instance, schedule, objective):
    return evaluate(instance, schedule.completion(instance), objective)


def from_record(where, record, instance):
    if len(record.start) != instance.n:
        raise InputError(f"{where}: schedule.start: expected {instance.n} starts")
    return ToySchedule(record.start)


RULES = Regime(
    name="toy", summary="one request at a time", schedule=ToySchedule, require=lambda _: None,
    check=check, measure=measure, value=value, record=ToyRecord, from_record=from_record,
    to_record=lambda schedule: {"start": schedule.start.tolist()}, takes_limits=False,
    accepted=lambda instance, _: np.arange(instance.n),
    service_times=lambda instance, schedule: ServiceTimes(
        schedule.start, schedule.start + 1, schedule.completion(instance)
    ),
    served=lambda instance, schedule: (instance, schedule),
    without_evictions=lambda schedule: schedule, digest=lambda gpu: {},
    time_alone=lambda instance: instance.output,
)  # fmt: skip


def begin(search, known, options):
    """First come first served; every schedule takes each request's own time at least."""
    for name, schedule in (
        ("the warm start", known),
        ("first come first served", in_order(search.instance, np.argsort(search.instance.arrival))),
    ):
        if schedule is not None:
            search.offer(schedule, name)
    alone = ToySchedule(search.instance.arrival)
    search.better_bound("times alone", value(search.instance, alone, search.objective))


def prove(search, options):
    if search.instance.n > MOST:
        return
    orders = permutations(range(search.instance.n))
    for order in orders:
        search.offer(in_order(search.instance, order), "all orders")
    search.better_bound("all orders", search.value)


RECIPE = Recipe(rules=RULES, begin=begin, prove=prove)


def simulate(instance, policy, *, seed=0, compiled=True):
    return in_order(instance, np.argsort(instance.arrival, kind="stable"))


ONLINE = OnlineRegime(
    rules=RULES, registry=PolicyRegistry("toy", "toy.policies", {}), simulate=simulate,
    random_instance=MIXED.random_instance, decided=tuple,
    begun=lambda schedule, t: [],
)  # fmt: skip


@contextmanager
def registered():
    models.REGIMES["toy"] = RULES
    solvers.RECIPES["toy"] = lambda: RECIPE
    online.REGIMES["toy"] = ONLINE
    try:
        yield
    finally:
        for each in (models.REGIMES, solvers.RECIPES, online.REGIMES):
            del each["toy"]
