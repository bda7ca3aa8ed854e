"""`studio lint`, and exports that leave findings out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio.insight.lint.run import LINTS
from studio.pool.pool import Pool
from studio.records import Instance
from support.command import assert_fails, studio
from support.generated_pool import Generated, build_pool

POETRY = "Write a short poem about the sea in winter."
TASKS: tuple[Generated, ...] = (
    (POETRY, False, (Instance("", "Grey is the sea."),)),
    ("Write a poem about the sea in winter.", False, (Instance("", "White is the sea."),)),
    ("Answer the letter.", False, (Instance("Dear Ann", "Dear Bob"), Instance("Dear Eve", "Write to eve@somewhere.org, Eve."))),
    ("Name a good film.", False, (Instance("", "As an AI, I cannot say."),)),
    ("Draw a [red]\x1b[31m cat.", False, (Instance("", "I can't draw. As an AI\x1b]0;x\x07, I write."),)),
)


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return build_pool(tmp_path / "pool.db", TASKS)


def lint(pool: Path, *arguments: str | Path) -> dict[str, Any]:
    done = studio("lint", pool, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def export(pool: Path, *arguments: str | Path) -> list[dict[str, Any]]:
    done = studio("export", pool, "-o", "-", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_findings_are_counted_with_their_tasks_and_instances(pool: Path) -> None:
    before = pool.read_bytes()
    found = lint(pool)
    assert found["tasks"] == 8
    assert list(found["lints"]) == [code for code in LINTS if code != "contamination"]
    assert {code: each["task_ids"] for code, each in found["lints"].items() if each["findings"]} == {
        "near-duplicate": [5],
        "refusal": [7, 8],
        "email": [6],
    }
    assert found["lints"]["near-duplicate"]["instance_ids"] == [None]
    assert found["lints"]["near-duplicate"]["examples"][0]["other"] == 4
    [instance] = found["lints"]["email"]["instance_ids"]
    assert found["lints"]["email"]["examples"] == [
        {"task_id": 6, "instance_id": instance, "part": "output", "words": "eve@somewhere.org", "other": None}
    ]
    assert pool.read_bytes() == before


def test_the_table_shows_hostile_text_as_harmless(pool: Path) -> None:
    done = studio("lint", pool)
    assert done.returncode == 0
    assert done.stdout.startswith("4 findings in 4 of 8 active tasks\n")
    assert "task 5, instruction (task 4): 0.89 of the words are shared" in done.stdout
    assert "As an AI␛]0;x␇, I write." in done.stdout
    assert "\x1b" not in done.stdout


def test_only_some_lints_and_other_thresholds(pool: Path) -> None:
    assert list(lint(pool, "--only", "email,refusal", "--only", "phone")["lints"]) == ["refusal", "email", "phone"]
    assert lint(pool, "--only", "near-duplicate", "--near", "0.95")["lints"]["near-duplicate"]["findings"] == 0


def test_what_an_export_leaves_out(pool: Path, tmp_path: Path) -> None:
    everything = export(pool)
    kept = export(pool, "--exclude-lint", "near-duplicate,email", "--exclude-lint", "refusal")
    assert [each for each in everything if each in kept] == kept
    assert [(each["instruction"], each["output"]) for each in kept] == [
        ("Name a colour.", "Blue."),
        (POETRY, "Grey is the sea."),
        ("Answer the letter.", "Dear Bob"),
    ]
    done = studio("export", pool, "-o", tmp_path / "data.jsonl", "--exclude-lint", "refusal,email", "--split", "0.5")
    assert "--exclude-lint left out 2 tasks, 1 instance of others" in done.stderr
    assert "exported 4 records of 4 tasks" in done.stderr
    folder = studio("export", pool, "-o", tmp_path / "folder", "--format", "self-instruct", "--exclude-lint", "refusal")
    assert folder.returncode == 0, folder.stderr
    assert len((tmp_path / "folder" / "machine_generated_instructions.jsonl").read_text().splitlines()) == 4


def test_what_is_left_has_no_findings(pool: Path, tmp_path: Path) -> None:
    codes = ",".join(code for code in LINTS if code != "contamination")
    data = tmp_path / "data.jsonl"
    assert studio("export", pool, "-o", data, "--exclude-lint", codes).returncode == 0
    again = tmp_path / "again.db"
    Pool.create(again, []).close()
    assert studio("import", again, data).returncode == 0
    found = lint(again)
    assert found["tasks"] == 3
    assert not any(each["findings"] for each in found["lints"].values())


def test_a_near_duplicate_of_a_task_that_is_not_exported_stays(tmp_path: Path) -> None:
    pool = build_pool(tmp_path / "pool.db", [("In one sentence, greet a guest.", False, (Instance("", "Hello!"),))], with_import=False)
    assert lint(pool, "--only", "near-duplicate")["lints"]["near-duplicate"]["task_ids"] == [3]
    assert [each["output"] for each in export(pool, "--exclude-lint", "near-duplicate")] == ["Hello!"]
    with_seeds = export(pool, "--exclude-lint", "near-duplicate", "--include-seeds")
    assert [each["output"] for each in with_seeds] == ["Welcome!", "good"]


def test_an_evaluation_file_is_compared_and_left_out(pool: Path, tmp_path: Path) -> None:
    file = tmp_path / "evaluation.txt"
    file.write_text("Write a short poem on the sea in winter.\n", encoding="utf-8")
    found = lint(pool, "--against", file)["lints"]["contamination"]
    assert found["task_ids"] == [4, 5]
    assert POETRY not in [each["instruction"] for each in export(pool, "--exclude-lint", "contamination", "--against", file)]


def test_every_lint_is_listed_and_explained() -> None:
    listed = studio("lint", "--help").stdout
    for code, each in LINTS.items():
        assert f"\n  {code} " in listed
        said = studio("lint", "--explain", code).stdout if code in ("email", "language") else ""
        if said:
            assert f"it finds {each.measured.found} of {each.measured.faulty} faulty tasks" in " ".join(said.split())


def test_what_cannot_be_asked(pool: Path, tmp_path: Path) -> None:
    assert_fails(studio("lint"), 2, "no pool is named")
    assert_fails(studio("lint", pool, "--only", "emial"), 2, "emial", "did you mean 'email'?")
    assert_fails(studio("lint", "--explain", "nothing"), 2, "nothing")
    assert json.loads(studio("lint", "--explain", "email", "--json").stdout)["title"] == "an e-mail address"
    assert_fails(studio("lint", pool, "--only", "contamination"), 2, "--against FILE")
    assert_fails(studio("lint", pool, "--against", tmp_path / "missing.jsonl"), 2, "no such file")
    assert_fails(studio("lint", tmp_path / "missing.db"), 4, "there is no pool")
    assert_fails(studio("export", pool, "-o", "-", "--against", tmp_path / "x"), 2, "--exclude-lint")
    assert_fails(studio("export", pool, "-o", "-", "--exclude-lint", "email,spam"), 2, "spam")
    refusing = build_pool(tmp_path / "refusing.db", TASKS[3:4], with_import=False)
    target = tmp_path / "none.jsonl"
    assert_fails(studio("export", refusing, "-o", target, "--exclude-lint", "refusal"), 4, "leave nothing of 1 task")
    assert not target.exists()
