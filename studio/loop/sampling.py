"""How a run draws: the parameters by which a model draws tokens, and every other random draw, each from a generator of its own.

No draw depends on how many came before it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from studio.config import Parameters
from studio.engine.api import SamplingParams
from studio.errors import UsageError
from studio.records import Stage

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Penalty = Annotated[float, Field(ge=-2.0, le=2.0)]


class Decoding(Parameters):
    """How one stage draws tokens."""

    temperature: float = Field(0.0, ge=0.0, le=5.0, description="0 is greedy decoding")
    top_p: float = Field(1.0, gt=0.0, le=1.0, description="nucleus: the smallest set of tokens with this much probability")
    top_k: int = Field(0, ge=0, description="most likely tokens kept; 0 keeps all")
    min_p: Share = Field(0.0, description="least probability kept, relative to the likeliest token")
    frequency_penalty: Penalty = Field(0.0, description="for each time a token stands in the completion already")
    presence_penalty: Penalty = Field(0.0, description="once for a token that stands in the completion already")
    repeat_penalty: float = Field(1.0, gt=0.0, le=3.0, description="llama.cpp's multiplicative penalty; 1 is none")
    max_tokens: int = Field(256, ge=1, le=65_536, description="completion tokens at most")
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="strings that end the completion; {list_end} and {instances_end} follow from the other parameters"
    )

    def params(self) -> SamplingParams:
        """The same values as the engine takes them."""
        return SamplingParams(**self.model_dump())


class Sampling(Parameters):
    """The decoding of each kind of request."""

    instructions: Decoding
    classification: Decoding
    input_first: Decoding
    output_first: Decoding
    list_chat: Decoding = Field(default_factory=Decoding)
    template: Decoding = Field(default_factory=Decoding)
    answer: Decoding = Field(default_factory=Decoding)
    passage: Decoding = Field(default_factory=Decoding)


def generator(seed: str, round_number: int, stage: Stage, ordinal: int, action: int = 0) -> random.Random:
    """The generator of one draw, keyed by where in the run it happens; `action` is the id of a person's action that draws anew."""
    by_hand = f"/{action}" if action else ""
    return random.Random(f"{seed}/{round_number}/{stage}/{ordinal}{by_hand}")


def engine_seed(seed: str, round_number: int, stage: Stage, ordinal: int, action: int = 0) -> int:
    """The 32-bit seed of one request."""
    return generator(seed, round_number, stage, ordinal, action).getrandbits(32)


def in_context_tasks(
    rng: random.Random, seeds: Sequence[int], generated: Sequence[int], total: int, from_generated: int
) -> tuple[int, ...]:
    """Draw the in-context tasks of one prompt, without repetition, shuffled.

    `from_generated` of `total` come from `generated` (fewer while there are fewer), the rest from `seeds`; where the seeds do not
    suffice, generated ones fill up. Source: Self-Instruct, section 2.2 (6 seed and 2 generated tasks).
    Raises UsageError when there is no task at all.
    """
    drawn = rng.sample(generated, min(from_generated, total, len(generated)))
    drawn += rng.sample(seeds, min(total - len(drawn), len(seeds)))
    missing = total - len(drawn)
    if missing and len(generated) > from_generated:
        taken = set(drawn)
        rest = [task for task in generated if task not in taken]
        drawn += rng.sample(rest, min(missing, len(rest)))
    if not drawn:
        raise UsageError("the pool has no task to put into a prompt", "import some, or create the pool with --seeds FILE")
    rng.shuffle(drawn)
    return tuple(drawn)
