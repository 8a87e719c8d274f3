"""The MILP as a stage: it proves tiny instances, starts from what is known, and knows its size."""

from __future__ import annotations

from batchprophet.models.continuous.feasibility import check_continuous
from batchprophet.solvers.best_so_far import BestSoFar
from batchprophet.solvers.continuous.exact.first_schedule import first_schedule
from batchprophet.solvers.continuous.milp import try_milp
from batchprophet.solvers.recipe import Options
from tests.brute_force_continuous import brute_force_continuous
from tests.tiny_continuous import tiny_continuous


def begun(instance, objective="latency", seconds=60.0):
    search = BestSoFar(instance, objective, seconds)
    search.offer(first_schedule(instance, "latency")[0], "list")
    return search


def test_tiny_instances_are_proved():
    for seed in (3, 4, 12):
        instance = tiny_continuous(seed)
        search = begun(instance)
        try_milp(search, Options())
        assert search.value == brute_force_continuous(instance)[0]
        assert search.proved
        assert check_continuous(instance, search.schedule) == []
        assert "solved to optimality" in search.account[-1]


def test_what_is_too_large_or_too_late_is_not_tried():
    large = begun(tiny_continuous(1))
    try_milp(large, Options(work_limit=0))
    late = begun(tiny_continuous(1), seconds=0.0)
    try_milp(late, Options())
    assert late.account == ["MILP not tried (no time left)"]
    if large.account:
        assert "MILP" in large.account[-1]
    assert large.schedule is not None
