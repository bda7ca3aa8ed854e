"""Loads a GGUF file and its adapter with llama.cpp and makes its contexts, as the devices and their memory allow."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path
from typing import Any

from studio.engine.llama.build import BufferOverride, cpu_memory, list_devices, used_gpus
from studio.engine.llama.context import PLAIN_NOTICE, Cores, LlamaContext, try_tiles
from studio.engine.llama.facts import EXPERTS, ModelFacts, kv_too_large, model_facts
from studio.engine.llama.log import INFORMATION, LOG, OutOfMemory, install_log, last_words, reckoned_line, speaks_of_memory, trying_line
from studio.engine.llama.setup import Setup, choose, first_that_fits, gigabytes, reckoned, setups_to_try
from studio.engine.llama.vocab import Vocabulary
from studio.engine.model_file import check_adapter, read_whole
from studio.engine.options import (
    PREFIX_SEQUENCES,
    EngineOptions,
    FlashAttention,
    memory_of_machine,
    rows_with_logits,
    usable_cores,
)
from studio.errors import ModelError

_LINES_OF_A_FAILURE = 20
_FLASH_ATTENTION = {FlashAttention.AUTO: -1, FlashAttention.OFF: 0, FlashAttention.ON: 1}
"""By llama.h's llama_flash_attn_type."""
_SPLIT_MODES = {"none": 0, "layer": 1, "row": 2}
"""By llama.h's llama_split_mode."""
_KV_TYPES = {"f16": 1, "q4_0": 2, "q8_0": 8}
"""By ggml.h's ggml_type."""


def load_model(path: str, setup: Setup, options: EngineOptions, *, plain: bool = False) -> Any:
    """Return the model at `path`, on the devices that `setup` and `options` say; `plain` leaves its weights as they are stored.

    With 0 no GPU is touched: llama.cpp would give it the large batches of a prompt, and memory of its own on a device that may have none.
    Raises OutOfMemory, and ModelError for a file llama.cpp cannot use.
    """
    import llama_cpp

    params = llama_cpp.llama_model_default_params()
    params.n_gpu_layers = setup.gpu_layers
    no_devices = (ctypes.c_void_p * 1)()
    if setup.gpu_layers == 0:
        params.devices = ctypes.cast(no_devices, ctypes.c_void_p)
    params.use_extra_bufts = not plain
    params.split_mode = _SPLIT_MODES[options.split_mode]
    params.main_gpu = options.main_gpu
    if options.proportions:
        # llama.cpp copies them, all that it has room for.
        params.tensor_split = (ctypes.c_float * llama_cpp.LLAMA_MAX_DEVICES)(*options.proportions)
    overrides = _experts_on_cpu(setup.cpu_moe)
    if overrides is not None:
        params.tensor_buft_overrides = ctypes.cast(overrides, ctypes.c_void_p)
    LOG.clear()
    model = llama_cpp.llama_model_load_from_file(path.encode("utf-8", "surrogateescape"), params)
    if not model:
        if speaks_of_memory(LOG.last(_LINES_OF_A_FAILURE)):
            raise OutOfMemory(f"{path}: no memory for the model's weights", f"choose a smaller model; {last_words()}")
        raise ModelError(f"{path}: llama.cpp cannot load this model", last_words())
    if not llama_cpp.llama_model_has_decoder(model) or llama_cpp.llama_model_has_encoder(model):
        llama_cpp.llama_model_free(model)
        raise ModelError(f"{path}: not a model that continues text", "choose a decoder-only language model")
    return model


def _experts_on_cpu(layers: int) -> Any:
    """Return what has llama.cpp keep the experts of so many layers, -1 for all, in the CPU's memory; None for no layers."""
    if not layers:
        return None
    patterns = [EXPERTS] if layers < 0 else [rf"blk\.{layer}{EXPERTS}" for layer in range(layers)]
    kept = [BufferOverride(pattern.encode("ascii"), cpu_memory()) for pattern in patterns]
    return (BufferOverride * (len(kept) + 1))(*kept)  # one without a pattern ends them


def open_context(model: Any, path: str, setup: Setup, outputs: int) -> Any:
    """Return one of the contexts of `model` that `setup` asks for; `outputs` rows of a batch may want logits.

    Raises OutOfMemory, and ModelError when llama.cpp refuses for another reason.
    """
    import llama_cpp

    params = llama_cpp.llama_context_default_params()
    params.n_ctx = setup.context_each
    params.n_batch, params.n_ubatch = setup.batch, setup.ubatch
    params.n_seq_max = setup.parallel_each + PREFIX_SEQUENCES
    params.n_outputs_max = outputs
    params.n_threads = params.n_threads_batch = setup.threads
    params.kv_unified = not setup.separate
    params.swa_full = True
    params.no_perf = True
    params.flash_attn_type = _FLASH_ATTENTION[setup.flash_attention]
    params.type_k = params.type_v = _KV_TYPES[setup.kv_type]
    context = llama_cpp.llama_init_from_model(model, params)
    if context:
        return context
    wish = f"a context of {setup.context_each} tokens and {setup.parallel_each} sequences"
    if speaks_of_memory(LOG.last(_LINES_OF_A_FAILURE)):
        raise OutOfMemory(f"{path}: no memory for {wish}", f"ask for less with --context or --parallel; {last_words()}")
    raise ModelError(f"{path}: llama.cpp refuses {wish}", last_words())


def load_adapter(model: Any, path: str, adapter: str) -> Any:
    """Return the adapter file `adapter`, loaded for the model at `path`; freed with the model.

    Raises ModelError for one that does not fit, before llama.cpp sees it, and when llama.cpp refuses it.
    """
    import llama_cpp

    check_adapter(Path(adapter), read_whole(Path(path)))
    loaded = llama_cpp.llama_adapter_lora_init(model, adapter.encode("utf-8", "surrogateescape"))
    if not loaded:
        raise ModelError(f"{adapter}: llama.cpp cannot load this adapter", last_words())
    return loaded


def use_adapter(context: Any, loaded: Any, adapter: str) -> None:
    """Let `context` compute with the loaded adapter from the file `adapter`. Raises ModelError when llama.cpp refuses."""
    import llama_cpp

    adapters = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(loaded)
    scales = (ctypes.c_float * 1)(1.0)
    if llama_cpp.llama_set_adapters_lora(context, adapters, 1, scales):
        raise ModelError(f"{adapter}: llama.cpp cannot use this adapter", last_words())


NO_FLASH_ATTENTION = "llama.cpp runs this model without flash attention here: it takes more memory for its scores"


class LlamaModel:
    """A loaded model with its contexts and its vocabulary."""

    vocabulary: Vocabulary

    def __init__(self, path: str, options: EngineOptions, *, shrink: int = 0, plain: bool = False, logits_rows: int = 0) -> None:
        """Load `path`, set up as its devices allow, or smaller where memory is short.

        `shrink` leaves out that many of the set-ups that would be tried first, `plain` the CPU's matrix instructions (`try_tiles`);
        `logits_rows` rows of a batch may want logits, where that is to be more than one a sequence.
        Raises ModelError with llama.cpp's last words when it cannot be loaded.
        """
        import llama_cpp

        self._lib: Any = llama_cpp
        self._logits_rows = logits_rows
        self.model: Any = None
        self.contexts: list[LlamaContext] = []
        install_log()
        LOG.clear()
        llama_cpp.llama_backend_init()
        self.plain = plain
        self.setup = self._open(path, options, shrink)
        trained, cells = int(llama_cpp.llama_model_n_ctx_train(self.model)), self.contexts[0].cells_each
        self.per_sequence = min(cells, trained) if trained else cells
        """Tokens that one sequence may have, its prompt counted in."""
        self.flash_attention = self.setup.flash_attention is not FlashAttention.OFF and LOG.has_flash_attention()
        self.layers_offloaded, layers = LOG.offloaded()
        self.layers = layers or int(llama_cpp.llama_model_n_layer(self.model))
        self.split = options.split if self.layers_offloaded else ""
        self.backend = ", ".join(LOG.devices()) if self.layers_offloaded else "CPU"
        lacking = "" if self.flash_attention or self.setup.flash_attention is FlashAttention.OFF else NO_FLASH_ATTENTION
        self.notices = tuple(filter(None, (*self.setup.notes, lacking, PLAIN_NOTICE if plain else "")))
        """What was given up and what the devices cannot do, in sentences for the user."""

    def close(self) -> None:
        """Free everything. Safe to call twice."""
        while self.contexts:
            self.contexts.pop().close()
        if self.model is not None:
            self._lib.llama_model_free(self.model)
            self.model = None

    def _open(self, path: str, options: EngineOptions, shrink: int) -> Setup:
        """Load the model and make its contexts with the first set-up that there is memory for."""
        devices = list_devices()
        gpus = used_gpus(devices, options) if options.gpu_layers else []
        facts = model_facts(read_whole(Path(path)))
        notes: tuple[str, ...] = ()
        if options.context:
            memory = memory_of_machine() + sum(gpu.memory_total for gpu in gpus)
            if kv_too_large(options.context, facts, memory, options.kv_type):
                if "context" not in options.kept:
                    raise _impossible(path, options, facts, memory)
                notes, options = (_let_go(options),), options.released()
        first = choose(options, devices, facts, options.threads or usable_cores())
        first = replace(first, notes=(*notes, *first.notes))
        setups = setups_to_try(first, options, facts.layers, experts=bool(facts.expert_bytes))[shrink:]
        if not setups:
            raise OutOfMemory(f"{path}: no memory even for the smallest set-up", "choose a smaller model, or ask for less")
        loaded: tuple[int, int] | None = None

        def attempt(setup: Setup) -> Setup:
            nonlocal loaded
            LOG.write(INFORMATION, trying_line(shrink + setups.index(setup), f"{setup.words}, GPU layers {setup.gpu_layers}"))
            LOG.write(INFORMATION, reckoned_line(reckoned(setup, facts)))
            if (setup.gpu_layers, setup.cpu_moe) != loaded:
                self.close()
                self.model = load_model(path, setup, options, plain=self.plain)
                self.vocabulary = Vocabulary(self.model)
                loaded = setup.gpu_layers, setup.cpu_moe
            while self.contexts:
                self.contexts.pop().close()
            adapter = load_adapter(self.model, path, options.adapter) if options.adapter else None
            cores = Cores(setup.threads)
            for _ in range(setup.contexts):
                outputs = max(self._logits_rows, rows_with_logits(setup.parallel_each, self.vocabulary.size, setup.batch))
                handle = open_context(self.model, path, setup, outputs)
                rows = {"rows": setup.batch, "outputs": outputs}
                self.contexts.append(LlamaContext(handle, self.vocabulary, parallel=setup.parallel_each, cores=cores, **rows))
                if not self.plain and len(self.contexts) == 1:
                    try_tiles(self.contexts[0])
                if adapter is not None:
                    use_adapter(handle, adapter, options.adapter)
            return setup

        try:
            return first_that_fits(setups, attempt)
        except BaseException:
            self.close()
            raise


def _impossible(path: str, options: EngineOptions, facts: ModelFacts, memory: int) -> ModelError:
    """The error for a context that no fallback can save; llama.cpp would fill the memory before it gave up."""
    needed = gigabytes(facts.kept_bytes(options.context, kv_type=options.kv_type))
    return ModelError(
        f"{path}: --context {options.context} takes {needed}, this machine has {gigabytes(memory)} in all",
        "give a smaller --context, or leave it out to have it chosen",
    )


def _let_go(options: EngineOptions) -> str:
    """Return the note for a context that an earlier run had and this machine cannot have."""
    sequences = f"{options.parallel} sequences in " if options.parallel else ""
    return f"{options.origin} had {sequences}{options.context:,} tokens: this machine has no memory for that, so it chooses for itself"
