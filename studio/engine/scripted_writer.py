"""What the scripted engine writes: one function a stage, each a pure function of a random generator and the prompt."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from studio.engine.scripted_words import (
    AUDIENCES,
    BLOCKED,
    CLASS_OPENINGS,
    DETAILS,
    ENDINGS,
    FOREIGN,
    LABELS,
    MOODS,
    OPENINGS,
    PEOPLE,
    PLACES,
    SHORT,
    TOPICS,
)

_LIST = re.compile(r"(?:^|\n)\s*(\d+)\.\s*$")
_TRIPLE = re.compile(r"(?:^|\n)\s*(\d+)\. Instruction:\s*$")
_TASK = re.compile(r"(?:^|\n)Task:[ \t]*")
_QUESTION = "Is it classification?"
_LAST_LIST_NUMBER = 16
_LAST_TRIPLE_NUMBER = 20


def write(prefix: str, suffix: str, rng: random.Random, max_tokens: int) -> str:
    """Return the raw text a model might write after `prefix + suffix`, before stop strings and the token limit are applied."""
    prompt = prefix + suffix
    end = prompt[-200:]
    if match := _TRIPLE.search(end):
        return _triples(rng, int(match.group(1)), max_tokens)
    if match := _LIST.search(end):
        return _numbered_list(rng, prompt, int(match.group(1)), max_tokens)
    task = _TASK.split(prompt)[-1]
    if task.rstrip().endswith(_QUESTION):
        return _classification(task)
    if len(task) < len(prompt):
        return _output_first(rng, task) if "Class label:" in prefix else _input_first(rng, task)
    return " " + " ".join(_sentence(rng) for _ in range(rng.randint(1, 4)))


def instruction(rng: random.Random, *, classification: bool = False) -> str:
    """Return a well-formed instruction of about 10 to 20 words."""
    opening = rng.choice(CLASS_OPENINGS if classification else OPENINGS)
    parts = [opening, "about", rng.choice(TOPICS), _audience(rng)]
    if rng.random() < 0.5:
        parts.append(rng.choice(ENDINGS))
    return " ".join(parts) + "."


def _audience(rng: random.Random) -> str:
    if rng.random() < 0.2:
        return rng.choice(AUDIENCES)
    return f"for {rng.choice(MOODS)} {rng.choice(PEOPLE)} {rng.choice(PLACES)}"


def _sentence(rng: random.Random) -> str:
    return f"{rng.choice(DETAILS)}, says the guide to {rng.choice(TOPICS)}."


def _flawed(rng: random.Random) -> str:
    """Return an instruction that some filter rejects."""
    topic, audience = rng.choice(TOPICS), rng.choice(AUDIENCES)
    kind: Callable[[], str] = rng.choice(
        (
            lambda: rng.choice(SHORT),
            lambda: rng.choice(BLOCKED).format(topic=topic, audience=audience),
            lambda: rng.choice(FOREIGN).format(topic=topic),
            lambda: "?!",
        )
    )
    return kind()


def _endless(rng: random.Random, words: int) -> str:
    """Return a sentence of at least `words` words, as models write that have lost the thread."""
    parts = ["Describe"]
    while len(parts) < words:
        parts.extend(f"the {rng.choice(TOPICS)} and then".split())
    return " ".join(parts)


def _numbered_list(rng: random.Random, prompt: str, first: int, max_tokens: int) -> str:
    classification = "classification" in prompt.split("\n", 1)[0]
    last = first + rng.randint(2, max(2, _LAST_LIST_NUMBER - first - 1))
    stuck = rng.randint(first, last) if rng.random() < 0.04 else 0
    shown = re.findall(r"(?:^|\n)\d+\. (.+)", prompt)
    items: list[str] = []
    for number in range(first, last + 1):
        draw = rng.random()
        if number == stuck:
            items.append(_endless(rng, max_tokens))
            break
        if draw < 0.06 and shown:
            items.append(rng.choice(shown))
        elif draw < 0.09 and items:
            items.append(items[-1])
        elif draw < 0.17:
            items.append(_flawed(rng))
        else:
            items.append(instruction(rng, classification=classification or rng.random() < 0.15))
    return " " + items[0] + "".join(f"\n{first + i}. {item}" for i, item in enumerate(items[1:], 1)) + "\n\n"


def _classification(task: str) -> str:
    text = task.replace(_QUESTION, " ").strip()
    return " Yes\n" if text.startswith(CLASS_OPENINGS) or re.search(r"\bclassif|\bwhether\b", text, re.IGNORECASE) else " No\n"


def _answer(rng: random.Random) -> str:
    return " ".join(_sentence(rng) for _ in range(rng.randint(1, 3)))


def _input_first(rng: random.Random, task: str) -> str:
    if rng.random() < 0.4:
        return f"Output: {_answer(rng)}\n\nTask: {task.strip()}"
    count = rng.randint(1, 3)
    examples = []
    for number in range(1, count + 1):
        given = _sentence(rng)
        output = given if rng.random() < 0.03 else _answer(rng)
        if rng.random() < 0.02:
            output = ""
        examples.append(f"Example {number}\nInput: {given}\nOutput: {output}\n")
    return "".join(examples) + "\nTask: " + instruction(rng)


def _output_first(rng: random.Random, task: str) -> str:
    labels = list(LABELS[len(task) % len(LABELS)])
    rng.shuffle(labels)
    blocks = [f"Class label: {label}\n{'' if rng.random() < 0.05 else _sentence(rng)}\n" for label in labels]
    if rng.random() < 0.03:
        blocks.append(f"Class label: {labels[-1]} after all\n{blocks[0].split(chr(10))[1]}\n")
    return "".join(blocks) + "\nTask: " + instruction(rng, classification=True)


def _triples(rng: random.Random, first: int, max_tokens: int) -> str:
    last = rng.randint(first + 1, _LAST_TRIPLE_NUMBER)
    stuck = rng.random() < 0.1
    parts = []
    for number in range(first, last + 1):
        head = "" if number == first else f"###\n{number}. Instruction:"
        given = "<noinput>" if rng.random() < 0.4 else _sentence(rng)
        text = _flawed(rng) if rng.random() < 0.1 else instruction(rng)
        output = _endless(rng, max_tokens) if stuck and number == last else _answer(rng)
        fields = f" {text}\n{number}. Input:\n{given}\n{number}. Output:\n{output}\n"
        parts.append(head + (fields if rng.random() > 0.03 else f" {text}\n{number}. Output:\n{output}\n"))
    return "".join(parts) + "###\n"
