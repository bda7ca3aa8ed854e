"""Completions fall apart: thoughts are taken out, then come candidates, instances, a yes or no; and a grammar under which they do.

Nothing a model writes makes these functions raise. The marks of thoughts are those of `studio.engine.thoughts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from studio.engine.api import Completion, FinishReason
from studio.engine.thoughts import CHANNEL, CLOSING, OPENING, thought_spans
from studio.loop.lists import Items, split_list, without_code
from studio.records import Instance

THINKING = "thinking"
"""The reason code of what is nothing but thoughts, or holds a mark of them that could not be taken out."""

MODEL_THINKS = (
    "the model thinks before it answers; its thoughts are kept with the completions and left out of the data "
    "(--set thinking=off asks it not to, thinking=keep has them in the data)"
)

_AROUND_ANSWER = re.compile(
    r"<\|start\|>(?:assistant)?|<\|(?:end|return|begin_of_solution|end_of_solution|START_RESPONSE|END_RESPONSE)\|>|</?answer>\n?"
)

_ANY = re.compile(rf"{OPENING}|{CLOSING}|{CHANNEL}", re.IGNORECASE)
_LEFT = re.compile(rf"(?<![`'\"“‘«])(?:{_ANY.pattern})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion without its thoughts: `thought` says that it had some, `truncated` that it was cut, or ends inside them."""

    text: str
    thought: bool = False
    truncated: bool = False
    thoughts: str = ""
    """What was taken out, without its marks."""

    @property
    def missing(self) -> bool:
        """Whether there was nothing but thoughts."""
        return self.thought and not self.text.strip()


def answer_of(completion: Completion, *, whole: bool = False) -> Answer:
    """What a completion is parsed from: its text without thoughts, or with `whole` all of it."""
    cut = completion.finish_reason in (FinishReason.LENGTH, FinishReason.REPEAT)
    found = Answer(completion.text) if whole else without_thoughts(completion.text)
    return replace(found, truncated=cut or found.truncated)


def without_thoughts(text: str) -> Answer:
    """Take the thoughts out of a completion; see `thought_spans`. A text without a mark is returned as it is."""
    spans = thought_spans(text)
    if not spans:
        return Answer(text)
    kept: list[str] = []
    at = 0
    for span in spans:
        kept.append(text[at : span.start])
        at = span.end
    kept.append(text[at:])
    thoughts = (_AROUND_ANSWER.sub("", text[span.inner_start : span.inner_end]).strip() for span in spans)
    return Answer(_AROUND_ANSWER.sub("", "".join(kept)), True, not spans[-1].closed, "\n\n".join(filter(None, thoughts)))


def told_apart(text: str, start: int = 0) -> Iterator[tuple[str, bool]]:
    """Yield the text from `start` on in pieces, each with whether it is thought, its marks included."""
    at = start
    for span in thought_spans(text):
        for end, thought in ((span.start, False), (span.end, True)):
            if end > at:
                yield text[at:end], thought
                at = end
    if at < len(text):
        yield text[at:], False


def first_mark(text: str, *, spoken_of: bool = False) -> re.Match[str] | None:
    """Return the first mark of thoughts in a text. One in quotation marks or code marks is spoken of, and counts only if asked for."""
    return (_ANY if spoken_of else _LEFT).search(text)


# Possessive quantifiers (`++`, `?+`) match what the released patterns match, but never give back: no text makes them slow.
_NUMBER = re.compile(r"\n\d++\s?+\. ")

_FIELDS = 7
"""Parts of a complete triple: what stands before the first field, then three times the field's name and its text."""


@dataclass(frozen=True, slots=True)
class ParsedCandidate:
    """An instruction found in a completion, with the reason code of an early discard or an empty one.

    `input` and `output` only where a completion writes whole tasks; `output` is then never None.
    """

    text: str
    discard: str = ""
    input: str | None = None
    output: str | None = None


def collapse(text: str) -> str:
    """Return `text` in one line, each run of white space one space, none at the ends."""
    return " ".join(text.split())


def parse_instructions(
    text: str, *, truncated: bool, keep_complete: bool, capitalize: bool, first_number: int | None = None
) -> list[ParsedCandidate]:
    """Split the continuation of a numbered list into instructions, in order.

    The released rule: an item ends where a line begins with digits, perhaps one white space, a full stop and a space. The first item
    has no number of its own, because the prompt ends with it. White space is collapsed; `capitalize` also lower-cases all but the first
    letter, the released code's fault included.

    With a `first_number`, the one that the prompt ends with, lists in other forms are told apart, too: see `studio.loop.lists`. What
    introduces a list is discarded as `preamble`, and a text of many lines without any mark as `unmarked`.

    `truncated` says that the completion was cut: all its items are discarded as `truncated`, only the last one with `keep_complete`.
    """
    found = Items(tuple(collapse(piece) for piece in _NUMBER.split(text))) if first_number is None else split_list(text, first_number)
    items = list(found.texts)
    if capitalize:
        items = [item.capitalize() for item in items]
    first_cut = len(items) if not truncated else len(items) - 1 if keep_complete else 0
    discards = ["truncated" if place >= first_cut else "" for place in range(len(items))]
    if found.preamble or found.unmarked:
        discards[0] = "preamble" if found.preamble else "unmarked"
    return [ParsedCandidate(item, discard) for item, discard in zip(items, discards, strict=True)]


def parse_triples(text: str, *, first_number: int, truncated: bool) -> list[ParsedCandidate]:
    """Split Alpaca's continuation into (instruction, input, output) triples, in order.

    The prompt ends with `<first_number>. Instruction:`. Items stand between `###`; one counts only if the number in front of each of its
    three fields is the expected one, and is discarded as `malformed_item` otherwise; malformed items are counted on. Of a `truncated`
    completion the last item goes. `<noinput>`, in any case, is an empty input. As in the released variant the fields' order is not
    checked and white space inside them stays.
    """
    items = f"{first_number}. Instruction:{text}".split("###")
    last = len(items) - 1
    return [_triple(item, first_number + place, cut=truncated and place == last) for place, item in enumerate(items)]


def _triple(item: str, number: int, *, cut: bool) -> ParsedCandidate:
    # Asking first spares compiling a pattern for each of many items that do not have their number at all.
    parts = re.split(rf"{number}\.\s++(Instruction|Input|Output):", item) if f"{number}." in item else [item]
    instruction = parts[2].strip() if len(parts) > 2 else item.strip()
    if cut or len(parts) != _FIELDS:
        return ParsedCandidate(instruction, "truncated" if cut else "malformed_item")
    given = parts[4].strip()
    return ParsedCandidate(instruction, "", "" if given.lower() == "<noinput>" else given, parts[6].strip())


# Possessive quantifiers match what the released patterns match, but never give back: no text makes them slow.
_EXAMPLE = re.compile(r"Example\s?+\d*+\.?+")
_OUTPUT = re.compile(r"Output\s*+\d*+\s*+:")
_INPUT = re.compile(r"Input\s*+\d*+\s*+:")

_EXAMPLE_LINE = re.compile(r"^[ \t]*+Example[ \t]?+\d*+[ \t]*+[.:]?+[ \t]*+$", re.MULTILINE)
_OUTPUT_LINE = re.compile(r"^[ \t]*+Output[ \t]*+\d*+[ \t]*+:", re.MULTILINE)
_INPUT_LINE = re.compile(r"^[ \t]*+Input[ \t]*+\d*+[ \t]*+:", re.MULTILINE)

_CLASS_LABEL = "Class label:"

# Other forms: emphasis, headings and bullets around a marker, colons of full width, Chinese names of the fields.
_BEFORE = r"^[ \t]{0,8}(?:[>#]{1,6}[ \t])?(?:[-+•*][ \t])?[*_]{0,3}"
_BEHIND = r"[ \t]{0,4}#?\d{0,4}[*_]{0,3}[ \t]{0,4}[:：][*_]{0,3}"
_EXAMPLE_ALONE = r"[ \t]{0,4}#?\d{0,4}[*_]{0,3}[ \t]{0,4}[.:：]?[*_]{0,3}[ \t\r]{0,8}(?=$|[*_]{0,3}Input\b)"


def _marks(output: str, given: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(
        rf"{_BEFORE}(?:(?P<example>(?:Example|示例|例子?){_EXAMPLE_ALONE})|(?P<output>(?:{output}){_BEHIND})|(?P<input>(?:{given}){_BEHIND})"
        r"|(?P<task>Task[ \t]?\d{0,4}[*_]{0,3}[:：]))",
        re.MULTILINE | flags,
    )


_MARKS = _marks("Output|输出", "Input|输入")
_LOOSE_MARKS = _marks("Output|Answer|Response|Result|输出|答案|回答", "Input|输入", re.IGNORECASE)
_LOOSE_LEAD = re.compile(rf"{_BEFORE}(?:Input|输入){_BEHIND}", re.IGNORECASE)
_LABEL = re.compile(rf"{_BEFORE}(?:Class label|类别标签){_BEHIND}", re.MULTILINE)
_LOOSE_LABEL = re.compile(rf"{_BEFORE}(?:Class[ \t]label|Label|标签|类别){_BEHIND}", re.MULTILINE | re.IGNORECASE)
_AFTER_LABEL = re.compile(rf"\A([^\n]*)\n(?:{_BEFORE[1:]}(?:Input|输入){_BEHIND})?")
_ANOTHER_TASK = re.compile(rf"(?:\A|(?<=\n\n)|(?<=\n\r\n)){_BEFORE[1:]}Task[ \t]?\d{{0,4}}[*_]{{0,3}}[:：]")

_Markers = tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]
_ANYWHERE: _Markers = (_EXAMPLE, _OUTPUT, _INPUT)
_AT_LINE_START: _Markers = (_EXAMPLE_LINE, _OUTPUT_LINE, _INPUT_LINE)


def parse_input_first(text: str, *, line_markers: bool = False, tolerant: bool = False) -> list[Instance]:
    """Find the (input, output) pairs of an input-first completion, in order; none when it has no marker.

    The released rule: the text is split on `Example <n>`; without such a marker, one with `Output:` is one pair. `line_markers`
    accepts markers only where they begin a line (`Example <n>` alone on its line), so that an "Example" or "Input:" within a
    sentence parts nothing. `tolerant` has `line_markers` and knows other forms: see `_tolerant_pairs`.
    """
    if tolerant:
        return _tolerant_pairs(text.strip())
    markers = _AT_LINE_START if line_markers else _ANYWHERE
    example, output, _ = markers
    text = text.strip()
    if example.search(text):
        return [_pair(piece.strip(), markers) for piece in example.split(text) if piece.strip()]
    return [_pair(text, markers)] if output.search(text) else []


def _pair(text: str, markers: _Markers) -> Instance:
    """Split one pair at its output marker; with none, the input is empty and all of the text is output."""
    _, output_marker, input_marker = markers
    pieces: Sequence[str] = output_marker.split(text)
    given, output = (pieces[0].strip(), pieces[1].strip()) if len(pieces) > 1 else ("", text)
    # A further input belongs to a pair that lost its `Example` line.
    output = input_marker.split(output)[0].strip()
    lead = _INPUT.match(given)
    return Instance((given[lead.end() :] if lead else given).strip(), output)


def parse_output_first(text: str, *, tolerant: bool = False) -> list[Instance]:
    """Find the instances of an output-first completion, in order; none when it has no `Class label:`.

    What stands before the first label is dropped. The line of a label is the output, the lines up to the next label are the input,
    which may be empty. `tolerant` takes labels only where they begin a line, in other forms, too, and none within code fences.
    """
    pieces = _labelled(text) if tolerant else text.split(_CLASS_LABEL)[1:]
    instances = []
    for piece in pieces:
        label, _, given = piece.strip().partition("\n")
        instances.append(Instance(given.strip(), label.strip()))
    return instances


def _labelled(text: str) -> list[str]:
    """The pieces that begin with a label; what the model went on with for another task is left out."""
    text = text.strip()
    shown = without_code(text)
    if another := _ANOTHER_TASK.search(shown):
        text, shown = text[: another.start()], shown[: another.start()]
    found = list(_LABEL.finditer(shown)) or list(_LOOSE_LABEL.finditer(shown))
    ends = [*(mark.start() for mark in found[1:]), len(text)]
    pieces = [text[mark.end() : end].strip() for mark, end in zip(found, ends, strict=False)]
    return [_AFTER_LABEL.sub(r"\1\n", piece, count=1) for piece in pieces]


def _tolerant_pairs(text: str) -> list[Instance]:
    """The pairs of a completion in whatever form: `Output：`, `**Output:**`, `output:`, `Answer:`, pairs without an `Example` line.

    Forms that stand in ordinary texts, too, count only in a pair that has no `Output:`. Markers within code fences are none. What the model
    went on with for another task, after a line `Task: ...`, is left out; such a line within an input or output is part of it.
    """
    shown = without_code(text)
    marks = list(_MARKS.finditer(shown))
    examples = any(mark["example"] for mark in marks)
    pairs = []
    for start, end in _segments(shown, marks):
        piece, seen = text[start:end], shown[start:end]
        if found := _outputs(_MARKS, seen) or _outputs(_LOOSE_MARKS, seen):
            end = found[1].start() if len(found) > 1 else len(piece)
            pairs.append(Instance(_without_lead(piece[: found[0].start()]), piece[found[0].end() : end].strip()))
        elif examples and start and piece.strip():
            given = _without_lead(piece)
            pairs.append(Instance("", given) if given == piece.strip() else Instance(given, ""))
    return pairs


def _outputs(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    return [mark for mark in pattern.finditer(text) if mark["output"]]


def _segments(shown: str, marks: Sequence[re.Match[str]]) -> list[tuple[int, int]]:
    """Where each pair begins and ends: at an `Example` line, at an input after an output, and nowhere after another task."""
    starts: list[tuple[int, int]] = []
    start = 0
    answered = False
    for place, mark in enumerate(marks):
        if mark["task"]:
            gap = shown[max(0, mark.start() - 3) : mark.start()].replace("\r", "").endswith("\n\n")
            if mark.start() == 0 or gap or (answered and _begins_task(shown, marks[place : place + 2])):
                return [*starts, (start, mark.start())]
        elif mark["example"] or (mark["input"] and answered):
            starts.append((start, mark.start()))
            start, answered = (mark.end() if mark["example"] else mark.start()), False
        elif mark["output"]:
            answered = True
    return [*starts, (start, len(shown))]


def _begins_task(shown: str, marks: Sequence[re.Match[str]]) -> bool:
    """Whether the first of two marks, a `Task:`, is the line of an instruction: the first mark of its own instances follows at once."""
    if len(marks) < 2 or marks[1]["task"]:
        return False
    return not shown[marks[0].end() : marks[1].start()].partition("\n")[2].strip()


def _without_lead(text: str) -> str:
    """Return an input without the marker that introduces it."""
    text = text.strip()
    lead = _LOOSE_LEAD.match(text)
    return text[lead.end() :].strip() if lead else text


CHOICES = (" Yes", " No")
"""What the prompt's question can be answered with, as its examples answer it."""

_LOOKED_AT = 200
_YES_WORDS = frozenset({"yes", "是", "是的", "ja", "oui", "sí", "sim", "да", "はい", "예", "네", "نعم", "हाँ"})
"""As a prompt in another language may be answered."""

_BORDERS = re.compile(r"[\s.,;:!?。，！？；：、…—–*_`\"'“”«»()\[\]>#-]+")
_YES = frozenset({"Yes", "yes", "YES"})


def parse_classification(text: str, *, tolerant: bool = False) -> bool:
    """Return True for exactly `Yes`, `yes` or `YES` after stripping; anything else, an empty answer included, means no.

    `tolerant` goes by the first word, whatever its case and the signs around it: `**Yes**`, `yes!`, `Answer: Yes.`, `是`; `Yes/No` is no.
    """
    if not tolerant:
        return text.strip() in _YES
    words = [word for word in _BORDERS.split(text[:_LOOKED_AT].casefold()) if word]
    if words[:1] in (["answer"], ["a"]):
        words = words[1:]
    return bool(words) and words[0] in _YES_WORDS


FIELDS = ("Instruction", "Input", "Output")
SPACE = r" \t\x0b\x0c\r\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What `\\s` of a regular expression is, but for the line feed, in a class of characters."""
_LINE, _TEXT = "line", "text"


def triples_grammar(first: int, last: int) -> str:
    """Return the grammar of what follows `<first>. Instruction:`, up to the task of the number `last`, or fewer: GBNF, llama.cpp's form.

    Under it a model writes no item that `parse_triples` cannot read. An instruction is one line, none of the three fields is empty. A field
    is any text but what would part it: `###`, and a full stop, white space and the name of a field with a colon, which is what is left of
    `12. Input:` whatever its number.
    """
    rules = [f"root ::= item-{first}"]
    for number in range(first, last + 1):
        more = f'"\\n###\\n{number + 1}. Instruction:" item-{number + 1}' if number < last else '"\\n###\\n"'
        rules += [
            f'item-{number} ::= " " {_LINE} "\\n{number}. Input:\\n" input "\\n{number}. Output:\\n" {_TEXT} more-{number}',
            f'more-{number} ::= {more} | ""',
        ]
    rules += [f'input ::= "<noinput>" | {_TEXT}', *_field(_LINE, "", "\\n"), *_field(_TEXT, "\\n", "")]
    return "\n".join(rules) + "\n"


def _field(name: str, space: str, never: str) -> Iterator[str]:
    """Yield the rules of a field, an automaton that goes on with every character: `space` is white space beside `SPACE`.

    A state is what has come of a mark: hashes, or a full stop with white space and the first letters of a field's name. Each may be the
    last.
    """
    blank = f"{SPACE}{space}"
    yield f'{name} ::= [^#.{blank}{never}] {name}-any | "." {name}-stop | "#" {name}-hash'

    def state(of: str, going_on: dict[str, str], but: str = "") -> str:
        begins = {".": f"{name}-stop", "#": f"{name}-hash"} | going_on
        alternatives = [f"[{each}] {rule}" for each, rule in begins.items() if rule]
        return f"{name}-{of} ::= [^#.{''.join(each for each in going_on if each not in '#.')}{but}{never}] {name}-any | " + (
            f'{" | ".join(alternatives)} | ""'
        )

    yield state("any", {})
    yield state("hash", {"#": f"{name}-hashes"})
    yield state("hashes", {"#": ""})
    yield state("stop", {blank: f"{name}-space"})
    beginnings = dict.fromkeys(word[:length] for word in FIELDS for length in range(1, len(word) + 1))
    letters = {begun: [each[-1] for each in beginnings if each[:-1] == begun] for begun in ("", *beginnings)}
    yield state("space", {blank: f"{name}-space"} | {letter: f"{name}-{letter}" for letter in letters[""]})
    for begun in beginnings:
        yield state(begun, {letter: f"{name}-{begun}{letter}" for letter in letters[begun]}, ":" if begun in FIELDS else "")
