"""The shipped figures against the traces that they were fitted to."""

import importlib.util
import sys

import numpy as np
import pytest

from batchprophet.models.families.azure_figures import CODE, CONVERSATION, LEVELS
from batchprophet.models.traces import convert_trace
from tests.paths import ROOT

SHARED = ROOT.parent / "shared" / "data" / "traces"
FIGURES = [("azure2023_conv.csv", CONVERSATION), ("azure2023_code.csv", CODE)]


def real(name):
    if not (SHARED / name).exists():
        pytest.skip(f"needs the real trace {name}, which is not part of the repository")
    return convert_trace(SHARED / name, round_ms=1e-4, kv_capacity=65536).instance


@pytest.fixture(scope="module")
def fit():
    path = ROOT / "benchmarks" / "fit_azure_figures.py"
    specification = importlib.util.spec_from_file_location("fit_azure_figures", path)
    module = importlib.util.module_from_spec(specification)
    # Where numba finds the module of what it reads from its cache: without it, only runs that
    # compile anew pass.
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    yield module
    del sys.modules[specification.name]


@pytest.mark.parametrize(("name", "figures"), FIGURES)
def test_rates_quantiles_and_logarithms_are_the_traces(name, figures):
    trace = real(name)
    assert figures.rate == pytest.approx((trace.n - 1) / (trace.arrival[-1] * 1e-7), abs=5e-5)
    for tokens, part in ((trace.prompt, figures.prompt), (trace.output, figures.output)):
        quantiles = np.quantile(tokens, np.array(LEVELS) / 100)
        assert np.abs(quantiles - part.quantiles).max() <= 0.5
        assert part.mu == pytest.approx(np.log(tokens).mean(), abs=5e-5)
        assert part.sigma == pytest.approx(np.log(tokens).std(), abs=5e-5)


@pytest.mark.parametrize(("name", "figures"), FIGURES)
def test_the_modulated_process_is_a_maximum_of_the_likelihood(name, figures, fit):
    gaps = np.diff(real(name).arrival) / 1e7
    rates = np.array(fit.rates(figures.modulated))
    best = fit.log_likelihood(gaps, *rates)
    for k in range(4):
        for factor in (0.9, 1.1):
            moved = rates.copy()
            moved[k] *= factor
            assert fit.log_likelihood(gaps, *moved) < best
    # Better than Poisson by far: each of the two parameters more buys over a hundred units.
    assert best > gaps.size * (np.log(1 / gaps.mean()) - 1) + 300
    assert figures.modulated.rate == pytest.approx(figures.rate, rel=0.02)


def test_the_likelihood_of_equal_rates_is_that_of_poisson(fit):
    # The reduction: Σ (log λ − λ·gap).
    gaps = np.random.default_rng(1).exponential(0.25, size=1000)
    poisson = (np.log(4) - 4 * gaps).sum()
    assert fit.log_likelihood(gaps, 4.0, 4.0, 0.3, 2.0) == pytest.approx(poisson)


def test_the_likelihood_is_the_product_of_matrix_exponentials(fit):
    linalg = pytest.importorskip("scipy.linalg")
    gaps = np.random.default_rng(2).exponential(1.0, size=30)
    fast, slow, leave_fast, leave_slow = 9.0, 0.5, 0.7, 0.2
    arrivals = np.diag([fast, slow])
    switching = np.array([[-leave_fast, leave_fast], [leave_slow, -leave_slow]])
    phase = np.array([leave_slow * fast, leave_fast * slow])
    phase /= phase.sum()
    for gap in gaps:
        phase = phase @ linalg.expm((switching - arrivals) * gap) @ arrivals
    found = fit.log_likelihood(gaps, fast, slow, leave_fast, leave_slow)
    assert found == pytest.approx(np.log(phase.sum()))
