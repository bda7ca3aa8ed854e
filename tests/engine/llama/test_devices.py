"""The set-up that follows from the devices of a machine, with devices this machine does not have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.llama.build import Device, DeviceKind, build_words, list_devices, shares_memory, used_gpus
from studio.engine.llama.facts import ModelFacts, kv_too_large
from studio.engine.llama.setup import Setup, choose, cpu_setup
from studio.engine.options import EngineOptions, FlashAttention, default_context

GB = 1_000_000_000
CPU = Device("CPU", "AMD EPYC", DeviceKind.CPU, 25 * GB, 32 * GB)
BIG = Device("CUDA0", "NVIDIA H200", DeviceKind.GPU, 150 * GB, 151 * GB)
SMALL = Device("CUDA0", "NVIDIA T600", DeviceKind.GPU, 4 * GB, 4 * GB)
MIDDLE = Device("CUDA0", "NVIDIA L4", DeviceKind.GPU, 12 * GB, 12 * GB)
INTEGRATED = Device("Vulkan0", "Intel Iris Xe", DeviceKind.INTEGRATED, 24 * GB, 24 * GB)
APPLE = Device("MTL0", "Apple M3", DeviceKind.GPU, 11 * GB, 11 * GB)
BLAS = Device("BLAS", "OpenBLAS", DeviceKind.OTHER, 0, 0)

SEVEN_B = ModelFacts(
    layers=32, file_size=4_400_000_000, kv_bytes_per_token=131_072, trained_context=32_768, embedding=4096, vocabulary=32_000
)
TINY = ModelFacts(layers=30, file_size=98_362_432, kv_bytes_per_token=23_040, trained_context=8192, embedding=576, vocabulary=49_152)
DEFAULT = EngineOptions()
CPU_SETUP = Setup(-1, 16, 2 * default_context(8), 512, 512, 2, FlashAttention.OFF, contexts=2)


def chosen(*devices: Device, facts: ModelFacts | None = SEVEN_B, **options: Any) -> Setup:
    return choose(EngineOptions(**options), (CPU, *devices), facts, threads=2)


@pytest.mark.parametrize("facts", [None, TINY, SEVEN_B])
def test_without_a_gpu_everything_is_as_it_always_was(facts: ModelFacts | None) -> None:
    assert chosen(facts=facts) == chosen(BLAS, facts=facts) == CPU_SETUP
    poor = replace(CPU, memory_free=1, memory_total=1)
    assert choose(DEFAULT, (poor,), facts, 2) == chosen(facts=facts)


def test_no_layers_for_the_gpu_is_the_cpus_set_up() -> None:
    assert chosen(BIG, gpu_layers=0) == replace(CPU_SETUP, gpu_layers=0)


@pytest.mark.parametrize(
    ("options", "threads", "contexts"),
    [
        ({}, 2, 2),
        ({}, 16, 2),
        ({}, 1, 1),
        ({"threads": 1}, 2, 1),
        ({"parallel": 1}, 2, 1),
        ({"context": 8192}, 2, 1),
        ({"context": 16_384}, 2, 2),
        ({"contexts": 1}, 2, 1),
        ({"contexts": 3, "parallel": 2}, 8, 2),
    ],
)
def test_a_cpu_divides_the_sequences_where_both_halves_have_work_and_room(options: dict[str, Any], threads: int, contexts: int) -> None:
    setup = cpu_setup(EngineOptions(**options), threads)
    assert setup.contexts == contexts
    assert setup.parallel_each * contexts >= setup.parallel > setup.parallel_each * (contexts - 1)
    assert setup.context_each * contexts <= setup.context
    if setup.context != options.get("context"):
        assert setup.context_each == default_context(setup.parallel_each)


def test_a_big_gpu_takes_all_layers_more_sequences_and_larger_batches() -> None:
    setup = chosen(BIG)
    assert setup == Setup(-1, 64, default_context(64, 1200), 2048, 2048, 2, FlashAttention.AUTO, gpus=1)
    assert setup.notes == ()


def test_less_memory_means_smaller_rows_then_fewer_sequences_then_fewer_layers() -> None:
    memories = [150, 18, 13, 10, 8, 7.2, 5, 3, 1, 0.3]
    setups = [chosen(replace(BIG, memory_free=int(GB * memory))) for memory in memories]
    parallel = [setup.parallel for setup in setups]
    assert parallel[:6] == sorted(parallel[:6], reverse=True) and {64, 32, 16} <= set(parallel[:6])
    layers = [SEVEN_B.layers if setup.gpu_layers < 0 else setup.gpu_layers for setup in setups]
    assert layers == sorted(layers, reverse=True) and layers[0] == 32 and 0 < layers[6] < 32 and layers[-1] == 0
    assert all(bool(setup.notes) == (setup.parallel < 64) for setup in setups)


def test_a_small_gpu_takes_some_layers_and_says_so() -> None:
    setup = chosen(SMALL)
    assert 0 < setup.gpu_layers < 32 and setup.parallel == 16 and setup.context == 17_664
    [note] = setup.notes
    assert f"{setup.gpu_layers} of 32 layers are on CUDA0: 4.0 GB are free there" in note


def test_a_small_model_on_a_small_gpu_needs_no_note() -> None:
    setup = chosen(SMALL, facts=TINY)
    assert (setup.gpu_layers, setup.parallel, setup.notes) == (-1, 64, ())


def test_a_gpu_that_holds_no_layer_leaves_the_model_to_the_cpu() -> None:
    setup = chosen(replace(SMALL, memory_free=GB // 2))
    assert setup == replace(cpu_setup(DEFAULT, 2), gpu_layers=0, notes=setup.notes)
    assert setup.notes == ("the model runs on the CPU: CUDA0 has 0.5 GB free, which holds none of its layers",)


def test_an_integrated_gpu_gets_fewer_sequences_and_shares_the_memory() -> None:
    setup = chosen(INTEGRATED)
    assert (setup.gpu_layers, setup.parallel, setup.flash_attention, setup.notes) == (-1, 32, FlashAttention.AUTO, ())
    crowded = choose(DEFAULT, (replace(CPU, memory_total=8 * GB), INTEGRATED), SEVEN_B, 2)
    assert 0 < crowded.gpu_layers < 32, "three quarters of 8 GB are not 24"


def test_an_integrated_gpu_beside_a_real_one_is_not_used() -> None:
    assert used_gpus([CPU, INTEGRATED, MIDDLE]) == [MIDDLE] and used_gpus([CPU, INTEGRATED]) == [INTEGRATED]
    assert chosen(MIDDLE, INTEGRATED) == chosen(MIDDLE)


def test_two_gpus_hold_together_what_one_cannot() -> None:
    second = replace(SMALL, name="CUDA1")
    large = replace(SEVEN_B, file_size=5 * GB)
    assert chosen(SMALL, facts=large).gpu_layers < chosen(SMALL, second, facts=large).gpu_layers
    both = chosen(replace(SMALL, memory_free=6 * GB), replace(second, memory_free=6 * GB))
    assert both.gpu_layers == -1
    assert "CUDA0, CUDA1" in chosen(SMALL, second, facts=large).notes[0]


def test_unified_memory_counts_once() -> None:
    assert shares_memory(APPLE) and shares_memory(INTEGRATED) and not shares_memory(BIG)
    host = replace(CPU, memory_total=16 * GB)
    setup = choose(DEFAULT, (host, APPLE), SEVEN_B, 4)
    assert setup.gpu_layers == -1 and setup.on_gpu and 16 <= setup.parallel < 64
    boastful = replace(APPLE, memory_free=1000 * GB)
    assert choose(DEFAULT, (host, boastful), SEVEN_B, 4) == choose(DEFAULT, (host, replace(APPLE, memory_free=12 * GB)), SEVEN_B, 4)


def test_a_device_that_does_not_tell_its_memory_is_tried_with_everything() -> None:
    assert chosen(replace(BIG, memory_free=0, memory_total=0)).parallel == 64


def test_a_short_trained_context_bounds_the_cells() -> None:
    assert chosen(BIG, facts=replace(TINY, trained_context=512)).context == 512 * 68


@given(
    st.sampled_from([(), (SMALL,), (MIDDLE,), (BIG,), (INTEGRATED,), (APPLE,), (SMALL, MIDDLE)]),
    st.sampled_from([-1, 0, 5, 99]),
    st.sampled_from([0, 1, 3, 128]),
    st.sampled_from([0, 300, 500_000]),
    st.sampled_from([0, 7]),
)
def test_what_the_user_chose_stands(devices: tuple[Device, ...], gpu_layers: int, parallel: int, context: int, threads: int) -> None:
    setup = chosen(*devices, gpu_layers=gpu_layers, parallel=parallel, context=context, threads=threads)
    assert gpu_layers < 0 or setup.gpu_layers == gpu_layers
    assert not parallel or setup.parallel == parallel
    assert not context or setup.context == context
    assert setup.threads == (threads or 2)
    assert setup.parallel > 0 and setup.context > 0 and setup.batch >= setup.ubatch >= 512 and setup.batch > setup.parallel


def test_a_context_beyond_all_memory() -> None:
    assert kv_too_large(2_000_000_000, TINY, 32 * GB) and not kv_too_large(17_664, TINY, GB)
    assert kv_too_large(2_000_000_000, replace(TINY, kv_bytes_per_token=0), 32 * GB)


def test_the_devices_of_this_machine() -> None:
    devices = list_devices()
    assert DeviceKind.CPU in {device.kind for device in devices}
    assert all(device.name and 0 <= device.memory_free <= device.memory_total for device in devices)
    assert build_words() == build_words() and "libllama" in build_words()
