"""The figures of a model that its set-up follows from."""

from __future__ import annotations

from pathlib import Path

from studio.engine.gguf import Gguf, Value, read_gguf
from studio.engine.llama.facts import ModelFacts, model_facts
from support.engines import bundled_identity


def header(arrays: dict[str, int] | None = None, **metadata: Value) -> Gguf:
    named = {f"x.{key.replace('__', '.')}": value for key, value in metadata.items()}
    return Gguf(Path("x.gguf"), 3, {"general.architecture": "x", **named}, arrays or {}, 0, 1000)


def test_the_bundled_model() -> None:
    facts = model_facts(read_gguf(Path(bundled_identity().path)))
    assert facts == ModelFacts(30, 98_362_432, 30 * 2 * 3 * 64 * 2, 8192, 576, 49_152, heads=9, inner=1536)


def test_head_sizes_that_the_header_names() -> None:
    facts = model_facts(
        header(block_count=2, embedding_length=64, attention__head_count=4, attention__key_length=256, attention__value_length=128)
    )
    assert facts.kv_bytes_per_token == 2 * 4 * (256 + 128) * 2


def test_heads_that_differ_by_layer_count_as_the_most_there_can_be() -> None:
    some = model_facts(header({"x.attention.head_count_kv": 2}, block_count=2, embedding_length=64, attention__head_count=4))
    all_ = model_facts(header({"x.attention.head_count": 2}, block_count=2, embedding_length=64))
    assert some.kv_bytes_per_token == all_.kv_bytes_per_token == 2 * 2 * 64 * 2


def test_a_model_without_attention_keeps_nothing_a_token() -> None:
    assert model_facts(header(block_count=24, embedding_length=768)).kv_bytes_per_token == 0
    assert model_facts(header()) == ModelFacts(0, 1000, 0, 0, 0, 0)
