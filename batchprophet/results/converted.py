"""An instance made of a trace, as `convert` returns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..models.files.instance_file import write_instance
from ..models.instance import Instance
from .scheduled import PathLike
from .shown import Shown

if TYPE_CHECKING:
    from ..models.traces import ConversionReport


@dataclass(frozen=True, kw_only=True, repr=False)
class Converted(Shown):
    """An instance made of a real trace.

    Attributes
    ----------
    instance : Instance
        The instance.
    report : ConversionReport
        What was read, taken and left out.
    """

    instance: Instance
    report: ConversionReport

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        return self.instance.name, [], [(line,) for line in self.report.lines()]

    @property
    def round_ms(self) -> float:
        """Milliseconds per round."""
        assert self.instance.provenance is not None
        return float(self.instance.provenance["round_ms"])

    def summary(self) -> str:
        """Return what was read, taken and left out, with warnings, one per line."""
        warnings = [f"warning: {warning}" for warning in self.report.warnings]
        return "\n".join([*self.report.lines(), *warnings])

    def save(self, path: PathLike) -> None:
        """Write ``instance.json``."""
        write_instance(self.instance, path)
