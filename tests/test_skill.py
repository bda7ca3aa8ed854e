"""The skill for coding assistants is true: every command in it is run, and every key that it shows is there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from studio.cli import COMMANDS
from studio.errors import ExitCode
from studio.guide import SKILL, page, skill
from studio.insight.studies.review import open_review
from studio.pool.pool import Pool
from studio.pool.reviews import ReviewPlan
from support.command import assert_fails, studio, studio_here
from support.hub_server import Repo, hub_server
from support.reviews import sheet
from support.tiny_models import tiny_model

MORE = "…"
HUB_MODEL = "bartowski/Llama-3.2-1B-Instruct-GGUF"


def steps() -> list[tuple[list[str], Any]]:
    """The words of each command in the skill, and what is shown of its JSON."""
    found = re.findall(r"^```sh\nstudio ([^\n]+)\n```\n```json\n(.*?)^```", skill(), re.DOTALL | re.MULTILINE)
    return [(shlex.split(words), json.loads(shown)) for words, shown in found]


def differences(shown: Any, real: Any, place: str = "") -> Iterator[str]:
    """Where the shape of `real` is another than the one that is shown. What stands for more may stand for nothing."""
    if isinstance(shown, dict) and isinstance(real, dict):
        for key in shown.keys() - {MORE}:
            if key not in real:
                yield f"{place}.{key} is shown and not there"
            else:
                yield from differences(shown[key], real[key], f"{place}.{key}")
        if MORE not in shown and shown and (more := real.keys() - shown.keys()):
            yield f"{place} has {sorted(more)}, which are not shown"
    elif isinstance(shown, list) and isinstance(real, list):
        if shown and not real:
            yield f"{place} is empty"
        for each in real if shown else ():
            yield from differences(shown[0], each, f"{place}[]")
    elif shown is not None and real is not None and type(shown) is not type(real) and not {type(shown), type(real)} <= {int, float}:
        yield f"{place} is {type(real).__name__}, not {type(shown).__name__}"


def rate(pool: Path) -> None:
    """Rate a sample, as a person does in a terminal."""
    with Pool.open(pool) as opened:
        review = open_review(opened, opened.reviews, ReviewPlan(4))
        for position, rating in sheet("yyy yyn nnn yyy").items():
            opened.reviews.put(review.id, "anna", position, rating)


Run = Callable[[list[str]], subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, in an empty folder and with the scripted model."""
    for name, value in {"STUDIO_MODEL": "scripted", "STUDIO_MODELS": "", "XDG_DATA_HOME": str(tmp_path / "data")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    # To load a parser takes longer than all else.
    monkeypatch.setattr("studio.cli.export.usual_parser", lambda _: None)

    return lambda words: studio_here(monkeypatch, capsys, *words)


def test_every_command_runs_and_prints_what_is_shown(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.jsonl").write_text('{"question": "Name a hill.", "answer": "None."}\n')
    tiny = tiny_model(tmp_path / "Llama-3.2-1B-Instruct-Q8_0.gguf").read_bytes()
    with hub_server(Repo(HUB_MODEL, {"Llama-3.2-1B-Instruct-Q8_0.gguf": tiny}, card={"license": "llama3.2"})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        for words, shown in steps():
            if words[0] == "review":
                early = run(words)
                assert early.returncode == ExitCode.POOL and "nobody has begun a review" in early.stderr
                rate(tmp_path / "pool.db")
            done = run(words)
            assert done.returncode == 0, (words, done.stderr)
            assert len(done.stdout.splitlines()) == 1
            assert list(differences(shown, json.loads(done.stdout))) == [], words
            if words[0] == "publish":
                assert hub.asked == [], "a dry run asks nobody"
        assert {asked.method for asked in hub.asked} == {"GET"}
    reached = run(["run", "pool.db", "--headless", "--target", "20"])
    assert reached.returncode == ExitCode.USAGE and "reached already" in reached.stderr


def test_no_command_is_shown_without_being_run() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", skill(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == len(steps()) > 10 and all(block.count("\n") == 1 for block in blocks)


def test_every_exit_code_is_told() -> None:
    line = page("assistants").split("## Exit codes")[1].split("##")[0]
    told = {int(number) for number in re.findall(r"(?:^|· )(\d+) ", line, re.MULTILINE)}
    assert told == {int(each) for each in ExitCode} - {ExitCode.CLOSED_PIPE}


def test_commands_of_the_table_exist() -> None:
    table = page("assistants").split("|---|---|")[1].split("\n\n")[0]
    named = {words.split()[0] for words in re.findall(r"`([a-z][a-z -]*)`", table)}
    assert named <= set(COMMANDS) and {"run", "publish", "models", "finetune"} <= named


def test_the_header_is_what_assistants_look_for() -> None:
    _, header, body = skill().split("---\n", 2)
    said = yaml.safe_load(header)
    assert set(said) == {"name", "description"} and said["name"] == SKILL
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", SKILL) and 50 < len(said["description"]) <= 1024
    assert page("assistants") == body.lstrip() and page("assistants").startswith("# ")


def test_it_is_printed_and_installed_and_an_edited_one_is_kept(tmp_path: Path) -> None:
    assert studio("skill", cwd=tmp_path).stdout == skill()
    installed = tmp_path / ".claude" / "skills" / SKILL / "SKILL.md"
    for words in ("wrote", "there already"):
        done = studio("skill", "--install", ".claude/skills", cwd=tmp_path)
        assert done.returncode == 0 and words in done.stderr and installed.read_text("utf-8") == skill()
    installed.write_text("mine")
    assert_fails(studio("skill", "--install", ".claude/skills", cwd=tmp_path), ExitCode.USAGE, "was edited", "--force")
    assert installed.read_text() == "mine"
    assert studio("skill", "--install", ".claude/skills", "--force", cwd=tmp_path).returncode == 0
    assert installed.read_text("utf-8") == skill()
    (tmp_path / "file").touch()
    assert_fails(studio("skill", "--install", "file", cwd=tmp_path), ExitCode.POOL, "file")


@pytest.mark.parametrize(
    ("shown", "real"), [({"a": 1}, {}), ({"a": 1}, {"a": 1, "b": 2}), ({"a": 1}, {"a": "1"}), ([{"a": 1}], [{"b": 1}]), ([1], [])]
)
def test_another_shape_is_found(shown: Any, real: Any) -> None:
    assert list(differences(shown, real))
