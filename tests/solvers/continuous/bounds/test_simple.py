"""The quick bounds never exceed the optimum, and reach it where nothing is shared."""

from batchprophet.models.instance import Gpu, Instance
from batchprophet.solvers.certificates.certificate import Certificate, best_certificate
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.continuous.bounds.simple import simple_bounds
from tests.solvers.continuous.bounds.tiny import optimum, tiny


def test_no_quick_bound_exceeds_the_optimum():
    reached = 0
    for seed in range(400, 560):
        instance = tiny(seed)
        best = optimum(instance)
        bounds = [bound for bound, _ in simple_bounds(instance)]
        assert max(bounds) <= best
        reached += max(bounds) == best
    assert reached > 10


def test_one_seat_is_one_machine():
    # One request at a time: shortest first, 2 + (2 + 4) rounds.
    gpu = Gpu(kv_capacity=9, running_requests=1)
    instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[1, 1], output=[4, 2])
    assert [bound for bound, _ in simple_bounds(instance)] == [6, 8]
    assert optimum(instance) == 8


def test_the_certificate_is_verified_anew():
    instance = tiny(401)
    certificate = best_certificate(instance, "latency", simple_bounds(instance))
    again = Certificate.from_record(certificate.to_record())
    assert verify(again, instance).verified
