"""What `studio doctor` says of cache and memory."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from studio.cli.machine import doctor_command
from studio.engine.scripted import ScriptedEngine
from support.chat_kinds import KINDS
from support.command import new_studio
from support.completions_server import CompletionsServer, serving
from support.tiny_models import tiny_model

PRINTING_DRIVER = """
import atexit, os, sys

def look_for_llama():
    if "llama_cpp" in sys.modules:
        os.write(2, b"the studio's own process has loaded llama.cpp")

if any(word.startswith("studio.engine.") for word in sys.orig_argv):
    os.write(1, b"DRIVER found a device")
    os.write(2, b"DRIVER is not a conformant implementation")
elif "studio" in sys.orig_argv:
    atexit.register(look_for_llama)
"""
"""Makes every process that loads llama.cpp print like one whose drivers do, past Python's own streams."""


def test_what_llama_cpp_and_its_drivers_print_stays_off_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(PRINTING_DRIVER)
    model = tiny_model(tmp_path / "tiny.gguf")
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    done = new_studio("doctor", "--json", "--model", model, PYTHONPATH=path)
    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert report["devices"] and report["llama_cpp"]["features"] and report["model"]["layers"] >= 2


def test_a_build_that_cannot_be_loaded(tmp_path: Path) -> None:
    done = new_studio("doctor", "--json", LLAMA_CPP_LIB_PATH=str(tmp_path))
    assert done.returncode == 3 and "llama-cpp-python cannot be loaded" in json.loads(done.stdout)["fault"]
    assert done.stderr.startswith("error: ") and "hint: install it again" in done.stderr


def test_doctor_tells_of_the_prefix_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cache" / "self-instruct-studio" / "prefixes"
    folder.mkdir(parents=True)
    (folder / "a.state").write_bytes(bytes(3_000_000))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("STUDIO_PREFIX_CACHE", "")
    on = CliRunner().invoke(doctor_command, ["--model", "missing.gguf"])
    monkeypatch.setenv("STUDIO_PREFIX_CACHE", "off")
    off = CliRunner().invoke(doctor_command, ["--model", "missing.gguf", "--json"])
    assert f"{folder} (1 file, 3 MB of at most 2,147)" in on.stdout
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


def test_doctor_says_how_the_model_attends_and_where_it_lies(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny.gguf", "gemma3")
    flags = ["--model", str(model), "--kv-type", "q4_0", "--cpu-moe", "1", "--parallel", "2"]
    told = json.loads(CliRunner().invoke(doctor_command, [*flags, "--json"]).stdout.splitlines()[0])["model"]
    assert {name: told[name] for name in ("kv_type", "flash_attention", "cpu_moe", "split", "parallel")} == {
        "kv_type": "q4_0",
        "flash_attention": True,
        "cpu_moe": 1,
        "split": "",
        "parallel": 2,
    }
    memory = told["memory"]
    assert memory["reckoned"]["context"] == pytest.approx(memory["taken"]["CPU KV"], rel=0.02)
    assert memory["reckoned"].keys() == {"weights", "context", "computing"} and memory["taken"]["CPU compute"] > 0
    assert "memory reckoned" in CliRunner().invoke(doctor_command, ["--model", str(model)]).stdout
    out = CliRunner().invoke(doctor_command, [*flags[:-2], "--flash-attention", "off"])
    assert out.exit_code and "needs flash attention" in str(out.exception)


def test_doctor_refuses_for_a_server_what_is_for_llama_cpp() -> None:
    with serving(CompletionsServer()) as server:
        out = CliRunner().invoke(doctor_command, ["--model", server.url, "--tensor-split", "3,1"])
    assert "--tensor-split is for llama.cpp on this machine, not for http" in str(out.exception)
