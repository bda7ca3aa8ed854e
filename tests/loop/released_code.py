"""An oracle: what the two released repositories keep of a completion, written down here a second time, rule by rule.

Sources of the rules: `yizhongw/self-instruct` (instructions, instances, training inputs) and `tatsu-lab/stanford_alpaca` (triples). Plain
and slow; shares nothing with the studio.
"""

from __future__ import annotations

import re
import string

WORDS = ["image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps", "draw", "plot", "go to"]
ALPACA_WORDS = [*WORDS, "video", "audio", "music", "flowchart", "diagram"]


def _mentions(words: list[str], text: str) -> bool:
    return any(re.search(r"\b(" + word + r")\b", text, flags=re.IGNORECASE) for word in words)


def _passes(text: str, words: list[str]) -> bool:
    count = len(text.split())
    return (
        3 < count <= 150
        and not _mentions(words, text)
        and not text.startswith("Write a program")
        and text[0] not in string.punctuation
        and text[0].isascii()
    )


def kept_instructions(text: str, *, stopped_for_length: bool) -> list[str]:
    """The instructions that go on to the novelty check."""
    if stopped_for_length:
        return []
    items = (re.sub(r"\s+", " ", item).strip().capitalize() for item in re.split(r"\n\d+\s?\. ", text))
    return [item for item in items if item != "" and _passes(item, WORDS)]


def kept_triples(text: str, *, prompt_triples: int, stopped_for_length: bool) -> list[tuple[str, str, str]]:
    """The triples that go on to the novelty check."""
    number = prompt_triples + 1
    pieces = re.split("###", f"{number}. Instruction:" + text)
    if stopped_for_length:
        pieces.pop()
    kept = []
    for offset, piece in enumerate(pieces):
        fields = re.split(str(number + offset) + r"\.\s+(Instruction|Input|Output):", piece)
        if len(fields) == 7:
            instruction, given, output = (fields[place].strip() for place in (2, 4, 6))
            if _passes(instruction, ALPACA_WORDS):
                kept.append((instruction, "" if given.lower() == "<noinput>" else given, output))
    return kept


def _pair(text: str) -> tuple[str, str]:
    parts = re.split(r"Output\s*\d*\s*:", text)
    given, output = (parts[0].strip(), parts[1].strip()) if len(parts) >= 2 else ("", text.strip())
    output = re.split(r"Input\s*\d*\s*:", output)[0].strip()
    return re.sub(r"^Input\s*\d*\s*:", "", given).strip(), output


def generation_pairs(text: str) -> list[tuple[str, str]]:
    """All pairs of an input-first completion, before any is dropped."""
    text = text.strip()
    if re.findall(r"Example\s?\d*\.?", text):
        return [_pair(piece.strip()) for piece in re.split(r"Example\s?\d*\.?", text) if piece.strip() != ""]
    return [_pair(text)] if re.findall(r"Output\s*\d*\s*:", text) else []


def classification_pairs(text: str) -> list[tuple[str, str]]:
    """All pairs of an output-first completion, before any is dropped."""
    pairs = []
    for piece in text.split("Class label:")[1:]:
        lines = piece.strip().split("\n", 1)
        pairs.append((lines[1].strip() if len(lines) == 2 else "", lines[0].strip()))
    return pairs


def kept_pairs(pairs: list[tuple[str, str]], *, stopped_for_length: bool) -> set[tuple[str, str]]:
    """The pairs that are left for the sample of five; the released code has no order here either."""
    if stopped_for_length:
        pairs = pairs[:-1]
    valid = []
    for given, output in pairs:
        if given == output or output == "":
            continue
        if given.strip().endswith(":") or output.strip().endswith(":"):
            continue
        valid.append((given, output))
    for given, output in valid:
        for other_given, other_output in valid:
            if given != "" and given == other_given and output != other_output:
                return set()
    return set(valid)


def training_input(text: str) -> str:
    """An input as half of them are trained on."""
    if len(set(re.findall(r"(\w+):", text))) == 1:
        text = text[text.index(":") + 1 :]
    return text.strip().replace("\n\n", "\n")


def classification_question(instruction: str) -> str:
    """What follows the few-shot tasks in the prompt of the second stage."""
    return " " + instruction.strip() + "\nIs it classification?"


def compared_with(seeds: list[tuple[str, bool]], generated: list[str], *, classification_only: bool) -> list[str]:
    """The instructions that a candidate is compared with; of a seed also whether it is a classification task."""
    return [text for text, is_classification in seeds if is_classification or not classification_only] + generated
