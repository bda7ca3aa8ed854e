"""Bringing documents into a pool: found, read, cut into passages, and stored in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from studio.documents.found import DocumentFile, NoDocument
from studio.documents.passages import Passages
from studio.documents.reading import Reading
from studio.errors import UsageError
from studio.pool.documents import DocumentImport
from studio.pool.pool import Pool
from studio.records import Cutting, Document


def bring_documents(pool: Pool, files: Sequence[DocumentFile], licence: str, cutting: Cutting) -> list[str]:
    """Store `files` and their passages, and return sentences about what was brought and what of them is not in it.

    What the pool has already is not brought twice; with a `licence` it gets that one. Nothing is stored unless all is.
    Raises UsageError when a file has changed since it was found, PoolError.
    """
    with pool.documents.adding() as adding:
        return [note for file in files for note in _bring(adding, file, licence, cutting)]


def _bring(adding: DocumentImport, file: DocumentFile, licence: str, cutting: Cutting) -> Iterator[str]:
    document = Document(file.name, file.sha256, licence, file.media_type)
    known = adding.known(document, cutting)
    if known is not None:
        yield from _known(adding, document, known)
        return
    if adding.earlier(document):
        yield f"{file.name} is not the file that was brought under that name before: it counts as another document"
    reading = Reading(file)
    passages = Passages(reading.pieces(), cutting)
    try:
        found, count = adding.add(document, cutting, passages)
    except NoDocument as error:
        if error.changed:
            raise UsageError(f"{file.name} {error}", error.hint) from error
        yield f"{file.name} {error}"
        return
    told = "; ".join(filter(None, [*reading.notes, _short(passages, cutting)]))
    behind = f" ({told})" if told else ""
    if not count:
        yield f"{file.name} has no passage of {cutting.least} characters or more and is left out{behind}"
        return
    adding.measured(found, passages.characters)
    yield f"{file.name}: {count:,} passages of {passages.characters:,} characters{behind}"


def _known(adding: DocumentImport, document: Document, known: Document) -> Iterator[str]:
    name = document.name if document.name == known.name else f"{document.name}, as {known.name},"
    if document.licence and document.licence != known.licence:
        adding.license(document)
        yield f"{name} is in the pool already; its licence is {document.licence} now"
    else:
        yield f"{name} is in the pool already"


def _short(passages: Passages, cutting: Cutting) -> str:
    return f"{passages.short:,} pieces of fewer than {cutting.least} characters are left out" if passages.short else ""
