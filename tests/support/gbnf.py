"""Grammars in GBNF, as far as the studio's own go: what they match, and texts that they make."""

from __future__ import annotations

import ast
import random
import re

_ELEMENT = re.compile(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|[\w-]+')
_RULE = re.compile(r"([\w-]+) ::= (.*)")

Rules = dict[str, list[tuple[str, ...]]]


def rules_of(grammar: str) -> Rules:
    """The alternatives of each rule, as elements: a character or a class of them is one, in brackets; others are names."""
    rules: Rules = {}
    for line in grammar.splitlines():
        found = _RULE.fullmatch(line)
        assert found, line
        alternatives: list[tuple[str, ...]] = []
        at = 0
        current: list[str] = []
        for element in _ELEMENT.finditer(found[2]):
            if "|" in found[2][at : element.start()]:
                alternatives.append(tuple(current))
                current = []
            at = element.end()
            word = element[0]
            current += [f"={letter}" for letter in ast.literal_eval(word)] if word[0] == '"' else [word]
        rules[found[1]] = [*alternatives, tuple(current)]
    return rules


def fits(element: str, letter: str) -> bool:
    """Whether a character or a class matches a letter."""
    return element[1:] == letter if element[0] == "=" else re.fullmatch(element, letter, re.DOTALL) is not None


def matches(rules: Rules, text: str) -> bool:
    """Whether the whole text is one of the grammar's."""
    stacks = _opened(rules, {("root",)})
    for letter in text:
        stacks = _opened(rules, {stack[1:] for stack in stacks if stack and fits(stack[0], letter)})
    return () in stacks


def written(rules: Rules, rng: random.Random, alphabet: str, longest: int) -> str:
    """A text of the grammar, its letters from the alphabet where it leaves a choice; past `longest` it comes to its end."""
    stack, text = ["root"], ""
    while stack:
        element = stack.pop()
        if element in rules:
            alternatives = rules[element]
            stack += reversed(alternatives[-1] if len(text) > longest and alternatives[-1] == () else rng.choice(alternatives))
        elif element[0] == "=":
            text += element[1:]
        else:
            text += rng.choice([letter for letter in alphabet if fits(element, letter)])
    return text


def _opened(rules: Rules, stacks: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """The same stacks with what matches letters on top."""
    done: set[tuple[str, ...]] = set()
    while stacks:
        stack = stacks.pop()
        if stack and stack[0] in rules:
            stacks |= {(*alternative, *stack[1:]) for alternative in rules[stack[0]]}
        else:
            done.add(stack)
    return done
