"""Thoughts that a reasoning model writes before its answer: their marks, where they stand in a text, and where they end in one that comes
in pieces.

The marks are those that models write as plain text, or that servers leave in it: `<think>` and its like (DeepSeek-R1, Qwen), `[THINK]`
(Magistral), `◁think▷` (Kimi), `<|START_THINKING|>` (Command), `<|begin_of_thought|>` (Sky-T1), `<seed:think>` (Seed-OSS),
`<|channel>thought` (Gemma), and gpt-oss's channels, also without their control words (`analysis … assistantfinal …`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from studio.engine.api import SamplingParams
from studio.engine.text_stream import RepeatWatch, TextStream

_NAMES = r"think|thinking|thoughts?|reasoning|reflection|scratchpad"
OPENING = (
    rf"<\s?(?:seed:)?(?:{_NAMES})(?:\s[^<>\n]{{0,80}})?>|\[THINK\]|◁think▷|<\|START_THINKING\|>|<\|begin_of_thought\|>|<\|channel>thought\b"
)
CLOSING = rf"<\s?/\s?(?:seed:)?(?:{_NAMES})\s?>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>|<\|end_of_thought\|>|<channel\|>"
CHANNEL = r"<\|channel\|>\s?(?:analysis|commentary)\b[^<\n]{0,80}<\|message\|>"
FINAL = r"(?:<\|end\|>)?\s?(?:<\|start\|>\s?assistant)?\s?<\|channel\|>\s?final\b[^<\n]{0,80}<\|message\|>"
BARE_CHANNEL = r"(?-i:analysis(?=[A-Z]))"
"""gpt-oss's first channel without its control words; only at the very beginning of a text."""
BARE_FINAL = "assistantfinal"

_OPENS = re.compile(rf"\s*(?:{OPENING}|{CHANNEL}|{BARE_CHANNEL})".encode(), re.IGNORECASE)
_CLOSES = re.compile(rf"{CLOSING}|{FINAL}|{BARE_FINAL}".encode(), re.IGNORECASE)
_MARKS = re.compile(rf"{OPENING}|{CLOSING}".encode(), re.IGNORECASE)
_ENDS = re.compile(rf"(?:{CLOSING})[^\S\n]*$", re.IGNORECASE | re.MULTILINE)
_MARK = re.compile(rf"(?P<open>{OPENING}|{CHANNEL}|\A\s*{BARE_CHANNEL})|(?P<close>{CLOSING}|{FINAL}|{BARE_FINAL})", re.IGNORECASE)
_LEAD = re.compile(
    r"[\W\d_]*(?:(?:Example|Input|Output|Class label|Task|Instruction|Answer|Yes|No)[\W\d_]*){0,2}\Z",
    re.IGNORECASE,
)
_LEAD_CHARACTERS = 40
_HEAD = re.compile(rf"\s*(?:{OPENING}|{CHANNEL})", re.IGNORECASE)
_FIRST = b"<[a" + "◁".encode()[:1]
"""What any opening mark begins with."""
_LONGEST = 160
"""Bytes that no mark has more of."""


def is_mark(text: bytes) -> bool:
    """Whether a text is a mark that thoughts begin or end with, `<|channel>` with which Gemma's begins among them."""
    return text == b"<|channel>" or re.fullmatch(_MARKS, text) is not None


def ends_thoughts(text: str) -> bool:
    """Whether a line of a text ends with a closing mark: what stands before it is thought, though nothing opened it."""
    return _ENDS.search(text) is not None


class ThoughtSpan(NamedTuple):
    """Where thoughts stand in a text, with their marks and without; not `closed`: the text ends inside them."""

    start: int
    end: int
    inner_start: int
    inner_end: int
    closed: bool = True


def thought_spans(text: str) -> list[ThoughtSpan]:
    """Find the thoughts in a completion, in order.

    They begin where a mark begins a line or follows what begins an item or a field (`10.`, `Output:`), and go up to the closing mark, or to
    the end where there is none. A closing mark alone, at an end of its line, closes all that came since the thoughts before, or since the
    beginning. Marks within a sentence are none: a text may speak of them; see `first_mark`.
    """
    spans: list[ThoughtSpan] = []
    answer = 0
    opened: re.Match[str] | None = None
    for mark in _MARK.finditer(text):
        if mark["close"] is not None and (opened is not None or _ends_line(text, mark)):
            # Without an opening one, all since the last thoughts was some.
            start, inner = (answer, answer) if opened is None else opened.span()
            spans.append(ThoughtSpan(start, mark.end(), inner, mark.start()))
            opened, answer = None, mark.end()
        elif mark["open"] is not None and opened is None and _begins(text, answer, mark.start()):
            opened = mark
    if opened is not None:
        spans.append(ThoughtSpan(opened.start(), len(text), opened.end(), len(text), closed=False))
    return spans


def split_thoughts(text: str) -> tuple[str, str] | None:
    """Return the thoughts at the very beginning of a text, without their marks, and the answer behind them.

    None where there are none, where they do not end, or where nothing comes behind them.
    """
    span = next(iter(thought_spans(text)), None)
    if span is None or not span.closed or text[: span.start].strip():
        return None
    answer = text[span.end :].lstrip()
    return (text[span.inner_start : span.inner_end].strip(), answer) if answer else None


def opens_thoughts(text: str) -> bool:
    """Whether a text begins with a mark of thoughts, white space aside."""
    return _HEAD.match(text) is not None


def _begins(text: str, start: int, place: int) -> bool:
    """Whether a mark at `place` begins thoughts; the thoughts before it ended at `start`."""
    line = text[max(start, place - _LEAD_CHARACTERS - 1) : place].rpartition("\n")[2]
    return len(line) <= _LEAD_CHARACTERS and _LEAD.match(line) is not None


def _ends_line(text: str, mark: re.Match[str]) -> bool:
    """Whether nothing else stands before the mark, or behind it, on its line; gpt-oss's control words need not stand alone."""
    if "final" in mark[0].lower():
        return "<" in mark[0]
    after = text[mark.end() : mark.end() + 80].partition("\n")[0]
    before = text[max(0, mark.start() - 80) : mark.start()].rpartition("\n")[2]
    return not after.strip() or not before.strip()


class ThoughtWatch:
    """Tells the thoughts at the beginning of a completion from its answer, however the bytes are split into pieces.

    `inside` says whether the text is within thoughts; a prompt may have opened them already. A text that does not begin with a mark, white
    space aside, has none here, whatever comes later.
    """

    def __init__(self, *, inside: bool = False) -> None:
        self.inside = inside
        self._undecided = not inside
        self._seen = b""

    @property
    def may_open(self) -> bool:
        """Whether what has come may be the first part of an opening mark."""
        return self._undecided and bool(self._seen)

    def feed(self, piece: bytes) -> tuple[bytes, bytes]:
        """Take more bytes and return those of them that belong to thoughts, marks included, and those that belong to the answer."""
        if self._undecided:
            return self._decide(piece)
        if not self.inside:
            return b"", piece
        self._seen += piece
        if found := _CLOSES.search(self._seen):
            self.inside = False
            rest = self._seen[found.end() :]
            return piece[: len(piece) - len(rest)], rest
        self._seen = self._seen[-_LONGEST:]
        return piece, b""

    def _decide(self, piece: bytes) -> tuple[bytes, bytes]:
        self._seen += piece
        if found := _OPENS.match(self._seen):
            inner = self._seen[found.end() :]
            self.inside, self._undecided, self._seen = True, False, b""
            thoughts, answer = self.feed(inner)
            return piece[: len(piece) - len(inner)] + thoughts, answer
        self._seen = begun = self._seen.lstrip()
        self._undecided = not begun or (len(begun) <= _LONGEST and begun[:1] in _FIRST and _may_be_bare(begun))
        return b"", piece


def _may_be_bare(begun: bytes) -> bool:
    return begun[:1] != b"a" or b"analysis".startswith(begun)


class WrittenText:
    """The text of one completion as its tokens come. Stop strings and repetition are looked for in its answer, not in thoughts before it.

    Tokens of the thoughts count against `SamplingParams.thinking_tokens`, those behind against `max_tokens`; where the first is 0, thoughts
    are text like any other. `opening` is the mark with which the prompt ends where the model goes on with its thoughts: the text begins
    with it. A text without thoughts is what it would be without all this.
    """

    def __init__(self, params: SamplingParams, suffix: str, opening: str = "") -> None:
        self._params = params
        self._suffix = suffix
        self._watch = ThoughtWatch(inside=bool(opening)) if params.thinking_tokens else None
        self._thoughts = TextStream()
        self._stream, self._repeats = self._answer()
        self._opening = opening
        self._between = False
        self._tokens = self._thought_tokens = 0

    @property
    def stopped(self) -> str | None:
        """The stop string that fired, or None while none has."""
        return self._stream.stopped

    @property
    def repeats(self) -> bool:
        """Whether it is to end as repetition."""
        return self._repeats.fired

    @property
    def thought(self) -> bool:
        """Whether the last token belonged to thoughts, as all before it then did."""
        return 0 < self._tokens == self._thought_tokens

    @property
    def full(self) -> bool:
        """Whether it has all the tokens that it may have, each call of `feed` having brought one."""
        if self._watch is not None and (self._watch.inside or self._watch.may_open):
            return self._tokens >= self._params.thinking_tokens
        return self._tokens - self._thought_tokens >= self._params.max_tokens

    def feed(self, piece: bytes) -> str:
        """Take the bytes of one more token and return the text that is now certain."""
        self._tokens += 1
        return self._begun(self._feed(piece))

    def finish(self) -> str:
        """Return what was held back; the completion has ended."""
        if self._watch is not None and self._watch.inside:
            return self._begun(self._thoughts.finish())
        return self._begun(self._repeats.feed(self._stream.finish()))

    def _begun(self, text: str) -> str:
        opening, self._opening = self._opening, ""
        return opening + text

    def _feed(self, piece: bytes) -> str:
        if self._watch is None:
            return self._repeats.feed(self._stream.feed(piece))
        before = self._watch.inside
        thoughts, answer = self._watch.feed(piece)
        text = ""
        if thoughts or before or self._watch.inside:
            self._thought_tokens = self._tokens
            # What came before the mark was whole was taken for an answer's beginning.
            text = self._thoughts.feed((b"" if before else self._stream.give_back()) + thoughts)
            if self._watch.inside:
                return text
            text += self._thoughts.finish()
            self._stream, self._repeats = self._answer()
            self._between = True
        if self._between:
            # Nor is the blank line behind thoughts the stop string that ends a list.
            rest = answer.lstrip()
            text += answer[: len(answer) - len(rest)].decode()
            self._between, answer = not rest, rest
            if self._between:
                self._thought_tokens = self._tokens
        return text + self._repeats.feed(self._stream.feed(answer))

    def _answer(self) -> tuple[TextStream, RepeatWatch]:
        return TextStream(self._params.stop), RepeatWatch(self._params.stop_on_repeat, self._suffix)
