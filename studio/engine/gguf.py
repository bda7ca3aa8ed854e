"""Reads the header of a GGUF file: its metadata and tensor table, never its vocabulary or weights.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian). The numbers of quantisations are those
of llama.cpp's `llama.h` (LLAMA_FTYPE) and `ggml.h` (GGML_TYPE).
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass, field
from pathlib import Path

from studio.engine.not_gguf import START_BYTES, kind_of_file, piece_of
from studio.errors import ModelError

# fmt: off
FILE_TYPES: dict[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L",
    14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16",
    36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4", 40: "Q1_0", 41: "Q2_0",
}
"""`general.file_type` -> the name people know."""
TENSOR_TYPES: dict[int, tuple[int, int]] = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 10: (256, 84), 11: (256, 110),
    12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50),
    20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8),
    29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36),
}
"""Tensor type -> (elements, bytes) of one block. A type that is not here is not checked for its length."""
# fmt: on

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = {kind: struct.Struct(f"<{code}") for kind, code in (*enumerate("BbHhIif?"), (10, "Q"), (11, "q"), (12, "d"))}
_STRING, _ARRAY = 8, 9
_WHOLE = frozenset(_SCALARS) - {6, 12}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_MAX_DIMENSIONS = 8
_MOST_PAIRS, _MOST_TENSORS, _MOST_TEXTS = 1 << 16, 1 << 20, 1 << 24
"""Far more than any model has: a damaged count in a large file should not keep anyone waiting."""
_MOST_NUMBERS, _MOST_NUMBERS_IN_ALL = 4096, 1 << 18
"""Arrays that say something of each layer are shorter; those of vocabularies are left out."""
_DEFAULT_ALIGNMENT = 32

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Gguf:
    """What the header of a GGUF file says. Long arrays and texts in arrays are left out; `array_lengths` has their numbers of elements.

    `numbers` has the short arrays of whole numbers, such as those that say something of each layer.

    `tensors` has the shape of each, the fastest dimension first: a weight of (out, in) in PyTorch is (in, out) here. `file_size` and
    `data_end`, where the last tensor ends, are bytes. Of a split model, `shards` are its files in their order, and all sizes are sums.
    """

    path: Path
    version: int
    metadata: dict[str, Value]
    array_lengths: dict[str, int]
    parameters: int
    file_size: int
    tensors: dict[str, tuple[int, ...]] = field(default_factory=dict)
    array_starts: dict[str, int] = field(default_factory=dict)
    """Where in the file the elements of each array of texts begin."""
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The type of each tensor of this file, a number of GGML_TYPE, and where its data begins."""
    data_end: int = 0
    shards: tuple[Path, ...] = ()
    numbers: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def text(self, key: str) -> str:
        """Return the metadata value of `key` as text, empty when it is missing."""
        return str(self.metadata.get(key, ""))

    def number(self, key: str) -> int:
        """Return the metadata value of `key` as a whole number, 0 when it is missing or none."""
        value = self.metadata.get(key, 0)
        return value if isinstance(value, int) else 0

    @property
    def architecture(self) -> str:
        """The model family, for example `llama`."""
        return self.text("general.architecture")

    @property
    def quantisation(self) -> str:
        """The name of `general.file_type`, for example `Q4_1`; empty when the file does not say."""
        if "general.file_type" not in self.metadata:
            return ""
        number = self.number("general.file_type")
        return FILE_TYPES.get(number, f"type {number}")

    @property
    def context_length(self) -> int:
        """Tokens the model was trained for, 0 when the file does not say."""
        return self.number(f"{self.architecture}.context_length")


def read_gguf(path: Path) -> Gguf:
    """Read and check the header of `path`. Raises ModelError, naming the path and the fault, for anything but a complete GGUF file."""
    try:
        with path.open("rb") as file:
            start = file.read(START_BYTES)
            if not start.startswith(MAGIC):
                kind = kind_of_file(path, start)
                raise ModelError(f"{path}: {kind.what}", kind.hint)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(path, data).read()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}", "check the path and its permissions") from error


def text_at(header: Gguf, key: str, index: int) -> str:
    """Return one element of an array of texts; empty where the header has no such array or element. Raises ModelError."""
    start = header.array_starts.get(key)
    if start is None or not 0 <= index < header.array_lengths[key]:
        return ""
    try:
        with header.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for _ in range(index):
                start += _U64.size + _U64.unpack_from(data, start)[0]
            length = _U64.unpack_from(data, start)[0]
            return data[start + _U64.size : start + _U64.size + length].decode("utf-8", "replace")
    except (OSError, ValueError, struct.error) as error:
        raise ModelError(f"{header.path}: cannot be read: {error}", "check the path and its permissions") from error


class _Reader:
    """Walks the header with every access checked against the file's end."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        self._size = len(data)
        self._at = len(MAGIC)
        self._metadata: dict[str, Value] = {}
        self._array_lengths: dict[str, int] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._array_starts: dict[str, int] = {}
        self._numbers: dict[str, tuple[int, ...]] = {}
        self._numbers_left = _MOST_NUMBERS_IN_ALL
        self._places: dict[str, tuple[int, int]] = {}

    def read(self) -> Gguf:
        version = self._u32("version")
        if version not in _VERSIONS:
            if int.from_bytes(version.to_bytes(4, "little"), "big") in _VERSIONS:
                raise self._error("it is big-endian; this machine reads little-endian files", "download the little-endian file")
            remedy = "take a newer conversion of the model" if version < min(_VERSIONS) else "it may be newer than the studio: upgrade that"
            raise self._error(f"GGUF version {version} is not supported (2 and 3 are)", remedy)
        tensors = self._count("number of tensors", 8 + 4 + 4 + 8, _MOST_TENSORS)
        pairs = self._count("number of metadata entries", 8 + 4 + 1, _MOST_PAIRS)
        for _ in range(pairs):
            key = self._string("a metadata key")
            self._value(key, self._u32(f"the type of {key}"))
        parameters, end = self._tensors(tensors)
        if end > self._size:
            raise self._cut_off(f"{end - self._size:,} bytes of {end:,} are missing", "download it again, or finish the download")
        arrays = (self._array_lengths, self._array_starts)
        kept = (self._shapes, arrays[1], self._places, end)
        return Gguf(self._path, version, self._metadata, arrays[0], parameters, self._size, *kept, numbers=self._numbers)

    def _value(self, key: str, kind: int) -> None:
        if kind == _STRING:
            self._metadata[key] = self._string(key)
        elif kind == _ARRAY:
            self._array(key)
        elif kind in _SCALARS:
            scalar = _SCALARS[kind]
            self._metadata[key] = scalar.unpack_from(self._data, self._take(scalar.size, key))[0]
        else:
            raise self._error(f"{key} has the unknown type {kind}")

    def _array(self, key: str) -> None:
        kind = self._u32(f"the type of {key}")
        length = self._u64(f"the length of {key}")
        self._array_lengths[key] = length
        if kind in _SCALARS:
            at = self._take(_SCALARS[kind].size * length, key)
            if kind in _WHOLE and length <= min(_MOST_NUMBERS, self._numbers_left):
                code = _SCALARS[kind].format[1:]
                self._numbers_left -= length
                self._numbers[key] = tuple(map(int, struct.unpack_from(f"<{length}{code}", self._data, at)))
        elif kind == _STRING:
            if length * _U64.size > self._size - self._at:
                raise self._cut(key)
            if length > _MOST_TEXTS:
                raise self._error(f"{key} has {length:,} elements")
            self._array_starts[key] = self._at
            self._skip_strings(key, length)
        else:
            raise self._error(f"{key} is an array of the unsupported type {kind}")

    def _skip_strings(self, key: str, length: int) -> None:
        unpack, data, at, last = _U64.unpack_from, self._data, self._at, self._size - _U64.size
        for _ in range(length):
            if at > last:
                raise self._cut(key)
            at += _U64.size + unpack(data, at)[0]
        if at > self._size:
            raise self._cut(key)
        self._at = at

    def _tensors(self, count: int) -> tuple[int, int]:
        """Return the number of parameters and the position where the last tensor's data ends, both 0 for no tensors."""
        parameters = furthest = 0
        for _ in range(count):
            name = self._string("a tensor's name")
            dimensions = self._u32(f"the shape of {name}")
            if dimensions > _MAX_DIMENSIONS:
                raise self._error(f"tensor {name} has {dimensions} dimensions")
            shape = tuple(self._u64(f"the shape of {name}") for _ in range(dimensions))
            self._shapes[name] = shape
            elements = math.prod(shape)
            kind = self._u32(f"the type of {name}")
            offset = self._u64(f"the offset of {name}")
            self._places[name] = (kind, offset)
            block, size = TENSOR_TYPES.get(kind, (1, 0))
            furthest = max(furthest, offset + elements // block * size)
            parameters += elements
        alignment = self._metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            raise self._error(f"general.alignment is {alignment!r}")
        start = (self._at + alignment - 1) // alignment * alignment
        self._places = {name: (kind, start + offset) for name, (kind, offset) in self._places.items()}
        return parameters, start + furthest if count else 0

    def _take(self, size: int, what: str) -> int:
        at = self._at
        if size > self._size - at:
            raise self._cut(what)
        self._at = at + size
        return at

    def _u32(self, what: str) -> int:
        return int(_U32.unpack_from(self._data, self._take(4, what))[0])

    def _u64(self, what: str) -> int:
        return int(_U64.unpack_from(self._data, self._take(8, what))[0])

    def _count(self, what: str, least_bytes: int, most: int) -> int:
        count = self._u64(what)
        if count * least_bytes > self._size or count > most:
            raise self._error(f"the {what}, {count:,}, cannot be: the file has {self._size:,} bytes")
        return count

    def _string(self, what: str) -> str:
        length = self._u64(what)
        at = self._take(length, what)
        return self._data[at : at + length].decode("utf-8", "replace")

    def _cut(self, what: str) -> ModelError:
        return self._cut_off(f"its {self._size:,} bytes end within the header, at {what}", "download it again")

    def _cut_off(self, how: str, hint: str) -> ModelError:
        piece = piece_of(self._path)
        return self._error(f"{piece.what}; {how}", piece.hint) if piece else self._error(f"the file is truncated: {how}", hint)

    def _error(self, fault: str, hint: str = "the file is damaged; download it again") -> ModelError:
        return ModelError(f"{self._path}: {fault}", hint)
