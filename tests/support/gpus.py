"""The device that the tests of `tests/gpu` run on, as they see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.engine.api import EngineInfo

MakeModel = Callable[..., Path]
"""Makes a tiny model of an architecture, the same one each time."""
LAYERS = 3
"""Of the tiny models: their blocks, and the output, which llama.cpp counts as a layer more."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A device as llama.cpp names it. `software` says that a CPU computes for it, `there` that there is one at all."""

    name: str
    description: str
    software: bool = False
    there: bool = True

    @property
    def vulkan(self) -> bool:
        return self.name.startswith("Vulkan")

    def offloaded(self, layers: int = -1) -> int:
        """How many layers llama.cpp puts on it where so many are asked for, of a tiny model; -1 asks for all."""
        return (LAYERS if layers < 0 else layers) if self.there else 0

    def runs(self, info: EngineInfo, layers: int = -1) -> bool:
        """Whether an engine says that it runs here with so many layers, and names the device where there are any."""
        backend = self.name if self.offloaded(layers) else "CPU"
        return info.layers_offloaded == self.offloaded(layers) and info.backend == f"llama.cpp ({backend})"
