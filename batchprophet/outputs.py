"""Checks, before any long work, that its result can be written where it is wanted."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .models.errors import InputError


def require_writable_file(path: str | os.PathLike[str]) -> None:
    """Refuse a file that cannot be written, and leave it as it is.

    Raises
    ------
    InputError
        If it is a folder, or its folder does not exist or cannot be written to.
    """
    if Path(path).is_dir():
        raise InputError(f"{path}: expected a file to write, found a folder")
    _probe(Path(path).parent, path)


def require_writable_folder(path: str | os.PathLike[str]) -> None:
    """Refuse a folder that cannot be made or written to, and make nothing yet.

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


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder, with those above it, unless it is there."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be made ({error.strerror or error})") from error
    return Path(path)


def _probe(folder: Path, path: str | os.PathLike[str]) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
