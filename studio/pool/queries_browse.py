"""Reading lists of any length for the screens: the ids of all that match, then the rows of those in sight."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from studio.pool.browsing import BrowseRow, Kind, Selection, Sort
from studio.pool.faults import explained
from studio.pool.keeping import keep_conditions
from studio.pool.reading import Reader, chunks
from studio.pool.search import text_condition
from studio.records import Origin, TaskState

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
