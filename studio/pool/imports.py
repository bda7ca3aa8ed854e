"""The files that tasks of the pool were brought from: seeds when it was made, and imports."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from studio.pool.core.database import Database, Entity
from studio.pool.core.files import now
from studio.records import Origin
from studio.text import storable


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """A file that was read whole, and what it brought.

    `name` is its own without its folder, or of one of the hub `hf:owner/name@commit:file`. `licence` is what the hub says of it, empty
    where nobody has said; `mapping` says where the fields of a task were found in it, empty where its keys did. `sha256` and `size`, in
    bytes, are of the file as it is stored. Of its `records` came `tasks` that were new; `joined` instances went to tasks that were there.
    `imported_at` is an ISO 8601 time in UTC, empty until it is in a pool.
    """

    name: str
    origin: Origin
    format: str
    sha256: str
    size: int
    records: int
    tasks: int
    joined: int = 0
    licence: str = ""
    mapping: str = ""
    imported_at: str = ""


def insert_imports(database: Database, files: tuple[ImportedFile, ...]) -> None:
    """Note that the tasks of `files` are brought now. Within the transaction that brings them."""
    at = now()
    texts = [{name: storable(getattr(each, name)) for name in ("name", "licence", "mapping")} for each in files]
    rows = [{**asdict(each), **told, "imported_at": at} for each, told in zip(files, texts, strict=True)]
    database.insert("imports", rows)


class Imports(Entity):
    """The files that were brought into a pool."""

    def all(self) -> list[ImportedFile]:
        """Return them in the order in which they came."""
        return self._database.records(ImportedFile, "SELECT * FROM imports ORDER BY id")
