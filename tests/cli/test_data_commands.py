"""`studio export` and `studio import` as a user calls them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from studio.cli import main
from studio.errors import ExitCode
from studio.pool.pool import Queries
from studio.records import Instance
from support.command import studio_here
from support.generated_pool import build_pool

TASKS = (("Tell a joke.", False, (Instance("", "Ha."),)), ("Name a river.", False, (Instance("", "Rhine."),)))


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return build_pool(tmp_path / "pool.db", TASKS, with_import=False)


Studio = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Studio:
    return partial(studio_here, monkeypatch, capsys)


def test_export_to_stdout_keeps_the_narration_on_stderr(studio: Studio, pool: Path) -> None:
    done = studio("export", pool, "-o", "-")
    assert done.returncode == 0
    assert [json.loads(line)["output"] for line in done.stdout.splitlines()] == ["Ha.", "Rhine."]
    assert done.stderr == "exported 2 records of 2 tasks as alpaca: - (2)\n"


def test_export_to_a_file_says_where(studio: Studio, pool: Path, tmp_path: Path) -> None:
    target = tmp_path / "data.jsonl"
    done = studio("export", pool, "-o", target, "--format", "chat", "--include-seeds", "--split", "0.5", "--seed", "x")
    assert (done.returncode, done.stdout) == (0, "")
    assert "exported 4 records of 4 tasks as chat" in done.stderr
    assert str(tmp_path / "data.train.jsonl") in done.stderr


def test_export_ends_with_an_object_for_programs(studio: Studio, pool: Path, tmp_path: Path) -> None:
    target = tmp_path / "data.jsonl"
    done = studio("export", pool, "-o", target, "--card", tmp_path / "README.md", "--max-nats", "0.1", "--json")
    assert done.returncode == 0 and "wrote the card" in done.stderr
    assert json.loads(done.stdout) == {
        "pool": str(pool),
        "format": "alpaca",
        "tasks": 2,
        "records": 2,
        "files": [{"path": str(target), "records": 2}],
        "no_place": {},
        "thoughts_left_out": 0,
        "pairs": {},
        "left_out": [{"by": "--max-nats", "tasks": 0, "instances": 0}],
        "card": str(tmp_path / "README.md"),
    }
    done = studio("report", pool, "-o", tmp_path / "report.html", "--json")
    assert json.loads(done.stdout)["bytes"] == (tmp_path / "report.html").stat().st_size


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-o", "-", "--json"], ExitCode.USAGE, "--json and -o - both go to stdout"),
        (["-o", "-", "--format", "aplaca"], ExitCode.USAGE, "error: unknown export format 'aplaca'\nhint: did you mean 'alpaca'?\n"),
        (["-o", "missing/data.jsonl"], ExitCode.POOL, "no such file or directory\nhint: make the folder first\n"),
        (["-o", "-", "--split", "0.5"], ExitCode.USAGE, "--split writes two files"),
        (["-o", "data.jsonl", "--split", "1.5"], ExitCode.USAGE, "--split 1.5 is not a share"),
        (["-o", "data.jsonl", "--split", "half"], ExitCode.USAGE, "half"),
        (["-o", ""], ExitCode.USAGE, "a path is empty"),
        ([], ExitCode.USAGE, "Missing option"),
    ],
)
def test_export_errors_are_one_line(studio: Studio, pool: Path, arguments: list[str], code: ExitCode, message: str) -> None:
    done = studio("export", pool, *arguments)
    assert done.returncode == code
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_export_of_a_pool_that_is_none(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a pool")
    for path in (tmp_path / "text", tmp_path / "none.db"):
        done = studio("export", path, "-o", "-")
        assert done.returncode == ExitCode.POOL
        assert str(path) in done.stderr


def test_a_reader_that_leaves_early_is_no_accident(tmp_path: Path) -> None:
    many = tuple((f"Task number {number}", False, (Instance("", "x" * 4000),)) for number in range(100))
    pool = build_pool(tmp_path / "many.db", many)
    command = f"{sys.executable} -c 'from studio.cli import main; main()' export {pool} -o - | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""
    assert done.returncode == ExitCode.CLOSED_PIPE == 128 + signal.SIGPIPE, "as of any program that SIGPIPE ends"


def test_import_reports_on_stderr(studio: Studio, pool: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("Tell a joke.\nWrite a haiku.\n")
    done = studio("import", pool, path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"{path}: 1 task imported as imported (text), 1 skipped as duplicates\n"


def test_import_tells_what_it_leaves_out_and_lists_faults(studio: Studio, pool: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    sound = {"instruction": "Write a haiku.", "response": 5, "answers": ["S"]}
    path.write_text(json.dumps(sound) + "\n" + '{"instruction": NaN, "output": []}\n' * 60)
    done = studio("import", pool, path)
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    lines = done.stderr.splitlines()
    assert lines[0] == f"{path}:2: instruction: NaN where text is needed"
    assert lines[59:61] == [lines[0].replace(":2:", ":61:"), f"error: {path}: 60 of 61 records with a fault"]
    assert "--skip-invalid" in lines[61]
    done = studio("import", pool, path, "--skip-invalid", "--json")
    [told] = json.loads(done.stdout)["files"]
    assert (told["imported"], told["faulty"], told["not_taken"], told["as_text"]) == (1, 60, {"answers": 1}, {"response": 1})
    assert told["rejected_file"] == f"{path}.rejected.jsonl"
    assert f"{path}: not taken: answers (1 record)\n" in done.stderr


SQUAD = {"q": "Where is Rome?", "a": {"text": ["In Italy."], "start": [0]}, "by": "x"}


def test_a_dry_run_shows_how_a_file_is_read_and_writes_nothing(studio: Studio, pool: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps({**SQUAD, "q": f"Where is Rome? {number}\x1b[2J"}) + "\n" for number in range(5)))
    before = pool.read_bytes()
    done = studio("import", pool, path, "--dry-run", "--map", "instruction=q,output=a.text[0]")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:6] == [
        f"{path}: read as json, mapped: 5 tasks with 5 instances of 5 records",
        "  instruction  from q",
        "  output       from a.text[0]",
        "  not taken: a.start (5 records), by (5 records)",
        "  task 1",
        "    instruction  Where is Rome? 0\u241b[2J",
    ]
    assert done.stdout.count("\n  task ") == 3 and "\x1b" not in done.stdout
    assert pool.read_bytes() == before and sorted(tmp_path.glob("mine*")) == [path]
    told = json.loads(studio("import", pool, path, "--dry-run", "--map", "instruction=q,output=a.text[0]", "--json").stdout)
    [file] = told["files"]
    assert (told["dry_run"], told["error"], file["fields"]) == (True, None, {"instruction": "q", "output": "a.text[0]"})
    assert file["samples"][0]["instances"][0]["output"] == "In Italy."


def test_a_dry_run_of_a_file_with_faults_lists_them_and_the_paths_there_are(studio: Studio, pool: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text((json.dumps(SQUAD) + "\n") * 2)
    done = studio("import", pool, path, "--dry-run")
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.splitlines() == [f"{path}:{line}: instruction: missing: the keys are q, a, by" for line in (1, 2)]
    assert "  there are q, a.text[0], a.start[0], by\n" in done.stdout
    assert "this would fail" in done.stdout and "--map says" in done.stdout
    done = studio("import", pool, path, "--dry-run", "--json")
    assert done.returncode == ExitCode.USAGE and json.loads(done.stdout)["error"]["faults"] == 2


def test_import_by_a_mapping(studio: Studio, pool: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(SQUAD) + "\n" + json.dumps({**SQUAD, "q": 5, "a": None}) + "\n")
    done = studio("import", pool, path, "--map", "instruction=q,output=a.text[0]", "--skip-invalid")
    assert done.returncode == 0
    assert f"{path}: read as: instruction from q (1 record), output from a.text[0] (1 record)\n" in done.stderr
    assert f"{path}: 1 task imported as imported (mapped), 0 skipped as duplicates\n" in done.stderr
    [line] = (tmp_path / "mine.jsonl.rejected.jsonl").read_text().splitlines()
    rejected = json.loads(line)
    assert (rejected["line"], rejected["field"], rejected["record"]["by"]) == (2, "a.text[0]", "x")
    done = studio("import", pool, path, "--map", "instruction=q,answer=a")
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "") and "no field 'answer'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.jsonl"], ExitCode.USAGE, "no such file: none.jsonl"),
        (["none.jsonl", "--format", "cvs"], ExitCode.USAGE, "did you mean 'csv'?"),
        (["none.jsonl", "--as", "generated"], ExitCode.USAGE, "generated"),
        ([], ExitCode.USAGE, "FILE"),
    ],
)
def test_import_errors_are_one_line(studio: Studio, pool: Path, arguments: list[str], code: ExitCode, message: str) -> None:
    done = studio("import", pool, *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_ends_early_is_not_taken_for_a_user_who_interrupts(
    pool: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """click does, with every EOFError that comes up to it."""

    def cut_short(*_: object) -> None:
        raise EOFError("marshal data too short")

    monkeypatch.setattr("studio.pool.pool.Queries.open", cut_short)
    monkeypatch.setattr(sys, "argv", ["studio", "stats", str(pool)])
    with pytest.raises(EOFError, match="too short"):
        main()
    assert "interrupted" not in capsys.readouterr().err


def test_a_system_turn_and_thoughts_are_said_on_the_command_line(studio: Studio, pool: Path, tmp_path: Path) -> None:
    path, turn = tmp_path / "mine.jsonl", tmp_path / "system.txt"
    path.write_text(json.dumps({"instruction": "Add.", "output": "<think>Two.</think>It is 2."}) + "\n")
    turn.write_text("Be kind.\n\nAlways.\n")
    done = studio("import", pool, path, "--thinking", "keep")
    assert done.returncode == 0 and "thoughts taken apart from the outputs: 1 instance\n" in done.stderr
    done = studio("export", pool, "-o", "-", "--format", "chat", "--system", f"@{turn}")
    *_, last = map(json.loads, done.stdout.splitlines())
    assert [each["content"] for each in last["messages"]] == ["Be kind.\n\nAlways.", "Add.", "It is 2."]
    assert last["messages"][-1]["reasoning_content"] == "Two."
    done = studio("export", pool, "-o", tmp_path / "x.jsonl", "--format", "sharegpt", "--json")
    assert "sharegpt has no place for thoughts: left out of 1 instance\n" in done.stderr
    assert json.loads(done.stdout)["no_place"] == {"thoughts": 1}
    done = studio("export", pool, "-o", "-", "--format", "chat", "--thinking", "strip")
    assert "Two." not in done.stdout and "thoughts left out of 1 instance, as asked\n" in done.stderr
    for arguments, words in (
        (["--system", " "], "the system turn is empty"),
        (["--system", "Be kind.", "--format", "prompt-completion"], "no place for a system turn"),
        (["--system", f"@{tmp_path / 'none.txt'}"], "the system turn"),
    ):
        done = studio("export", pool, "-o", tmp_path / "y.jsonl", *arguments)
        assert done.returncode == ExitCode.USAGE and words in done.stderr and "Traceback" not in done.stderr
        assert not (tmp_path / "y.jsonl").exists()


def test_pairs_are_told_by_their_evidence(studio: Studio, pool: Path, tmp_path: Path) -> None:
    file, target, card = tmp_path / "pairs.jsonl", tmp_path / "data.jsonl", tmp_path / "README.md"
    none = studio("export", pool, "-o", target, "--format", "preference")
    assert none.returncode == ExitCode.POOL and "hint: draw several answers" in none.stderr and not target.exists()
    file.write_text('{"prompt": "Name a sea.", "chosen": "The North Sea.", "rejected": "Sea."}\n')
    assert "1 worse answer of pairs kept, as dispreferred" in studio("import", pool, file).stderr
    done = studio("export", pool, "-o", target, "--format", "preference", "--card", card, "--json")
    assert "pairs by evidence: 1 imported (brought as a pair)" in done.stderr
    assert json.loads(done.stdout)["pairs"] == {"imported": 1} and json.loads(done.stdout)["tasks"] == 1
    assert "says why: 1 imported" in card.read_text("utf-8")


def test_a_new_pool_is_made_of_files_alone_and_only_where_they_are_sound(studio: Studio, tmp_path: Path) -> None:
    path, pool = tmp_path / "tasks.txt", tmp_path / "new.db"
    path.write_text("Name a river.\n")
    done = studio("import", pool, path)
    assert done.returncode == ExitCode.POOL
    assert "--new" in done.stderr
    assert studio("import", pool, path, "--dry-run").returncode == 0
    assert studio("import", pool, tmp_path / "no.txt", "--new").returncode == ExitCode.USAGE
    (faulty := tmp_path / "faulty.jsonl").write_text('{"q": 1}\n')
    assert studio("import", pool, path, faulty, "--new").returncode == ExitCode.USAGE
    assert {each.name for each in tmp_path.iterdir()} <= {"tasks.txt", "faulty.jsonl", "new.db.lock"}
    assert studio("import", pool, path, "--new").returncode == 0
    assert studio("import", pool, path, "--new").stderr.endswith("0 tasks imported as imported (text), 1 skipped as duplicates\n")
    with Queries.open(pool) as queries:
        assert [instruction for _, instruction, _ in queries.tasks.instructions()] == ["Name a river."]
