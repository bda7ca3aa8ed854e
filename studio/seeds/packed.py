"""Files that are packed: gzip, bzip2, xz and zstd, unpacked as they are read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Mapping
from typing import BinaryIO, cast

from studio.errors import missing_extra

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


class PackedError(Exception):
    """What is packed cannot be unpacked."""


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
                    raise PackedError("it ends within a frame")
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
                raise PackedError(str(error)) from error
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
DAMAGED = (PackedError, EOFError, zlib.error, lzma.LZMAError)
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
