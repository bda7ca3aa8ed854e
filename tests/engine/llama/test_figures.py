"""What a model is reckoned to take, beside what llama.cpp says that it sets apart."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from studio.engine.gguf import read_gguf
from studio.engine.llama.facts import model_facts
from studio.engine.llama.log import LOG, buffers_of
from studio.engine.llama.model import LlamaModel
from studio.engine.llama.setup import computing_bytes, context_bytes
from studio.engine.options import EngineOptions
from support.tiny_models import LAYERS, tiny_model

MEBIBYTE = 1 << 20
OPTIONS = EngineOptions(context=4096, threads=1, parallel=8, contexts=1)


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "mamba", "jamba"])
@pytest.mark.parametrize("flash", ["off", "on"])
def test_keys_values_and_states_are_what_llama_cpp_sets_apart(tmp_path: Path, architecture: str, flash: str) -> None:
    path = tiny_model(tmp_path / "tiny.gguf", architecture)
    model = LlamaModel(str(path), replace(OPTIONS, flash_attention=flash))
    try:
        kept = sum(size for name, size in buffers_of(LOG.last(500)).items() if name.endswith((" KV", " RS")))
        told = context_bytes(model.setup, model_facts(read_gguf(path)))
    finally:
        model.close()
    assert told == pytest.approx(kept, abs=MEBIBYTE // 50)  # the log rounds


@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
def test_so_are_those_in_fewer_bits(tmp_path: Path, kind: str) -> None:
    path = tiny_model(tmp_path / "tiny.gguf", "gemma3")
    model = LlamaModel(str(path), replace(OPTIONS, kv_type=kind))
    try:
        kept = sum(size for name, size in buffers_of(LOG.last(500)).items() if name.endswith(" KV"))
        assert context_bytes(model.setup, model_facts(read_gguf(path))) == pytest.approx(kept, abs=MEBIBYTE // 50)
    finally:
        model.close()


def hollow_model(path: Path, layers: int, width: int, heads: int, kv_heads: int, inner: int, vocabulary: int) -> Path:
    """Write a model of this shape whose weights take no room on the disk."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(131_072)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocabulary)
    writer.add_tokenizer_model("no_vocab")
    small = width // heads * kv_heads
    shapes = {"attn_q": (width, width), "attn_k": (small, width), "attn_v": (small, width), "attn_output": (width, width)}
    shapes |= {"ffn_gate": (inner, width), "ffn_up": (inner, width), "ffn_down": (width, inner)}
    block: dict[str, tuple[int, ...]] = {"attn_norm": (width,), "ffn_norm": (width,), **shapes}
    tensors: dict[str, tuple[int, ...]] = {"token_embd": (vocabulary, width), "output_norm": (width,)}
    tensors |= {f"blk.{layer}.{name}": shape for layer in range(layers) for name, shape in block.items()}
    for name, shape in tensors.items():
        kind = np.dtype(np.float16 if len(shape) > 1 else np.float32)
        writer.add_tensor_info(f"{name}.weight", shape, kind, int(np.prod(shape)) * kind.itemsize)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    size = sum(-(-tensor.nbytes // 32) * 32 for shard in writer.tensors for tensor in shard.values())
    writer.close()
    os.truncate(path, -(-path.stat().st_size // 32) * 32 + size)
    return path


@pytest.mark.parametrize("flash", ["off", "on"])
@pytest.mark.parametrize("shape", [(16, 2048, 32, 8, 8192, 128_256), (2, 2560, 8, 4, 10_240, 262_144)])
def test_what_large_models_compute_in(tmp_path: Path, shape: tuple[int, ...], flash: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import llama_cpp

    path = hollow_model(tmp_path / "hollow.gguf", *shape)
    usual = llama_cpp.llama_model_default_params

    def simulated() -> Any:
        """llama.cpp then works out its buffers and allocates none of the large ones."""
        params = usual()
        params.no_alloc, params.load_mode = True, 0
        return params

    monkeypatch.setattr(llama_cpp, "llama_model_default_params", simulated)
    monkeypatch.setattr("studio.engine.llama.model.try_tiles", lambda _: None)
    model = LlamaModel(str(path), EngineOptions(context=17_664, threads=1, parallel=16, contexts=1, flash_attention=flash), plain=True)
    try:
        taken = buffers_of(LOG.last(500))["CPU compute"]
        facts = replace(model_facts(read_gguf(path)), vocabulary=shape[-1])
        assert 0.95 * taken < computing_bytes(model.setup, facts) < 1.25 * taken
    finally:
        model.close()


def test_heads_by_layer_are_read(tmp_path: Path) -> None:
    facts = model_facts(read_gguf(tiny_model(tmp_path / "tiny.gguf", "jamba")))
    one_layer = 2 * 2 * 16 * 2
    assert (facts.layers, facts.kv_bytes_per_token) == (LAYERS, one_layer), "of two layers one attends"
