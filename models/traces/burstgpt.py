"""BurstGPT traces, all versions."""

from __future__ import annotations

from .clock import SECONDS
from .format import TraceFormat

#: Later versions insert columns after ``Timestamp`` and do not start at 0: columns go by name, and
#: times count from the first. ``Response tokens`` 0 marks a request that failed.
BURSTGPT = TraceFormat(
    name="burstgpt",
    description="BurstGPT, versions 1 to 3; failed requests (0 response tokens) are left out",
    source="https://github.com/HPMLL/BurstGPT",
    container="csv",
    arrival="Timestamp",
    prompt="Request tokens",
    output="Response tokens",
    clock=SECONDS,
    failed="failed (0 response tokens)",
)
