"""Judges: models that answer a review's questions, stored batch by batch, and what people say of the same instances."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from studio.pool.core.database import Entity, record_of
from studio.pool.core.files import now
from studio.pool.core.rows import MODEL_COLUMNS, model_id, model_of
from studio.pool.studies.reviews import QUESTIONS, Question
from studio.records import ModelIdentity
from studio.text import storable


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


class Judges(Entity):
    """The judges of a pool, and what they say."""

    def all(self) -> list[JudgeRecord]:
        """Return all judges, in the order they came."""
        sql = (
            f"SELECT judges.id, judges.name, prompt_version, {MODEL_COLUMNS} FROM judges"
            " JOIN models ON models.id = model_id ORDER BY judges.id"
        )
        return [record_of(JudgeRecord, row, model=model_of(row)) for row in self._database.rows(sql)]

    def opinions(self, judge_id: int) -> Iterator[Opinion]:
        """Yield all that a judge has said, in the order it was said."""
        sql = "SELECT task_id, instance_id, question, seen, answer, probability, detail FROM opinions WHERE judge_id = ? ORDER BY id"
        for task_id, instance_id, question, seen, answer, *rest in self._database.stream(sql, (judge_id,)):
            yield Opinion(task_id, instance_id, Question(question), seen, None if answer is None else bool(answer), *rest)

    def human_answers(self) -> Iterator[HumanAnswers]:
        """Yield what every rater said of every instance, skipped ones left out, rater by rater and the oldest review first."""
        sql = (
            f"SELECT name, instance_id, instruction, input, output, {', '.join(QUESTIONS)} FROM ratings"
            " JOIN review_items USING (review_id, position) JOIN raters ON raters.id = rater_id"
            " WHERE NOT skipped ORDER BY raters.id, review_id, position"
        )
        for rater, instance_id, instruction, given, answer, *answers in self._database.stream(sql):
            first, second, third = (None if each is None else bool(each) for each in answers)
            yield HumanAnswers(rater, instance_id, digest_of(instruction, given, answer), (first, second, third))

    def enter(self, name: str, model: ModelIdentity, prompt_version: str) -> JudgeRecord:
        """Return the judge of this name, model and prompts, made when there is none. Raises PoolError when the pool cannot be written."""
        database, name = self._database, storable(name)
        with database.transaction():
            key = {"name": name, "model_id": model_id(database, model), "prompt_version": prompt_version}
            return JudgeRecord(database.lookup("judges", key), name, model, prompt_version)

    def add(self, judge_id: int, opinions: Sequence[Opinion]) -> None:
        """Store opinions; those that the judge has given already, on the same texts, stay as they are."""
        with self._database.transaction():
            for each in opinions:
                values = {**asdict(each), "judge_id": judge_id, "detail": storable(each.detail), "judged_at": now()}
                self._database.insert_new("opinions", values)
