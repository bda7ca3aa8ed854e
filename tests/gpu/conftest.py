"""The device that these tests run on, and tiny models for it.

They run on whatever GPU the installed llama.cpp offers, or the build that `LLAMA_CPP_LIB_PATH` names; `vulkan_software.sh` makes one that
needs no GPU. Without a device they are skipped. `STUDIO_GPU_TESTS=cpu` runs them on the CPU all the same, to try the tests themselves.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from support.gpus import Gpu, MakeModel

os.environ["STUDIO_PREFIX_CACHE"] = os.environ["STUDIO_OTHER_PROGRAMS"] = "off"


@cache
def device() -> Gpu | str:
    """The first GPU of llama.cpp's, or why there is none."""
    from studio.engine.llama.build import build_facts, list_devices, used_gpus
    from studio.engine.llama.log import install_log

    if os.environ.get("STUDIO_GPU_TESTS") == "cpu":
        return Gpu("CPU", "", there=False)
    install_log()
    facts, found = build_facts(), used_gpus(list_devices())
    if not found:
        return (
            f"this llama.cpp finds no {' or '.join(facts.backends)} device"
            if facts.backends
            else "this llama.cpp is built for the CPU alone"
        )
    software = any(word in found[0].description.lower() for word in ("llvmpipe", "swiftshader"))
    return Gpu(found[0].name, found[0].description, software)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what asks for a device where there is none, all in one line of the summary."""
    asks = {"gpu", "models"} & set(getattr(item, "fixturenames", ()))
    if asks and isinstance(reason := device(), str):
        pytest.skip(reason)


@pytest.fixture(scope="session")
def gpu() -> Gpu:
    """The device."""
    found = device()
    assert isinstance(found, Gpu)
    return found


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """With contexts as long as the method's prompts need, and a window shorter than they are."""
    folder = tmp_path_factory.mktemp("models")

    def make(architecture: str = "llama") -> Path:
        from support.tiny_models import tiny_model

        path = folder / f"{architecture}.gguf"
        return path if path.exists() else tiny_model(path, architecture, context=8192, window=64)

    return make
