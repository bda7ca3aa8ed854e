"""Lists of tasks and of rejected candidates: what one may look for, by what people said too, the ids of all that match, their rows.

What the user types into a search is words to find, never FTS5 syntax.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from studio.pool.database import Entity, record_of
from studio.records import Origin, Source, TaskState

# Scripts written without spaces: the index sees a whole run of them as one word, so they are looked for character by character.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def match_expression(text: str) -> str:
    """Return the FTS5 expression that finds all words of `text`, the last as a beginning.

    It is empty where the index cannot find them: when there is no word, or one of a script without spaces.
    """
    if _UNSPACED.search(text):
        return ""
    # A NUL would end the expression early; a word without letter or digit would match nothing.
    terms = [term for term in text.replace("\x00", " ").split() if any(character.isalnum() for character in term)]
    quoted = ['"' + term.replace('"', '""') + '"' for term in terms]
    return " ".join(quoted) + " *" if quoted else ""


def text_condition(table: str, column: str, text: str) -> tuple[str, str]:
    """Return the SQL condition, with its one value, that holds for the rows of `table` whose `column` has all words of `text`.

    Text without words, and scripts without spaces, are looked for as they stand.
    """
    if expression := match_expression(text):
        return f"{table}.id IN (SELECT rowid FROM {table}_fts WHERE {table}_fts MATCH ?)", expression
    return f"instr({table}.{column}, ?)", text.strip()


TEXT = 400
"""Characters of a text that a list gets: one line of it, however wide the screen."""


def beginning(text: str) -> str:
    """Return SQL for so much of `text`; for all of it where it has a NUL, at which SQLite's functions would end it and hide the rest."""
    return f"CASE WHEN instr({text}, char(0)) THEN {text} ELSE substr({text}, 1, {TEXT}) END"


_OF_TASK = " LEFT JOIN verdicts ON verdicts.candidate_id = tasks.candidate_id"
_OF_CANDIDATE = " JOIN verdicts ON verdicts.candidate_id = candidates.id"
_ROUND_OF_TASK = " LEFT JOIN rounds ON rounds.id = tasks.round_id"
_ROUND_OF_CANDIDATE = " JOIN requests ON requests.id = candidates.request_id JOIN rounds ON rounds.id = requests.round_id"


@dataclass(frozen=True, slots=True)
class Keep:
    """Which tasks are wanted by what people said of them, and by the scores of what a model wrote; without anything set, all.

    `min_quality` is the least share of yes among all answers to a task, 0 to 1, compared after rounding to two decimals, so that 0.67 means
    two of three. All raters, questions and reviews count alike, skipped items and those whose text was changed since do not. Tasks nobody
    has rated are left out, unless `unrated`. `tags`: tasks with any of them. `noted`: tasks with a note.

    `max_nats`: tasks whose instruction has at most so many nats a token as a user's turn. `min_agreement` and `max_answer_nats`: instances
    whose answer agrees so much with the others drawn (ROUGE-L F1, 0 to 1), and has at most so many nats a token; a task needs one of them.
    What has no such score, or has lost it as a person changed the text, is kept, unless `scored`.
    """

    min_quality: float | None = None
    unrated: bool = False
    tags: tuple[str, ...] = ()
    noted: bool = False
    max_nats: float | None = None
    min_agreement: float | None = None
    max_answer_nats: float | None = None
    scored: bool = False

    @property
    def by_score(self) -> tuple[str, ...]:
        """The scores that decide, by the names of their fields."""
        return tuple(name for name in SCORES if getattr(self, name) is not None)


SCORES = ("max_nats", "min_agreement", "max_answer_nats")
_NATS = (
    "(SELECT CASE WHEN edited IS NULL THEN nats END FROM candidates JOIN verdicts ON verdicts.candidate_id = candidates.id"
    " WHERE candidates.id = tasks.candidate_id)"
)
ALL = Keep()
"""Every task."""


def keep_conditions(keep: Keep) -> Iterator[tuple[str, list[Any]]]:
    """Yield the conditions, each with its values, that hold for the tasks that are kept; none when all are."""
    if keep.min_quality is not None:
        # Two decimals, so that 0.67 is what it says: two answers of three.
        condition = "tasks.id IN (SELECT task_id FROM quality WHERE round(quality, 2) >= round(?, 2))"
        if keep.unrated:
            condition = f"({condition} OR tasks.id NOT IN (SELECT task_id FROM quality))"
        yield condition, [keep.min_quality]
    if keep.tags:
        places = ", ".join("?" * len(keep.tags))
        yield f"tasks.id IN (SELECT task_id FROM task_tags WHERE tag IN ({places}))", list(keep.tags)
    if keep.noted:
        yield "tasks.id IN (SELECT task_id FROM task_notes)", []
    if keep.max_nats is not None:
        yield (f"{_NATS} <= ?" if keep.scored else f"coalesce({_NATS}, -1) <= ?"), [keep.max_nats]
    if found := list(instance_conditions(keep)):
        conditions = " AND ".join(condition for condition, _ in found)
        exists = f"EXISTS (SELECT 1 FROM instances WHERE instances.task_id = tasks.id AND instances.verdict = 'accepted' AND {conditions})"
        yield exists, [value for _, value in found]


def instance_conditions(keep: Keep) -> Iterator[tuple[str, float]]:
    """Yield the conditions, each with its value, that hold for the instances that are kept of a task; none when all are."""
    for column, unscored, compared, value in (("agreement", 1, ">=", keep.min_agreement), ("nats", -1, "<=", keep.max_answer_nats)):
        if value is not None:
            score = f"CASE WHEN instances.reason = 'edited' THEN NULL ELSE instances.{column} END"
            yield (f"{score} {compared} ?" if keep.scored else f"coalesce({score}, {unscored}) {compared} ?"), value


class Kind(StrEnum):
    """What is listed: tasks, which were accepted or came from outside, or candidates that were rejected."""

    TASKS = "tasks"
    REJECTED = "rejected"


class Sort(StrEnum):
    """By what a list is sorted; ties stand in the order of ids."""

    ID = "id"
    SCORE = "score"
    LENGTH = "length"
    TEXT = "text"
    NATS = "nats"
    AGREEMENT = "agreement"
    ANSWER_NATS = "answer_nats"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tasks or rejected candidates, and in which order. None and empty text mean: any.

    `text` are words to find, as `Tasks.search` takes them. `rounds` are numbers and `scores` ROUGE-L F1 (0 to 1) to the nearest task,
    from and to, both included. `origin`, `state`, `is_classification`, `marked` (only those marked for review) and `keep` (what people
    said) hold for tasks only, `reason` for rejected candidates only.
    """

    kind: Kind = Kind.TASKS
    text: str = ""
    origin: Origin | None = None
    state: TaskState | None = None
    is_classification: bool | None = None
    marked: bool = False
    reason: str = ""
    rounds: tuple[int, int] | None = None
    scores: tuple[float, float] | None = None
    sort: Sort = Sort.ID
    descending: bool = False
    keep: Keep = ALL


@dataclass(frozen=True, slots=True)
class BrowseRow:
    """One line of a list. `text` is cut after some hundred characters; `score` is None for seeds and imports.

    For a rejected candidate `state` is None and `reason` says why; for a task `reason` is that of its acceptance, or empty.

    `nats` a token say how likely the text is as a user's turn. Of a task's accepted instances `agreement` is the least that an answer has
    with the others drawn, and `answer_nats` the most a token of an answer. None where nobody knows.
    """

    id: int
    text: str
    origin: Origin
    state: TaskState | None
    is_classification: bool | None
    round: int | None
    score: float | None
    reason: str
    instances: int
    marked: bool
    nats: float | None = None
    agreement: float | None = None
    answer_nats: float | None = None
    source: Source | None = None
    """Where its instruction came from; None for seeds and imports."""


_ACCEPTED = "FROM instances WHERE instances.task_id = tasks.id AND instances.verdict = 'accepted'"
_LEAST_AGREEMENT, _MOST_NATS = (f"(SELECT {each} {_ACCEPTED})" for each in ("min(agreement)", "max(instances.nats)"))
_NATS_OF_TASK = "(SELECT nats FROM candidates WHERE candidates.id = tasks.candidate_id)"
_ROWS = {
    Kind.TASKS: f"""
SELECT tasks.id, {beginning("instruction")} AS text, origin, state, is_classification, number AS round, score,
    coalesce(reason, '') AS reason, marked, {_NATS_OF_TASK} AS nats, {_LEAST_AGREEMENT} AS agreement, {_MOST_NATS} AS answer_nats,
    (SELECT source FROM candidates JOIN requests ON requests.id = request_id WHERE candidates.id = tasks.candidate_id) AS source,
    (SELECT count(*) FROM instances WHERE instances.task_id = tasks.id AND instances.verdict = 'accepted') AS instances
FROM tasks{_ROUND_OF_TASK}{_OF_TASK} WHERE tasks.id IN ({{}})""",
    Kind.REJECTED: f"""
SELECT candidates.id, {beginning("coalesce(verdicts.edited, candidates.text)")} AS text, 'generated' AS origin, NULL AS state,
    NULL AS is_classification, number AS round, score, reason, 0 AS marked, 0 AS instances, nats, NULL AS agreement, NULL AS answer_nats,
    source
FROM candidates{_ROUND_OF_CANDIDATE}{_OF_CANDIDATE} WHERE candidates.id IN ({{}})""",
}


class Browse(Entity):
    """What the pool screen asks. The ids of a million tasks take a fraction of a second and 8 MB."""

    def ids(self, wanted: Selection, limit: int = -1) -> array[int]:
        """Return the ids of all tasks, or of all rejected candidates, that `wanted` selects, in its order; the first `limit` if not -1."""
        sql, values = _selection(wanted)
        return self._database.ids(f"{sql} LIMIT ?", [*values, limit])

    def rows(self, kind: Kind, ids: Sequence[int]) -> list[BrowseRow]:
        """Return the rows of some tasks or candidates in the order of `ids`; ids that are gone are left out."""
        found = {row["id"]: record_of(BrowseRow, row) for row in self._database.among(_ROWS[kind], ids)}
        return [found[each] for each in ids if each in found]


def _selection(wanted: Selection) -> tuple[str, list[Any]]:
    tasks = wanted.kind is Kind.TASKS
    table, column = ("tasks", "instruction") if tasks else ("candidates", "text")
    source, conditions, values = table, [], []
    if not tasks or wanted.scores is not None or wanted.sort is Sort.SCORE:
        source += _OF_TASK if tasks else _OF_CANDIDATE
    if wanted.rounds is not None:
        source += _ROUND_OF_TASK if tasks else _ROUND_OF_CANDIDATE
    if not tasks:
        conditions.append("verdicts.verdict = 'rejected'")
    for condition, value in _equalities(wanted, tasks):
        conditions.append(condition)
        values.append(value)
    for condition, given in keep_conditions(wanted.keep) if tasks else ():
        conditions.append(condition)
        values += given
    for name, pair in (("rounds.number", wanted.rounds), ("verdicts.score", wanted.scores)):
        if pair is not None:
            conditions.append(f"{name} BETWEEN ? AND ?")
            values += pair
    if wanted.text.strip():
        condition, value = text_condition(table, column, wanted.text)
        conditions.append(condition)
        values.append(value)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {table}.id FROM {source}{where} ORDER BY {_order(wanted, table, column)}", values


def _equalities(wanted: Selection, tasks: bool) -> list[tuple[str, Any]]:
    if not tasks:
        return [("verdicts.reason = ?", wanted.reason)] if wanted.reason else []
    asked = {"origin": wanted.origin, "state": wanted.state, "is_classification": wanted.is_classification, "marked": wanted.marked or None}
    return [(f"tasks.{name} = ?", value) for name, value in asked.items() if value is not None]


_SCORES = {
    Kind.TASKS: {Sort.NATS: _NATS_OF_TASK, Sort.AGREEMENT: _LEAST_AGREEMENT, Sort.ANSWER_NATS: _MOST_NATS},
    # They have no answers.
    Kind.REJECTED: {Sort.NATS: "candidates.nats"},
}
"""The scores that a model's own likelihoods give."""


def _order(wanted: Selection, table: str, column: str) -> str:
    direction = " DESC" if wanted.descending else ""
    score = _SCORES[wanted.kind].get(wanted.sort)
    first = {
        # Seeds and imports have no score: they come last in either direction.
        Sort.SCORE: f"verdicts.score IS NULL, verdicts.score{direction}, ",
        Sort.LENGTH: f"length({table}.{column}){direction}, ",
        Sort.TEXT: f"{table}.{column} COLLATE NOCASE{direction}, ",
    }.get(wanted.sort, f"{score} IS NULL, {score}{direction}, " if score else "")
    # By the column that the index of verdicts ends with.
    last = f"{table}.id" if wanted.kind is Kind.TASKS else "verdicts.candidate_id"
    return f"{first}{last}{direction}"
