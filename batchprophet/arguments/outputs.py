"""Checks, before any long work, that its results can be written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..models.disk import identity, output_target
from ..models.errors import InputError

PathLike = str | os.PathLike[str]

#: A file with the option or argument that names it, for messages; None where none is given.
Named = tuple[str, PathLike | None]


def require_outputs(outputs: Iterable[Named], inputs: Iterable[Named] = ()) -> None:
    """Refuse files that cannot be written, that are also read, or that are written twice.

    Parameters
    ----------
    outputs, inputs : iterable of (str, path-like or None)
        What is written and what is read, by the names of their options.

    Raises
    ------
    InputError
        If an output is no regular file, its folder does not exist or cannot be written to, or it
        is the same file as an input or another output, by whatever name.

    Examples
    --------
    >>> require_outputs([("--out", "a.json"), ("--certificate", "./a.json")])
    Traceback (most recent call last):
    ...
    batchprophet.models.errors.InputError: --certificate: expected another file than --out, found ./a.json
    """  # noqa: E501 - a message is one line
    wanted = [(name, path) for name, path in outputs if path is not None]
    for _, path in wanted:
        require_writable_file(path)
    _require_apart(wanted, inputs)


def require_outputs_in(
    name: str,
    folder: PathLike,
    files: Sequence[str],
    *,
    inputs: Iterable[Named] = (),
    others: Iterable[Named] = (),
) -> None:
    """Refuse a folder in which `files` cannot be written, or where one of them is read.

    Parameters
    ----------
    name : str
        The option that names the folder.
    folder : path-like
        The folder; it need not be there yet.
    files : sequence of str
        Names of the files in it.
    inputs : iterable of (str, path-like or None)
        What is read, by the names of its options.
    others : iterable of (str, path-like or None)
        What else is written.

    Raises
    ------
    InputError
        As `require_outputs`.
    """
    require_writable_folder(folder)
    own: list[Named] = [(name, Path(folder) / file) for file in files]
    for file in files:
        output_target(Path(folder) / file)
    wanted = [(option, path) for option, path in others if path is not None]
    for _, path in wanted:
        if not _is_within(path, folder):  # else its folder may not be there yet
            require_writable_file(path)
    _require_apart([*own, *wanted], inputs)


def require_writable_file(path: PathLike) -> None:
    """Refuse a file that cannot be written, without changing it.

    Raises
    ------
    InputError
        If it is no regular file, or its folder does not exist or cannot be written to.
    """
    _probe(output_target(path).parent, path)


def require_writable_folder(path: PathLike) -> None:
    """Refuse a folder that cannot be made or written to, without making it.

    Raises
    ------
    InputError
        If it, or the nearest folder above it that exists, cannot be written to.
    """
    nearest = Path(path)
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise InputError(f"{path}: expected a folder to write to, found the file {nearest}")
    _probe(nearest, path)


def make_folder(path: PathLike) -> Path:
    """Make a folder and its parents, unless it exists."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be made ({error.strerror or error})") from error
    return Path(path)


def _require_apart(outputs: Iterable[Named], inputs: Iterable[Named]) -> None:
    known = {identity(path): name for name, path in inputs if path is not None}
    for name, path in outputs:
        assert path is not None
        file = identity(path)
        if file in known:
            raise InputError(f"{name}: expected another file than {known[file]}, found {path}")
        known[file] = name


def _is_within(path: PathLike, folder: PathLike) -> bool:
    return identity(Path(path).parent) == identity(folder)


def _probe(folder: Path, path: PathLike) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
