"""A model's vocabulary without its weights: llama.cpp's own tokeniser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.engine.llama.log import LOG, install_log, last_words
from studio.errors import ModelError
from studio.text import storable


class Vocabulary:
    """The tokeniser of the GGUF file at `path`, loaded in well under a second."""

    def __init__(self, path: Path) -> None:
        """Load it. Raises ModelError when llama.cpp cannot."""
        import llama_cpp

        self._lib: Any = llama_cpp
        install_log()
        LOG.clear()
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = True
        params.n_gpu_layers = 0
        self._model: Any = llama_cpp.llama_model_load_from_file(str(path).encode("utf-8", "surrogateescape"), params)
        if not self._model:
            raise ModelError(f"{path}: llama.cpp cannot read this model's vocabulary", last_words())
        self._vocab: Any = llama_cpp.llama_model_get_vocab(self._model)

    @property
    def end_of_text(self) -> int:
        """The token that ends a text, -1 for none."""
        return int(self._lib.llama_vocab_eos(self._vocab))

    @property
    def end_of_turn(self) -> int:
        """The token that ends a chat model's answer; that of the text where there is no other."""
        token = int(self._lib.llama_vocab_eot(self._vocab))
        return token if token >= 0 else self.end_of_text

    def ends(self, token: int) -> bool:
        """Whether generation stops at `token`."""
        return bool(self._lib.llama_vocab_is_eog(self._vocab, token))

    def tokenise(self, text: str, *, begin: bool = False, control: bool = False) -> list[int]:
        """Return the tokens of `text`; `begin` puts the beginning-of-text token before it where the model wants one.

        Control words such as `<|im_end|>` are plain text unless `control`.
        """
        data = storable(text).encode("utf-8")
        capacity = len(data) + 8
        while True:
            tokens = (self._lib.llama_token * capacity)()
            count = int(self._lib.llama_tokenize(self._vocab, data, len(data), tokens, capacity, begin, control))
            if count >= 0:
                break
            capacity = -count
        found = [int(token) for token in tokens[:count]]
        if begin and found and self._lib.llama_vocab_get_add_eos(self._vocab) and found[-1] == self.end_of_text:
            found.pop()
        return found

    def close(self) -> None:
        """Free it. Safe to call twice."""
        if self._model is not None:
            model, self._model = self._model, None
            self._lib.llama_model_free(model)
