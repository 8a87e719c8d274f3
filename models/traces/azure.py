"""Azure LLM inference traces, 2023 and 2024."""

from __future__ import annotations

from .clock import DATE_TIME
from .format import TraceFormat

#: Both years have the same columns. 2023 writes seven decimals and no zone
#: (``2023-11-16 18:15:46.6805900``), 2024 a zone and sometimes no fraction
#: (``2024-05-10 00:00:00.009930+00:00``).
AZURE = TraceFormat(
    name="azure",
    description="Azure LLM inference traces 2023 and 2024 (conversation, code)",
    source="https://github.com/Azure/AzurePublicDataset",
    container="csv",
    arrival="TIMESTAMP",
    prompt="ContextTokens",
    output="GeneratedTokens",
    clock=DATE_TIME,
)
