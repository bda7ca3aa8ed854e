"""What a file is by its first bytes, and the bytes of packed ones."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, cast

from studio.errors import UsageError, missing_extra

TEXT, PARQUET, ARROW, SHEET = "text", "parquet", "arrow", "sheet"

_STREAM = b"\xff\xff\xff\xff"
_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ODS = b"application/vnd.oasis.opendocument.spreadsheet"
_OFFICE = (("xl/", "xlsx"), ("word/", "a Word document"), ("ppt/", "a presentation"))
_FOREIGN = (
    (b"PARE", "an encrypted Parquet file", "write it without encryption"),
    (b"FEA1", "a Feather file of the first version", "write it anew: pyarrow.feather.write_feather"),
    (b"SQLite format 3\0", "an SQLite database", "a pool is exported first: studio export POOL -o data.jsonl --format raw"),
    (b"GGUF", "a model", "name a file of tasks"),
    (b"%PDF", "a PDF file", "name a file of tasks"),
    (b"version https://git-lfs", "a Git LFS pointer in the place of the file", "fetch the file itself: git lfs pull"),
    (b"<!doctype html", "a web page", "download the file itself, not the page about it"),
    (b"<?xml", "XML", "write it as JSON lines or CSV first"),
    (b"<html", "a web page", "download the file itself, not the page about it"),
)


def kind_of_file(path: Path, head: bytes, whole: Callable[[], BinaryIO]) -> str:
    """Return how the file `path`, which begins with `head`, is read: `TEXT`, `PARQUET`, `ARROW` or `SHEET`.

    `whole` opens all of it, to see what a ZIP archive holds. Raises UsageError for what is none of these.
    """
    if head.startswith(b"PAR1"):
        return PARQUET
    if head.startswith((b"ARROW1", _STREAM)):
        return ARROW
    if head.startswith(_OLE):
        return SHEET
    if head.startswith(_ZIP):
        return _kind_of_archive(path, whole())
    for mark, what, hint in _FOREIGN:
        if head[: len(mark)].lower() == mark.lower() or head.lstrip()[: len(mark)].lower() == mark.lower():
            raise _foreign(path, what, hint)
    if head[257:262] == b"ustar":
        raise _foreign(path, "a tar archive", "unpack it first: tar xf FILE")
    return TEXT


def _foreign(path: Path, what: str, hint: str) -> UsageError:
    return UsageError(f"{path} is {what}, not text", hint)


def _kind_of_archive(path: Path, file: BinaryIO) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 1000 and archive.read("mimetype").startswith(_ODS):
                return SHEET
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise _foreign(path, f"a damaged ZIP archive or Excel workbook ({error})", "download it or save it anew") from error
    what = next((what for start, what in _OFFICE if any(name.startswith(start) for name in names)), "a ZIP archive")
    if what == "xlsx":
        return SHEET
    raise _foreign(path, what, "unpack it first" if what == "a ZIP archive" else "save its text, or a table of tasks, as a file of its own")


_BUFFER = 1 << 18
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPED = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
"""A frame of zstd that holds no data stands before each one that pzstd writes."""
_WINDOW = 1 << 31
"""Bytes that zstd may look back, with `--long=31`, as large collections are packed; memory is taken as they are unpacked."""
_AT_A_TIME = 1 << 11
"""Bytes of zstd that are unpacked at once: the smallest blocks of two kilobytes hold 64 MiB, of a whole buffer they would hold 8 GiB."""

SUFFIXES = frozenset({".gz", ".bz2", ".xz", ".zst"})
"""What stands behind the name of a packed file."""


class _Zstd(io.RawIOBase):
    """What a zstd stream holds, frame after frame. A stream that ends within a frame is damaged, which zstd's own reader does not tell."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        try:
            import zstandard
        except ImportError as error:
            raise missing_extra("files packed with zstd are read", "data") from error
        self._stream = stream
        self._library = zstandard
        self._frame = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
        self._begun = False
        self._held = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._held:
            packed = self._stream.read(_AT_A_TIME)
            if not packed:
                if self._begun:
                    raise EOFError("it ends within a frame")
                return 0
            self._held = memoryview(self._unpacked(packed))
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    def _unpacked(self, packed: bytes) -> bytes:
        pieces = []
        while packed:
            try:
                pieces.append(self._frame.decompress(packed))
            except self._library.ZstdError as error:
                raise OSError(str(error)) from error
            self._begun = not self._frame.eof
            packed = b""
            if self._frame.eof:
                packed = self._frame.unused_data
                self._frame = self._library.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
        return b"".join(pieces)


_PACKED: Mapping[bytes, Callable[[BinaryIO], object]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    _ZSTD: _Zstd,
}
DAMAGED = (EOFError, zlib.error, lzma.LZMAError)
"""What reading raises where a packed file is damaged; an OSError without a number is one more."""


def unpacked(raw: io.RawIOBase) -> tuple[BinaryIO, bool]:
    """Return the bytes of `raw` as they are read, unpacked where they are packed, and whether they are.

    Raises UsageError where the library for it is not installed.
    """
    stream = io.BufferedReader(raw, _BUFFER)
    begins = stream.peek(8)[:8]
    if _ZSTD_SKIPPED.match(begins):
        begins = _ZSTD
    for mark, unpack in _PACKED.items():
        if begins.startswith(mark):
            inner = cast("io.RawIOBase", unpack(cast("BinaryIO", stream)))
            return cast("BinaryIO", io.BufferedReader(inner, _BUFFER)), True
    return cast("BinaryIO", stream), False
