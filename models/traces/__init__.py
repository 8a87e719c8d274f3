"""Readers of real traces, one format a file, and their conversion into instances."""

from .convert import ConvertedTrace, convert_trace
from .format import TraceFormat
from .registry import TRACE_FORMATS
from .report import ConversionReport

__all__ = ["TRACE_FORMATS", "ConversionReport", "ConvertedTrace", "TraceFormat", "convert_trace"]
