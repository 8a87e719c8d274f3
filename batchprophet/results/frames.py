"""Results as pandas data frames, which is an extra: ``batchprophet[frames]``."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ..models.frames import frame
from ..models.regimes import regime_of
from ..report.formats import comparison_records, names_in

if TYPE_CHECKING:
    from pandas import DataFrame

    from ..models.instance import Instance
    from ..models.regime import Schedule
    from ..online.study.table import Row as StudyRow
    from ..report.table import Row
    from ..solvers.progress import Moment


def requests_frame(instance: Instance, schedule: Schedule) -> DataFrame:
    """Return one row a request that is served, with its lengths and times.

    Parameters
    ----------
    instance : Instance
        The instance.
    schedule : Schedule
        A feasible schedule of it.

    Returns
    -------
    pandas.DataFrame
        Columns request, arrival, prompt, output, start, first_token, completion, latency; times
        in the batch-time law's unit.
    """
    rules = regime_of(schedule)
    served, kept = rules.served(instance, schedule)
    times = rules.service_times(served, kept)
    return frame(
        {
            "request": [served.request_id(i) for i in range(served.n)],
            "arrival": served.arrival,
            "prompt": served.prompt,
            "output": served.output,
            "start": times.start,
            "first_token": times.first_token,
            "completion": times.completion,
            "latency": times.completion - served.arrival,
        }
    )


def comparison_frame(rows: Sequence[Row], *, instance: str, model: str) -> DataFrame:
    """Return one row a schedule; see `comparison_records`.

    Raises
    ------
    InputError
        If pandas is not installed.
    """
    made = comparison_records(rows, instance=instance, model=model)
    return frame({name: [cells.get(name) for cells in made] for name in names_in(made)})


def study_frame(rows: Sequence[StudyRow]) -> DataFrame:
    """Return the table of a study, with the columns of its ``results.csv``.

    Exact fractions become floating-point numbers; what is missing is None.

    Raises
    ------
    InputError
        If pandas is not installed.
    """
    from ..online.study.table import cells_of, columns_of

    def plain(value: Any) -> Any:
        return float(value) if isinstance(value, Fraction) else value

    cells = [cells_of(row) for row in rows]
    return frame({name: [plain(each.get(name)) for each in cells] for name in columns_of(rows)})


def progress_frame(moments: Sequence[Moment]) -> DataFrame:
    """Return one row a moment: seconds, value, bound and gap.

    Raises
    ------
    InputError
        If pandas is not installed.
    """
    return frame(
        {
            "seconds": [each.seconds for each in moments],
            "value": [None if each.value is None else float(each.value) for each in moments],
            "bound": [None if each.bound is None else float(each.bound) for each in moments],
            "gap": [each.gap for each in moments],
        }
    )
