"""The two steps that can lack memory: loading a model's weights, and making a context for it."""

from __future__ import annotations

from typing import Any

from studio.engine import llama_log
from studio.engine.devices import Setup
from studio.engine.fitting import OutOfMemory, speaks_of_memory
from studio.engine.options import PREFIX_SEQUENCES
from studio.errors import ModelError

_LINES_OF_A_FAILURE = 20
_FLASH_ATTENTION_AUTO, _FLASH_ATTENTION_OFF = -1, 0


def load_model(lib: Any, path: str, gpu_layers: int, *, plain: bool = False) -> Any:
    """Return the model at `path` with that many layers on the GPU, -1 for all; `plain` leaves its weights as they are stored.

    Raises OutOfMemory, and ModelError for a file llama.cpp cannot use.
    """
    params = lib.llama_model_default_params()
    params.n_gpu_layers = gpu_layers
    params.use_extra_bufts = not plain
    llama_log.LOG.clear()
    model = lib.llama_model_load_from_file(path.encode("utf-8", "surrogateescape"), params)
    if not model:
        if speaks_of_memory(llama_log.LOG.last(_LINES_OF_A_FAILURE)):
            raise OutOfMemory(f"{path}: no memory for the model's weights", f"choose a smaller model; {llama_log.last_words()}")
        raise ModelError(f"{path}: llama.cpp cannot load this model", llama_log.last_words())
    if not lib.llama_model_has_decoder(model) or lib.llama_model_has_encoder(model):
        lib.llama_model_free(model)
        raise ModelError(f"{path}: not a model that continues text", "choose a decoder-only language model")
    return model


def open_context(lib: Any, model: Any, path: str, setup: Setup) -> Any:
    """Return one of the contexts of `model` that `setup` asks for.

    Raises OutOfMemory, and ModelError when llama.cpp refuses for another reason.
    """
    params = lib.llama_context_default_params()
    params.n_ctx = setup.context_each
    params.n_batch, params.n_ubatch = setup.batch, setup.ubatch
    params.n_seq_max = setup.parallel_each + PREFIX_SEQUENCES
    params.n_outputs_max = params.n_seq_max
    params.n_threads = params.n_threads_batch = setup.threads
    params.kv_unified = True
    params.swa_full = True
    params.no_perf = True
    params.flash_attn_type = _FLASH_ATTENTION_AUTO if setup.flash_attention else _FLASH_ATTENTION_OFF
    context = lib.llama_init_from_model(model, params)
    if context:
        return context
    wish = f"a context of {setup.context_each} tokens and {setup.parallel_each} sequences"
    if speaks_of_memory(llama_log.LOG.last(_LINES_OF_A_FAILURE)):
        hint = f"ask for less with --context or --parallel; {llama_log.last_words()}"
        raise OutOfMemory(f"{path}: no memory for {wish}", hint)
    raise ModelError(f"{path}: llama.cpp refuses {wish}", llama_log.last_words())
