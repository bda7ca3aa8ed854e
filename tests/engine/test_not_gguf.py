"""What people give as a model that is none: named, with the next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.engine.catalog import find_model
from studio.engine.gguf import read_gguf
from studio.engine.model_file import read_model
from studio.engine.not_gguf import refuse_downloads
from studio.engine.opening import open_engine
from studio.errors import ModelError
from support.tiny_models import header_only

FILES = [
    ("lfs.gguf", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4368439584\n", "4,368,439,584 bytes", "git lfs pull"),
    ("page.gguf", b"\n<!DOCTYPE html><html>", "a web page", "download the file itself"),
    ("refused.gguf", b'{"error":"Invalid username or password."}', "a server's refusal", "hf auth login"),
    ("absent.gguf", b"Entry not found", "a server's refusal", "hf auth login"),
    ("model.safetensors", b"\x40" + bytes(7) + b'{"__metadata__":{"format":"pt"}', "safetensors", "convert_hf_to_gguf"),
    ("model.bin", b"PK\x03\x04archive", "PyTorch", "convert_hf_to_gguf"),
    ("old.pt", b"\x80\x02}q\x00", "PyTorch", "convert_hf_to_gguf"),
    ("ggml-base.bin", b"lmgg" + bytes(40), "old GGML format", "GGUF"),
    ("model.gguf.gz", b"\x1f\x8b\x08", "packed (gzip)", "unpack"),
    ("tiny.llamafile", b"MZqFpD", "a program", "--server"),
    ("zeros.gguf", bytes(600), "begins with zeros", "download"),
    ("empty.gguf", b"", "empty", "download it again"),
    ("x.gguf.part2of3", b"\x8f\x00weights", "a raw piece", "cat PIECE-1 PIECE-2 ... >x.gguf"),
    ("x.gguf-split-b", b"weights", "a raw piece", ">x.gguf"),
    ("x-part-ab", b"weights", "a raw piece", ">x.gguf"),
    ("x.gguf.002", b"weights", "a raw piece", ">x.gguf"),
    ("x.gguf.crdownload", b"weights", "an unfinished download", "finish it"),
    ("notes.gguf", b"these are notes", "begins with 'thes'", "studio models"),
]


@pytest.mark.parametrize(("name", "data", "what", "hint"), FILES)
def test_a_file_is_told_by_its_beginning_or_its_name(tmp_path: Path, name: str, data: bytes, what: str, hint: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    for ask in (read_gguf, read_model, lambda path: open_engine(str(path))):
        with pytest.raises(ModelError) as caught:
            ask(path)
        assert caught.value.message.startswith(f"{path}: ") and what in caught.value.message and hint in caught.value.hint
        assert len(caught.value.hint) < 200


@pytest.mark.parametrize("name", ["x.gguf.part1of2", "x.gguf-split-a", "x.part1", "x.gguf.aa", "x.gguf.part"])
def test_a_name_counts_only_where_the_file_is_not_whole(tmp_path: Path, name: str) -> None:
    path = header_only(tmp_path / name, "llama")
    assert read_model(path).architecture == "llama"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelError, match=r"(a raw piece of a cut file, not a model|an unfinished download); \d+ bytes of"):
        read_model(path)


FOLDERS: list[tuple[list[str], str, str]] = [
    (["config.json", "model.safetensors"], "a Hugging Face model (safetensors)", "convert_hf_to_gguf"),
    (["adapter_config.json"], "an adapter", "convert_lora_to_gguf"),
    (["deep/er/x.GGUF"], "a folder", "deep/er/x.GGUF"),
    (["notes.txt"], "a folder", "studio models FOLDER"),
]


@pytest.mark.parametrize(("files", "what", "hint"), FOLDERS)
def test_a_folder_says_what_is_in_it(tmp_path: Path, files: list[str], what: str, hint: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelError) as caught:
        find_model(str(tmp_path))
    assert what in caught.value.message and hint in caught.value.hint


NAMES = [
    ("acme/tiny-GGUF", "Hugging Face", "studio models pull hf:acme/tiny-GGUF"),
    ("acme/tiny-GGUF:Q4_K_M", "Hugging Face", "studio models pull hf:acme/tiny-GGUF:Q4_K_M"),
    ("hf:acme/tiny-GGUF:Q4_K_M", "on a hub", "studio models pull hf:acme/tiny-GGUF:Q4_K_M"),
    ("hf.co/acme/tiny-GGUF:Q4_K_M", "on a hub", "studio models pull hf:acme/tiny-GGUF:Q4_K_M"),
    ("https://huggingface.co/acme/tiny", "on a hub", "studio models pull hf:acme/tiny"),
    ("https://huggingface.co/acme/tiny/resolve/main/t-q4.gguf?download=true", "on a hub", "studio models pull hf:acme/tiny:t-q4.gguf"),
    ("hf://acme/tiny", "on a hub", "studio models pull hf:acme/tiny"),
    ("https://hf-mirror.com/acme/tiny", "on a hub", "HF_ENDPOINT=https://hf-mirror.com, then: studio models pull hf:acme/tiny"),
    ("llama3.2:3b", "Ollama", "ollama pull llama3.2:3b"),
    ("ollama/llama3", "Ollama", "ollama pull llama3`"),
    ("https://ollama.com/library/llama3.2", "Ollama", "ollama pull llama3.2`"),
    ("http://127.0.0.1:9/files/tiny.gguf", "the address of a file", "curl -LO http://127.0.0.1:9/files/tiny.gguf"),
    ("https://cdn.example/m.gguf.part1of2", "the address of a file", "download it first"),
    ("/dev/null", "not a file", "on a disk"),
    ("s3://bucket/tiny.gguf", "the address of a file", "download it first"),
    ("file:///models/tiny.gguf", "an address", "give the path: /models/tiny.gguf"),
    ("model.safetensors", "safetensors cannot be used", "convert_hf_to_gguf"),
    ("./mine/tiny", "no such file", "check the path"),
]


@pytest.mark.parametrize(("name", "what", "hint"), NAMES)
def test_a_name_of_something_elsewhere_is_answered_with_the_way_to_it(name: str, what: str, hint: str) -> None:
    with pytest.raises(ModelError) as caught:
        open_engine(name)
    assert name in caught.value.message and what in caught.value.message and hint in caught.value.hint


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:8000/v1",
        '"http://127.0.0.1:8000/v1"',
        "'https://h/v1'",
        "http://h:1/v1#a.gguf",
        "https://llm.example/hf.co/v1",
        "mine",
        "scripted",
        "",
    ],
)
def test_addresses_of_servers_are_none_of_files(address: str) -> None:
    refuse_downloads(address)


def test_a_server_named_with_another_protocol_is_no_file() -> None:
    with pytest.raises(ModelError, match="servers are asked over HTTP, not ws"):
        refuse_downloads("ws://127.0.0.1:8000/v1")
