"""`studio review` and the choosing options of `studio export` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.errors import ExitCode
from studio.pool.browse import Keep
from studio.pool.ledger import Note
from studio.pool.pool import Pool
from studio.pool.reviews import ReviewPlan, Strata
from studio.pool.tasks import Annotation
from support.command import assert_fails, studio
from support.pools import ask, make_pool
from support.reviews import reviewed, sheet

PLAN = ReviewPlan(9, "x", Strata.CLASS)


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    path = tmp_path / "pool.db"
    reviewed(path, PLAN, {"anna [b]\x1b": sheet("yyy yyn nnn skip"), "bert": sheet("yyy yny nnn yyy")})
    return path


def test_without_a_terminal_it_names_the_report(pool: Path) -> None:
    assert_fails(studio("review", pool), ExitCode.USAGE, "needs a terminal", "--report")


def test_the_report_is_the_papers_table_and_kappa(pool: Path) -> None:
    done = studio("review", pool, "--report", COLUMNS="140")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "review 1: 9 tasks, seed x, stratified by class"
    rows = {line.split("  ")[0]: line for line in done.stdout.splitlines()}
    assert "67% (21-94) of 3" in rows["Does the instruction describe a valid task?"]
    assert "75% (30-95) of 4" in rows["Does the instruction describe a valid task?"]
    assert rows["Does the instruction describe a valid task?"].rstrip().endswith("92%")
    assert rows["All fields are valid"].rstrip().endswith("54%")
    assert "anna [b]␛ and bert" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_the_report_as_json_is_one_object(pool: Path) -> None:
    done = studio("review", pool, "--report", "--json")
    figures = json.loads(done.stdout)
    assert figures["review"]["plan"] == {"size": 9, "seed": "x", "strata": "class"}
    assert [row["row"] for row in figures["table"]] == ["instruction_valid", "input_appropriate", "output_acceptable", "all_fields_valid"]
    assert figures["table"][0]["raters"]["bert"]["yes"] == 3
    assert [pair["figures"]["count"] for pair in figures["agreement"]] == [3, 3, 3, 3]
    assert {row["stratum"] for row in figures["strata"]} == {"classification", "not classification"}
    assert sum(row["items"] for row in figures["strata"]) == 9


def test_all_ratings_are_exported(pool: Path, tmp_path: Path) -> None:
    target = tmp_path / "ratings.jsonl"
    done = studio("review", pool, "--export", target)
    assert (done.returncode, done.stdout) == (0, "")
    lines = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 8
    assert {line["rater"] for line in lines} == {"anna [b]\x1b", "bert"}
    assert studio("review", pool, "--export", "-").stdout == target.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--report", "--seed", "other"), ExitCode.USAGE, "--sample 9 --seed x --stratify class"),
        (("--json",), ExitCode.USAGE, "add --report"),
        (("--report", "--export", "-"), ExitCode.USAGE, "leave one of them out"),
        (("--report", "--rater", "anna"), ExitCode.USAGE, "of all raters"),
        (("--sample", "0"), ExitCode.USAGE, "0 is not in the range"),
        (("--stratify", "colour"), ExitCode.USAGE, "colour"),
        (("--export", "no/such/folder"), ExitCode.POOL, "no such file or directory"),
    ],
)
def test_what_does_not_fit_is_said(pool: Path, options: tuple[str, ...], code: int, words: str) -> None:
    assert_fails(studio("review", pool, *options), code, words)


def test_a_pool_nobody_has_rated_says_how_to_begin(tmp_path: Path) -> None:
    assert_fails(studio("review", make_pool(tmp_path / "new.db"), "--report"), ExitCode.POOL, "studio review POOL")


def test_export_keeps_what_people_chose(pool: Path) -> None:
    with Pool.open(pool) as opened:
        good = [task.id for task in opened.stream.export_tasks(False, Keep(min_quality=1))]
        every = [task.id for task in opened.stream.export_tasks(False)]
        opened.ledger.annotate(Note("annotate", "annotated"), every[-1], Annotation(("mine",)))
        opened.ledger.annotate(Note("annotate", "annotated"), every[0], Annotation((), "look again"))

    def ids(*options: str) -> list[int]:
        done = studio("export", pool, "-o", "-", "--format", "raw", *options)
        assert done.returncode == 0, done.stderr
        return [json.loads(line)["id"] for line in done.stdout.splitlines()]

    assert ids("--min-quality", "1") == good
    assert len(good) == 2
    assert ids("--tag", "mine", "--tag", "none") == [every[-1]]
    assert ids("--noted") == [every[0]]
    assert_fails(studio("export", pool, "-o", "-", "--noted", "--tag", "mine"), ExitCode.POOL, "has these tags and a note")
    bad = [task for task, share in ask(pool, "SELECT task_id, quality FROM quality") if share < 0.8]
    assert ids("--min-quality", "0.8", "--unrated") == [task for task in every if task not in bad]
    assert bad
    assert_fails(studio("export", pool, "-o", "-", "--unrated"), ExitCode.USAGE, "goes with --min-quality")
    assert_fails(studio("export", pool, "-o", "-", "--min-quality", "2"), ExitCode.USAGE, "range")
    assert_fails(studio("export", pool, "-o", "-", "--tag", "none"), ExitCode.POOL, "these tags")
    assert "share of yes among all answers" in " ".join(studio("export", "--help").stdout.split())
