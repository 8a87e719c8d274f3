"""The MILP agrees with brute force, under all laws, limits and objectives."""

from __future__ import annotations

import pytest

from batchprophet.models.completion_goal import servable
from batchprophet.models.continuous.feasibility import check_continuous
from batchprophet.models.continuous.milp.formulation import build_model
from batchprophet.models.continuous.milp.from_variables import decode
from batchprophet.models.continuous.milp.horizon import latest_completions, least_times_alone
from batchprophet.models.continuous.milp.warm_start import set_start
from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.model_file import write_model
from batchprophet.models.regimes import schedule_value
from batchprophet.solvers.highs import Status, solve_model
from tests.brute_force_continuous import brute_force_continuous
from tests.tiny_continuous import tiny_continuous
from tests.tiny_instances import OBJECTIVES


def can_earn(instance):
    try:
        servable(instance, latest_completions(instance, "reward"), least_times_alone(instance))
    except InputError:
        return False
    return True


def agrees(instance, objective):
    """The latest completions that the optimum allows keep it, and let nothing better in."""
    optimum, schedule = brute_force_continuous(instance, objective)
    assert check_continuous(instance, schedule, allow_rejected=objective == "reward") == []
    assert schedule_value(instance, schedule, objective) == optimum
    if objective == "reward" and not can_earn(instance):
        assert optimum == 0
        return
    latest = latest_completions(instance, objective, value=optimum)
    model = build_model(instance, objective=objective, latest=latest)
    assert set_start(instance, model, schedule, objective)
    result = solve_model(model, warm_start=True)
    assert result.status is Status.OPTIMAL
    found = decode(instance, model, result.value)
    assert check_continuous(instance, found, allow_rejected=objective == "reward") == []
    assert schedule_value(instance, found, objective) == optimum
    assert float(optimum) == pytest.approx(result.objective)


@pytest.mark.parametrize("seed", [0, 3, 4, 5, 7, 10, 13, 15, 17, 19, 20, 22])
def test_the_milp_is_brute_force(seed):
    agrees(tiny_continuous(seed), OBJECTIVES[seed % len(OBJECTIVES)])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2000, 2300))
def test_the_milp_is_brute_force_on_many(seed):
    agrees(
        tiny_continuous(seed, most_requests=2, most_prompt=3), OBJECTIVES[seed % len(OBJECTIVES)]
    )


def test_names_and_files(tmp_path):
    instance = tiny_continuous(3)
    with pytest.raises(InputError, match="formulation: expected one of batch-sequence"):
        build_model(instance, formulation="stages")
    write_model(tmp_path / "model.lp", lambda: build_model(instance))
    assert "batch_time" in (tmp_path / "model.lp").read_text()


def test_a_model_that_would_take_all_memory_is_refused():
    many = Instance(
        gpu=Gpu(kv_capacity=9000), arrival=range(300), prompt=[10] * 300, output=[20] * 300
    )
    with pytest.raises(InputError, match=r"at most 100,000 requests × batches, found 300 × "):
        build_model(many)
