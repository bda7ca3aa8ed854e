"""Loads a GGUF file with llama.cpp and gives what the engine asks of model, vocabulary and context."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from studio.engine import llama_log
from studio.engine.options import (
    BATCH_TOKENS_CPU,
    BATCH_TOKENS_GPU,
    PARALLEL_CPU,
    PARALLEL_GPU,
    EngineOptions,
    default_context,
    usable_cores,
)
from studio.errors import ModelError
from studio.text import storable

PREFIX_SEQUENCES = 4
"""Few-shot templates that can be in the context at once."""
_LOG_LINES_IN_HINT = 4


@dataclass(frozen=True, slots=True)
class Shape:
    """The figures a context was made with; all counts of tokens but `parallel` and `threads`."""

    context: int
    per_sequence: int
    batch: int
    parallel: int
    threads: int
    layers_offloaded: int
    layers: int
    backend: str


class LlamaModel:
    """A loaded model with one context. Not safe for use from several threads at once."""

    def __init__(self, path: str, options: EngineOptions) -> None:
        """Load `path`. Raises ModelError with llama.cpp's last words when it cannot."""
        import llama_cpp

        self._lib: Any = llama_cpp
        self.model: Any = None
        self.context: Any = None
        llama_log.install()
        llama_log.LOG.clear()
        llama_cpp.llama_backend_init()
        self._load(path, options)
        self.vocab: Any = llama_cpp.llama_model_get_vocab(self.model)
        self.vocab_size = int(llama_cpp.llama_vocab_n_tokens(self.vocab))
        self.shape = self._open_context(path, options)
        self.memory: Any = llama_cpp.llama_get_memory(self.context)
        self.shares_prefixes = not (llama_cpp.llama_model_is_recurrent(self.model) or llama_cpp.llama_model_is_hybrid(self.model))
        self._pieces: dict[int, bytes] = {}

    def close(self) -> None:
        """Free everything. Safe to call twice."""
        if self.context is not None:
            self._lib.llama_free(self.context)
            self.context = None
        if self.model is not None:
            self._lib.llama_model_free(self.model)
            self.model = None

    def tokenise(self, text: str) -> list[int]:
        """Return the tokens of a prompt, with the beginning-of-text token where the model wants one. Control words in it are plain text."""
        data = storable(text).encode("utf-8")
        capacity = len(data) + 8
        tokens = (self._lib.llama_token * capacity)()
        count = self._lib.llama_tokenize(self.vocab, data, len(data), tokens, capacity, True, False)
        if count < 0:
            capacity = -count
            tokens = (self._lib.llama_token * capacity)()
            count = self._lib.llama_tokenize(self.vocab, data, len(data), tokens, capacity, True, False)
        result = list(tokens[:count])
        if result and self._lib.llama_vocab_get_add_eos(self.vocab) and result[-1] == self._lib.llama_vocab_eos(self.vocab):
            result.pop()
        return result

    def piece(self, token: int) -> bytes:
        """Return the bytes of `token`; a control token has none."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._read_piece(token)
        return known

    def ends(self, token: int) -> bool:
        """Whether `token` ends the generation."""
        return bool(self._lib.llama_vocab_is_eog(self.vocab, token))

    def _read_piece(self, token: int) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = int(self._lib.llama_token_to_piece(self.vocab, token, buffer, size, 0, False))
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def _load(self, path: str, options: EngineOptions) -> None:
        params = self._lib.llama_model_default_params()
        params.n_gpu_layers = options.gpu_layers
        self.model = self._lib.llama_model_load_from_file(path.encode("utf-8", "surrogateescape"), params)
        if not self.model:
            self.model = None
            raise ModelError(f"{path}: llama.cpp cannot load this model", last_words())
        if not self._lib.llama_model_has_decoder(self.model) or self._lib.llama_model_has_encoder(self.model):
            self.close()
            raise ModelError(f"{path}: not a model that continues text", "choose a decoder-only language model")

    def _open_context(self, path: str, options: EngineOptions) -> Shape:
        lib = self._lib
        offloaded, layers = llama_log.LOG.offloaded()
        gpu = offloaded > 0
        parallel = options.parallel or (PARALLEL_GPU if gpu else PARALLEL_CPU)
        trained = int(lib.llama_model_n_ctx_train(self.model))
        context = options.context or default_context(parallel)
        threads = options.threads or usable_cores()
        batch = BATCH_TOKENS_GPU if gpu else BATCH_TOKENS_CPU
        params = lib.llama_context_default_params()
        params.n_ctx = context
        params.n_batch = params.n_ubatch = batch
        params.n_seq_max = parallel + PREFIX_SEQUENCES
        params.n_outputs_max = params.n_seq_max
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = True
        params.swa_full = True
        params.no_perf = True
        # On the CPU flash attention divides its sums among the threads: slower for single rows, and results would depend on their number.
        params.flash_attn_type = -1 if gpu else 0
        self.context = lib.llama_init_from_model(self.model, params)
        if not self.context:
            self.context = None
            hint = last_words()
            self.close()
            raise ModelError(f"{path}: no room for a context of {context} tokens and {parallel} sequences", f"ask for less; {hint}")
        context = int(lib.llama_n_ctx(self.context))
        return Shape(
            context=context,
            per_sequence=min(context, trained) if trained else context,
            batch=batch,
            parallel=parallel,
            threads=threads,
            layers_offloaded=offloaded,
            layers=layers or int(lib.llama_model_n_layer(self.model)),
            backend=", ".join(llama_log.LOG.devices()) if gpu else "CPU",
        )


def last_words() -> str:
    """Return llama.cpp's last log lines on one line, for an error's hint."""
    return "llama.cpp says: " + " / ".join(llama_log.LOG.last(_LOG_LINES_IN_HINT))
