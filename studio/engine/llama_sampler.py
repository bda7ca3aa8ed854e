"""Draws tokens: one chain of llama.cpp's samplers for each request."""

from __future__ import annotations

from typing import Any

from studio.engine.api import SamplingParams
from studio.engine.llama_model import LlamaModel
from studio.errors import ModelError


class Sampler:
    """Draws the tokens of one completion.

    The order is grammar, penalties, temperature, top_k, top_p, min_p, draw: as in GPT-2's own code, vLLM and Transformers, temperature
    comes before the cuts. Penalties count every token of the completion and none of the prompt. Temperature 0 takes the most likely token
    after the penalties. `close` frees the chain.
    """

    def __init__(self, model: LlamaModel, params: SamplingParams, seed: int) -> None:
        """Raises ModelError when the grammar cannot be read."""
        import llama_cpp

        self._lib: Any = llama_cpp
        self._context = model.context
        self._chain: Any = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        try:
            self._fill(model, params, seed)
        except BaseException:
            self.close()
            raise

    def sample(self, row: int) -> int:
        """Return the token drawn from the logits of `row` of the last batch."""
        return int(self._lib.llama_sampler_sample(self._chain, self._context, row))

    def close(self) -> None:
        """Free the chain. Safe to call twice."""
        if self._chain is not None:
            self._lib.llama_sampler_free(self._chain)
            self._chain = None

    def _fill(self, model: LlamaModel, params: SamplingParams, seed: int) -> None:
        lib = self._lib
        if params.grammar:
            grammar = lib.llama_sampler_init_grammar(model.vocab, params.grammar.encode(), b"root")
            if not grammar:
                raise ModelError("the grammar cannot be read", "it must be GBNF with a rule named root")
            self._add(grammar)
        if params.repeat_penalty != 1 or params.frequency_penalty != 0 or params.presence_penalty != 0:
            window = max(params.max_tokens, 1)
            self._add(
                lib.llama_sampler_init_penalties(
                    model.vocab_size, window, params.repeat_penalty, params.frequency_penalty, params.presence_penalty
                )
            )
        if params.temperature <= 0:
            self._add(lib.llama_sampler_init_greedy())
            return
        if params.temperature != 1:
            self._add(lib.llama_sampler_init_temp(params.temperature))
        if params.top_k > 0:
            self._add(lib.llama_sampler_init_top_k(params.top_k))
        if params.top_p < 1:
            self._add(lib.llama_sampler_init_top_p(params.top_p, 1))
        if params.min_p > 0:
            self._add(lib.llama_sampler_init_min_p(params.min_p, 1))
        self._add(lib.llama_sampler_init_dist(seed & 0xFFFFFFFF))

    def _add(self, sampler: Any) -> None:
        self._lib.llama_sampler_chain_add(self._chain, sampler)
