"""Models of a known shape with random weights: as much work for a machine as the real ones, written in seconds, and nothing to fetch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

_BLOCK, _BLOCK_BYTES = 32, 18
"""Of Q4_0: a scale in float16, then 32 weights of 4 bits, each 8 too high."""
_SPREAD = 4.6
"""The standard deviation of the whole numbers from -8 to 7."""
_CONTEXT = 131_072


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides how much a model of the Llama family computes; `tied`: the output has the embedding's weights."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    inner: int
    vocabulary: int
    tied: bool = False


SHAPES = {
    "1b": Shape(16, 2048, 32, 8, 8192, 128_256, tied=True),
    "8b": Shape(32, 4096, 32, 8, 14_336, 128_256),
    "tiny": Shape(2, 256, 4, 2, 512, 50_000, tied=True),
}
"""Those of Llama 3.2 1B and Llama 3.1 8B, and one to try the mechanics with."""


def write_shape(path: Path, shape: Shape, vocabulary: Path) -> Path:
    """Write a model of `shape` in Q4_0 to `path` and return that; its tokenizer is the one of the GGUF file `vocabulary`, made longer.

    Equal matrices of all layers have the same numbers: it is the work that counts. Logits are finite.
    """
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(path.stem)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(500_000.0)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_vocab_size(shape.vocabulary)
    _copy_tokenizer(writer, vocabulary, shape.vocabulary)
    rng = np.random.default_rng(7)
    block = {name: _weights(rng, rows, columns) for name, (rows, columns) in _matrices(shape)}
    table = _weights(rng, shape.vocabulary, shape.width)
    _add(writer, "token_embd", table)
    if not shape.tied:
        _add(writer, "output", table)
    ones = np.ones(shape.width, dtype=np.float32)
    writer.add_tensor("output_norm.weight", ones)
    for layer in range(shape.layers):
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", ones)
        for name, values in block.items():
            _add(writer, f"blk.{layer}.{name}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _matrices(shape: Shape) -> Iterator[tuple[str, tuple[int, int]]]:
    keys = shape.width // shape.heads * shape.kv_heads
    yield "attn_q", (shape.width, shape.width)
    yield "attn_k", (keys, shape.width)
    yield "attn_v", (keys, shape.width)
    yield "attn_output", (shape.width, shape.width)
    yield "ffn_gate", (shape.inner, shape.width)
    yield "ffn_up", (shape.inner, shape.width)
    yield "ffn_down", (shape.width, shape.inner)


def _weights(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.uint8]:
    """Return rows of Q4_0 blocks whose products with a vector of ordinary length are of ordinary length."""
    blocks = rows * columns // _BLOCK
    values = np.frombuffer(rng.bytes(blocks * _BLOCK_BYTES), dtype=np.uint8).reshape(blocks, _BLOCK_BYTES).copy()
    values[:, :2] = np.array([1 / (_SPREAD * columns**0.5)], dtype="<f2").view(np.uint8)
    return values.reshape(rows, -1)


def _add(writer: Any, name: str, values: NDArray[np.uint8]) -> None:
    writer.add_tensor(f"{name}.weight", values, raw_dtype=gguf.GGMLQuantizationType.Q4_0)


def _copy_tokenizer(writer: Any, source: Path, size: int) -> None:
    """Copy the tokenizer of `source` with its chat template; tokens that no text gives make up for what lacks to `size`."""
    for key, field in gguf.GGUFReader(source).fields.items():
        if not key.startswith("tokenizer."):
            continue
        value = field.contents()
        if key == gguf.Keys.Tokenizer.LIST:
            value += [f"unused{number}" for number in range(len(value), size)]
        elif key == gguf.Keys.Tokenizer.TOKEN_TYPE:
            value += [gguf.TokenType.NORMAL] * (size - len(value))
        writer.add_key_value(key, value, field.types[0], field.types[-1] if len(field.types) > 1 else None)


if __name__ == "__main__":
    import sys

    from studio.engine.catalog import find_model

    write_shape(Path(sys.argv[1]), SHAPES[sys.argv[2]], find_model())
