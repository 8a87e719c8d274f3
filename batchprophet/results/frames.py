"""Results as pandas data frames, which is an extra: ``batchprophet[frames]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..models.errors import InputError
from ..models.regimes import regime_of
from ..report.formats import comparison_records, names_in

if TYPE_CHECKING:
    from pandas import DataFrame

    from ..models.instance import Instance
    from ..models.regime import Schedule
    from ..report.table import Row


def frame(columns: Mapping[str, Any]) -> DataFrame:
    """Return columns as a data frame.

    Raises
    ------
    InputError
        If pandas is not installed.
    """
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise InputError("to_frame: needs pandas; install batchprophet[frames]") from error
    return DataFrame(columns)


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
