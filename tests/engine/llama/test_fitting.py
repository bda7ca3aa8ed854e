"""What is tried when memory is short, with a loader that fails for everything above a size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.llama.log import OutOfMemory, number_tried, speaks_of_memory, trying_line
from studio.engine.llama.setup import Setup, first_that_fits, setups_to_try
from studio.engine.options import EngineOptions, FlashAttention, default_context

CPU = Setup(-1, 16, 17_664, 512, 512, 2, FlashAttention.OFF)
GPU = Setup(-1, 64, 84_992, 2048, 2048, 2, FlashAttention.AUTO, gpus=1)
PARTLY = Setup(20, 16, 17_664, 2048, 512, 2, FlashAttention.AUTO, notes=("20 of 32 layers",), gpus=1)
LAYERS = 32


def loader(cells: int, layers: int = 99) -> Callable[[Setup], Setup]:
    """Loads what needs at most that many cells and layers on the GPU."""

    def load(setup: Setup) -> Setup:
        on_gpu = LAYERS if setup.gpu_layers < 0 else setup.gpu_layers
        if setup.context > cells or (setup.on_gpu and on_gpu > layers):
            raise OutOfMemory("no memory", f"for {setup.context}")
        return setup

    return load


def test_what_fits_is_taken_as_it_is() -> None:
    assert first_that_fits(setups_to_try(CPU, EngineOptions(), LAYERS), loader(99_999)) == CPU


def test_fewer_sequences_then_less_context_then_fewer_layers() -> None:
    setups = setups_to_try(GPU, EngineOptions(), LAYERS)
    assert [(s.parallel, s.context, s.gpu_layers) for s in setups] == [
        (64, 84_992, -1),
        (32, default_context(32), -1),
        (16, default_context(16), -1),
        (8, default_context(8), -1),
        (4, default_context(4), -1),
        (4, 5120, -1),
        (4, 5120, 24),
        (4, 5120, 16),
        (4, 5120, 8),
        (16, 2 * default_context(8), 0),
        (16, 17_664, 0),
        (8, default_context(8), 0),
        (4, default_context(4), 0),
        (4, 5120, 0),
    ]
    assert all(s.on_gpu == (s.gpu_layers != 0) == (s.flash_attention is FlashAttention.AUTO) for s in setups)


def test_one_context_is_tried_before_fewer_sequences() -> None:
    first = replace(CPU, context=25_600, contexts=2)
    setups = setups_to_try(first, EngineOptions(), LAYERS)
    assert [(s.contexts, s.parallel, s.context) for s in setups[:3]] == [(2, 16, 25_600), (1, 16, 17_664), (1, 8, default_context(8))]
    assert "16 sequences in 2 contexts of 12,800 tokens" in setups[1].notes[0]
    kept = setups_to_try(first, EngineOptions(contexts=2), LAYERS)
    assert {s.contexts for s in kept} == {2}


def test_what_an_earlier_run_had_is_given_up_and_said_to_be_its_own() -> None:
    first = replace(GPU, gpu_layers=0, flash_attention=FlashAttention.OFF, gpus=0)
    earlier = EngineOptions(parallel=64, context=84_992, kept=("parallel", "context"), origin="the pool's run of 2026-05-01")
    assert [s.parallel for s in setups_to_try(first, earlier, LAYERS)] == [64, 32, 16, 8, 4, 4]
    setup = first_that_fits(setups_to_try(first, earlier, LAYERS), loader(20_000))
    assert setup.parallel == 16 and "84,992 tokens, as the pool's run of 2026-05-01 had it; it runs with 16 sequences" in setup.notes[-1]
    chosen = replace(earlier, kept=("context",))
    assert {s.parallel for s in setups_to_try(first, chosen, LAYERS)} == {64}


def test_what_was_given_up_is_told() -> None:
    setup = first_that_fits(setups_to_try(GPU, EngineOptions(), LAYERS), loader(20_000))
    assert setup.notes == (
        "there was no memory for 64 sequences in a context of 84,992 tokens; it runs with 16 sequences in a context of 17,664 tokens",
    )
    partly = first_that_fits(setups_to_try(PARTLY, EngineOptions(), LAYERS), loader(99_999, layers=10))
    assert partly.notes[0] == "20 of 32 layers" and partly.notes[1].endswith("and 8 layers on the GPU")
    alone = first_that_fits(setups_to_try(PARTLY, EngineOptions(), LAYERS), loader(99_999, layers=0))
    assert (alone.gpu_layers, alone.parallel) == (0, 16) and alone.notes[1].endswith("and no layers on the GPU")


def test_when_nothing_fits_the_last_error_is_raised() -> None:
    with pytest.raises(OutOfMemory) as caught:
        first_that_fits(setups_to_try(CPU, EngineOptions(), LAYERS), loader(10))
    assert caught.value.hint == "for 5120"


def test_another_error_ends_the_trying() -> None:
    tried = []

    def load(setup: Setup) -> Setup:
        tried.append(setup)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        first_that_fits(setups_to_try(CPU, EngineOptions(), LAYERS), load)
    assert len(tried) == 1


def test_with_everything_chosen_there_is_nothing_to_fall_back_to() -> None:
    assert setups_to_try(GPU, EngineOptions(gpu_layers=32, parallel=64, context=84_992), LAYERS) == [GPU]
    assert setups_to_try(CPU, EngineOptions(parallel=16, context=17_664), LAYERS) == [CPU]


@given(st.sampled_from([CPU, GPU, PARTLY]), st.sampled_from([-1, 12]), st.sampled_from([0, 7, 64]), st.sampled_from([0, 9000, 100_000]))
def test_what_the_user_chose_is_never_changed(first: Setup, gpu_layers: int, parallel: int, context: int) -> None:
    options = EngineOptions(gpu_layers=gpu_layers, parallel=parallel, context=context)
    first = replace(first, parallel=parallel or first.parallel, context=context or first.context)
    first = replace(first, gpu_layers=gpu_layers) if gpu_layers >= 0 else first
    setups = setups_to_try(first, options, LAYERS)
    assert setups[0] == first and len(setups) == len(set(setups))
    for setup in setups:
        assert not parallel or setup.parallel == parallel
        assert not context or setup.context == context
        assert gpu_layers < 0 or setup.gpu_layers == gpu_layers


@pytest.mark.parametrize(
    "line",
    [
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 2048.00 MiB on device 0: cudaMalloc failed: out of memory",
        "llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache",
        "CUDA error: out of memory",
        "ggml_vulkan: Device memory allocation of size 1 failed. vk::Device::allocateMemory: ErrorOutOfDeviceMemory",
        "llama_model_load: error loading model: unable to allocate CUDA0 buffer",
        "llama_init_from_model: failed to initialize the context: std::bad_alloc",
        "ggml_aligned_malloc: insufficient memory (attempted to allocate 388.12 MB)",
        "ggml_metal_buffer_init: error: failed to allocate buffer, size = 12.00 MiB",
        "MemoryError",
        "ggml.c:1644: GGML_ASSERT(ctx->mem_buffer != NULL) failed",
    ],
)
def test_complaints_about_memory_are_known(line: str) -> None:
    assert speaks_of_memory(["load_tensors: ok", line])


@pytest.mark.parametrize("line", ["llama_model_load: error loading model: unknown model architecture: 'x'", "memory size: 10 MiB", ""])
def test_other_lines_are_not_complaints_about_memory(line: str) -> None:
    assert not speaks_of_memory([line])


def test_a_log_tells_which_set_up_was_tried_last() -> None:
    log = "".join(
        ["loading\n", trying_line(0, "all"), "no memory\n", trying_line(12, f"{CPU.words}, GPU layers {CPU.gpu_layers}"), "fine\n"]
    )
    assert number_tried(log.splitlines()) == 12 and number_tried(["loading"]) == 0
    assert "12: 16 sequences in a context of 17,664 tokens, GPU layers -1" in log
