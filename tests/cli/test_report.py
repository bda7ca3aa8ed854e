"""`studio report` as a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.errors import ExitCode
from support.command import assert_fails, studio
from support.html_page import Page
from support.pools import digest
from support.publications import published_pool


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return published_pool(tmp_path / "my pool.db", ["one", "two", "three", "four"])


def test_the_page_appears_whole_and_is_not_overwritten(pool: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    done = studio("report", pool, "-o", target)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert str(target) in done.stderr
    text = target.read_text(encoding="utf-8")
    assert text.endswith("</html>\n") and "<title>my pool</title>" in text
    before = digest(target)
    assert_fails(studio("report", pool, "-o", target, "--title", "Other"), ExitCode.USAGE, "there already", "--force")
    assert digest(target) == before
    assert studio("report", pool, "-o", target, "--title", "Other <b>", "--force").returncode == 0
    assert "Other <b>" in Page(target.read_text(encoding="utf-8")).text
    assert [each.name for each in tmp_path.iterdir() if each.name.endswith(".part")] == []


def test_what_cannot_be_written_is_said(pool: Path, tmp_path: Path) -> None:
    before = digest(pool)
    assert_fails(studio("report", pool, "-o", pool, "--force"), ExitCode.USAGE, "is the pool itself")
    assert_fails(studio("report", pool, "-o", tmp_path), ExitCode.USAGE, "is a folder")
    # The folder is looked for before the parser, which takes its time.
    asked = ("report", pool, "-o", tmp_path / "none" / "x.html", "--pipeline", "no_such")
    assert_fails(studio(*asked), ExitCode.POOL, "make the folder first")
    assert_fails(studio("report", tmp_path / "none.db", "-o", tmp_path / "x.html"), ExitCode.POOL, "no pool")
    assert_fails(studio("report", pool, "-o", tmp_path / "x.html", "--pipeline", "no_such"), ExitCode.USAGE, "spaCy")
    assert not (tmp_path / "x.html").exists()
    assert digest(pool) == before
