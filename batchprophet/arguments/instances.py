"""Instances, regimes and limits as commands and public functions take them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..models.errors import InputError
from ..models.files.instance_file import read_instance
from ..models.instance import Instance
from ..models.regimes import REGIMES, regime
from ..models.shown import suggestion
from .outputs import PathLike


def require_model(model: str, *, both: bool = False) -> None:
    """Refuse an unknown batching regime; "both" is one only where it is allowed."""
    known = [*REGIMES, *(["both"] if both else [])]
    if model not in known:
        *first, last = map(repr, known)
        raise InputError(
            f"model: expected {', '.join(first)} or {last}, found {model!r}"
            f"{suggestion(model, known)}"
        )


def require_seconds(time_limit: float) -> None:
    """Refuse a negative time limit."""
    if not time_limit >= 0:
        raise InputError(f"time_limit: expected at least 0 seconds, found {time_limit}")


def load_for(model: str, instance: Instance | PathLike, path: PathLike | None = None) -> Instance:
    """Read an instance if it is a file, and refuse what the regime cannot schedule.

    Parameters
    ----------
    model : {"mixed", "separate", "both"}
        The regime; what separate batching takes, both take.
    instance : Instance or path-like
        An instance, or its file.
    path : path-like, optional
        The file that the instance comes from, for messages.
    """
    if not isinstance(instance, (Instance, str, os.PathLike)):
        raise InputError(
            f"instance: expected an Instance or the path of a file, found {type(instance).__name__}"
        )
    loaded = instance if isinstance(instance, Instance) else read_instance(instance)
    with located(path if isinstance(instance, Instance) else instance):
        regime("separate" if model == "both" else model).require(loaded)
    return loaded


@contextmanager
def located(source: object) -> Iterator[None]:
    """Put the name of the file in which something is refused before the message."""
    try:
        yield
    except InputError as error:
        if not isinstance(source, (str, os.PathLike)):
            raise
        raise InputError(f"{os.fspath(source)}: {error}") from error
