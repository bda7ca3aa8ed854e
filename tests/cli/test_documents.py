"""`studio run --documents`: from files to the data that is exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.pool.pool import Queries
from support.command import studio

TEXT = "\n\n".join(
    f"Paragraph {number} says a thing about the number {number}, which is worth a passage of its own. " * 3 for number in range(12)
)
ASKED = ("--headless", "--model", "scripted", "--set", "passage_size=400", "--set", "passage_gain=0", "--set", "passage_words=0", "--json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "texts"
    found.mkdir()
    (found / "a.md").write_text(TEXT)
    (found / "b.html").write_text(f"<nav>Home</nav><p>{'A page that is long enough to be a passage. ' * 5}")
    (found / "c.bin").write_bytes(b"\0\1")
    return found


def test_documents_are_brought_used_and_told(tmp_path: Path, folder: Path) -> None:
    pool = tmp_path / "pool.db"
    done = studio("run", pool, *ASKED, "--documents", folder, "--documents-licence", "CC0-1.0")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stopped"] == "documents"
    for words in ("1 file of another kind is left out (.bin 1)", "2 documents brought, ", "texts/b.html: ", "navigation"):
        assert words in done.stderr
    # Without the files it goes on, here to the same end, and with them nothing is doubled.
    again = studio("run", pool, *ASKED)
    assert (again.returncode, json.loads(again.stdout)["rounds"]) == (0, 0)
    once_more = studio("run", pool, *ASKED, "--documents", folder)
    assert "2 documents are in the pool already" in once_more.stderr
    with Queries.open(pool) as reader:
        assert [each.used for each in reader.documents.all()] == [each.passages for each in reader.documents.all()]
    assert studio("export", pool, "-o", tmp_path / "data.jsonl", "--card", tmp_path / "README.md").returncode == 0
    card = (tmp_path / "README.md").read_text()
    assert "language_creators:\n  - machine-generated\n  - found\n" in card
    assert "| texts/a\\.md | " in card
    lines = studio("export", pool, "-o", "-", "--format", "raw").stdout.splitlines()
    records = [json.loads(line) for line in lines]
    assert {record["source"] for record in records} == {"backtranslation", "question"}
    for record in records:
        assert record["document"].keys() == {"name", "sha256", "start", "stop", "licence", "gain"}
        assert record["document"]["name"] in ("texts/a.md", "texts/b.html")
    told = studio("show", pool, str(records[0]["id"])).stdout
    assert "characters" in told
    assert "licence: CC0-1.0" in told
    figures = json.loads(studio("stats", pool, "--json").stdout)
    assert [each["source"] for each in figures["sources"]] == ["backtranslation", "question"]
    assert [each["document"]["name"] for each in figures["documents"]] == ["texts/a.md", "texts/b.html"]
    assert "texts/a.md" in studio("stats", pool).stdout


def test_what_cannot_be_is_said_before_a_pool_is_made(tmp_path: Path, folder: Path) -> None:
    pool, broken = tmp_path / "pool.db", tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7\n")
    for asked, words in (
        (("--documents", tmp_path / "nowhere.txt"), "is not there"),
        (("--documents", folder / "c.bin"), "is no text"),
        (("--documents", folder, "--documents", broken), "cannot be read as PDF"),
        (("--documents", folder, "--set", "document_requests=0"), "nothing to do for --documents"),
        (("--set", "document_requests=3"), "needs documents"),
        (("--documents-licence", "MIT"), "is for documents"),
    ):
        done = studio("run", pool, *ASKED, *asked)
        assert done.returncode == 2
        assert words in done.stderr
        assert not pool.exists()


def test_a_pool_of_lists_takes_documents_by_force_alone(tmp_path: Path, folder: Path) -> None:
    pool = tmp_path / "pool.db"
    assert studio("run", pool, *ASKED, "--rounds", "1").returncode == 0
    refused = studio("run", pool, *ASKED, "--rounds", "1", "--documents", folder)
    assert refused.returncode == 2
    assert "document_requests" in refused.stderr
    assert studio("run", pool, *ASKED, "--rounds", "1", "--documents", folder, "--force").returncode == 0
