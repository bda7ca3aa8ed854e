"""Opens an engine by the name of its model."""

from __future__ import annotations

from pathlib import Path

from studio.engine.adapter import check_adapter, refuse_adapter
from studio.engine.api import Engine
from studio.engine.catalog import find_model, identify, known_sha256
from studio.engine.model_file import read_model
from studio.engine.not_gguf import refuse_downloads
from studio.engine.options import MAX_PARALLEL, EngineOptions
from studio.engine.remote.address import is_address
from studio.engine.scripted import SCRIPTED_MODEL, ScriptedEngine
from studio.errors import ModelError


def open_engine(model: str = "", options: EngineOptions | None = None) -> Engine:
    """Return a running engine for `model`: a catalogue name, a path to a GGUF file, a server's address, `scripted`, or
    empty for the bundled default.

    llama.cpp runs in a process of its own.
    Raises ModelError when the model is unknown, broken or cannot be loaded, or the adapter does not fit it; UsageError for an adapter
    beside something else than a GGUF file.
    """
    options = options or EngineOptions()
    refuse_downloads(model)
    if model == SCRIPTED_MODEL or is_address(model):
        refuse_adapter(model, options.adapter)
        options.refuse_elsewhere(model)
    if model == SCRIPTED_MODEL:
        return ScriptedEngine()
    if is_address(model):
        from studio.engine.remote.engine import open_remote

        return open_remote(model, options)
    options.require_parallel(MAX_PARALLEL, "llama.cpp")
    path = find_model(model)
    if options.adapter:
        check_adapter(Path(options.adapter), read_model(path))
    identity = identify(path)
    from studio.engine.process.client import ProcessEngine

    return ProcessEngine(identity, options)


def bytes_to_hash(model: str) -> int:
    """How many bytes of model files `open_engine` has to read whole first, for their sha256; 0 where it is known or nothing is read."""
    if model == SCRIPTED_MODEL or is_address(model):
        return 0
    try:
        header = read_model(find_model(model))
    except ModelError:
        return 0
    return 0 if known_sha256(header) else header.file_size
