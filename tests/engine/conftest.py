"""Engines and model files for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from studio.engine.llama.engine import LlamaEngine
from studio.engine.options import EngineOptions
from support.engines import bundled_identity


@pytest.fixture(scope="session")
def llama() -> Iterator[LlamaEngine]:
    """The bundled model over four sequences, on one thread: llama.cpp's threads slow each other down when other tests run beside."""
    engine = LlamaEngine(bundled_identity(), EngineOptions(context=6144, threads=1, parallel=4))
    yield engine
    engine.close()
