"""Loads a GGUF file and its adapter with llama.cpp, makes its contexts, and gives what the engine asks of model and vocabulary."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from studio.engine.adapter import check_adapter
from studio.engine.llama.build import list_devices
from studio.engine.llama.context import PLAIN_NOTICE, Cores, LlamaContext, try_tiles
from studio.engine.llama.log import INFORMATION, LOG, install_log, last_words
from studio.engine.llama.setup import (
    ModelFacts,
    OutOfMemory,
    Setup,
    choose,
    first_that_fits,
    gigabytes,
    kv_too_large,
    model_facts,
    setups_to_try,
    speaks_of_memory,
    trying_line,
    used_gpus,
)
from studio.engine.model_file import read_whole
from studio.engine.options import PREFIX_SEQUENCES, EngineOptions, memory_of_machine, usable_cores
from studio.errors import ModelError
from studio.text import storable


def load_adapter(lib: Any, model: Any, path: str, adapter: str) -> Any:
    """Return the adapter file `adapter`, loaded for the model at `path`; freed with the model.

    Raises ModelError for one that does not fit, before llama.cpp sees it, and when llama.cpp refuses it.
    """
    check_adapter(Path(adapter), read_whole(Path(path)))
    loaded = lib.llama_adapter_lora_init(model, adapter.encode("utf-8", "surrogateescape"))
    if not loaded:
        raise ModelError(f"{adapter}: llama.cpp cannot load this adapter", last_words())
    return loaded


def use_adapter(lib: Any, context: Any, loaded: Any, adapter: str) -> None:
    """Let `context` compute with the loaded adapter from the file `adapter`. Raises ModelError when llama.cpp refuses."""
    adapters = (lib.llama_adapter_lora_p_ctypes * 1)(loaded)
    scales = (ctypes.c_float * 1)(1.0)
    if lib.llama_set_adapters_lora(context, adapters, 1, scales):
        raise ModelError(f"{adapter}: llama.cpp cannot use this adapter", last_words())


_LINES_OF_A_FAILURE = 20
_FLASH_ATTENTION_AUTO, _FLASH_ATTENTION_OFF = -1, 0


def load_model(lib: Any, path: str, gpu_layers: int, *, plain: bool = False) -> Any:
    """Return the model at `path` with that many layers on the GPU, -1 for all; `plain` leaves its weights as they are stored.

    Raises OutOfMemory, and ModelError for a file llama.cpp cannot use.
    """
    params = lib.llama_model_default_params()
    params.n_gpu_layers = gpu_layers
    params.use_extra_bufts = not plain
    LOG.clear()
    model = lib.llama_model_load_from_file(path.encode("utf-8", "surrogateescape"), params)
    if not model:
        if speaks_of_memory(LOG.last(_LINES_OF_A_FAILURE)):
            raise OutOfMemory(f"{path}: no memory for the model's weights", f"choose a smaller model; {last_words()}")
        raise ModelError(f"{path}: llama.cpp cannot load this model", last_words())
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
    if speaks_of_memory(LOG.last(_LINES_OF_A_FAILURE)):
        hint = f"ask for less with --context or --parallel; {last_words()}"
        raise OutOfMemory(f"{path}: no memory for {wish}", hint)
    raise ModelError(f"{path}: llama.cpp refuses {wish}", last_words())


@dataclass(frozen=True, slots=True)
class Shape:
    """The figures the contexts were made with; counts of tokens but for `parallel`, `threads` and `contexts`."""

    context: int
    context_each: int
    per_sequence: int
    batch: int
    parallel: int
    threads: int
    contexts: int
    layers_offloaded: int
    layers: int
    backend: str
    notices: tuple[str, ...] = ()
    """What was given up, in sentences for the user."""


class LlamaModel:
    """A loaded model with its contexts. The vocabulary is safe for use from the threads of all contexts."""

    def __init__(self, path: str, options: EngineOptions, *, shrink: int = 0, plain: bool = False) -> None:
        """Load `path`, set up as its devices allow, or smaller where memory is short.

        `shrink` leaves out that many of the set-ups that would be tried first, `plain` the CPU's matrix instructions (`context`).
        Raises ModelError with llama.cpp's last words when it cannot be loaded.
        """
        import llama_cpp

        self._lib: Any = llama_cpp
        self.model: Any = None
        self.contexts: list[LlamaContext] = []
        install_log()
        LOG.clear()
        llama_cpp.llama_backend_init()
        self.plain = plain
        self.setup = self._open(path, options, shrink)
        self.vocab: Any = llama_cpp.llama_model_get_vocab(self.model)
        self.vocab_size = int(llama_cpp.llama_vocab_n_tokens(self.vocab))
        unshared = _unshared(llama_cpp, self.model)
        self.shares_prefixes = not unshared
        self.shape = self._shape(tuple(filter(None, (*self.setup.notes, unshared, PLAIN_NOTICE if plain else ""))))
        self._pieces: dict[int, bytes] = {}

    def close(self) -> None:
        """Free everything. Safe to call twice."""
        while self.contexts:
            self.contexts.pop().close()
        if self.model is not None:
            self._lib.llama_model_free(self.model)
            self.model = None

    def tokenise(self, text: str) -> list[int]:
        """Return the tokens of a prompt, with the beginning-of-text token where the model wants one. Control words in it are plain text."""
        return self._without_end(self._tokens(text, start=True, control=False))

    def tokenise_turn(self, opening: str, text: str, closing: str) -> list[int]:
        """Return the tokens of a prompt within a chat template: control words count in `opening` and `closing`, not in `text`."""
        if self._tokens(text, start=False, control=True) == self._tokens(text, start=False, control=False):
            # All at once, as the model saw it in its training: tokens may reach from the template into the text.
            tokens = self._tokens(opening + text + closing, start=True, control=True)
        else:
            tokens = self._tokens(opening, start=True, control=True)
            tokens = self._without_end(tokens) + self._tokens(text, start=False, control=False)
            tokens += self._tokens(closing, start=False, control=True)
        # A template that writes the beginning of text itself, for a model that wants one anyway.
        bos = self._lib.llama_vocab_bos(self.vocab)
        return self._without_end(tokens[1:] if tokens[:2] == [bos, bos] else tokens)

    def _tokens(self, text: str, *, start: bool, control: bool) -> list[int]:
        data = storable(text).encode("utf-8")
        capacity = len(data) + 8
        tokens = (self._lib.llama_token * capacity)()
        count = self._lib.llama_tokenize(self.vocab, data, len(data), tokens, capacity, start, control)
        if count < 0:
            capacity = -count
            tokens = (self._lib.llama_token * capacity)()
            count = self._lib.llama_tokenize(self.vocab, data, len(data), tokens, capacity, start, control)
        return list(tokens[:count])

    def _without_end(self, tokens: list[int]) -> list[int]:
        adds = bool(self._lib.llama_vocab_get_add_eos(self.vocab))
        return tokens[:-1] if tokens and adds and tokens[-1] == self._lib.llama_vocab_eos(self.vocab) else tokens

    def piece(self, token: int) -> bytes:
        """Return the bytes of `token`; a control token has none."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._read_piece(token)
        return known

    def ends(self, token: int) -> bool:
        """Whether `token` ends the generation."""
        return bool(self._lib.llama_vocab_is_eog(self.vocab, token))

    @cached_property
    def ending_tokens(self) -> tuple[int, ...]:
        """All tokens that end the generation."""
        return tuple(token for token in range(self.vocab_size) if self.ends(token))

    def _read_piece(self, token: int) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = int(self._lib.llama_token_to_piece(self.vocab, token, buffer, size, 0, False))
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def _open(self, path: str, options: EngineOptions, shrink: int) -> Setup:
        """Load the model and make its contexts with the first set-up that there is memory for."""
        devices = list_devices()
        gpus = used_gpus(devices) if options.gpu_layers else []
        facts = model_facts(read_whole(Path(path))) if gpus or options.context else None
        notes: tuple[str, ...] = ()
        if facts is not None and options.context:
            memory = memory_of_machine() + sum(gpu.memory_total for gpu in gpus)
            if "context" in options.kept and kv_too_large(options.context, facts, memory):
                notes, options = (_let_go(options),), options.released()
            else:
                _refuse_the_impossible(path, options.context, facts, memory)
        first = choose(options, devices, facts, options.threads or usable_cores())
        first = replace(first, notes=(*notes, *first.notes))
        setups = setups_to_try(first, options, facts.layers if facts is not None else 0)[shrink:]
        if not setups:
            raise OutOfMemory(f"{path}: no memory even for the smallest set-up", "choose a smaller model, or ask for less")
        loaded: int | None = None

        def attempt(setup: Setup) -> Setup:
            nonlocal loaded
            LOG.write(INFORMATION, trying_line(shrink + setups.index(setup), setup))
            if setup.gpu_layers != loaded:
                self.close()
                self.model = load_model(self._lib, path, setup.gpu_layers, plain=self.plain)
                loaded = setup.gpu_layers
            while self.contexts:
                self.contexts.pop().close()
            adapter = load_adapter(self._lib, self.model, path, options.adapter) if options.adapter else None
            cores = Cores(setup.threads)
            for _ in range(setup.contexts):
                handle = open_context(self._lib, self.model, path, setup)
                self.contexts.append(LlamaContext(self, handle, setup.parallel_each, cores))
                if not self.plain and len(self.contexts) == 1:
                    try_tiles(self.contexts[0])
                if adapter is not None:
                    use_adapter(self._lib, handle, adapter, options.adapter)
            return setup

        try:
            return first_that_fits(setups, attempt)
        except BaseException:
            self.close()
            raise

    def _shape(self, notices: tuple[str, ...]) -> Shape:
        lib, setup = self._lib, self.setup
        offloaded, layers = LOG.offloaded()
        trained = int(lib.llama_model_n_ctx_train(self.model))
        each = self.contexts[0].cells
        return Shape(
            context=each * len(self.contexts),
            context_each=each,
            per_sequence=min(each, trained) if trained else each,
            batch=setup.batch,
            parallel=setup.parallel,
            threads=setup.threads,
            contexts=len(self.contexts),
            layers_offloaded=offloaded,
            layers=layers or int(lib.llama_model_n_layer(self.model)),
            backend=", ".join(LOG.devices()) if offloaded else "CPU",
            notices=notices,
        )


def _refuse_the_impossible(path: str, context: int, facts: ModelFacts, memory: int) -> None:
    """Raise ModelError for a context that no fallback can save; llama.cpp would fill the memory before it gave up."""
    if kv_too_large(context, facts, memory):
        needed = gigabytes(context * facts.kv_bytes_per_token)
        raise ModelError(
            f"{path}: --context {context} takes {needed}, this machine has {gigabytes(memory)} in all",
            "give a smaller --context, or leave it out to have it chosen",
        )


def _let_go(options: EngineOptions) -> str:
    """Return the note for a context that an earlier run had and this machine cannot have."""
    sequences = f"{options.parallel} sequences in " if options.parallel else ""
    return f"{options.origin} had {sequences}{options.context:,} tokens: this machine has no memory for that, so it chooses for itself"


def _unshared(lib: Any, model: Any) -> str:
    """Return why prompts cannot share their beginnings, empty where they can."""
    for kind, found in (("recurrent", lib.llama_model_is_recurrent(model)), ("hybrid", lib.llama_model_is_hybrid(model))):
        if found:
            return f"a {kind} model cannot share the beginnings of its prompts: each prompt is evaluated whole, which takes longer"
    return ""
