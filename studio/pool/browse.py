"""Lists of tasks and of rejected candidates: what one may look for, the ids of all that match, the rows of those in sight."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from studio.pool.core.database import Reader, chunks, explained
from studio.pool.records import RejectedCandidate
from studio.pool.studies.reviews import ALL, Keep, keep_conditions
from studio.records import Origin, TaskState
from studio.text import storable


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


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tasks or rejected candidates, and in which order. None and empty text mean: any.

    `text` are words to find, as `Queries.search` takes them. `rounds` are numbers and `scores` ROUGE-L F1 (0 to 1) to the nearest task,
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


@dataclass(frozen=True, slots=True)
class Relative:
    """A task of a lineage. `parents` and `children` count tasks; `text` is cut after some hundred characters."""

    id: int
    text: str
    origin: Origin
    state: TaskState
    round: int | None
    parents: int
    children: int


@dataclass(frozen=True, slots=True)
class Kin:
    """A task of a printed lineage; `text` is cut after some hundred characters, `round` is None for seeds and imports."""

    id: int
    text: str
    origin: Origin
    state: TaskState
    round: int | None


# Scripts written without spaces: the index sees a whole run of them as one word, so they are looked for character by character.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def match_expression(text: str) -> str:
    """Return the FTS5 expression that finds all words of `text`, the last as a beginning; empty when it has no word."""
    # A NUL would end the expression early; a word without letter or digit would match nothing.
    terms = [term for term in text.replace("\x00", " ").split() if any(character.isalnum() for character in term)]
    quoted = ['"' + term.replace('"', '""') + '"' for term in terms]
    return " ".join(quoted) + " *" if quoted else ""


def text_condition(table: str, column: str, text: str) -> tuple[str, str]:
    """Return the SQL condition, with its one value, that holds for the rows of `table` whose `column` has all words of `text`.

    Text without words, and scripts without spaces, are looked for as they stand.
    """
    text = storable(text).strip()
    expression = "" if _UNSPACED.search(text) else match_expression(text)
    if expression:
        return f"{table}.id IN (SELECT rowid FROM {table}_fts WHERE {table}_fts MATCH ?)", expression
    return f"instr({table}.{column}, ?)", text


class SearchQueries(Reader):
    """Finding tasks by what they say."""

    def search(self, text: str, limit: int = 100) -> list[int]:
        """Return the ids of the tasks whose instruction has all words of `text`, best match first, at most `limit`.

        Text without words, and scripts without spaces, are looked for as they stand, in the order of ids.
        """
        text = storable(text).strip()
        if not text or limit <= 0:
            return []
        expression = "" if _UNSPACED.search(text) else match_expression(text)
        if expression:
            sql = "SELECT rowid FROM tasks_fts WHERE tasks_fts MATCH ? ORDER BY rank, rowid LIMIT ?"
            return [row[0] for row in self._database.rows(sql, (expression, limit))]
        sql = "SELECT id FROM tasks WHERE instr(instruction, ?) ORDER BY id LIMIT ?"
        return [row[0] for row in self._database.rows(sql, (text, limit))]


_TEXT = 400
"""Characters of a text that a list gets: one line of it, however wide the screen."""

_OF_TASK = " LEFT JOIN verdicts ON verdicts.candidate_id = tasks.candidate_id"
_OF_CANDIDATE = " JOIN verdicts ON verdicts.candidate_id = candidates.id"
_ROUND_OF_TASK = " LEFT JOIN rounds ON rounds.id = tasks.round_id"
_ROUND_OF_CANDIDATE = " JOIN requests ON requests.id = candidates.request_id JOIN rounds ON rounds.id = requests.round_id"


class BrowseQueries(Reader):
    """What the pool screen asks. The ids of a million tasks take a fraction of a second and 8 MB."""

    def browse_ids(self, wanted: Selection, limit: int = -1) -> array[int]:
        """Return the ids of all tasks, or of all rejected candidates, that `wanted` selects, in its order; the first `limit` if not -1."""
        sql, values = _selection(wanted)
        sql, values = f"{sql} LIMIT ?", [*values, limit]
        with explained(self._database.path):
            return array("q", (row[0] for row in self._database.connection.execute(sql, values)))

    def browse_rows(self, kind: Kind, ids: Sequence[int]) -> list[BrowseRow]:
        """Return the rows of some tasks or candidates in the order of `ids`; ids that are gone are left out."""
        found: dict[int, BrowseRow] = {}
        columns, source, name = _ROWS[kind]
        for piece, places in chunks(ids):
            sql = f"SELECT {columns} FROM {source} WHERE {name}.id IN ({places})"
            for found_id, text, origin, state, answer, number, score, reason, instances, marked in self._database.rows(sql, piece):
                found[found_id] = BrowseRow(
                    id=found_id,
                    text=text,
                    origin=Origin(origin),
                    state=None if state is None else TaskState(state),
                    is_classification=None if answer is None else bool(answer),
                    round=number,
                    score=score,
                    reason=reason,
                    instances=instances,
                    marked=bool(marked),
                )
        return [found[each] for each in ids if each in found]


_ROWS = {
    Kind.TASKS: (
        f"tasks.id, substr(instruction, 1, {_TEXT}), origin, state, is_classification, number, score, coalesce(reason, ''),"
        " (SELECT count(*) FROM instances WHERE instances.task_id = tasks.id AND instances.verdict = 'accepted'),"
        " marked",
        f"tasks{_ROUND_OF_TASK}{_OF_TASK}",
        "tasks",
    ),
    Kind.REJECTED: (
        f"candidates.id, substr(coalesce(verdicts.edited, candidates.text), 1, {_TEXT}),"
        " 'generated', NULL, NULL, number, score, reason, 0, 0",
        f"candidates{_ROUND_OF_CANDIDATE}{_OF_CANDIDATE}",
        "candidates",
    ),
}


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
    asked: list[tuple[str, Any]] = []
    if wanted.origin is not None:
        asked.append(("tasks.origin = ?", wanted.origin.value))
    if wanted.state is not None:
        asked.append(("tasks.state = ?", wanted.state.value))
    if wanted.is_classification is not None:
        asked.append(("tasks.is_classification = ?", int(wanted.is_classification)))
    if wanted.marked:
        asked.append(("tasks.marked = ?", 1))
    return asked


def _order(wanted: Selection, table: str, column: str) -> str:
    direction = " DESC" if wanted.descending else ""
    first = {
        Sort.ID: "",
        # Seeds and imports have no score: they come last in either direction.
        Sort.SCORE: f"verdicts.score IS NULL, verdicts.score{direction}, ",
        Sort.LENGTH: f"length({table}.{column}){direction}, ",
        Sort.TEXT: f"{table}.{column} COLLATE NOCASE{direction}, ",
    }[wanted.sort]
    # By the column that the index of verdicts ends with.
    last = f"{table}.id" if wanted.kind is Kind.TASKS else "verdicts.candidate_id"
    return f"{first}{last}{direction}"


class ListQueries(SearchQueries):
    """The newest tasks, and what was rejected."""

    def newest_tasks(self, limit: int) -> list[int]:
        """Return the ids of the `limit` newest tasks, the newest first."""
        return [row[0] for row in self._database.rows("SELECT id FROM tasks ORDER BY id DESC LIMIT ?", (limit,))]

    def rejected_candidates(self, limit: int, search: str | None = None) -> list[RejectedCandidate]:
        """Return at most `limit` candidates whose verdict is a rejection, the newest first; with `search`, of those with all its words.

        A text that a person changed is returned as it is now, and found by the words that the model wrote.
        """
        condition, values = "", []
        if search is not None and search.strip():
            condition, value = text_condition("candidates", "text", search)
            condition, values = f" AND {condition}", [value]
        sql = (
            "SELECT candidates.id, coalesce(edited, text), reason, score FROM verdicts JOIN candidates ON candidates.id = candidate_id"
            f" WHERE verdict = 'rejected'{condition} ORDER BY candidate_id DESC LIMIT ?"
        )
        return [RejectedCandidate(*row) for row in self._database.rows(sql, (*values, limit))]
