"""The figures of a model that its set-up follows from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio.engine.gguf import Gguf, read_gguf
from studio.engine.llama.facts import ModelFacts, model_facts
from support.engines import bundled_identity


def header(arrays: dict[str, int] | None = None, family: str = "x", **metadata: Any) -> Gguf:
    named = {f"{family}.{key.replace('__', '.')}": value for key, value in metadata.items()}
    single = {key: value for key, value in named.items() if not isinstance(value, list)}
    numbers = {key: tuple(value) for key, value in named.items() if isinstance(value, list)}
    return Gguf(Path("x.gguf"), 3, {"general.architecture": family, **single}, arrays or {}, 0, 1000, numbers=numbers)


SHAPE: dict[str, Any] = {"block_count": 4, "embedding_length": 64, "attention__head_count": 4}
MAMBA: dict[str, Any] = {"ssm__conv_kernel": 4, "ssm__inner_size": 128, "ssm__state_size": 16, "ssm__group_count": 1}
HEADS: dict[str, Any] = {"attention__head_count_kv": 2, "attention__key_length": 16, "attention__value_length": 16}


@pytest.mark.parametrize(
    ("family", "shape", "per_token", "state"),
    [
        ("llama", {"attention__head_count_kv": 2}, 512, 0),
        ("lfm2", {"attention__head_count_kv": [0, 2, 0, 2], "shortconv__l_cache": 3}, 256, 1024),
        ("granitehybrid", {**MAMBA, "attention__head_count_kv": [0, 2, 0, 2]}, 256, 20_224),
        ("falcon-h1", {**MAMBA, **HEADS}, 512, 40_448),
        ("mamba2", {**MAMBA, "attention__head_count": 0}, 0, 40_448),
        ("qwen3next", {**MAMBA, **HEADS, "ssm__group_count": 4}, 128, 33_792),
        ("openelm", {**HEADS, "attention__head_count": [4, 4, 8, 8], "attention__head_count_kv": [1, 1, 2, 2]}, 448, 0),
        ("deepseek2", {"attention__head_count_kv": 1, "attention__key_length": 48, "attention__key_length_mla": 32}, 384, 0),
    ],
)
def test_what_is_kept_of_tokens_and_sequences(family: str, shape: dict[str, Any], per_token: int, state: int) -> None:
    """The figures are llama.cpp's own for models of these shapes, without flash attention."""
    facts = model_facts(header(family=family, **{**SHAPE, **shape}))
    assert (facts.kv_bytes_per_token, facts.state_bytes) == (per_token, state)


def test_layers_that_slide_may_have_heads_of_another_size_and_others_share() -> None:
    window: dict[str, Any] = {"attention__sliding_window_pattern": [1, 1, 1, 1, 1, 0], "attention__head_count_kv": [4, 4, 4, 4, 4, 1]}
    sizes = {"attention__key_length": 32, "attention__value_length": 32, "attention__key_length_swa": 16, "attention__value_length_swa": 16}
    gemma = {**SHAPE, "block_count": 6, **window, **sizes}
    assert model_facts(header(family="gemma4", **gemma)).kv_bytes_per_token == 1472, "llama.cpp's own figure"
    assert model_facts(header(family="gemma4", **gemma, attention__shared_kv_layers=3)).kv_bytes_per_token == 3 * (64 + 64) * 2


@pytest.mark.parametrize("count", [-3, 1 << 31])
def test_counts_that_cannot_be(count: int) -> None:
    assert model_facts(header(block_count=count, attention__head_count_kv=[2], attention__shared_kv_layers=1 << 31)).kv_bytes_per_token == 0


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
