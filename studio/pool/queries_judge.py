"""Reading what judges say, and what people say of the same instances."""

from __future__ import annotations

from collections.abc import Iterator

from studio.pool.faults import explained
from studio.pool.judge_records import HumanAnswers, JudgeRecord, Opinion, digest_of
from studio.pool.reading import Reader
from studio.pool.review_records import QUESTIONS, Question
from studio.pool.rows import MODEL_COLUMNS, model_of

_ANSWERS = ", ".join(QUESTIONS)


class JudgeQueries(Reader):
    """What judging and its report ask."""

    def judges(self) -> list[JudgeRecord]:
        """Return all judges, in the order they came."""
        sql = (
            f"SELECT judges.id, judges.name, prompt_version, {MODEL_COLUMNS} FROM judges"
            " JOIN models ON models.id = model_id ORDER BY judges.id"
        )
        return [JudgeRecord(found, name, model_of(model), version) for found, name, version, *model in self._database.rows(sql)]

    def opinions(self, judge_id: int) -> Iterator[Opinion]:
        """Yield all that a judge has said, in the order it was said."""
        sql = "SELECT task_id, instance_id, question, seen, answer, probability, detail FROM opinions WHERE judge_id = ? ORDER BY id"
        with explained(self._database.path):
            for task_id, instance_id, question, seen, answer, *rest in self._database.connection.execute(sql, (judge_id,)):
                yield Opinion(task_id, instance_id, Question(question), seen, None if answer is None else bool(answer), *rest)

    def human_answers(self) -> Iterator[HumanAnswers]:
        """Yield what every rater said of every instance, skipped ones left out, rater by rater and the oldest review first."""
        sql = (
            f"SELECT name, instance_id, instruction, input, output, {_ANSWERS} FROM ratings"
            " JOIN review_items USING (review_id, position) JOIN raters ON raters.id = rater_id"
            " WHERE NOT skipped ORDER BY raters.id, review_id, position"
        )
        with explained(self._database.path):
            for rater, instance_id, instruction, given, answer, *answers in self._database.connection.execute(sql):
                first, second, third = (None if each is None else bool(each) for each in answers)
                yield HumanAnswers(rater, instance_id, digest_of(instruction, given, answer), (first, second, third))
