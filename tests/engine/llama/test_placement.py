"""Where a model lies and what its keys and values are kept in: real models of a few thousand numbers on the CPU, made-up GPUs elsewhere."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import llama_cpp
import pytest

from studio.engine.catalog import identify
from studio.engine.llama import log
from studio.engine.llama.build import Device, DeviceKind
from studio.engine.llama.engine import LlamaEngine
from studio.engine.llama.facts import ModelFacts, model_facts
from studio.engine.llama.log import LOG, LogBuffer
from studio.engine.llama.prefixes import fingerprint
from studio.engine.llama.setup import Setup, bytes_on_gpu, choose, computing_bytes, setups_to_try
from studio.engine.model_file import read_model
from studio.engine.opening import open_engine
from studio.engine.options import EngineOptions, FlashAttention
from studio.errors import ModelError, UsageError
from support.engines import complete, request
from support.tiny_models import LAYERS, tiny_model

GB = 1_000_000_000
CPU = Device("CPU", "AMD EPYC", DeviceKind.CPU, 25 * GB, 32 * GB)
GPU = Device("CUDA0", "NVIDIA L4", DeviceKind.GPU, 12 * GB, 12 * GB)
OTHER = replace(GPU, name="CUDA1")
MIXTURE = ModelFacts(32, 20 * GB, 131_072, 32_768, 4096, 32_000, tuple([550_000_000] * 32))
DENSE = replace(MIXTURE, file_size=4 * GB, expert_bytes=())
SMALL = EngineOptions(context=1024, threads=1, parallel=2)
PROMPTS = [request("the cat sat on the mat: "), request("one two three ")]

Opened = Callable[..., LlamaEngine]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    engines: list[LlamaEngine] = []

    def open_one(*, experts: int = 0, architecture: str = "llama", **options: Any) -> LlamaEngine:
        model = tiny_model(tmp_path / f"{architecture}-{experts}.gguf", architecture, experts=experts)
        engines.append(LlamaEngine(identify(model), replace(SMALL, **options)))
        return engines[-1]

    yield open_one
    for engine in engines:
        engine.close()


def texts(engine: LlamaEngine) -> list[str]:
    return [completion.text for completion in complete(engine, PROMPTS)]


def chosen(*gpus: Device, facts: ModelFacts = DENSE, **options: Any) -> Setup:
    return choose(EngineOptions(**options), (CPU, *gpus), facts, threads=2)


def test_flash_attention_is_the_gpus_unless_it_is_chosen() -> None:
    flash = {
        (len(gpus), asked): chosen(*gpus, flash_attention=asked).flash_attention for gpus in ((), (GPU,)) for asked in ("auto", "on", "off")
    }
    assert flash == {
        (0, "auto"): FlashAttention.OFF,
        (0, "on"): FlashAttention.ON,
        (0, "off"): FlashAttention.OFF,
        (1, "auto"): FlashAttention.AUTO,
        (1, "on"): FlashAttention.ON,
        (1, "off"): FlashAttention.OFF,
    }
    assert chosen().contexts == 2 and chosen(flash_attention="on").contexts == 1, "contexts that lend each other threads change its sums"


def test_a_gpu_without_flash_attention_still_gives_up_layers() -> None:
    first = chosen(GPU, flash_attention="off")
    assert [setup.gpu_layers for setup in setups_to_try(first, EngineOptions(flash_attention="off"), 32)][-9:-5] == [-1, 24, 16, 8]


def test_flash_attention_on_a_cpu_is_told_and_kept_apart(opened: Opened) -> None:
    off, on = opened(), opened(flash_attention="on")
    assert (off.info.flash_attention, on.info.flash_attention) == (False, True)
    assert texts(on) == texts(off), "the first tokens do not hang by the last bits"
    keys = {fingerprint("x", engine._model) for engine in (off, on, opened(flash_attention="on", threads=2), opened(threads=2))}
    assert len(keys) == 3, "its states depend on the threads, others do not"


def test_that_a_device_lacks_flash_attention_is_told() -> None:
    buffer = LogBuffer()
    assert buffer.has_flash_attention()
    buffer.write(4, "resolve_fused_ops: Flash Attention not supported, set to disabled\n")
    assert not buffer.has_flash_attention()
    buffer.write(2, "resolve_fused_ops: Flash Attention enabled\n")
    assert buffer.has_flash_attention()


def test_a_model_that_goes_without_flash_attention_says_so(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogBuffer, "has_flash_attention", lambda _: False)
    engine = opened(flash_attention="on")
    assert not engine.info.flash_attention and "without flash attention" in engine.info.notices[-1]
    assert not any("flash" in notice for notice in opened().info.notices)


@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
def test_keys_and_values_in_fewer_bits(opened: Opened, kind: str) -> None:
    engine, plain = opened(architecture="gemma3", kv_type=kind), opened(architecture="gemma3")
    assert (engine.info.kv_type, engine.info.flash_attention, plain.info.kv_type) == (kind, True, "f16")
    first = texts(engine)
    assert first == texts(engine) and all(first)
    assert fingerprint("x", engine._model) != fingerprint("x", plain._model)


def test_heads_that_cannot_be_kept_in_blocks_are_refused_in_llama_cpps_words(opened: Opened) -> None:
    with pytest.raises(ModelError, match="refuses a context") as caught:
        opened(kv_type="q8_0")
    assert "does not divide n_embd_head_k=16" in caught.value.hint


def test_fewer_bits_need_flash_attention_and_less_memory() -> None:
    with pytest.raises(UsageError, match="--kv-type q8_0 needs flash attention"):
        EngineOptions(kv_type="q8_0", flash_attention="off")
    assert [DENSE.kept_bytes(1000, 0, kind) for kind in ("q8_0", "q4_0")] == [131_072_000 * 34 // 64, 131_072_000 * 18 // 64]
    large = replace(DENSE, file_size=8 * GB)
    assert chosen(GPU, facts=large).parallel < chosen(GPU, facts=large, kv_type="q8_0").parallel
    assert chosen(GPU, kv_type="q8_0").flash_attention is FlashAttention.ON


def test_experts_on_the_cpu_change_nothing_but_their_place(opened: Opened) -> None:
    def placed(level: int, text: bytes, _data: object) -> None:
        said.append(text.decode())
        LOG.write(level, said[-1])

    plain = texts(opened(experts=4))
    for layers, expected in ((-1, LAYERS), (1, 1)):
        said: list[str] = []
        callback = llama_cpp.llama_log_callback(placed)
        llama_cpp.llama_log_set(callback, ctypes.c_void_p(0))
        try:
            log._callback, before = callback, log._callback
            engine = opened(experts=4, cpu_moe=layers)
        finally:
            log._callback = before
            log.install_log()
        moved = {line.split()[1] for line in said if "buffer type overridden to CPU" in line}
        assert moved == {f"blk.{block}.ffn_{kind}_exps.weight" for block in range(expected) for kind in ("up", "down", "gate")}
        assert engine.info.cpu_moe == layers and texts(engine) == plain


def test_a_mixture_that_does_not_fit_leaves_experts_behind_before_layers() -> None:
    setup = chosen(GPU, facts=MIXTURE)
    assert setup.gpu_layers == -1 and 0 < setup.cpu_moe < 32 and setup.parallel == 16
    assert f"the experts of {setup.cpu_moe} of 32 layers are on the CPU, all else on CUDA0" in setup.notes[0]
    one_less = replace(setup, cpu_moe=setup.cpu_moe - 1)
    assert bytes_on_gpu(setup, MIXTURE) <= 12 * GB * 0.95 - (400 << 20) < bytes_on_gpu(one_less, MIXTURE)
    poor = chosen(replace(GPU, memory_free=4 * GB), facts=MIXTURE)
    assert 0 < poor.gpu_layers < 32 and poor.cpu_moe == -1 and "layers are without their experts on CUDA0" in poor.notes[0]
    asked = chosen(GPU, facts=MIXTURE, cpu_moe=-1)
    assert asked.cpu_moe == -1 and asked.gpu_layers == -1 and not asked.notes


def test_when_memory_is_short_experts_go_before_layers() -> None:
    first = chosen(replace(GPU, memory_free=100 * GB), facts=MIXTURE)
    setups = setups_to_try(first, EngineOptions(), 32, experts=True)
    places = list(dict.fromkeys((setup.gpu_layers, setup.cpu_moe) for setup in setups))
    assert places == [(-1, 0), (-1, -1), (24, -1), (16, -1), (8, -1), (0, 0)]
    assert next(setup for setup in setups if setup.cpu_moe).notes[-1].endswith("all experts on the CPU")


def test_the_experts_of_a_file(tmp_path: Path) -> None:
    facts = model_facts(read_model(tiny_model(tmp_path / "tiny.gguf", experts=4)))
    numbers = 3 * 4 * 64 * 96 * 4
    assert len(facts.expert_bytes) == LAYERS and all(numbers <= each < numbers * 1.2 for each in facts.expert_bytes)
    assert facts.experts_on_cpu(1) == facts.expert_bytes[0] and facts.experts_on_cpu(-1) == sum(facts.expert_bytes)
    assert model_facts(read_model(tiny_model(tmp_path / "dense.gguf"))).expert_bytes == ()


def test_shares_of_gpus_end_with_the_first_that_is_full() -> None:
    larger = replace(DENSE, file_size=13 * GB)
    assert chosen(GPU, OTHER, facts=larger, tensor_split="1,1") == chosen(GPU, OTHER, facts=larger)
    uneven = chosen(GPU, OTHER, facts=larger, tensor_split="9,1")
    assert 0 <= uneven.gpu_layers < chosen(GPU, facts=larger).gpu_layers + 9
    assert chosen(GPU, OTHER, facts=larger, split_mode="none") == chosen(GPU, facts=larger)
    assert "CUDA1" in chosen(GPU, OTHER, facts=larger, split_mode="none", main_gpu=1).notes[0]


def test_each_gpu_computes_and_has_several_batches_under_way() -> None:
    one, two = chosen(replace(GPU, memory_free=100 * GB)), chosen(replace(GPU, memory_free=100 * GB), OTHER)
    computing, mask = computing_bytes(one, DENSE), one.ubatch * one.context * 2
    assert (one.gpus, two.gpus, chosen().gpus) == (1, 2, 0) and two == replace(one, gpus=2)
    assert bytes_on_gpu(two, DENSE) - bytes_on_gpu(one, DENSE) == computing + 2 * 3 * mask


def test_gpus_that_are_not_there_are_refused() -> None:
    with pytest.raises(ModelError, match=r"--main-gpu 1: llama\.cpp sees no such GPU") as caught:
        chosen(GPU, split_mode="none", main_gpu=1)
    assert caught.value.hint == "0 is CUDA0"
    with pytest.raises(ModelError, match=r"--tensor-split 3,1: llama\.cpp sees fewer GPUs"):
        chosen(GPU, tensor_split="3,1")
    assert chosen(tensor_split="3,1") == chosen(), "on a machine without any it has nothing to share out"


@pytest.mark.parametrize("split", ["", "3,1", "0.5,0,2"])
def test_proportions(split: str) -> None:
    assert EngineOptions(tensor_split=split).proportions == tuple(float(part) for part in split.split(",") if part)


@pytest.mark.parametrize("split", ["x", "3;1", "-1,2", "nan", "inf,1", "0,0", ",", "1e999"])
def test_what_are_no_proportions(split: str) -> None:
    with pytest.raises(UsageError, match="--tensor-split"):
        EngineOptions(tensor_split=split)


def test_llama_cpp_takes_the_split_of_a_machine_without_gpus(opened: Opened) -> None:
    engine = opened(tensor_split="3,1", split_mode="row")
    assert engine.info.split == "" and texts(engine) == texts(opened())
    assert EngineOptions(tensor_split="3,1", split_mode="row").split == "row 3,1"
    assert EngineOptions(split_mode="none", main_gpu=1).split == "GPU 1 alone" and EngineOptions().split == ""


@pytest.mark.parametrize(
    ("option", "flag"),
    [
        ({"kv_type": "q8_0"}, "--kv-type"),
        ({"flash_attention": "on"}, "--flash-attention"),
        ({"tensor_split": "3,1"}, "--tensor-split"),
        ({"split_mode": "row"}, "--split-mode"),
        ({"cpu_moe": -1}, "--cpu-moe"),
    ],
)
def test_a_server_is_not_told_what_is_for_llama_cpp(option: dict[str, Any], flag: str) -> None:
    for model in ("http://127.0.0.1:1/v1", "scripted"):
        with pytest.raises(UsageError, match=f"{flag} is for llama.cpp on this machine"):
            open_engine(model, EngineOptions(**option))
    assert EngineOptions(**option, parallel=3).elsewhere() == EngineOptions(parallel=3)


@pytest.mark.parametrize(
    "option",
    [
        *({"kv_type": "q5"}, {"flash_attention": "yes"}, {"split_mode": "all"}, {"cpu_moe": -2}),
        *({"main_gpu": -1}, {"main_gpu": 1}, {"main_gpu": 1, "split_mode": "row"}),
    ],
)
def test_options_that_are_none(option: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(option)).replace('_', '-')}"):
        EngineOptions(**option)
