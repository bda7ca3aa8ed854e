"""What a request is for a model: its chat put into the model's template, the template's end found in it, all of it as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from studio.engine.api import Request
from studio.engine.chat_template import ChatTemplate, Piece, Surroundings, has_chat_template
from studio.engine.gguf import Gguf
from studio.engine.llama.prefixes import common_prefix
from studio.engine.llama.scheduler import NO_END, TurnEnd
from studio.engine.llama.vocab import Vocabulary
from studio.errors import ModelError


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
