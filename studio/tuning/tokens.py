"""Examples as tokens of the model, in batches: pure functions over numbers."""

from __future__ import annotations

import random
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
        # A training that an earlier version began has no fourth part.
        before, content, after, *behind = parts
        prompt = vocabulary.tokenise(before, begin=True, control=True) + vocabulary.tokenise(content)
        prompt += vocabulary.tokenise(after, control=True)
        return _joined(prompt, vocabulary.tokenise(completion), _end_of_answer("".join(behind), vocabulary))
    prompt = vocabulary.tokenise(str(record["prompt"]), begin=True)
    whole = vocabulary.tokenise(f"{record['prompt']}{completion}", begin=True)
    answer = whole[len(prompt) :] if whole[: len(prompt)] == prompt else vocabulary.tokenise(completion)
    return _joined(prompt, answer, vocabulary.end_of_text)


def _end_of_answer(behind: str, vocabulary: Tokeniser) -> int:
    """Return the token by which the chat template ends an answer, as the model has learned; the vocabulary's own may be another."""
    return next(filter(vocabulary.ends, vocabulary.tokenise(behind, control=True)), vocabulary.end_of_turn)


def _joined(prompt: list[int], answer: list[int], end: int) -> Tokens:
    return Tokens((*prompt, *answer, *((end,) if end >= 0 else ())), len(prompt))


def epoch_order(lengths: Sequence[int], batch: int, seed: str, epoch: int) -> list[list[int]]:
    """Return the batches of an epoch, as places in `lengths`: examples of like length together, batches in random order.

    Little is padded that way. Equal arguments give equal batches.
    """
    rng = random.Random(f"{seed}/order/{epoch}")
    places = list(range(len(lengths)))
    rng.shuffle(places)
    places.sort(key=lambda place: lengths[place])
    batches = [places[start : start + batch] for start in range(0, len(places), batch)]
    rng.shuffle(batches)
    return batches


def pieces(batch: Sequence[Tokens], room: int) -> list[list[Tokens]]:
    """Part a batch into pieces that, padded to their longest, hold at most `room` tokens; a longer example is a piece of its own."""
    found: list[list[Tokens]] = []
    for example in sorted(batch, key=lambda each: len(each.ids)):
        if found and len(example.ids) * (len(found[-1]) + 1) <= room:
            found[-1].append(example)
        else:
            found.append([example])
    return found


def steps_of_epoch(examples: int, batch: int) -> int:
    """How many optimiser steps an epoch has."""
    return -(-examples // batch)


def evaluation_steps(per_epoch: int, epochs: int, evaluations: int) -> frozenset[int]:
    """Return the steps after which the validation loss is taken, evenly spread, the last of each epoch among them."""
    times = min(evaluations, per_epoch)
    return frozenset(epoch * per_epoch + round(per_epoch * part / times) for epoch in range(epochs) for part in range(1, times + 1))


def learning_rate(step: int, steps: int, highest: float) -> float:
    """Return the rate of step 1 to `steps`: linear warm-up over a twentieth of them, then linear decay to a twentieth of `highest`."""
    warm = max(1, steps // 20)
    if step <= warm:
        return highest * step / warm
    return highest * max(0.05, (steps - step + 1) / (steps - warm + 1))
