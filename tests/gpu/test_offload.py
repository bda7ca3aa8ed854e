"""What users see of the device: `studio doctor`, a round with all, some and no layers there, the header, and nothing else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from support.command import STUDIO, clean_environment, new_studio
from support.gpus import Gpu, MakeModel

SMALL = (
    *("--profile", "paper", "--asking", "completion", "--parallel", "8", "--rounds", "1", "--set", "requests_per_round=4"),
    *(word for stage in ("instructions", "classification") for word in ("--set", f"sampling.{stage}.max_tokens=8")),
)
"""A round of a few tokens."""
CHATTER = ("ggml", "llama_", "vulkan:", "cuda error", "warning", "conformant", "load_tensors")
"""Words of llama.cpp and of drivers, as their own lines have them."""


@pytest.mark.parametrize("layers", [1, 0])
def test_doctor_names_the_device_and_the_layers_on_it(gpu: Gpu, models: MakeModel, layers: int) -> None:
    done = new_studio("doctor", "--json", "--model", models(), "--gpu-layers", str(layers))
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["model"]["layers_offloaded"] == gpu.offloaded(layers)
    assert report["model"]["backend"] == f"llama.cpp ({gpu.name if gpu.offloaded(layers) else 'CPU'})"
    assert gpu.name in {device["name"] for device in report["devices"]}
    assert report["llama_cpp"]["gpu_support"] == gpu.there and report["warning"] == ""
    assert layers or report["model"]["parallel"] == 16


def test_doctor_prints_its_own_lines_alone(gpu: Gpu, models: MakeModel) -> None:
    done = new_studio("doctor", "--model", models())
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert all(line[26:27] == " " or line.startswith("note: ") for line in lines), done.stdout
    [told] = [line for line in lines if line.startswith("devices of llama.cpp")]
    assert f"{gpu.name} ({gpu.description}" in told
    if gpu.there:
        assert f"{'layers on the GPU':<26} 3 of 3" in lines and f"{'model loaded on':<26} llama.cpp ({gpu.name})" in lines
        assert any(line.startswith("context ") and line.endswith(" tokens for 64 sequences") for line in lines)


@pytest.mark.parametrize("layers", [-1, 2, 0])
def test_a_round_runs_and_says_where(gpu: Gpu, models: MakeModel, tmp_path: Path, layers: int) -> None:
    done = new_studio("run", tmp_path / "pool.db", "--headless", "--model", models(), *SMALL, "--gpu-layers", str(layers))
    assert done.returncode == 0, done.stderr
    assert ("of 3 layers on the GPU" in done.stderr) == bool(gpu.offloaded(layers))
    assert not any(word in (done.stdout + done.stderr).lower() for word in CHATTER), done.stderr


def test_the_header_shows_the_layers(gpu: Gpu, models: MakeModel, tmp_path: Path) -> None:
    from studio.engine.opening import open_engine
    from studio.loop.runs import Configuration, RunOptions
    from support.studio_app import screen_text, studio

    asked = Configuration(RunOptions(model=str(models()), parallel=8), {"asking": "completion"})

    async def look() -> str:
        async with studio(tmp_path / "pool.db", open_engine, asked) as driven:
            return screen_text(driven.app)

    shown = asyncio.run(look())
    assert f"{gpu.offloaded()}/{3 if gpu.there else 2} layers on GPU" in shown


def test_nothing_but_the_studio_draws_on_the_terminal(gpu: Gpu, models: MakeModel, tmp_path: Path) -> None:
    from support.pseudo_terminal import in_terminal

    command = [*STUDIO, "run", str(tmp_path / "pool.db"), "--model", str(models()), "--parallel", "8", "--asking", "completion"]
    with in_terminal(command, clean_environment(TERM="xterm-256color")) as terminal:
        terminal.until(b"layers on GPU")
        written = terminal._written.decode(errors="replace").lower()
        assert gpu.offloaded() == 0 or "3/3" in written
        assert not any(word in written for word in CHATTER)
        terminal.leave()
