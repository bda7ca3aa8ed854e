"""`studio compare` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.errors import ExitCode
from support.command import assert_fails, studio
from support.comparisons import compared, graded, grades
from support.pools import make_pool

DONE = {"anna [b]\x1b": grades("AB DA CC BB skip AA"), "bert": grades("AB DB CD BB AA AD")}


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    compared(tmp_path / "pool.db", DONE)
    return tmp_path / "pool.db"


def test_the_report_has_bars_beside_the_papers_and_kappa(pool: Path) -> None:
    done = studio("compare", pool, "--report", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "comparison 1: 6 items of held-out seeds, seed x"
    rows = {line.split("  ")[0]: line.split() for line in lines}
    assert rows["Tiny [plain]"][-5:-1] == ["5", "2", "2", "2"]
    assert rows["paper: GPT-3 + Self-Instruct"][-5:-1] == ["112", "49", "66", "25"]
    assert set(rows["paper: GPT-3 + Self-Instruct"][-1]) == set("ABCD")
    assert "anna [b]␛ and bert" in done.stdout and "\x1b" not in done.stdout
    assert all(len(line) <= 80 for line in lines)


def test_json_is_one_object(pool: Path) -> None:
    figures = json.loads(studio("compare", pool, "--report", "--json").stdout)
    assert [each["counts"] for each in figures["contestants"]] == [[5, 2, 2, 2], [3, 5, 1, 2]]
    assert figures["blind"] is False and figures["items"] == 6


def test_grades_stay_blind_until_every_rater_is_done(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    compared(path, {"anna": grades("AB DA CC BB skip AA"), "bert": {0: graded("AB")}})
    shown = studio("compare", path, "--report", COLUMNS="100").stdout
    assert "still blind" in shown and "Tiny" not in shown and "bert: 1 complete" in shown
    assert json.loads(studio("compare", path, "--report", "--json").stdout)["contestants"] == []
    assert "adapter.gguf" in studio("compare", path, "--report", "--unblind", COLUMNS="100").stdout
    assert_fails(studio("compare", path, "--export", "-"), ExitCode.USAGE, "not every rater", "--unblind")
    assert len(studio("compare", path, "--export", "-", "--unblind").stdout.splitlines()) == 7


def test_all_grades_are_exported(pool: Path, tmp_path: Path) -> None:
    target = tmp_path / "grades.jsonl"
    done = studio("compare", pool, "--export", target)
    assert (done.returncode, done.stdout) == (0, "")
    lines = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 12 and {line["rater"] for line in lines} == set(DONE)
    first = next(line for line in lines if line["rater"] == "bert" and line["position"] == 0)
    assert [each["grade"] for each in first["answers"]] == ["A", "B"]


def test_contestants_are_listed(pool: Path) -> None:
    lines = studio("compare", pool, "--list").stdout.splitlines()
    assert lines[0].startswith("evaluation 1: held-out seeds, 6 items")
    assert lines[1:] == ["  1  Tiny [plain], 6 answered", "  2  Tiny + adapter.gguf [plain], 6 answered"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ((), ExitCode.USAGE, "needs a terminal"),
        (("--report", "--seed", "other"), ExitCode.USAGE, "no comparison of these"),
        (("--report", "--between", "1", "9"), ExitCode.USAGE, "--list shows them"),
        (("--report", "--evaluation", "9"), ExitCode.POOL, "no evaluation 9"),
        (("--json",), ExitCode.USAGE, "add --report"),
        (("--unblind",), ExitCode.USAGE, "add --report"),
        (("--report", "--export", "-"), ExitCode.USAGE, "leave all but one"),
        (("--report", "--rater", "anna"), ExitCode.USAGE, "of all raters"),
        (("--export", "no/such/folder"), ExitCode.POOL, "no such file or directory"),
    ],
)
def test_what_does_not_fit_is_said(pool: Path, options: tuple[str, ...], code: int, words: str) -> None:
    assert_fails(studio("compare", pool, *options), code, words)


def test_a_pool_without_one_says_how_to_begin(tmp_path: Path) -> None:
    assert_fails(studio("compare", make_pool(tmp_path / "new.db"), "--report"), ExitCode.POOL, "studio compare POOL")
