"""The file under a trace: opened, decompressed, hashed and cut into lines as it is read."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

import zstandard

from ..disk import MOST_OF_PIPE, length_limit, open_input
from ..errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Given = ParamSpec("Given")
Read = TypeVar("Read")

#: Called with (bytes read so far, bytes of the whole file), about once a megabyte.
BytesRead = Callable[[int, int], None]

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
CHUNK = 1 << 20

#: Packed bytes that are unpacked at a time: few, as one may stand for some 30,000.
PACKED = 1 << 11

LONGEST_LINE = 1 << 24


class TraceFile:
    r"""Lines of a plain, gzip or zstd file, read once from front to back.

    Iterating yields each line as text with its line end; `line` is the number of the last one
    yielded. Compression is recognised by the file's first bytes, never by its name. Memory stays
    constant.

    Parameters
    ----------
    path : path-like
        The file.
    progress : callable, optional
        Called with (bytes read, bytes of the file), both as on disk.

    Raises
    ------
    InputError
        If the file cannot be read or decompressed, is not UTF-8, or has a line of more than
        16 MiB. The message says the file and the line.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "trace.csv"
    ...     _ = path.write_bytes(b"in,out\r\n3,12")
    ...     with TraceFile(path) as file:
    ...         list(file), file.line
    (['in,out\r\n', '3,12'], 2)
    """

    def __init__(self, path: str | os.PathLike[str], progress: BytesRead | None = None) -> None:
        self.path = os.fspath(path)
        self.line = 0
        self._disk = _HashedFile(self.path, progress)
        try:
            self._stream = self._opened()
        except BaseException:
            self._disk.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()
        self._disk.close()

    def __iter__(self) -> Iterator[str]:
        while line := self._read(self._stream.readline, LONGEST_LINE):
            self.line += 1
            if len(line) == LONGEST_LINE:
                raise InputError(f"{self.where()}: expected lines below 16 MiB, found a longer one")
            try:
                yield line.decode("utf-8-sig" if self.line == 1 else "utf-8")
            except UnicodeDecodeError as error:
                byte = line[error.start]
                raise InputError(
                    f"{self.where()}: expected UTF-8 text, found byte 0x{byte:02x}"
                ) from error

    def first_byte(self) -> bytes:
        """Return the first byte that is neither white space nor a byte-order mark, unread."""
        head = self._read(self._stream.peek, 4096)
        return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]

    def head(self) -> str:
        """Return the first characters, unread, to recognise a format by."""
        return self._read(self._stream.peek, 4096)[:4096].decode("utf-8-sig", errors="replace")

    def sha256(self) -> str:
        """Read the rest of the file unparsed and return the SHA-256 of all its bytes as stored."""
        self._read(self._disk.finish)
        return self._disk.hash.hexdigest()

    def where(self) -> str:
        """Return the file and the line last read, to begin a message with."""
        return f"{self.path}: line {self.line}"

    def _opened(self) -> io.BufferedReader:
        buffered: io.BufferedReader = io.BufferedReader(self._disk, CHUNK)
        magic = self._read(buffered.peek, 4)
        if magic.startswith(GZIP_MAGIC):
            return io.BufferedReader(gzip.GzipFile(fileobj=buffered), CHUNK)
        if magic.startswith(ZSTD_MAGIC):
            return io.BufferedReader(_ZstdFrames(buffered), CHUNK)
        return buffered

    def _read(self, read: Callable[Given, Read], *args: Given.args, **kwargs: Given.kwargs) -> Read:
        try:
            return read(*args, **kwargs)
        except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
            raise InputError(
                f"{self.path}: after line {self.line}: cannot be decompressed ({error})"
            ) from error
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror or error})") from error


class _HashedFile(io.RawIOBase):
    """A file on disk whose bytes are hashed and counted as they are read."""

    def __init__(self, path: str, progress: BytesRead | None) -> None:
        self._path = path
        self._file = open_input(path)
        self._size = os.fstat(self._file.fileno()).st_size
        self._most = length_limit(self._file)
        self._progress = progress
        self._count = 0
        self.hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        count = self._file.readinto(buffer)
        self.hash.update(memoryview(buffer)[:count])
        self._count += count or 0
        if self._count > self._most:
            limit = f"{MOST_OF_PIPE / 2**30:.0f} GiB"
            raise InputError(f"{self._path}: expected at most {limit} of a pipe, found more")
        if self._progress is not None:
            self._progress(self._count, self._size)
        return count

    def finish(self) -> None:
        chunk = bytearray(CHUNK)
        while self.readinto(chunk):
            pass

    def close(self) -> None:
        self._file.close()
        super().close()


class _ZstdFrames(io.RawIOBase):
    """The content of consecutive zstd frames; a frame that is cut off raises EOFError."""

    def __init__(self, source: io.BufferedReader) -> None:
        self._source = source
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._packed = memoryview(b"")
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        target = memoryview(buffer)
        while not self._ready:
            packed = self._frame.unused_data if self._frame.eof else b""
            packed = packed or self._next_packed()
            if not packed and self._frame.eof:
                return 0
            if not packed:
                raise EOFError("the file ends in the middle of a zstd frame")
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._ready = memoryview(self._frame.decompress(packed))
        count = min(len(target), len(self._ready))
        target[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _next_packed(self) -> bytes:
        """Return the next few packed bytes; none at the end of the file."""
        self._packed = self._packed or memoryview(self._source.read1(CHUNK))
        packed, self._packed = self._packed[:PACKED], self._packed[PACKED:]
        return bytes(packed)
