"""What a judge is, and what it says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from studio.pool.review_records import Question
from studio.records import ModelIdentity


@dataclass(frozen=True, slots=True)
class JudgeRecord:
    """A model under a name, with the version of the prompts it was asked by."""

    id: int
    name: str
    model: ModelIdentity
    prompt_version: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a judge says in answer to one question about an instance.

    `seen` is `digest_of` the texts it was shown. `answer` is None when none came; `detail` then says why. `probability` is that of yes, 0
    to 1, None where the engine sees no logits.
    """

    task_id: int
    instance_id: int
    question: Question
    seen: str
    answer: bool | None
    probability: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class HumanAnswers:
    """What one rater says of an instance, in the order of `QUESTIONS`; `seen` as in `Opinion`."""

    rater: str
    instance_id: int
    seen: str
    answers: tuple[bool | None, bool | None, bool | None]


def digest_of(instruction: str, given: str, answer: str) -> str:
    """Return what stands for the texts of an instance: 16 hexadecimal digits."""
    joined = "\0".join((instruction, given, answer))
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:16]
