"""What a GGUF file is, told by its header; split models as one."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

import studio.engine.llama.build as build
from studio.engine.catalog import identify
from studio.engine.model_file import read_model
from studio.errors import ModelError
from support.tiny_models import header_only, tiny_adapter, tiny_model

KINDS: list[tuple[str, str, dict[str, Any]]] = [
    ("an embedding model", "bert", {}),
    ("an embedding model", "nomic-bert", {}),
    ("an embedding model", "qwen3", {"qwen3__pooling_type": 3}),
    ("a reranker", "qwen3", {"qwen3__pooling_type": 4}),
    ("an encoder-decoder model", "t5", {}),
    ("an encoder", "llama", {"llama__attention__causal": False}),
    ("a diffusion language model", "llada", {"llada__attention__causal": False}),
    ("multimodal projector", "clip", {"general__type": "mmproj"}),
    ("the audio part", "clip", {"clip__has_audio_encoder": True}),
    ("--adapter", "llama", {"tensors": ["blk.0.attn_q.weight.lora_a"]}),
    ("a control vector", "controlvector", {}),
    ("an importance matrix", "llama", {"general__type": "imatrix"}),
    ("a draft model", "eagle3", {}),
    ("makes images", "flux", {}),
    ("makes images", "", {"tensors": ["model.diffusion_model.input.weight"]}),
    ("speech", "whisper", {}),
    ("speech", "wavtokenizer-dec", {}),
    ("a vocabulary without weights", "llama", {"tensors": []}),
    ("weights without a vocabulary", "llama", {"tokenizer__ggml__model": "none"}),
    ("newer", "brandnew9moe", {}),
    ("does not say its architecture", "", {}),
    ("as Ollama packs it", "gemma3", {"tensors": ["token_embd.weight", "v.blk.0.attn_q.weight"]}),
]


@pytest.mark.parametrize(("words", "architecture", "more"), KINDS)
def test_what_is_no_model_that_writes_is_called_by_its_name(tmp_path: Path, words: str, architecture: str, more: dict[str, Any]) -> None:
    path = header_only(tmp_path / "x.gguf", architecture, **more)
    with pytest.raises(ModelError) as caught:
        read_model(path)
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.message.startswith(f"{path}: ") and 0 < len(caught.value.hint) < 200 and "llama.cpp says" not in caught.value.hint


@pytest.mark.parametrize(("architecture", "more"), [("llama", {}), ("qwen3", {"qwen3__pooling_type": 0}), ("mamba", {}), ("gpt2", {})])
def test_what_may_write_is_a_model(tmp_path: Path, architecture: str, more: dict[str, Any]) -> None:
    assert read_model(header_only(tmp_path / "x.gguf", architecture, **more)).architecture == architecture


def test_a_strangers_words_do_not_fill_the_screen(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        read_model(header_only(tmp_path / "x.gguf", "newer" * 10_000))
    assert len(caught.value.message) < len(str(tmp_path)) + 200


def test_which_architectures_there_are_is_asked_of_the_library_that_will_load_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build._library_words.cache_clear()
    (tmp_path / "libllama.so").write_bytes(b"\0llama\0brandnew9moe\0")
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    try:
        assert [build.knows_architecture(name) for name in ("brandnew9moe", "qwen3")] == [True, False]
        build._library_words.cache_clear()
        (tmp_path / "libllama.so").unlink()
        assert build.knows_architecture("anything"), "where there is nothing to look into, llama.cpp has the word"
    finally:
        build._library_words.cache_clear()


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """The shards of a model of 19 tensors."""
    tiny_model(tmp_path / "big.gguf", tensors_each=7)
    return sorted(tmp_path.glob("big-*.gguf"))


def test_a_split_model_is_one_whichever_shard_is_named(shards: list[Path], tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = read_model(tiny_model(tmp_path / "whole" / "big.gguf"))
    assert len(shards) == 3
    identities = [identify(shard) for shard in shards]
    assert len(set(identities)) == 1 and {identity.path for identity in identities} == {str(shards[0])}
    digests = "".join(hashlib.sha256(shard.read_bytes()).hexdigest() + "\n" for shard in shards)
    first = identities[0]
    assert (first.name, first.parameters, first.sha256) == ("big", whole.parameters, hashlib.sha256(digests.encode()).hexdigest())
    assert first.file_size == sum(shard.stat().st_size for shard in shards)
    assert read_model(shards[1]).tensors == whole.tensors


def test_a_change_in_a_later_shard_is_another_model(shards: list[Path]) -> None:
    before = identify(shards[0])
    data = bytearray(shards[2].read_bytes())
    data[-1] ^= 1
    shards[2].write_bytes(data)
    assert identify(shards[0]).sha256 != before.sha256


@pytest.mark.parametrize("given", [0, 1])
def test_missing_shards_are_named(shards: list[Path], given: int) -> None:
    shards[2].unlink()
    with pytest.raises(ModelError, match=f"shard {given + 1} of 3 of a split model; big-00003-of-00003.gguf is missing") as caught:
        read_model(shards[given])
    assert shards[0].name in caught.value.hint


def test_shards_that_do_not_belong_together(shards: list[Path], tmp_path: Path) -> None:
    kept = shards[1].read_bytes()
    shutil.copy(shards[2], shards[1])
    with pytest.raises(ModelError, match=r"big-00002-of-00003.gguf: not shard 2 of 3 of this model: .* it is shard 3 of 3"):
        read_model(shards[0])
    (tmp_path / "other").mkdir()
    tiny_model(tmp_path / "other" / "big.gguf", "gemma3", tensors_each=10)
    shutil.copy(tmp_path / "other" / "big-00002-of-00003.gguf", shards[1])
    with pytest.raises(ModelError, match=r"big-00002-of-00003.gguf hold the same tensors"):
        read_model(shards[0])
    shards[1].write_bytes(kept[:-1000])
    with pytest.raises(ModelError, match=r"big-00002-of-00003.gguf: the file is truncated"):
        read_model(shards[0])


def test_a_shard_under_another_name_and_shards_joined_to_one_file(shards: list[Path], tmp_path: Path) -> None:
    shutil.copy(shards[0], tmp_path / "mine.gguf")
    with pytest.raises(ModelError, match="shard 1 of 3 of a split model, which its name does not say") as caught:
        read_model(tmp_path / "mine.gguf")
    assert "mine-00001-of-00003.gguf" in caught.value.hint
    (tmp_path / "joined.gguf").write_bytes(b"".join(shard.read_bytes() for shard in shards))
    with pytest.raises(ModelError, match="joined in one file") as caught:
        read_model(tmp_path / "joined.gguf")
    assert "llama-gguf-split --merge" in caught.value.hint


def test_an_adapter_is_an_adapter_and_a_whole_file_under_a_shards_name_is_whole(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="an adapter"):
        read_model(tiny_adapter(tmp_path / "a.gguf"))
    assert read_model(tiny_model(tmp_path / "m-00001-of-00001.gguf")).shards == ()
