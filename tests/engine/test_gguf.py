"""GGUF headers: what is read, and what each damage is called."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.gguf import read_gguf
from studio.engine.model_file import read_model
from studio.errors import ModelError
from support.engines import bundled_identity

MODEL = Path(bundled_identity().path)
HEADER_BYTES = 2_000_000


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def small_gguf(version: int = 3, missing: int = 0) -> bytes:
    """A file with one F32 tensor of 4 x 2 numbers, `missing` bytes too short."""
    pairs = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("general.file_type") + struct.pack("<II", 4, 15),
        text("llama.context_length") + struct.pack("<II", 4, 512),
        text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b"),
        text("heads") + struct.pack("<IIQ", 9, 5, 3) + struct.pack("<iii", 0, 2, -1),
        text("attends") + struct.pack("<IIQ", 9, 7, 2) + struct.pack("<??", True, False),
        text("kinds") + struct.pack("<IIQ", 9, 4, 5000) + bytes(20_000),
        text("scores") + struct.pack("<IIQ", 9, 6, 2) + struct.pack("<ff", 1, 2),
        text("flag") + struct.pack("<I?", 7, True),
    ]
    header = b"GGUF" + struct.pack("<IQQ", version, 1, len(pairs)) + b"".join(pairs)
    header += text("weight") + struct.pack("<IQQIQ", 2, 4, 2, 0, 0)
    header += b"\0" * (-len(header) % 32)
    return header + b"\1" * (32 - missing)


def test_the_bundled_model() -> None:
    identity = bundled_identity()
    assert (identity.quantisation, identity.licence, identity.architecture) == ("Q4_1", "apache-2.0", "llama")
    assert (identity.parameters, identity.context_length, identity.file_size) == (134_515_008, 8192, 98_362_432)
    assert identity.sha256 == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def test_every_kind_of_value(tmp_path: Path) -> None:
    path = tmp_path / "small.gguf"
    path.write_bytes(small_gguf())
    header = read_gguf(path)
    assert header.metadata == {"general.architecture": "llama", "general.file_type": 15, "llama.context_length": 512, "flag": True}
    assert header.array_lengths == {"tokens": 2, "heads": 3, "attends": 2, "kinds": 5000, "scores": 2}
    assert header.numbers == {"heads": (0, 2, -1), "attends": (1, 0)}, "long ones are a vocabulary's"
    assert (header.quantisation, header.context_length, header.parameters, header.version) == ("Q4_K_M", 512, 8, 3)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "it is empty"),
        (b"hello, this is text", "not a GGUF file"),
        (b"GG", "not a GGUF file"),
        (b"FUGG" + bytes(50), "big-endian"),
        (b"GGUF", "truncated"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(16), "big-endian"),
        (b"GGUF" + struct.pack("<I", 9) + bytes(16), "version 9"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "cannot be"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<I", 77) + bytes(20), "unknown type 77"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 50) + bytes(20), "truncated"),
        (small_gguf(missing=5), "5 bytes of"),
    ],
)
def test_damage_is_named(tmp_path: Path, data: bytes, fault: str) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        read_gguf(path)
    assert str(path) in caught.value.message and fault in caught.value.message and caught.value.hint


def test_a_truncated_model_says_by_how_much(tmp_path: Path) -> None:
    path = tmp_path / "half.gguf"
    with MODEL.open("rb") as source:
        path.write_bytes(source.read(HEADER_BYTES))
    with pytest.raises(ModelError, match=r"truncated: 96,362,432 bytes of 98,362,432 are missing"):
        read_gguf(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(ModelError, match=str(path)):
            read_gguf(path)


@given(st.data())
def test_no_damage_escapes_as_another_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = bytearray(small_gguf())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "mutated.gguf"
    path.write_bytes(bytes(whole[: data.draw(st.integers(4, len(whole)))]))
    try:
        read_model(path)
    except ModelError as error:
        assert str(path) in error.message
