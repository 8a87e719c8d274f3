"""Fit the figures of `models/families/azure_figures.py` to the Azure traces of 2023.

The figures that the package ships were printed by

    python benchmarks/fit_azure_figures.py TRACE…

on AzureLLMInferenceTrace_conv.csv and AzureLLMInferenceTrace_code.csv from
https://github.com/Azure/AzurePublicDataset (data/, CC-BY-4.0); their SHA-256 stand beside the
figures. Per trace:

- arrivals: the mean rate (n − 1 gaps over their sum), and the two-state Markov-modulated Poisson
  process of largest likelihood, given the gaps (exact likelihood by the forward recursion;
  Nelder-Mead on the logarithms of its four rates, from several starts);
- lengths: empirical quantiles (linear interpolation) at `LEVELS`, and the mean and standard
  deviation of the logarithms; and the quantiles of the outputs at `COARSE` in twenty parts of the
  prompts.

What the fitted process does and does not reproduce is printed beside: the coefficient of variation
of the gaps, and the index of dispersion of counts in windows of 1, 10 and 60 seconds.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
from numba import njit
from scipy.optimize import minimize

from batchprophet.models import FloatArray, IntArray
from batchprophet.models.families import COARSE, LEVELS, MarkovModulated
from batchprophet.models.traces import convert_trace

#: Parts of the prompts, with as many requests each.
PARTS = 20

#: Logarithm of 1,000 per second: the search stays below, where the recursion is exact to 10⁻⁹.
TOP = np.log(1000.0)


def main(paths: list[str]) -> None:
    for path in paths:
        describe(Path(path))


def describe(path: Path) -> None:
    """Print one trace's figures as the literals of `azure_figures.py`."""
    # Rounds of 100 ns: the resolution of the trace.
    instance = convert_trace(path, format="azure", round_ms=1e-4, kv_capacity=10**6).instance
    gaps = np.diff(instance.arrival) / 1e7
    fitted = fit_mmpp(gaps)
    print(f"{path.name}: SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}")
    print(f"    rate={1 / gaps.mean():.4f},")
    print(f"    modulated={fitted},")
    for name, tokens in (("prompt", instance.prompt), ("output", instance.output)):
        logs = np.log(tokens)
        quantiles = np.round(np.quantile(tokens, np.array(LEVELS) / 100)).astype(int).tolist()
        print(
            f"    {name}=TokenFigures(mu={logs.mean():.4f}, sigma={logs.std():.4f}, {quantiles=}),"
        )
    print("    given_prompt=(")
    for row in given_prompt(instance.prompt, instance.output):
        print(f"        {row},")
    print("    ),")
    print(
        f"  log-likelihood: MMPP {log_likelihood(gaps, *rates(fitted)):.1f}, Poisson "
        f"{gaps.size * (np.log(1 / gaps.mean()) - 1):.1f}"
    )
    drawn = np.diff(fitted.draw(np.random.default_rng(0), 1_000_000, 1 / gaps.mean()))
    for name, some in (("trace", gaps), ("fitted", drawn)):
        dispersions = ", ".join(f"{dispersion(some, w):.2f} in {w} s" for w in (1, 10, 60))
        print(f"  {name}: gap CV {some.std() / some.mean():.2f}; count dispersion {dispersions}")


def given_prompt(prompt: IntArray, output: IntArray) -> list[tuple[int, ...]]:
    """Quantiles of the outputs at `COARSE` in parts of the prompts, the shortest first."""
    order = np.argsort(prompt, kind="stable")
    return [
        tuple(np.round(np.quantile(output[part], np.array(COARSE) / 100)).astype(int).tolist())
        for part in np.array_split(order, PARTS)
    ]


def fit_mmpp(gaps: FloatArray) -> MarkovModulated:
    """Two-state MMPP of largest likelihood."""
    mean = 1 / gaps.mean()
    best = None
    for spread in (1.5, 5.0, 20.0, 100.0):
        for switching in (0.01, 0.1, 1.0, 10.0):
            start = np.log([mean * spread, mean / spread, switching, switching])
            found = minimize(
                lambda x: -log_likelihood(gaps, *np.exp(x)) if x.max() < TOP else np.inf,
                start,
                method="Nelder-Mead",
                options={"maxiter": 4000, "maxfev": 4000, "xatol": 1e-5, "fatol": 1e-4},
            )
            if best is None or found.fun < best.fun:
                best = found
    assert best is not None
    fast, slow, leave_fast, leave_slow = np.exp(best.x).tolist()
    if fast < slow:
        fast, slow, leave_fast, leave_slow = slow, fast, leave_slow, leave_fast
    return MarkovModulated(
        fast=float(f"{fast:.4g}"),
        slow=float(f"{slow:.4g}"),
        leave_fast=float(f"{leave_fast:.4g}"),
        leave_slow=float(f"{leave_slow:.4g}"),
    )


def rates(process: MarkovModulated) -> tuple[float, float, float, float]:
    return process.fast, process.slow, process.leave_fast, process.leave_slow


@njit(cache=True)
def log_likelihood(
    gaps: FloatArray, fast: float, slow: float, leave_fast: float, leave_slow: float
) -> float:
    """Log-likelihood of gaps: product of exp((Q − Λ)x)·Λ, from the phase seen by an arrival."""
    a, d = -leave_fast - fast, -leave_slow - slow
    middle = (a + d) / 2
    root = np.sqrt(((a - d) / 2) ** 2 + leave_fast * leave_slow)
    p, q = leave_slow * fast, leave_fast * slow
    p, q = p / (p + q), q / (p + q)
    total = 0.0
    for x in gaps:
        # exp(Ax) = e^{mx} (cosh(rx)·I + sinh(rx)/r·(A − mI)), scaled by e^{(m + r)x}.
        decay = np.exp(-2 * root * x)
        cosh, sinh = (1 + decay) / 2, (1 - decay) / (2 * root)
        u = p * (cosh + sinh * (a - middle)) + q * sinh * leave_slow
        v = p * sinh * leave_fast + q * (cosh + sinh * (d - middle))
        u, v = u * fast, v * slow
        total += (middle + root) * x + np.log(u + v)
        p, q = u / (u + v), v / (u + v)
    return total


def dispersion(gaps: FloatArray, seconds: float) -> float:
    """Index of dispersion: variance over mean of the counts in windows of some seconds."""
    times = np.cumsum(gaps)
    counts = np.bincount((times / seconds).astype(int))[:-1]
    return float(counts.var() / counts.mean())


if __name__ == "__main__":
    main(sys.argv[1:])
