"""Files on disk: every file that is read or written passes here.

Only regular files are written, and only regular files and pipes that are already open are read:
devices and named pipes may never end, and must never be replaced by a file.
"""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import InputError

PathLike = str | os.PathLike[str]

#: A file that is read whole has at most this many bytes.
MOST_BYTES = 2**30

#: A pipe, whose length is not known, is read up to this many bytes.
MOST_OF_PIPE = 2**32

_CHUNK = 1 << 20

#: Kinds of files that are neither regular nor folders, for messages.
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def open_input(path: PathLike) -> io.FileIO:
    """Open a regular file, or a pipe that is already open (``/dev/stdin``, ``/dev/fd/63``).

    Raises
    ------
    InputError
        If it is anything else, or cannot be read.

    Examples
    --------
    >>> open_input(".")
    Traceback (most recent call last):
    ...
    batchprophet.models.errors.InputError: .: cannot be read (expected a file, found a folder)
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - paths of any kind
        if not stat.S_ISREG(mode) and not (stat.S_ISFIFO(mode) and _is_open_already(path)):
            raise InputError(
                f"{_shown(path)}: cannot be read (expected a file, found {_kind(mode)})"
            )
        return io.FileIO(os.fspath(path))
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise _unreadable(path, error) from error


def read_input(path: PathLike, *, most: int = MOST_BYTES) -> bytes:
    """Return the bytes of a file, or of a pipe that is already open.

    Parameters
    ----------
    path : path-like
        The file.
    most : int
        How many bytes it may have.

    Raises
    ------
    InputError
        If it is neither, cannot be read, or is larger.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "file.json"
    ...     _ = path.write_bytes(b"{}")
    ...     read_input(path)
    b'{}'
    """
    chunks, left = [], most
    with open_input(path) as file:
        try:
            if os.fstat(file.fileno()).st_size > most:
                raise _too_large(path, most)
            while chunk := file.read(_CHUNK):
                chunks.append(chunk)
                left -= len(chunk)
                if left < 0:
                    raise _too_large(path, most)
        except OSError as error:
            raise _unreadable(path, error) from error
    return b"".join(chunks)


def length_limit(file: io.FileIO) -> float:
    """Return how many bytes may be streamed from an open file: no limit where it says its size."""
    size = os.fstat(file.fileno()).st_size
    return float("inf") if size else MOST_OF_PIPE


def output_target(path: PathLike) -> Path:
    """Return the file that is written where `path` is asked for: links are followed.

    Raises
    ------
    InputError
        If there is something else than a regular file, or one that is write-protected.

    Examples
    --------
    >>> output_target(".")
    Traceback (most recent call last):
    ...
    batchprophet.models.errors.InputError: .: expected a file to write, found a folder
    """
    try:
        target = Path(os.path.realpath(path))
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    except (OSError, ValueError) as error:  # a loop of links, a file where a folder should be
        raise _unwritable(path, error) from error
    if not stat.S_ISREG(mode):
        raise InputError(f"{_shown(path)}: expected a file to write, found {_kind(mode)}")
    if not os.access(target, os.W_OK):
        raise InputError(f"{_shown(path)}: cannot be written (it is write-protected)")
    return target


def write_atomically(path: PathLike, content: bytes | Iterable[bytes]) -> None:
    """Write a file under a temporary name and move it into place: it is whole or not there.

    A link is followed: it stays, and its target is replaced, in the target's folder. The
    permissions of a file that is replaced are kept.

    Parameters
    ----------
    path : path-like
        The file.
    content : bytes or iterable of bytes
        All of it, or its pieces in order.

    Raises
    ------
    InputError
        If there is something else than a regular file, or the folder does not exist or cannot be
        written to; an existing file is left untouched.
    """
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stream.writelines([content] if isinstance(content, bytes) else content)


@contextmanager
def replacing(path: PathLike) -> Iterator[Path]:
    """Yield a temporary file, with the ending of `path`, that is moved into place at the end.

    Raises
    ------
    InputError
        As `write_atomically`.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "model.lp") as temporary:
    ...         _ = temporary.write_text("min: x;")
    ...     [file.name for file in Path(folder).iterdir()], temporary.suffix
    (['model.lp'], '.lp')
    """
    target = output_target(path)
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.name[:24]}.", suffix=Path(path).suffix[:8]
        )
        os.close(handle)
        yield Path(temporary)
        _take_permissions(target, temporary)
        os.replace(temporary, target)  # noqa: PTH105 - atomic on every platform
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        if temporary is not None:
            with suppress(FileNotFoundError):
                os.unlink(temporary)  # noqa: PTH108 - gone already when the move succeeded


def identity(path: PathLike) -> tuple[int | str, ...]:
    """Return what all names of one file share: links, ``..`` and hard links lead to the same.

    A file that is not there yet is known by its folder and its name, without the case of its
    letters where the folder's file system has none.

    Examples
    --------
    >>> identity("new.json") == identity("./no-such-folder/../new.json")
    True
    >>> identity("new.json") == identity("other.json")
    False
    """
    try:
        real, missing = Path(os.path.realpath(path)), list[str]()
    except ValueError:  # a null character: no file has it
        return (str(path),)
    while True:
        with suppress(OSError, ValueError):
            found = real.stat()
            break
        if real == real.parent:
            return (str(path),)
        missing.insert(0, real.name)
        real = real.parent
    if missing and _ignores_case(real):
        missing = [name.casefold() for name in missing]
    return (found.st_dev, found.st_ino, *missing)


def _ignores_case(folder: Path) -> bool:
    other = folder.with_name(folder.name.swapcase()) if folder.name else folder
    with suppress(OSError):
        return other.name != folder.name and other.samefile(folder)
    return False


def _is_open_already(path: PathLike) -> bool:
    """Whether the name is one of an open file: reading need not wait for a writer."""
    name = os.path.abspath(path)  # noqa: PTH100 - links must not be followed
    return str(name) == "/dev/stdin" or str(name).startswith(("/dev/fd/", "/proc/"))


def _take_permissions(target: Path, temporary: str) -> None:
    """Give a new file the owner and the mode of the one that it replaces, or the usual mode."""
    try:
        old = target.stat()
    except FileNotFoundError:
        Path(temporary).chmod(0o666 & ~_umask())
        return
    new = Path(temporary).stat()
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        with suppress(OSError):  # only some may give files away
            os.chown(temporary, old.st_uid, old.st_gid)
    Path(temporary).chmod(stat.S_IMODE(old.st_mode))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _kind(mode: int) -> str:
    return next((name for test, name in _KINDS if test(mode)), "something else")


def _shown(path: PathLike) -> str:
    """Return a name for a message: on one line, whatever is in it."""
    text = os.fspath(path)
    return text if text.isprintable() else repr(text)


def _unreadable(path: PathLike, error: OSError | ValueError) -> InputError:
    return InputError(f"{_shown(path)}: cannot be read ({_reason(error)})")


def _unwritable(path: PathLike, error: OSError | ValueError) -> InputError:
    return InputError(f"{_shown(path)}: cannot be written ({_reason(error)})")


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _too_large(path: PathLike, most: int) -> InputError:
    return InputError(
        f"{_shown(path)}: expected at most {most / 2**20:,.0f} MiB, found a larger file"
    )
