"""The layout of a training: what is counted, and what is chosen for the machines there are. Headers only; nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from studio.engine.gguf import Gguf, Value
from studio.errors import ModelError
from studio.tuning.memory import Fitting, Layout, Load, Machine, adapter_parameters, choose, memory_needed, weights_needed

GB = 10**9
LONGEST, BATCH = 512, 8


def header(layers: int, width: int, inner: int, keys: int, words: int, *, tied: bool = False) -> Gguf:
    """Return the header of a llama model of this shape."""
    block = {"attn_q": (width, width), "attn_k": (width, keys), "attn_v": (width, keys), "attn_output": (width, width)}
    block |= {"ffn_gate": (width, inner), "ffn_up": (width, inner), "ffn_down": (inner, width)}
    tensors: dict[str, tuple[int, ...]] = {"token_embd.weight": (width, words), "output_norm.weight": (width,)}
    if not tied:
        tensors["output.weight"] = (width, words)
    for place in range(layers):
        tensors |= {f"blk.{place}.{name}.weight": shape for name, shape in block.items()}
        tensors |= {f"blk.{place}.{name}.weight": (width,) for name in ("attn_norm", "ffn_norm")}
    numbers = {"block_count": layers, "embedding_length": width, "feed_forward_length": inner, "attention.head_count": 32}
    metadata: dict[str, Value] = {"general.architecture": "llama", **{f"llama.{key}": value for key, value in numbers.items()}}
    parameters = sum(shape[0] * (shape[1] if len(shape) > 1 else 1) for shape in tensors.values())
    return Gguf(Path("model.gguf"), 3, metadata, {}, parameters, 0, tensors)


LLAMA_8B = header(32, 4096, 14_336, 1024, 128_256)


def loads(longest: int = LONGEST, batch: int = BATCH) -> Callable[[int], Load]:
    """Examples of one length, half of each with a loss."""

    def load_of(room: int) -> Load:
        tokens = longest * max(1, min(batch, room // longest))
        return Load(tokens, tokens // 2, longest)

    return load_of


def gpu(gigabytes: float, *, four_bits: bool = False, host: float = 64) -> Machine:
    return Machine("cuda", int(gigabytes * GB), int(host * GB), four_bits)


def chosen(machine: Machine, precision: str = "auto", base: Gguf = LLAMA_8B, longest: int = LONGEST) -> Fitting:
    return choose(base, loads(longest), 16, precision, machine)


def test_what_a_shape_has() -> None:
    assert LLAMA_8B.parameters == 8_030_261_248
    assert adapter_parameters(LLAMA_8B, 16) == 41_943_040
    assert weights_needed(LLAMA_8B, "bfloat16") == 2 * LLAMA_8B.parameters
    assert weights_needed(LLAMA_8B, "float32") == 4 * LLAMA_8B.parameters
    assert 5.5 * GB < weights_needed(LLAMA_8B, "4bit") < 6.5 * GB


def test_a_token_costs_what_its_tensors_take() -> None:
    """In bfloat16 a block of this shape keeps 9.2 widths and 4 inner ones at 2 bytes, with its norms' inputs 32 bits wide."""
    bare = memory_needed(LLAMA_8B, Load(0, 0, 1), Layout("bfloat16", 1), 16, "cuda")
    kept = memory_needed(LLAMA_8B, Load(1000, 0, 1), Layout("bfloat16", 1), 16, "cuda") - bare
    blocks = 32 * (18 * 4096 + 10 * 4096 + 8 * 14_336) * 1000
    assert blocks < kept < 1.2 * blocks
    wide = memory_needed(LLAMA_8B, Load(1000, 0, 1), Layout("float32", 1), 16, "cuda") - 2 * LLAMA_8B.parameters - bare
    assert 1.5 * kept < wide < 2.5 * kept
    again = memory_needed(LLAMA_8B, Load(1000, 0, 1), Layout("bfloat16", 1, checkpointing=True), 16, "cuda") - bare
    assert again < kept / 8


def test_80_gb_hold_an_8b_as_it_is() -> None:
    fitting = chosen(gpu(80))
    assert fitting.layout == Layout("bfloat16", 4096) and fitting.why == ()
    assert 16 * GB < fitting.memory < 65 * GB and fitting.host < 6 * GB


def test_long_examples_come_in_smaller_pieces_and_with_checkpointing_then() -> None:
    fitting = chosen(gpu(80), longest=4096)
    assert fitting.layout == Layout("bfloat16", 4096)
    [why] = fitting.why
    assert why.startswith("4,096 tokens at once: 8,192 need 9") and why.endswith("GB, there are 80.0 GB")
    fitting = chosen(gpu(80), longest=8192)
    assert fitting.layout.checkpointing and fitting.why[0].startswith("gradient checkpointing: without it 8,192 tokens at once need")


def test_24_gb_hold_it_with_checkpointing() -> None:
    fitting = chosen(gpu(24))
    assert fitting.layout.precision == "bfloat16" and fitting.layout.checkpointing and fitting.layout.room >= LONGEST
    assert fitting.memory <= 24 * GB and "gradient checkpointing: without it" in fitting.why[0]


def test_16_gb_hold_it_in_4_bits_only() -> None:
    fitting = chosen(gpu(15.5, four_bits=True))
    assert fitting.layout.precision == "4bit" and fitting.memory <= 15.5 * GB
    assert fitting.why[0].startswith("weights in 4 bits: wider ones need") and fitting.why[0].endswith("at least, there are 15.5 GB")
    with pytest.raises(ModelError, match=r"at least about 1\d\.\d GB of memory, the GPU has 15\.5 GB available") as error:
        chosen(gpu(15.5))
    assert "install bitsandbytes" in error.value.hint
    with pytest.raises(ModelError) as error:
        chosen(gpu(15.5, four_bits=True), "bfloat16")
    assert "bitsandbytes" not in error.value.hint


def test_the_host_is_looked_at_too() -> None:
    with pytest.raises(ModelError, match=r"this machine has 3\.0 GB available"):
        chosen(gpu(80, host=3))


def test_a_cpu_computes_in_float32_with_fewer_tokens_first() -> None:
    base = header(30, 576, 1536, 192, 49_152, tied=True)

    def on_cpu(gigabytes: float) -> Layout:
        return chosen(Machine("cpu", int(gigabytes * GB), int(gigabytes * GB)), base=base, longest=128).layout

    assert on_cpu(16) == Layout("float32", 1024)
    layouts = [on_cpu(tenths / 10) for tenths in range(60, 16, -1)]
    assert {each.precision for each in layouts} == {"float32"}
    assert [each.checkpointing for each in layouts] == sorted(each.checkpointing for each in layouts)
    plain = [each.room for each in layouts if not each.checkpointing]
    assert plain == sorted(plain, reverse=True) and len(set(plain)) > 2
    with pytest.raises(ModelError, match=r"this machine has 1\.0 GB available"):
        on_cpu(1)


def test_what_fits_is_never_more_than_there_is_and_more_memory_is_never_slower() -> None:
    order: list[tuple[bool, bool, int]] = []
    for size in range(8, 90):
        try:
            fitting = chosen(gpu(size, four_bits=True), longest=1000)
        except ModelError:
            assert not order
            continue
        assert fitting.memory <= size * GB
        layout = fitting.layout
        order.append((layout.precision != "4bit", not layout.checkpointing, layout.room))
    assert [each[0] for each in order] == sorted(each[0] for each in order)
    wide = [each for each in order if each[0]]
    assert wide == sorted(wide) and len(set(wide)) > 2


def test_a_layout_is_kept_where_it_still_fits() -> None:
    before = Layout("bfloat16", 2048, checkpointing=True)
    assert choose(LLAMA_8B, loads(), 16, "auto", gpu(80), before).layout == before
    with pytest.raises(ModelError, match="needs at least"):
        choose(LLAMA_8B, loads(), 16, before.precision, gpu(12, four_bits=True), before)
