"""Draws tokens: one chain of llama.cpp's samplers for each request, or none for plain greedy decoding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.engine.api import SamplingParams
from studio.engine.greedy import Greedy
from studio.engine.llama_context import LlamaContext
from studio.engine.llama_model import LlamaModel
from studio.errors import ModelError


class Sampler:
    """Draws the tokens of one completion.

    The order is grammar, penalties, temperature, top_k, top_p, min_p, draw: as in GPT-2's own code, vLLM and Transformers, temperature
    comes before the cuts. Penalties count every token of the completion and none of the prompt. Temperature 0 takes the most likely token
    after the penalties. `close` frees the chain.
    """

    def __init__(self, context: LlamaContext, params: SamplingParams, seed: int) -> None:
        """Raises ModelError when the grammar cannot be read."""
        import llama_cpp

        self._lib: Any = llama_cpp
        model = context.model
        self._context = context.handle
        self._vocab_size = model.vocab_size
        self._chain: Any = None
        self._greedy: Greedy | None = None
        if params.temperature <= 0 and not params.grammar:
            self._greedy = Greedy(params, model.ending_tokens if params.ignore_eos else ())
            return
        self._chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        try:
            self._fill(model, params, seed)
        except BaseException:
            self.close()
            raise

    def sample(self, row: int) -> int:
        """Return the token drawn from the logits of `row` of the last batch."""
        if self._greedy is not None:
            return self._greedy.draw(self._logits(row))
        return int(self._lib.llama_sampler_sample(self._chain, self._context, row))

    def close(self) -> None:
        """Free the chain. Safe to call twice."""
        if self._chain is not None:
            self._lib.llama_sampler_free(self._chain)
            self._chain = None

    def _logits(self, row: int) -> NDArray[np.float32]:
        """The logits of a row, in llama.cpp's own memory: good until the next batch."""
        return np.ctypeslib.as_array(self._lib.llama_get_logits_ith(self._context, row), (self._vocab_size,))

    def _fill(self, model: LlamaModel, params: SamplingParams, seed: int) -> None:
        lib = self._lib
        if params.ignore_eos:
            never = [lib.llama_logit_bias(token=token, bias=-math.inf) for token in model.ending_tokens]
            self._add(lib.llama_sampler_init_logit_bias(model.vocab_size, len(never), (lib.llama_logit_bias * len(never))(*never)))
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


def logits_of(context: LlamaContext, row: int, tokens: Sequence[int]) -> list[float]:
    """Return the logits of `tokens` in `row` of the last batch, untouched by any sampler."""
    import llama_cpp

    logits = llama_cpp.llama_get_logits_ith(context.handle, row)
    return [float(logits[token]) for token in tokens]
