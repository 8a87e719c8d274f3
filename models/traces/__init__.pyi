from .convert import ConvertedTrace as ConvertedTrace
from .convert import convert_trace as convert_trace
from .format import TraceFormat as TraceFormat
from .registry import TRACE_FORMATS as TRACE_FORMATS
from .report import ConversionReport as ConversionReport
