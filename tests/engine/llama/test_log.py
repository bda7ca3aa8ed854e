"""What is read from llama.cpp's log, and what its build says."""

from __future__ import annotations

import io
from pathlib import Path

from studio.engine.llama.build import BuildFacts, build_facts, features, gpu_warning, machine_gpus
from studio.engine.llama.log import LogBuffer


def test_lines_are_put_together_and_debug_ones_left_out() -> None:
    log = LogBuffer()
    log.sink = io.StringIO()
    for level, text in ((2, "one "), (5, "more\n"), (1, "debug\n"), (5, "still debug\n"), (4, "bad\n...\n"), (2, "unfinished")):
        log.write(level, text)
    assert log.last(9) == ["one more", "bad", "unfinished"]
    assert log.last(1) == ["unfinished"]
    assert log.sink.getvalue() == "one more\nbad\n"
    log.clear()
    assert log.last(9) == []


def test_offloaded_layers_and_devices() -> None:
    log = LogBuffer()
    assert log.offloaded() == (0, 0) and log.devices() == []
    log.write(2, "llama_model_load_from_file_impl: using device CUDA0 (NVIDIA H200) - 140000 MiB free\n")
    log.write(2, "load_tensors: offloaded 31/31 layers to GPU\n")
    assert log.offloaded() == (31, 31) and log.devices() == ["CUDA0"]


def test_features_that_are_on() -> None:
    assert features("CPU : SSE3 = 1 | AVX2 = 0 | REPACK = 1 | ") == ("SSE3", "REPACK")
    assert features("") == ()


def test_the_installed_build() -> None:
    facts = build_facts()
    assert facts.bindings.startswith("0.3.") and facts.ggml.count(".") == 2 and facts.features


def test_a_gpu_the_build_cannot_use(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "kfd").touch()
    assert "AMD" in machine_gpus(tmp_path)
    without, with_gpu = BuildFacts("", "", False, ()), BuildFacts("", "", True, ())
    assert "-DGGML_HIP=on" in gpu_warning(["AMD"], without)
    assert "-DGGML_CUDA=on" in gpu_warning(["NVIDIA", "AMD"], without)
    assert gpu_warning(["NVIDIA"], with_gpu) == gpu_warning([], without) == ""
    blind = BuildFacts("", "", False, (), backends=("CUDA",), said="failed to initialize CUDA: the driver is too old")
    assert gpu_warning(["NVIDIA"], blind).endswith(
        "is built for CUDA but finds no device; it says: failed to initialize CUDA: the driver is too old"
    )
