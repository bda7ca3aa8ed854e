"""The chat template of a model's file: what it puts before and behind a user's text, in pieces that tell its own words from others'."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from studio.engine.api import Chat
from studio.engine.gguf import Gguf, text_at
from studio.engine.template_sandbox import compile_template, run_template
from studio.errors import ModelError

KEY = "tokenizer.chat_template"
_TOKENS = "tokenizer.ggml.tokens"
_PLACE = "\ue000the text of the user\ue001"
"""Stands for the prompt: private characters, no white space at its ends, nothing that a template would look for."""
_SYSTEM = "\ue000the text of the system\ue001"
_ANSWER = "\ue000the answer\ue001"
_ANSWERED = {"role": "assistant", "content": _ANSWER}
_THINKS = re.compile(r"<think>|<\|channel\|>analysis|\[THINK\]|<seed:think>|<\|START_THINKING\|>|enable_thinking")
_SWITCHES = ("enable_thinking", "thinking")
"""What the variable that turns thinking off is called: by most, and in the templates of Granite and DeepSeek V3.1."""
_THOUGHTS_OPEN = re.compile(r"(<(?P<word>think|seed:think)>|<\|START_THINKING\|>)\s*\Z")
_THOUGHTS_OVER = re.compile(r"(</(think|seed:think)>|<channel\|>|<\|END_THINKING\|>)\s*\Z")
_HARMONY = re.compile(r"<\|start\|>assistant\Z")
_HARMONY_WORD = "<|channel|>"
_HARMONY_ANSWER = "<|channel|>final<|message|>"
"""Of gpt-oss: the channel that answers are written on, behind that of the thoughts."""
_HINT = "ask it with plain text, without its template (format plain)"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of what a model is given; `control` says whether its control words count there: in the template's own texts alone."""

    text: str
    control: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands before and behind a user's text. `ends` is what the template writes where that text is over."""

    opening: tuple[Piece, ...]
    closing: tuple[Piece, ...]
    ends: str = ""
    thoughts: str = ""
    """The mark with which it ends where the answer begins with thoughts that the template has opened."""


@dataclass(frozen=True, slots=True)
class _Variant:
    """How a template wants what it is given: a message's content as a text or a list of parts, no tools as nothing or an empty list."""

    in_parts: bool = False
    tools: tuple[()] | None = None


_VARIANTS = (_Variant(), _Variant(in_parts=True), _Variant(tools=()))


class ChatTemplate:
    """The template of one model's file. Its texts follow from the file and the chat alone, not from the day or the machine."""

    def __init__(self, header: Gguf, *, bos: bool = True) -> None:
        """Read it and try it out. Without `bos` the word that begins a text is left out, for a tokeniser that adds it.

        Raises ModelError when the file has no template, when it does not run, wants what a sandbox forbids, or does anything to a user's
        message but put it in one place.
        """
        self._name = f"{header.path}"
        if not has_chat_template(header):
            raise ModelError(f"{self._name}: the model has no chat template", _HINT)
        self.source = header.text(KEY)
        self._words = {
            "bos_token": _control_word(header, "bos") if bos else "",
            "eos_token": _control_word(header, "eos"),
        }
        try:
            self._template = compile_template(self.source, _HINT)
        except ModelError as error:
            raise self._error(error.message) from error
        self._variant = _VARIANTS[0]
        self._split: dict[tuple[bool, bool], tuple[str, ...]] = {}
        self._split[False, True] = self._try_out()

    @property
    def thinks(self) -> bool:
        """Whether its model may think before it answers: the template has thoughts in it, and does not end them before they begin."""
        return _THINKS.search(self.source) is not None and _THOUGHTS_OVER.search(self._split[False, True][-1]) is None

    @cached_property
    def stops_thinking(self) -> bool:
        """Whether it knows a way not to have the model think."""
        return self.around(Chat(thinking=False)) != self.around(Chat())

    def around(self, chat: Chat) -> Surroundings:
        """Return what stands around the prompt, the answer's beginning included.

        A template that knows no system turn, or refuses one, has the system's text in front of the user's, with a blank line between.
        Raises ModelError for one that does not show both once.
        """
        key = bool(chat.system), chat.thinking
        if key not in self._split:
            self._split[key] = self._texts(*key)
        *before, behind = self._split[key]
        opening = [Piece(before[0], True)]
        if len(before) > 1:
            opening += [Piece(chat.system, False), Piece(before[1], True)]
        if chat.writes_request:
            # A space at the end would be a token of its own, which no text goes on from: the model writes it.
            opening[-1] = Piece(opening[-1].text.rstrip(" "), True)
            return Surroundings(_filled(opening), (), behind)
        behind = _answering(behind, chat)
        opened = _THOUGHTS_OPEN.search(behind)
        closing = _filled([Piece(behind, True), Piece(chat.begins, False)])
        return Surroundings(_filled(opening), closing, thoughts=opened[0] if opened else "")

    def after_the_answer(self) -> str:
        """Return what it puts behind an answer, the control word that ends it first; nothing where it shows none."""
        try:
            _, *behind = self._rendered([self._message("user", _PLACE), _ANSWERED], prompt=False).split(_ANSWER)
        except ModelError:
            # A template for prompts alone: the vocabulary has a word for the end of a turn, too.
            return ""
        return behind[0] if len(behind) == 1 else ""

    def around_turns(self, roles: Sequence[str]) -> tuple[str, ...]:
        """Return the template's own texts before each message of a conversation and, last, those behind it, an answer's beginning included.

        Raises ModelError where it refuses such a conversation, or does not show each message once and in its order.
        """
        places = [f"\ue000turn {number} of the conversation\ue001" for number in range(len(roles))]
        return self._parted([self._message(*each) for each in zip(roles, places, strict=True)], places, True)

    def _try_out(self) -> tuple[str, ...]:
        first: ModelError | None = None
        for self._variant in _VARIANTS:
            try:
                return self._texts(False, True)
            except ModelError as error:
                first = first or error
        assert first is not None
        raise first

    def _texts(self, system: bool, thinking: bool) -> tuple[str, ...]:
        """Return the template's own texts: before the system's text where there is `system`, before the user's, and behind that."""
        user = self._message("user", _PLACE)
        if not system:
            return self._parted([user], (_PLACE,), thinking)
        try:
            return self._parted([self._message("system", _SYSTEM), user], (_SYSTEM, _PLACE), thinking)
        except ModelError:
            return self._parted([self._message("user", f"{_SYSTEM}\n\n{_PLACE}")], (_SYSTEM, _PLACE), thinking)

    def _parted(self, messages: Sequence[dict[str, Any]], places: Sequence[str], thinking: bool) -> tuple[str, ...]:
        text = self._rendered(messages, prompt=True, thinking=thinking)
        counts = [text.count(place) for place in places]
        if counts != [1] * len(places):
            raise self._error(f"its chat template does not show the user's message once, but {counts[-1]} times")
        texts = []
        for place in places:
            before, found, text = text.partition(place)
            if not found:
                raise self._error("its chat template shows the user's message before the system's")
            texts.append(before)
        return (*texts, text)

    def _rendered(self, messages: Sequence[dict[str, Any]], *, prompt: bool, thinking: bool = True) -> str:
        values: dict[str, Any] = {"messages": list(messages), "add_generation_prompt": prompt, "documents": None, **self._words}
        values["tools"] = None if self._variant.tools is None else list(self._variant.tools)
        if not thinking:
            # Otherwise it is left to the template what its model does by itself.
            values |= dict.fromkeys(_SWITCHES, False)
            if _HARMONY_WORD in self.source:
                values["reasoning_effort"] = "low"
        try:
            return run_template(self._template, values, _HINT)
        except ModelError as error:
            raise self._error(error.message) from error

    def _message(self, role: str, text: str) -> dict[str, Any]:
        return {"role": role, "content": [{"type": "text", "text": text}] if self._variant.in_parts else text}

    def _error(self, fault: str) -> ModelError:
        return ModelError(f"{self._name}: {fault}", _HINT)


def has_chat_template(header: Gguf) -> bool:
    """Whether the model's file says how it is to be asked."""
    return bool(header.text(KEY).strip())


def around_the_prompt(header: Gguf, *, bos: bool = True) -> tuple[str, str]:
    """Return what the model's chat template puts before and behind the first message of a user, the answer's beginning included.

    A system message is there only where the template has one of its own. `bos` and what is raised are as in `ChatTemplate`.
    """
    around = ChatTemplate(header, bos=bos).around(Chat())
    return _text(around.opening), _text(around.closing)


class TurnTexts:
    """What training examples are written with: a template's own texts around the turns of conversations, and `end` behind an answer."""

    def __init__(self, header: Gguf) -> None:
        """Read the template. Raises ModelError as `ChatTemplate` does."""
        self._template = ChatTemplate(header, bos=False)
        self._known: dict[tuple[str, ...], tuple[str, ...] | None] = {}
        self.end = self._template.after_the_answer()

    def around(self, roles: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return the texts before each turn and, last, behind them; None where the template takes no such conversation."""
        if roles not in self._known:
            try:
                self._known[roles] = self._template.around_turns(roles)
            except ModelError:
                self._known[roles] = None
        return self._known[roles]


def _answering(behind: str, chat: Chat) -> str:
    """Return the text behind the user's, such that the answer follows where it has been begun or there are to be no thoughts."""
    if not chat.begins and chat.thinking:
        return behind
    if thoughts := _THOUGHTS_OPEN.search(behind):
        return behind.rstrip() + (f"\n</{thoughts['word']}>\n\n" if thoughts["word"] else "<|END_THINKING|>")
    return behind + _HARMONY_ANSWER if _HARMONY.search(behind) else behind


def _filled(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    return tuple(piece for piece in pieces if piece.text)


def _text(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def _control_word(header: Gguf, name: str) -> str:
    number = header.metadata.get(f"tokenizer.ggml.{name}_token_id")
    return text_at(header, _TOKENS, number) if isinstance(number, int) else ""
