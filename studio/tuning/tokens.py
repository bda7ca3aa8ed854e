"""Examples as the tokens that are trained on, and a batch of them in the pieces that pass through the model at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Tokeniser(Protocol):
    """What is asked of a vocabulary; `studio.engine.llama.vocab.Vocabulary` is one."""

    @property
    def end_of_text(self) -> int: ...
    @property
    def end_of_turn(self) -> int: ...
    def ends(self, token: int) -> bool: ...
    def tokenise(self, text: str, *, begin: bool = False, control: bool = False) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Tokens:
    """An example: its tokens, the first `prompt` of them without a loss."""

    ids: tuple[int, ...]
    prompt: int

    @property
    def labels(self) -> int:
        """How many tokens the loss counts."""
        return len(self.ids) - self.prompt


def tokenise(record: Mapping[str, Any], vocabulary: Tokeniser) -> Tokens:
    """Return the tokens of a line of `train.jsonl`, with the token that ends the answer.

    The prompt is tokenised alone, as it is when the model is asked: what is trained is what will be seen. The completion goes on with the
    whole text's tokens where the prompt's are their beginning, and with its own elsewhere.
    """
    completion = str(record["completion"])
    if parts := record.get("parts"):
        # Only the template's own control words take effect, never those that a user's text happens to hold.
        *before, behind = parts
        prompt: list[int] = []
        for place, part in enumerate(before):
            prompt += vocabulary.tokenise(part, begin=place == 0, control=place % 2 == 0)
        return _joined(prompt, vocabulary.tokenise(completion), _end_of_answer(behind, vocabulary))
    prompt = vocabulary.tokenise(str(record["prompt"]), begin=True)
    whole = vocabulary.tokenise(f"{record['prompt']}{completion}", begin=True)
    answer = whole[len(prompt) :] if whole[: len(prompt)] == prompt else vocabulary.tokenise(completion)
    return _joined(prompt, answer, vocabulary.end_of_text)


def _end_of_answer(behind: str, vocabulary: Tokeniser) -> int:
    """Return the token by which the chat template ends an answer, as the model has learned; the vocabulary's own may be another."""
    return next(filter(vocabulary.ends, vocabulary.tokenise(behind, control=True)), vocabulary.end_of_turn)


def _joined(prompt: list[int], answer: list[int], end: int) -> Tokens:
    return Tokens((*prompt, *answer, *((end,) if end >= 0 else ())), len(prompt))


def pieces(batch: Sequence[Tokens], room: int) -> list[list[Tokens]]:
    """Part a batch into pieces that, padded to their longest, hold at most `room` tokens; a longer example is a piece of its own."""
    found: list[list[Tokens]] = []
    for example in sorted(batch, key=lambda each: len(each.ids)):
        if found and len(example.ids) * (len(found[-1]) + 1) <= room:
            found[-1].append(example)
        else:
            found.append([example])
    return found
