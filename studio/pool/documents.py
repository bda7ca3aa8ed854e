"""Documents and their passages: what instructions are written for, and which passages have been used."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice

from studio.errors import PoolError
from studio.paths import shown
from studio.pool.core.database import CHUNK, Database, Entity, chunks, record_of
from studio.pool.core.files import now
from studio.records import Cutting, Document, Passage, Source
from studio.text import storable

_CUT_SO = "passage_size = ? AND passage_overlap = ? AND passage_least = ?"
# A passage is used once an attempt that stands was answered: what was planned and given up is free again.
_USED = (
    "SELECT 1 FROM requests JOIN standing_rounds ON standing_rounds.id = round_id"
    " JOIN completions ON completions.request_id = requests.id WHERE passage_id = passages.id"
)
_DOCUMENTS = f"""
SELECT documents.id, name, sha256, licence, media_type, characters, added_at, passage_size AS size, passage_overlap AS overlap,
    passage_least AS least, (SELECT count(*) FROM passages WHERE document_id = documents.id) AS passages,
    (SELECT count(*) FROM passages WHERE document_id = documents.id AND EXISTS ({_USED})) AS used,
    (
        SELECT count(*) FROM passages JOIN requests ON requests.passage_id = passages.id
            JOIN candidates ON candidates.request_id = requests.id JOIN tasks ON tasks.candidate_id = candidates.id
        WHERE document_id = documents.id AND +state = 'active'
    ) AS tasks
FROM documents ORDER BY documents.id"""


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A document of the pool with the number of its `passages`, of those `used`, in whatever way, and of the active tasks written for them.

    `characters` are those of its text, `added_at` is an ISO 8601 time in UTC.
    """

    id: int
    document: Document
    cutting: Cutting
    characters: int
    passages: int
    used: int
    tasks: int
    added_at: str


@dataclass(frozen=True, slots=True)
class PassageRecord:
    """A passage of the pool with the document that it is of."""

    id: int
    document: Document
    passage: Passage

    @property
    def place(self) -> str:
        """File and offsets, as people read them."""
        return f"{self.document.name}, characters {self.passage.start:,} to {self.passage.stop:,}"


class Documents(Entity):
    """The documents of a pool."""

    def all(self) -> list[DocumentRecord]:
        """Return all documents in the order they were added."""
        return [
            record_of(DocumentRecord, row, document=record_of(Document, row), cutting=record_of(Cutting, row))
            for row in self._database.rows(_DOCUMENTS)
        ]

    def any(self, cutting: Cutting) -> bool:
        """Return whether the pool has passages that were cut so."""
        sql = f"SELECT EXISTS (SELECT 1 FROM passages JOIN documents ON documents.id = document_id WHERE {_CUT_SO})"
        return bool(self._database.value(sql, _numbers(cutting)))

    def unused(self, cutting: Cutting, source: Source) -> array[int]:
        """Return the ids of the passages cut so for which `source` has not been asked yet, in their order."""
        sql = (
            f"SELECT passages.id FROM passages JOIN documents ON documents.id = document_id WHERE {_CUT_SO}"
            f" AND NOT EXISTS ({_USED} AND source = ?) ORDER BY passages.id"
        )
        return self._database.ids(sql, (*_numbers(cutting), source))

    def passages(self, ids: Iterable[int]) -> dict[int, PassageRecord]:
        """Return passages by their ids. Raises PoolError when there is none of an id."""
        wanted = list(dict.fromkeys(ids))
        found: dict[int, PassageRecord] = {}
        for piece, places in chunks(wanted):
            sql = (
                "SELECT passages.id, start, stop, text, name, sha256, licence, media_type FROM passages"
                f" JOIN documents ON documents.id = document_id WHERE passages.id IN ({places})"
            )
            for row in self._database.rows(sql, piece):
                found[row["id"]] = record_of(PassageRecord, row, document=record_of(Document, row), passage=record_of(Passage, row))
        missing = next((number for number in wanted if number not in found), None)
        if missing is not None:
            raise PoolError(f"pool {shown(self._database.path)} has no passage {missing}")
        return found

    @contextmanager
    def adding(self) -> Iterator[DocumentImport]:
        """Add documents in one transaction: all of them are stored, or none."""
        with self._database.transaction():
            yield DocumentImport(self._database)


class DocumentImport:
    """Adds documents, within a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, document: Document, cutting: Cutting) -> Document | None:
        """Return the document of the same bytes that is there, cut in the same way."""
        sql = f"SELECT name, sha256, licence, media_type FROM documents WHERE sha256 = ? AND {_CUT_SO}"
        return self._database.record(Document, sql, (document.sha256, *_numbers(cutting)))

    def earlier(self, document: Document) -> bool:
        """Return whether a document of that name is there which has other bytes."""
        sql = "SELECT EXISTS (SELECT 1 FROM documents WHERE name = ? AND sha256 <> ?)"
        return bool(self._database.value(sql, (storable(document.name), document.sha256)))

    def license(self, document: Document) -> None:
        """Let the licence of all that is there of these bytes be that of `document`."""
        self._database.execute("UPDATE documents SET licence = ? WHERE sha256 = ?", (storable(document.licence), document.sha256))

    def add(self, document: Document, cutting: Cutting, passages: Iterable[Passage]) -> tuple[int, int]:
        """Store a document with its passages, as they come; return its id and their number. Without any nothing is stored."""
        cut = {f"passage_{name}": number for name, number in asdict(cutting).items()}
        values = {name: storable(text) for name, text in asdict(document).items()}
        found = self._database.insert_row("documents", {**values, **cut, "characters": 0, "added_at": now()})
        count = 0
        try:
            coming = iter(passages)
            while batch := list(islice(coming, CHUNK)):
                rows = ({"document_id": found, **asdict(each), "text": storable(each.text)} for each in batch)
                self._database.insert("passages", rows)
                count += len(batch)
        finally:
            if not count:
                self._database.execute("DELETE FROM documents WHERE id = ?", (found,))
        return found, count

    def measured(self, document_id: int, characters: int) -> None:
        """Store how many characters the text of a document has, which is known once all of it was read."""
        self._database.execute("UPDATE documents SET characters = ? WHERE id = ?", (characters, document_id))


def _numbers(cutting: Cutting) -> Sequence[int]:
    return (cutting.size, cutting.overlap, cutting.least)
