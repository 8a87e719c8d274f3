"""How near a simulated engine is to its log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.engine_logs.log import EngineLog
from .fit import MOST_FITTED, fit_law
from .replay import Engine, Replay, replay

#: Plays of the rule for a held-out fit.
HELD_OUT_PLAYS = 40

#: Most that a law that explains a log errs: mean latency; a request's, median and 95 %.
MOST_MEAN, MOST_MEDIAN, MOST_P95 = 0.02, 0.03, 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Errors of a simulated engine, relative to the log.

    Attributes
    ----------
    requests : int
        Requests that are compared.
    mean_latency, mean_ttft : float
        Relative error of the mean latency and of the mean time to first token.
    median_request, p95_request : float
        Relative error of a request's latency without its sign, median and 95th percentile.
    mean_request_ms : float
        Mean of the same in milliseconds.
    """

    requests: int
    mean_latency: float
    mean_ttft: float
    median_request: float
    p95_request: float
    mean_request_ms: float

    @property
    def close(self) -> bool:
        """Whether the model explains the log, as far as errors tell."""
        return (
            abs(self.mean_latency) <= MOST_MEAN
            and self.median_request <= MOST_MEDIAN
            and self.p95_request <= MOST_P95
        )


def errors(log: EngineLog, played: Replay, of: NDArray[np.bool_] | None = None) -> Errors:
    """Compare a simulated engine with its log, over some of the requests or all."""
    kept = np.ones(log.n, dtype=bool) if of is None else of
    latency, simulated = log.latency[kept], played.latency[kept]
    ttft = log.time_to_first_token[kept]
    apart = np.abs(simulated - latency)
    relative = apart / np.maximum(latency, 1)
    p50, p95 = np.percentile(relative, [50, 95])
    simulated_ttft = float(played.time_to_first_token[kept].mean())
    return Errors(
        requests=int(kept.sum()),
        mean_latency=float(simulated.mean() / max(1.0, latency.mean()) - 1),
        mean_ttft=simulated_ttft / max(1.0, float(ttft.mean())) - 1,
        median_request=float(p50),
        p95_request=float(p95),
        mean_request_ms=float(apart.mean()) / 1000,
    )


def held_out(log: EngineLog, engine: Engine, played: Replay) -> Errors:
    """Return the errors of requests whose own times no fit has seen.

    Every other request is left out of a fit and then compared; both halves in turn. Of a log that
    is longer than what is fitted, the rest is compared. All requests load the engine in any case.
    """
    if log.n > MOST_FITTED:
        return errors(log, played, np.arange(log.n) >= MOST_FITTED)
    even = np.arange(log.n) % 2 == 0
    found = []
    for used in (even, ~even):
        fit = fit_law(log, engine, used=used, plays=HELD_OUT_PLAYS)
        found.append(errors(log, replay(log, engine, fit.law), ~used))
    one, two = found
    return Errors(
        requests=log.n,
        mean_latency=max(one.mean_latency, two.mean_latency, key=abs),
        mean_ttft=max(one.mean_ttft, two.mean_ttft, key=abs),
        median_request=max(one.median_request, two.median_request),
        p95_request=max(one.p95_request, two.p95_request),
        mean_request_ms=max(one.mean_request_ms, two.mean_request_ms),
    )
