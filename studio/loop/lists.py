"""Where the items of a list begin, whatever form a model gives it: `10.`, `10)`, `**10.**`, `10、`, `(10)`, `#10`, `Task 10:`, bullets.

The released rule (`parse_instructions`) takes one form alone and, where a model writes another, the whole list for one item. Other forms
stand in ordinary texts as well, so a mark counts only where it goes on with the list: its number is the next one, or it is one of a row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_BLANK = r"[^\S\n]"
_WORD = r"Tasks?|Instructions?|Items?|Questions?|Prompts?|Exercises?|No|任务|指令|Aufgabe|Tâche|Tarea|Задание|Задача"
_NUMERAL = r"\d{1,3}|[①-⑳]|[一二三四五六七八九十]{1,3}|[IVXL]{1,6}"
_MARK = re.compile(
    rf"^{_BLANK}{{0,8}}(?:[>#]{{1,6}}{_BLANK})?(?:[-*+•]{_BLANK})?(?P<bold>[*_]{{0,3}})(?P<lead>(?:(?:{_WORD})\.?{_BLANK}?)?[#(\[（【№]?{_BLANK}?)"
    rf"(?P<number>{_NUMERAL})(?P<inner>[*_]{{0,3}})"
    rf"(?P<tail>{_BLANK}?[.)\]）】、．。:：]{{1,2}}(?!\d)|{_BLANK}?[-–—](?={_BLANK}+[^\W\d])|\ufe0f?\u20e3|{_BLANK}*$|(?={_BLANK}))(?P<end>[*_]{{0,3}}){_BLANK}?",
    re.MULTILINE | re.IGNORECASE,
)
_RELEASED = re.compile(r"^\d++\s?+\. ", re.MULTILINE)
_BULLET = re.compile(rf"^(?P<indent>{_BLANK}{{0,8}})(?P<sign>[-*+•–—]){_BLANK}", re.MULTILINE)
_INLINE = re.compile(r"(?<=[^\s\d])[^\S\n](?P<number>\d{1,3})[.)] ")
_LABEL = re.compile(r"(?:Task|Instruction|任务|指令)\s?\d{0,4}\s?[:：]\s?", re.IGNORECASE)
_EMPHASIS = re.compile(r"(\*\*)([^*]{1,200})\1(?=$|[\s:：.,])")
_WRAPPERS = (
    ("***", "***"),
    ("**", "**"),
    ("__", "__"),
    ("*", "*"),
    ('"', '"'),
    ("“", "”"),
    ("«", "»"),
    ("「", "」"),
    ("『", "』"),
    ("`", "`"),
)
_INTRODUCTION = re.compile(
    r"(?:(?:Sure|Certainly|Of course|Okay|OK|Great)[!,.].*|(?:Here (?:are|is)|Here['’]s|Below are|Continuing|More tasks)\b.*[:：])$",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^\Wa-z_].*[.?!:。？！：]", re.DOTALL)

_LEAP = 2
"""Numbers that a list may leave out and still be the same list."""
_INNER_ITEMS = 13
_FEWEST_WORDS = 4
_LINES = 3


@dataclass(frozen=True, slots=True)
class _Mark:
    start: int
    end: int
    number: int
    released: bool = False
    bold: bool = False
    """Whether its asterisks are closed somewhere in the item."""


@dataclass(frozen=True, slots=True)
class Items:
    """The items in order, each in one line. `preamble`: the first is none, but what introduces the list.

    `unmarked`: several sentences stand in lines of their own and nothing marks items, so it cannot be told where one ends.
    """

    texts: tuple[str, ...]
    preamble: bool = False
    unmarked: bool = False


def split_list(text: str, first_number: int) -> Items:
    """Find the items of a list that goes on from `first_number`, which the prompt ends with. Marks within code fences are none."""
    shown = without_code(text)
    marks = _numbered(shown)
    chosen = _going_on(shown, marks, first_number) or _row(shown, marks) or _bullets(shown) or _inline(shown, first_number)
    begins, ends = [0, *(mark.end for mark in chosen)], [*(mark.start for mark in chosen), len(text)]
    bold = [False, *(mark.bold for mark in chosen)]
    items = [_plain(text[begin:end], bold=open_bold) for begin, end, open_bold in zip(begins, ends, bold, strict=True)]
    if chosen and not items[0]:
        return Items(tuple(items[1:]))
    colon = items[0].endswith((":", "："))
    preamble = bool(chosen) and ((colon and chosen[0].number in (1, first_number)) or _INTRODUCTION.match(items[0]) is not None)
    return Items(tuple(items), preamble, not chosen and _unmarked(text))


def without_code(text: str) -> str:
    """Return `text` with everything in closed code fences replaced by as many `x`: nothing there is a mark, and all places stay.

    A fence may open behind something else on its line; it closes on a line of its own.
    """
    if "```" not in text and "~~~" not in text:
        return text
    pieces: list[str] = []
    done = at = 0
    opened: tuple[int, str] | None = None
    for line in text.splitlines(keepends=True):
        bare = line.strip()
        if opened is None:
            place = max(line.find("```"), line.find("~~~"))
            if place >= 0 and line.count(line[place : place + 3]) == 1:
                opened = at + place, line[place : place + 3]
        elif bare.startswith(opened[1]) and not bare.strip(bare[0]):
            end = at + len(line.rstrip())
            pieces += [text[done : opened[0]], "x" * (end - opened[0])]
            done, opened = end, None
        at += len(line)
    return "".join([*pieces, text[done:]])


def _numbered(text: str) -> list[_Mark]:
    released = {found.start(): found.end() for found in _RELEASED.finditer(text)}
    marks = []
    for found in _MARK.finditer(text):
        start = found.start()
        number = _value(found["number"])
        if start in released:
            marks.append(_Mark(start, released.pop(start), number or 0, released=start > 0))
        elif number and _is_mark(found):
            marks.append(_Mark(start, found.end(), number, bold=bool(found["bold"]) and not (found["inner"] or found["end"])))
    # Longer numbers than a list has: the released rule takes them.
    marks += [_Mark(start, end, 0, released=start > 0) for start, end in released.items()]
    return sorted(marks, key=lambda mark: mark.start)


def _is_mark(found: re.Match[str]) -> bool:
    """Whether something tells the number from one that begins a text: `10 eggs` has no mark, `#10 eggs` has."""
    tail, lead = found["tail"].strip(), found["lead"].strip()
    if "①" <= found["number"] <= "⑳":
        return True
    if found["number"].isascii() and found["number"].isalpha():
        # `x: 5` and `i)` are no numbers of a list.
        return found["number"].isupper() and tail[:1] in (".", ")")
    if tail:
        # `10.5`, `10:30` and `10 - 5` are excluded by the pattern.
        return found["number"].isdigit() or tail[0] in ".)、．:：）"
    return bool(lead) and found["number"].isdigit() and (lead[-1:] in "#№" or lead[:1].isalpha())


def _value(numeral: str) -> int:
    """Return what a numeral says; 0 for none: `IIX`, `五五`."""
    if numeral.isdecimal():
        return int(numeral)
    if "①" <= numeral <= "⑳":
        return ord(numeral) - ord("①") + 1
    if numeral[0] in "一二三四五六七八九十":
        tens, ten, units = numeral.rpartition("十")
        digits = "零一二三四五六七八九"
        if len(tens) > 1 or len(units) > 1 or (not ten and tens) or "十" in tens:
            return 0
        return (digits.index(tens) if tens else 1) * 10 * bool(ten) + (digits.index(units) if units else 0)
    values = [{"I": 1, "V": 5, "X": 10, "L": 50}.get(letter, 0) for letter in numeral.upper()]
    return sum(-value if any(later > value for later in values[place + 1 : place + 2]) else value for place, value in enumerate(values))


def _going_on(text: str, marks: Sequence[_Mark], first: int) -> list[_Mark]:
    """The marks that go on with the list; those of the released form always, unless they are a list within an item."""
    chosen: list[_Mark] = []
    text_begins = len(text) - len(text.lstrip())
    following = first + 1
    place = 0
    while place < len(marks):
        mark = marks[place]
        if inner := _inner_list(text, marks, place, following):
            place += inner
            continue
        begins = mark.start <= text_begins or (not chosen and mark.number == first)
        goes_on = following - 1 <= mark.number <= following + _LEAP if chosen else following <= mark.number <= following + _LEAP
        if mark.released or begins or goes_on:
            chosen.append(mark)
            if goes_on or begins or mark.number in (1, 2):
                following = mark.number + 1
        place += 1
    # A mark at the very start, with nothing after it, has begun an item and no list.
    return chosen if len(chosen) > 1 or any(mark.start > text_begins for mark in chosen) else []


def _inner_list(text: str, marks: Sequence[_Mark], place: int, following: int) -> int:
    """Return how many marks from `place` on make a list within an item, 1 to n, after which the outer list goes on; 0 for none.

    It comes after a colon, or its lines have too few words for an instruction.
    """
    for length, mark in enumerate(marks[place : place + _INNER_ITEMS]):
        if length >= 2 and mark.number == following:
            inner = [*marks[place : place + length], mark]
            brief = all(len(text[a.end : b.start].split()) < _FEWEST_WORDS for a, b in pairwise(inner))
            return length if brief or _after_colon(text, marks[place]) else 0
        if mark.number != length + 1:
            return 0
    return 0


def _row(text: str, marks: Sequence[_Mark]) -> list[_Mark]:
    """Marks with numbers in a row, from whatever they start: a list that starts anew."""
    rows: list[list[_Mark]] = [[]]
    for mark in marks:
        if rows[-1] and 0 < mark.number - rows[-1][-1].number <= 1 + _LEAP:
            rows[-1].append(mark)
        else:
            rows.append([mark])
    longest = max(rows, key=len)
    return longest if len(longest) > 1 and not _after_colon(text, longest[0]) else []


def _bullets(text: str) -> list[_Mark]:
    found = list(_BULLET.finditer(text))
    if len(found) < 2:
        return []
    outer = min(len(each["indent"]) for each in found[1:])
    marks = [_Mark(each.start(), each.end(), 0) for each in found if len(each["indent"]) <= outer]
    return marks if len(marks) > 1 and not _after_colon(text, marks[0]) else []


def _inline(text: str, first: int) -> list[_Mark]:
    """Items in one line, as a server leaves them that drops line breaks: at least two numbers that go on."""
    if "\n" in text.strip():
        return []
    chosen: list[_Mark] = []
    for found in _INLINE.finditer(text):
        if int(found["number"]) == first + 1 + len(chosen):
            chosen.append(_Mark(found.start(), found.end(), int(found["number"])))
    return chosen if len(chosen) > 1 else []


def _after_colon(text: str, mark: _Mark) -> bool:
    """Whether the mark follows an item that announces a list of its own, not an introduction to this one."""
    before = text[max(0, mark.start - 200) : mark.start].strip()
    if mark.start <= 200 and _INTRODUCTION.match(before):
        return False
    return before.endswith((":", "：")) and len(before.split()) >= _FEWEST_WORDS


def _unmarked(text: str) -> bool:
    lines = [line.strip() for line in text.strip().split("\n") if line.strip()]
    return len(lines) >= _LINES and all(len(line.split()) >= _FEWEST_WORDS and _SENTENCE.fullmatch(line) for line in lines)


def _plain(piece: str, *, bold: bool) -> str:
    """Return an item in one line, without a label, emphasis of its beginning, and quotation marks around all of it."""
    item = " ".join(piece.split())
    if bold:
        item = item.replace("**", "", 1).replace("  ", " ").strip()
    for _ in range(3):
        before = item
        item = _LABEL.sub("", item, count=1) if _LABEL.match(item) else item
        for left, right in _WRAPPERS:
            inner = item[len(left) : -len(right)]
            if item.startswith(left) and item.endswith(right) and inner and left not in inner and right not in inner:
                item = inner.strip()
                break
        item = _EMPHASIS.sub(r"\2", item, count=1) if _EMPHASIS.match(item) else item
        if item == before:
            break
    return item
