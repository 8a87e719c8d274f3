"""The figures that schedules of all regimes have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures of one schedule; times in the batch-time law's unit.

    Attributes
    ----------
    total_latency : int
        Total end-to-end latency ``Σ (c_i − a_i)``.
    mean_latency, p50_latency, p90_latency, p99_latency, max_latency : float
        Mean, percentiles (linear interpolation) and maximum of ``c_i − a_i``.
    mean_ttft, p99_ttft : float
        Time to first token.
    mean_waiting : float
        Mean time from arrival to the start of the prompt job (of the final run).
    makespan : int
        Completion of the last request, from time 0.
    kv_utilisation : float
        KV tokens held, over ``M`` and the time from the first arrival to the makespan, in [0, 1].
    peak_kv : int
        Most KV tokens held at once.
    """

    total_latency: int
    mean_latency: float
    p50_latency: float
    p90_latency: float
    p99_latency: float
    max_latency: int
    mean_ttft: float
    p99_ttft: float
    mean_waiting: float
    makespan: int
    kv_utilisation: float
    peak_kv: int

    def facts(self) -> list[tuple[str, str]]:
        """Return what only the schedule's regime has, as (term, value)."""
        return []
