"""A grammar for Alpaca's triples: under it a model writes no item that does not parse, see `studio.loop.parsing.parse_triples`.

It is GBNF, llama.cpp's form. A field is any text but what would part it: `###`, and a full stop, white space and the name of a field with a
colon, which is what is left of `12. Input:` whatever its number.
"""

from __future__ import annotations

from collections.abc import Iterator

FIELDS = ("Instruction", "Input", "Output")
SPACE = r" \t\x0b\x0c\r\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What `\\s` of a regular expression is, but for the line feed, in a class of characters."""
_LINE, _TEXT = "line", "text"


def triples_grammar(first: int, last: int) -> str:
    """Return the grammar of what follows `<first>. Instruction:`, up to the task of the number `last`, or fewer.

    An instruction is one line, none of the three fields is empty.
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
