"""Documents and their passages: what instructions are written for, brought in one transaction, and which passages have been used."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from itertools import islice

from studio.documents.passages import Passages
from studio.documents.reading import DocumentFile, NoDocument, text_of
from studio.errors import UsageError
from studio.pool.database import CHUNK, Database, Entity, record_of
from studio.pool.files import now
from studio.records import Cutting, Document, Passage, Source
from studio.text import counted

_TOLD = 20
"""Sentences about single documents; of a folder of thousands nobody would read them all."""
_CUT_SO = "passage_size = ? AND passage_overlap = ? AND passage_least = ?"
# A passage is used once an attempt that stands was answered: what was planned and given up is free again.
_USED = """
SELECT 1 FROM requests JOIN standing_rounds ON standing_rounds.id = round_id
    JOIN completions ON completions.request_id = requests.id WHERE passage_id = passages.id"""
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
        return bool(self._database.value(sql, astuple(cutting)))

    def unused(self, cutting: Cutting, source: Source) -> array[int]:
        """Return the ids of the passages cut so for which `source` has not been asked yet, in their order."""
        sql = f"""
            SELECT passages.id FROM passages JOIN documents ON documents.id = document_id WHERE {_CUT_SO}
            AND NOT EXISTS ({_USED} AND source = ?) ORDER BY passages.id"""
        return self._database.ids(sql, (*astuple(cutting), source))

    def passages(self, ids: Iterable[int]) -> dict[int, PassageRecord]:
        """Return passages by their ids. Raises PoolError when there is none of an id."""
        wanted = list(dict.fromkeys(ids))
        sql = """
            SELECT passages.id, start, stop, text, name, sha256, licence, media_type FROM passages
            JOIN documents ON documents.id = document_id WHERE passages.id IN ({})"""
        found = {
            row["id"]: record_of(PassageRecord, row, document=record_of(Document, row), passage=record_of(Passage, row))
            for row in self._database.among(sql, wanted)
        }
        missing = next((number for number in wanted if number not in found), None)
        if missing is not None:
            raise self._absent(f"passage {missing}")
        return found

    def bring(self, files: Sequence[DocumentFile], licence: str, cutting: Cutting) -> list[str]:
        """Store `files` and their passages, and return sentences about what was brought and what of them is not in it.

        What the pool has already is not brought twice; with a `licence` it gets that one. Nothing is stored unless all is.
        Raises UsageError when a file has changed since it was found, PoolError.
        """
        with self._database.transaction():
            bringing = _Bringing(self._database, licence, cutting)
            for file in files:
                bringing.bring(file)
        return list(bringing.sentences())


class _Bringing:
    """Documents on their way into a pool: how many there were, and what is to be said of each."""

    def __init__(self, database: Database, licence: str, cutting: Cutting) -> None:
        self._database = database
        self._licence = licence
        self._cutting = cutting
        self._brought = self._passages = self._characters = 0
        self._known = self._licensed = 0
        self._remarks: list[str] = []

    def bring(self, file: DocumentFile) -> None:
        """Store a document, or note why not."""
        document = Document(file.name, file.sha256, self._licence, file.media_type)
        sql = f"SELECT name, sha256, licence, media_type FROM documents WHERE sha256 = ? AND {_CUT_SO}"
        known = self._database.record(Document, sql, (document.sha256, *astuple(self._cutting)))
        if known is not None:
            self._has(document, known)
            return
        if self._database.row("SELECT 1 FROM documents WHERE name = ? AND sha256 <> ?", (document.name, document.sha256)):
            self._remarks.append(f"{file.name} is not the file that was brought under that name before: it counts as another document")
        notes: list[str] = []
        passages = Passages(text_of(file, notes), self._cutting)
        try:
            found, count = self._store(document, passages)
        except NoDocument as error:
            if error.changed:
                raise UsageError(f"{file.name} {error}", error.hint) from error
            self._remarks.append(f"{file.name} {error}")
            return
        least = self._cutting.least
        short = f"{counted(passages.short, 'piece')} of fewer than {least} characters left out" if passages.short else ""
        told = "; ".join(filter(None, [*notes, short]))
        if not count:
            behind = f" ({told})" if told else ""
            self._remarks.append(f"{file.name} has no passage of {least} characters or more and is left out{behind}")
            return
        self._database.execute("UPDATE documents SET characters = ? WHERE id = ?", (passages.characters, found))
        self._brought, self._passages, self._characters = self._brought + 1, self._passages + count, self._characters + passages.characters
        if told:
            self._remarks.append(f"{file.name}: {told}")

    def _store(self, document: Document, passages: Iterable[Passage]) -> tuple[int, int]:
        """Store a document with its passages, as they come; return its id and their number. Without any nothing is stored."""
        cut = {f"passage_{name}": number for name, number in asdict(self._cutting).items()}
        found = self._database.insert_row("documents", {**asdict(document), **cut, "characters": 0, "added_at": now()})
        count = 0
        try:
            coming = iter(passages)
            while batch := list(islice(coming, CHUNK)):
                rows = ({"document_id": found, **asdict(each)} for each in batch)
                self._database.insert("passages", rows)
                count += len(batch)
        finally:
            if not count:
                self._database.execute("DELETE FROM documents WHERE id = ?", (found,))
        return found, count

    def _has(self, document: Document, known: Document) -> None:
        self._known += 1
        if document.licence and document.licence != known.licence:
            self._database.execute("UPDATE documents SET licence = ? WHERE sha256 = ?", (document.licence, document.sha256))
            self._licensed += 1
        if document.name != known.name:
            self._remarks.append(f"{document.name} is in the pool as {known.name}")

    def sentences(self) -> Iterator[str]:
        """Yield how many documents there were, then what there is to say of single ones."""
        if self._brought:
            parts = f"{counted(self._passages, 'passage')} of {counted(self._characters, 'character')}"
            yield f"{counted(self._brought, 'document')} brought, {parts}"
        if self._known:
            now = f"; the licence of {counted(self._licensed, 'document')} is {self._licence} now" if self._licensed else ""
            yield f"{counted(self._known, 'document')} {'is' if self._known == 1 else 'are'} in the pool already{now}"
        yield from self._remarks[:_TOLD]
        if len(self._remarks) > _TOLD:
            yield f"and {len(self._remarks) - _TOLD:,} more remarks of this kind"
