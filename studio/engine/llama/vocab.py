"""A model's vocabulary: llama.cpp's own tokeniser, and the bytes of its tokens."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from studio.engine.chat_template import Piece
from studio.engine.llama.log import LOG, install_log, last_words
from studio.engine.thoughts import is_mark
from studio.errors import ModelError
from studio.text import storable


def open_vocabulary(path: Path) -> Vocabulary:
    """Return the vocabulary of the GGUF file at `path`, loaded without its weights in well under a second. Raises ModelError."""
    import llama_cpp

    install_log()
    LOG.clear()
    llama_cpp.llama_backend_init()
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    params.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(str(path).encode("utf-8", "surrogateescape"), params)
    if not model:
        raise ModelError(f"{path}: llama.cpp cannot read this model's vocabulary", last_words())
    return Vocabulary(model)


class Vocabulary:
    """The vocabulary of a model that llama.cpp has loaded. Safe for use from several threads."""

    def __init__(self, model: Any) -> None:
        import llama_cpp

        self._lib: Any = llama_cpp
        self._model = model
        self.handle: Any = llama_cpp.llama_model_get_vocab(model)
        self.size = int(llama_cpp.llama_vocab_n_tokens(self.handle))
        self._pieces: dict[int, bytes] = {}
        self._words: dict[str, int] = {}

    @property
    def end_of_text(self) -> int:
        """The token that ends a text, -1 for none."""
        return int(self._lib.llama_vocab_eos(self.handle))

    @property
    def end_of_turn(self) -> int:
        """The token that ends a chat model's answer; that of the text where there is no other."""
        token = int(self._lib.llama_vocab_eot(self.handle))
        return token if token >= 0 else self.end_of_text

    def ends(self, token: int) -> bool:
        """Whether generation stops at `token`."""
        return bool(self._lib.llama_vocab_is_eog(self.handle, token))

    @cached_property
    def ending_tokens(self) -> tuple[int, ...]:
        """All tokens at which generation stops."""
        return tuple(token for token in range(self.size) if self.ends(token))

    def tokenise(self, text: str, *, begin: bool = False, control: bool = False) -> list[int]:
        """Return the tokens of `text`; `begin` puts the beginning-of-text token before it where the model wants one.

        Control words such as `<|im_end|>` are plain text unless `control`.
        """
        data = storable(text).encode("utf-8")
        capacity = len(data) + 8
        while True:
            tokens = (self._lib.llama_token * capacity)()
            count = int(self._lib.llama_tokenize(self.handle, data, len(data), tokens, capacity, begin, control))
            if count >= 0:
                break
            capacity = -count
        found = list(tokens[:count])
        if begin and found and self._lib.llama_vocab_get_add_eos(self.handle) and found[-1] == self.end_of_text:
            found.pop()
        return found

    def heed(self, template: str) -> None:
        """Count as control words, from now on, the words of the vocabulary's own that a chat template uses, for example `<think>`.

        llama.cpp takes such words for one token wherever they stand, in a text that a person typed as well.
        """
        words = {}
        for token in range(self.size):
            if self._lib.llama_vocab_get_attr(self.handle, token) & self._lib.LLAMA_TOKEN_ATTR_USER_DEFINED:
                text = (self._lib.llama_vocab_get_text(self.handle, token) or b"").decode("utf-8", "replace")
                # The vocabularies of Gemma have words for several spaces or line ends in a row, and for HTML: they are no control words.
                if len(text) > 1 and text.strip() and text in template:
                    words[text] = token
        self._words = words

    def controls(self, token: int) -> bool:
        """Whether `token` is a control word."""
        return bool(self._lib.llama_vocab_is_control(self.handle, token)) or token in self._words.values()

    def tokenise_pieces(self, pieces: Sequence[Piece]) -> list[int]:
        """Return the tokens of a prompt within a chat template: control words count in its own pieces, not in what others wrote."""
        parts = [self.tokenise(piece.text, control=True) if piece.control else self._tokenise_plain(piece.text) for piece in pieces]
        meant = [token for part, piece in zip(parts, pieces, strict=True) if piece.control for token in part if self.controls(token)]
        # All at once, as the model saw it in its training: tokens may reach from the template into the text.
        tokens = self.tokenise("".join(piece.text for piece in pieces), begin=True, control=True)
        begin = self.begin
        if [token for token in tokens[len(begin) :] if self.controls(token)] != meant:
            tokens = [*begin, *(token for part in parts for token in part)]
        # A template that writes the beginning of text itself, for a model that wants one anyway.
        return tokens[1:] if begin and tokens[:2] == begin * 2 else tokens

    @cached_property
    def begin(self) -> list[int]:
        """The token that the tokeniser puts before a text, if it puts one there."""
        bos = int(self._lib.llama_vocab_bos(self.handle))
        return [bos] if self.tokenise("a", begin=True)[:1] == [bos] else []

    def _tokenise_plain(self, text: str) -> list[int]:
        """Return the tokens of a text in which no control word counts, not even those that llama.cpp always counts."""
        places = sorted({found.start() + 1 for word in self._words for found in re.finditer(f"(?={re.escape(word)})", text)})
        borders = [0, *places, len(text)]
        return [token for begin, end in pairwise(borders) for token in self.tokenise(text[begin:end])]

    def piece(self, token: int) -> bytes:
        """Return the bytes of `token`; a control token has none, unless it marks thoughts."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._read_piece(token) or self._mark(token)
        return known

    def close(self) -> None:
        """Free the model. Safe to call twice."""
        if self._model is not None:
            model, self._model = self._model, None
            self._lib.llama_model_free(model)

    def _mark(self, token: int) -> bytes:
        """The word of a control token that tells thoughts from the answer: where that cannot be seen, they are one text."""
        text = bytes(self._lib.llama_vocab_get_text(self.handle, token) or b"")
        in_channels = text in (b"<|channel|>", b"<|message|>", b"<|start|>", b"<|end|>")
        if in_channels and len(self.tokenise("<|channel|>", control=True)) == 1:
            return text
        return text if is_mark(text) else b""

    def _read_piece(self, token: int) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = int(self._lib.llama_token_to_piece(self.handle, token, buffer, size, 0, False))
            if count >= 0:
                return buffer.raw[:count]
            size = -count
