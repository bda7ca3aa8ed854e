"""Documents in a pool: brought whole or not at all, once each, and their passages used once each."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.documents.found import find_documents
from studio.engine.api import Completion, FinishReason, SamplingParams
from studio.errors import UsageError
from studio.pool.pool import Pool
from studio.pool.requests import PlannedRequest
from studio.records import Cutting, ModelIdentity, Source, Stage

CUT = Cutting(120, 0, 20)
TEXT = " ".join(f"This is sentence number {number} of the text." for number in range(20))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text(TEXT)
    return path


def brought(pool: Pool, path: Path, licence: str = "", cutting: Cutting = CUT) -> list[str]:
    return pool.documents.bring(find_documents([path]).files, licence, cutting)


def test_passages_stand_where_their_document_has_them(pool: Pool, text: Path) -> None:
    notes = brought(pool, text, "CC0-1.0")
    [record] = pool.documents.all()
    assert (record.document.name, record.document.licence, record.characters) == ("a.txt", "CC0-1.0", len(TEXT))
    assert f"{record.passages} passages of {len(TEXT)} characters" in notes[0]
    passages = pool.documents.passages(pool.documents.unused(CUT, Source.QUESTION))
    assert len(passages) == record.passages
    for each in passages.values():
        assert TEXT[each.passage.start : each.passage.stop] == each.passage.text


def test_the_same_bytes_are_brought_once_and_a_changed_file_is_another_document(pool: Pool, text: Path) -> None:
    brought(pool, text)
    before = pool.documents.all()
    assert brought(pool, text) == ["1 document is in the pool already"]
    assert pool.documents.all() == before
    assert "the licence of 1 document is MIT now" in brought(pool, text, "MIT")[0]
    assert [each.document.licence for each in pool.documents.all()] == ["MIT"]
    text.write_text(TEXT + " And one more.")
    assert "another document" in brought(pool, text)[1]
    assert len(pool.documents.all()) == 2
    brought(pool, text, cutting=Cutting(200, 20, 20))
    assert len(pool.documents.all()) == 3
    assert pool.documents.any(Cutting(200, 20, 20))
    assert not pool.documents.any(Cutting(201, 20, 20))


def test_all_is_stored_or_nothing(pool: Pool, text: Path, tmp_path: Path) -> None:
    other = tmp_path / "b.txt"
    other.write_text("Another text that is long enough.")
    files = find_documents([text, other]).files
    other.unlink()
    with pytest.raises(UsageError, match=r"b\.txt cannot be read any more"):
        pool.documents.bring(files, "", CUT)
    assert pool.documents.all() == []


def test_of_many_documents_the_sum_is_told_and_of_single_ones_what_is_left_out(pool: Pool, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number:02}.txt").write_text(f"A text of its own, which has the number {number}.")
        (folder / f"short{number:02}.txt").write_text(f"Short {number}.")
    notes = brought(pool, folder)
    assert notes[0].startswith("30 documents brought, 30 passages of ")
    assert sum("no passage of 20 characters or more" in note for note in notes) == len(notes) - 2
    assert notes[-1] == f"and {30 - (len(notes) - 2)} more remarks of this kind"
    assert brought(pool, folder)[0] == "30 documents are in the pool already"


def test_a_document_without_passages_is_told_and_not_stored(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("Too short.")
    assert "no passage of 20 characters or more" in brought(pool, tmp_path / "short.txt")[0]
    assert pool.documents.all() == []


def test_a_passage_is_used_once_it_was_answered_and_for_each_way(pool: Pool, text: Path) -> None:
    brought(pool, text)
    first, *rest = pool.documents.unused(CUT, Source.QUESTION)
    current = pool.rounds.begin(pool.runs.start("{}", "0", "test", ModelIdentity("m", "")))
    planned = PlannedRequest("", "x", SamplingParams(), 1, source=Source.QUESTION, passage_id=first)
    pool.requests.plan(current.id, Stage.INSTRUCTIONS, [planned], Stage.INSTRUCTIONS)
    assert first in pool.documents.unused(CUT, Source.QUESTION)
    [stored] = pool.requests.planned(current.id, Stage.INSTRUCTIONS)
    assert stored.passage_id == first == pool.requests.get(stored.id).passage_id
    pool.requests.answer(current.id, [(stored.id, Completion("y", FinishReason.STOP, 1, 1))], None)
    assert list(pool.documents.unused(CUT, Source.QUESTION)) == rest
    assert first in pool.documents.unused(CUT, Source.BACKTRANSLATION)
    assert pool.documents.all()[0].used == 1
