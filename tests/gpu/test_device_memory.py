"""A device without memory: while the model loads, and later. Less is run there, then nothing, and the user is told.

Somebody else really takes the memory (`crowded_child`). Where it is the machine's own that cannot be; Vulkan can be told that no buffer is
larger than a size, and then refuses larger ones as it refuses those that find no memory.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from studio.engine.api import EngineEvent, Restarted
from studio.engine.catalog import identify
from studio.engine.options import EngineOptions
from studio.engine.process.client import ProcessEngine
from studio.errors import ModelError
from support.engines import animal_requests, complete, outcome
from support.gpus import Gpu, MakeModel

MB = 1 << 20
LIMIT = "GGML_VK_FORCE_MAX_BUFFER_SIZE"
KEYS_OF_32 = 48 * MB
"""More than the keys of one block take for 32 sequences of the model below (36 MB), less than those for 64 (87 MB)."""


def open_crowded(
    gpu: Gpu, path: Path, monkeypatch: pytest.MonkeyPatch, *, left: int, when: str, mark: str = "", **options: Any
) -> ProcessEngine:
    """Open the model in a process whose device has no more than `left` bytes for it."""
    if not gpu.there:
        pytest.skip("there is no device whose memory could be taken")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]))
    if gpu.vulkan and not mark:
        monkeypatch.setenv(LIMIT, str(max(left, 4096)))
        return ProcessEngine(identify(path), EngineOptions(threads=1, **options))
    if gpu.software:
        pytest.skip("the memory of this device is the machine's own")
    command = [sys.executable, str(Path(__file__).with_name("crowded_child.py")), when, str(left), mark]
    return ProcessEngine(identify(path), EngineOptions(threads=1, **options), command)


def test_sequences_are_given_up_first(gpu: Gpu, models: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    left = KEYS_OF_32 if gpu.vulkan else 256 * MB
    engine = open_crowded(gpu, models("gemma3"), monkeypatch, left=left, when="llama_init_from_model")
    try:
        assert gpu.runs(engine.info) and engine.info.parallel < 64
        [notice] = engine.info.notices
        assert notice.startswith("there was no memory for 64 sequences in a context of 84,992 tokens; it runs with ")
        assert f"{engine.info.parallel} sequences" in notice and "GPU" not in notice
        assert all(each.completion_tokens for each in complete(engine, animal_requests(3)))
    finally:
        engine.close()


def test_without_room_for_a_layer_the_cpu_has_all(gpu: Gpu, models: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model runs as it does with `--gpu-layers 0`, to the letter.

    Not so where Vulkan is told to refuse: there llama.cpp itself leaves a weight to the CPU, and counts the output's layer all the same.
    """
    engine = open_crowded(gpu, models("gemma3"), monkeypatch, left=0, when="llama_model_load_from_file")
    try:
        [notice] = engine.info.notices
        assert notice.startswith("there was no memory for 64 sequences")
        crowded = outcome(complete(engine, animal_requests(3)))
        if gpu.vulkan:
            assert engine.info.layers_offloaded <= 1 and notice.endswith(" layers on the GPU")
            return
        assert gpu.runs(engine.info, 0) and notice.endswith("and no layers on the GPU")
    finally:
        engine.close()
    plain = ProcessEngine(identify(models("gemma3")), EngineOptions(gpu_layers=0, threads=1))
    try:
        assert plain.info.parallel == engine.info.parallel and outcome(complete(plain, animal_requests(3))) == crowded
    finally:
        plain.close()


def test_layers_that_the_user_chose_are_an_error(gpu: Gpu, models: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="no memory") as caught:
        open_crowded(gpu, models("gemma3"), monkeypatch, left=0, when="llama_model_load_from_file", gpu_layers=2).close()
    assert "llama.cpp says: " in caught.value.hint


def test_memory_that_runs_out_amid_a_batch_has_it_run_again_with_less(
    gpu: Gpu, models: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_crowded(gpu, models("gemma3"), monkeypatch, left=0, when="_answer", mark=str(tmp_path / "mark"))
    restarts: list[Restarted] = []

    def watch(event: EngineEvent) -> None:
        if isinstance(event, Restarted):
            restarts.append(event)

    try:
        assert engine.info.parallel == 64 and not engine.info.notices
        assert all(each.completion_tokens for each in complete(engine, animal_requests(3), watch=watch))
        if not restarts:
            pytest.skip("this device computes its batches in the memory that it reserved for them")
        assert "out of memory" in restarts[0].cause
        assert engine.info.parallel == 32 and gpu.runs(engine.info)
        assert engine.info.notices[0].startswith("there was no memory for 64 sequences")
    finally:
        engine.close()
