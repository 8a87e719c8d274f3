"""The driver of engines: lanes at once or in turn, by clock or by work, until all is proved."""

import threading

import pytest

from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.solvers.best_so_far import BestSoFar
from batchprophet.solvers.stages import Driver, Stage
from batchprophet.solvers.workers import Found

PAIR = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])


def search():
    known = BestSoFar(PAIR, "latency", 60.0)
    known.offer(MixedSchedule([0, 4]), "hand")
    return known


WAYS = ({"work": 10}, {"threads": 1}, {"threads": 2})


@pytest.mark.parametrize("how", WAYS)
def test_what_stages_hand_in_arrives(how):
    known = search()
    driver = Driver(known, **how)
    better = lambda limits: driver.mailbox.put(Found("better", MixedSchedule([0, 3])))  # noqa: E731
    bound = lambda limits: driver.mailbox.put(Found("bound", bound=(6, None)))  # noqa: E731
    driver.run([Stage("better", better)], [Stage("bound", bound)])
    assert (known.value, known.found_by, known.bound) == (7, "better", 6)


def test_work_is_shared_out_and_time_only_by_clock():
    seen = []
    stages = [Stage("all", seen.append), Stage("half", seen.append, seconds=3.0, share=0.5)]
    Driver(search(), work=11).run(stages)
    assert [(each.seconds, each.work) for each in seen] == [(float("inf"), 11), (float("inf"), 5)]
    Driver(search(), time_limit=20.0, threads=1).run(stages)
    assert seen[2].work is None
    assert 15 < seen[2].seconds <= 20
    assert seen[3].seconds == 3.0


@pytest.mark.parametrize("how", [{"work": 10}, {"threads": 1}])
def test_nothing_is_begun_after_the_proof_and_what_is_not_applicable_is_left_out(how):
    done = []
    driver = Driver(search(), **how)

    def prove(limits):
        done.append("prove")
        driver.mailbox.put(Found("proof", bound=(8, None)))

    def lane():
        yield Stage("never", lambda limits: done.append("never"), applicable=lambda: False)
        yield Stage("proof", prove)
        driver.mailbox.stop.wait(5)  # the caller's thread takes it meanwhile
        yield Stage("late", lambda limits: done.append("late"))

    driver.run(lane(), [Stage("later", lambda limits: done.append("later"))])
    assert done == ["prove"]


def test_lanes_run_at_once_where_there_are_threads():
    meet = threading.Barrier(2, timeout=20)
    Driver(search(), threads=2).run(*([Stage("meet", lambda limits: meet.wait())] for _ in "ab"))


def test_no_time_no_stage():
    Driver(search(), time_limit=0.0).run([Stage("late", lambda limits: pytest.fail("begun"))])
