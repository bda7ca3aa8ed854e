"""What `studio doctor` says of cache and memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from studio.cli.doctor import doctor_command
from studio.engine.scripted import ScriptedEngine
from support.chat_kinds import KINDS
from support.completions_server import CompletionsServer, serving


def test_doctor_tells_of_the_prefix_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cache" / "self-instruct-studio" / "prefixes"
    folder.mkdir(parents=True)
    (folder / "a.state").write_bytes(bytes(3_000_000))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("STUDIO_PREFIX_CACHE", "")
    on = CliRunner().invoke(doctor_command, ["--model", "missing.gguf"])
    monkeypatch.setenv("STUDIO_PREFIX_CACHE", "off")
    off = CliRunner().invoke(doctor_command, ["--model", "missing.gguf", "--json"])
    assert f"{folder} (1 files, 3 MB of at most 2,147)" in on.stdout
    cache = json.loads(off.stdout.splitlines()[0])["prefix_cache"]
    assert cache == {"folder": str(folder), "on": False, "files": 1, "bytes": 3_000_000, "budget": 2 << 30}


def test_doctor_shows_what_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    notices = ("there was no memory for 64 sequences\x1b[31m",)
    info = replace(ScriptedEngine().info, notices=notices)
    monkeypatch.setattr(ScriptedEngine, "info", info)
    out = CliRunner().invoke(doctor_command, ["--model", "scripted"]).stdout
    assert "note: there was no memory for 64 sequences" in out and "\x1b" not in out


def test_doctor_says_of_a_server_what_it_can_know() -> None:
    with serving(CompletionsServer()) as server:
        out = CliRunner().invoke(doctor_command, ["--model", server.url]).stdout
    lines = {line[:26].strip(): line[27:] for line in out.splitlines()}
    assert lines["model"] == "scripted (licence unknown)" and lines["server"].startswith(server.url)
    assert lines["context of a request"] == "unknown" and lines["requests at once"] == "16"
    assert "layers on the GPU" not in lines and "model file" not in lines
    assert lines["answers"] == "raw text"


def test_doctor_says_how_a_server_is_asked() -> None:
    with serving(CompletionsServer(chat=KINDS["lm studio"])) as server:
        out = CliRunner().invoke(doctor_command, ["--model", server.url]).stdout
        report = json.loads(CliRunner().invoke(doctor_command, ["--model", server.url, "--json"]).stdout.splitlines()[0])
    assert f"{'answers':<26} chat, raw text; the model thinks first" in out.splitlines()
    assert (report["model"]["asking"], report["model"]["askings"]) == ("chat", ["chat", "completion"])
