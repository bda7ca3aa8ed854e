"""Puts a LoRA adapter onto llama.cpp contexts."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

from studio.engine import llama_log
from studio.engine.adapter import check_adapter
from studio.engine.model_file import read_whole
from studio.errors import ModelError


def load_adapter(lib: Any, model: Any, path: str, adapter: str) -> Any:
    """Return the adapter file `adapter`, loaded for the model at `path`; freed with the model.

    Raises ModelError for one that does not fit, before llama.cpp sees it, and when llama.cpp refuses it.
    """
    check_adapter(Path(adapter), read_whole(Path(path)))
    loaded = lib.llama_adapter_lora_init(model, adapter.encode("utf-8", "surrogateescape"))
    if not loaded:
        raise ModelError(f"{adapter}: llama.cpp cannot load this adapter", llama_log.last_words())
    return loaded


def use_adapter(lib: Any, context: Any, loaded: Any, adapter: str) -> None:
    """Let `context` compute with the loaded adapter from the file `adapter`. Raises ModelError when llama.cpp refuses."""
    adapters = (lib.llama_adapter_lora_p_ctypes * 1)(loaded)
    scales = (ctypes.c_float * 1)(1.0)
    if lib.llama_set_adapters_lora(context, adapters, 1, scales):
        raise ModelError(f"{adapter}: llama.cpp cannot use this adapter", llama_log.last_words())
