"""A model's vocabulary, and what a request is in its tokens: its chat put into the model's template, the template's end found in it."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from studio.engine.api import Request
from studio.engine.chat_template import ChatTemplate, Piece, Surroundings, has_chat_template
from studio.engine.gguf import Gguf
from studio.engine.llama.log import LOG, install_log, last_words
from studio.engine.llama.scheduler import NO_END, TurnEnd, common_prefix
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


@dataclass(frozen=True, slots=True)
class Prompt:
    """The tokens of a request. `branches` are those its choices go on with, one for each, where it has any; `measured` is the number of its
    last tokens where nothing is to be drawn and these are to be measured."""

    tokens: tuple[int, ...]
    branches: tuple[int, ...] = ()
    end: TurnEnd = NO_END
    measured: int = 0
    thoughts: str = ""
    """The mark with which it opens the model's thoughts."""


def fork(texts: Sequence[Sequence[int]]) -> Prompt | None:
    """Return where `texts`, each a prompt with one choice behind it, part; None unless all part at one place, each with a token of its own.

    >>> fork([(1, 2, 7), (1, 2, 9, 4)])
    Prompt(tokens=(1, 2), branches=(7, 9), end=TurnEnd(token=-1, string=''), measured=0, thoughts='')
    """
    first, *others = texts
    length = common_prefix(first, others)
    branches = tuple(text[length] for text in texts if len(text) > length)
    if len(texts) < 2 or len(set(branches)) != len(texts):
        return None
    return Prompt(tuple(first[:length]), branches)


def measures_prompt(request: Request) -> bool:
    """Whether nothing is drawn for a request and its prompt is measured, see `SamplingParams.measure`."""
    return request.params.measure and request.params.max_tokens < 1 and not request.params.choices


class Turns:
    """Makes prompts of requests for one model."""

    def __init__(self, header: Gguf, vocabulary: Vocabulary) -> None:
        """Read the model's template; one that cannot be used counts as none, and `notice` says so."""
        self._vocabulary = vocabulary
        self._name = Path(header.path).name
        self.template: ChatTemplate | None = None
        self.notice = ""
        if not has_chat_template(header):
            return
        try:
            self.template = ChatTemplate(header)
        except ModelError as error:
            self.notice = f"{error.message}; the model is asked as one without a template, with plain text to go on with"
            return
        vocabulary.heed(self.template.source)

    def check(self, requests: Sequence[Request]) -> None:
        """Raise ModelError when a request has a chat and the model no template for it."""
        if self.template is None and any(request.chat is not None for request in requests):
            raise ModelError(f"{self._name}: the model has no chat template that can be used", "ask it with --asking completion")

    def prompt(self, request: Request) -> Prompt | None:
        """Return the request's tokens; None for choices that cannot be told apart."""
        around = self._around(request)
        choices = request.params.choices
        if choices:
            return fork([self._tokens(request, around, choice) for choice in choices])
        if measures_prompt(request):
            return self._measured(request, around.opening)
        return Prompt(tuple(self._tokens(request, around)), end=self._end(around.ends), thoughts=around.thoughts)

    def beginning(self, request: Request) -> tuple[Piece, ...]:
        """Return what the request shares with others of its kind: its opening, and its prefix unless that is measured."""
        opening = self._around(request).opening
        return opening if measures_prompt(request) or not request.prefix else (*opening, Piece(request.prefix, False))

    def beginning_tokens(self, beginning: Sequence[Piece]) -> list[int]:
        """Return the tokens of what `beginning` returned."""
        if any(piece.control for piece in beginning):
            return self._vocabulary.tokenise_pieces(beginning)
        return self._vocabulary.tokenise("".join(piece.text for piece in beginning), begin=True)

    def _measured(self, request: Request, opening: tuple[Piece, ...]) -> Prompt:
        """Return the tokens up to the prompt's end, of which those behind the opening are measured."""
        text = request.prefix + request.suffix
        tokens = self._tokens(request, Surroundings(opening, ()))
        before = self._tokens(replace(request, prefix="", suffix=""), Surroundings(opening, ())) if opening else self._vocabulary.begin
        # A token may reach from the opening into the text. The first token of all follows nothing.
        border = max(1, common_prefix(tokens, [before]))
        return Prompt(tuple(tokens), measured=max(0, len(tokens) - border) if text else 0)

    def _around(self, request: Request) -> Surroundings:
        if request.chat is not None and self.template is not None:
            return self.template.around(request.chat)
        opening, closing = ((Piece(text, True),) if text else () for text in (request.opening, request.closing))
        return Surroundings(opening, closing)

    def _tokens(self, request: Request, around: Surroundings, choice: str = "") -> list[int]:
        text = request.prefix + request.suffix
        if not (around.opening or around.closing):
            return self._vocabulary.tokenise(text + choice, begin=True)
        return self._vocabulary.tokenise_pieces([*around.opening, Piece(text, False), *around.closing, Piece(choice, False)])

    def _end(self, text: str) -> TurnEnd:
        """Return what ends a user's turn of which the template writes `text` next."""
        for token in self._vocabulary.tokenise(text, control=True):
            if self._vocabulary.controls(token):
                return TurnEnd(token=token)
            if self._vocabulary.piece(token).strip():
                return TurnEnd(string=text.strip().splitlines()[0].strip())
        return NO_END
