"""Bringing documents into a pool: found, read, cut into passages, and stored in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from studio.documents.passages import Passages
from studio.documents.reading import DocumentFile, NoDocument, Reading
from studio.errors import UsageError
from studio.pool.documents import DocumentImport
from studio.pool.pool import Pool
from studio.records import Cutting, Document
from studio.seeds.reading import counted

_TOLD = 20
"""Sentences about single documents; of a folder of thousands nobody would read them all."""


def bring_documents(pool: Pool, files: Sequence[DocumentFile], licence: str, cutting: Cutting) -> list[str]:
    """Store `files` and their passages, and return sentences about what was brought and what of them is not in it.

    What the pool has already is not brought twice; with a `licence` it gets that one. Nothing is stored unless all is.
    Raises UsageError when a file has changed since it was found, PoolError.
    """
    with pool.documents.adding() as adding:
        bringing = _Bringing(adding, licence, cutting)
        for file in files:
            bringing.bring(file)
    return list(bringing.sentences())


class _Bringing:
    """Documents on their way into a pool: how many there were, and what is to be said of each."""

    def __init__(self, adding: DocumentImport, licence: str, cutting: Cutting) -> None:
        self._adding = adding
        self._licence = licence
        self._cutting = cutting
        self._brought = self._passages = self._characters = 0
        self._known = self._licensed = 0
        self._remarks: list[str] = []

    def bring(self, file: DocumentFile) -> None:
        """Store a document, or note why not."""
        document = Document(file.name, file.sha256, self._licence, file.media_type)
        known = self._adding.known(document, self._cutting)
        if known is not None:
            self._has(document, known)
            return
        if self._adding.earlier(document):
            self._remarks.append(f"{file.name} is not the file that was brought under that name before: it counts as another document")
        reading = Reading(file)
        passages = Passages(reading.pieces(), self._cutting)
        try:
            found, count = self._adding.add(document, self._cutting, passages)
        except NoDocument as error:
            if error.changed:
                raise UsageError(f"{file.name} {error}", error.hint) from error
            self._remarks.append(f"{file.name} {error}")
            return
        least = self._cutting.least
        short = f"{counted(passages.short, 'piece')} of fewer than {least} characters left out" if passages.short else ""
        told = "; ".join(filter(None, [*reading.notes, short]))
        if not count:
            behind = f" ({told})" if told else ""
            self._remarks.append(f"{file.name} has no passage of {least} characters or more and is left out{behind}")
            return
        self._adding.measured(found, passages.characters)
        self._brought, self._passages, self._characters = self._brought + 1, self._passages + count, self._characters + passages.characters
        if told:
            self._remarks.append(f"{file.name}: {told}")

    def _has(self, document: Document, known: Document) -> None:
        self._known += 1
        if document.licence and document.licence != known.licence:
            self._adding.license(document)
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
