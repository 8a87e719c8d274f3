"""Columns as pandas data frames; pandas is an extra: ``batchprophet[frames]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import InputError

if TYPE_CHECKING:
    from pandas import DataFrame


def frame(columns: Mapping[str, Any]) -> DataFrame:
    """Return columns as a data frame.

    Parameters
    ----------
    columns : mapping of str to sequence
        The columns by name, of one length.

    Raises
    ------
    InputError
        If pandas is not installed.

    Examples
    --------
    >>> frame({"policy": ["vllm"], "value": [7]}).shape
    (1, 2)
    """
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise InputError("to_frame: needs pandas; install batchprophet[frames]") from error
    return DataFrame(columns)
