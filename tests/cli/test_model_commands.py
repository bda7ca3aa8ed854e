"""`studio models` and `studio doctor`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from studio.cli.models import models_command
from studio.engine.optimize import Figures, Optimized
from support.engines import bundled_identity
from support.tiny_models import header_only, tiny_model


def studio(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from studio.cli import main; sys.exit(main())"
    env = {**os.environ, "XDG_DATA_HOME": str(cwd / "data"), **environment}
    return subprocess.run([sys.executable, "-P", "-c", code, *words], cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_models_as_a_table(tmp_path: Path) -> None:
    done = studio("models", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    assert "SmolLM2-135M-Instruct" in done.stdout and "135M" in done.stdout and "Q4_1" in done.stdout and "apache-2.0" in done.stdout
    assert "asked in" in done.stdout and " chat " in done.stdout
    *_, name, figures = done.stdout.splitlines()
    assert name == f"SmolLM2-135M-Instruct  {bundled_identity().path}" and len(figures) <= 80
    assert " GB " in figures and " yes " in figures


def test_models_tells_what_is_too_large_and_what_cannot_be_asked_in_chat(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    shape = {"llama__block_count": 1_000_000, "llama__embedding_length": 1_000_000, "llama__attention__head_count": 8}
    header_only(folder / "huge.gguf", "llama", ("token_embd.weight",), **shape)
    tiny_model(folder / "odd.gguf", template="{{ raise_exception('no \x1b[31mmessages') }}")
    done = studio("models", cwd=tmp_path, STUDIO_MODELS=str(folder))
    assert done.returncode == 0 and "\x1b" not in done.stdout
    assert "does not fit: takes" in done.stdout and "its chat template cannot be used" in done.stdout
    entries = {each["name"]: each for each in json.loads(studio("models", "--json", cwd=tmp_path, STUDIO_MODELS=str(folder)).stdout)}
    assert entries["huge"]["memory"]["fit"] == "too large" and entries["huge"]["memory"]["total"] > 10**14
    assert entries["odd"]["chat_template"] is False and "it refuses" in entries["odd"]["template_fault"]


def test_models_as_json_with_a_folder_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "broken\x1b[31m.gguf").write_text("no model")
    done = studio("models", "--json", cwd=tmp_path, STUDIO_MODELS=str(tmp_path / "mine"))
    bundled, broken = json.loads(done.stdout)
    assert done.returncode == 0
    assert (bundled["parameters"], bundled["context_length"], bundled["source"]) == (134_515_008, 8192, "bundled")
    assert (bundled["chat_template"], bundled["thinks"], bundled["tried"]) == (True, False, "yes")
    assert bundled["memory"]["fit"] == "fits" and bundled["memory"]["total"] > bundled["file_size"]
    assert "not a GGUF file" in broken["fault"]
    assert "cannot be used: " in done.stderr and "\x1b" not in done.stderr


@pytest.mark.parametrize("name", ["missing.gguf", "text.gguf"])
def test_a_path_that_is_no_model(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.gguf").write_text("text")
    done = studio("models", name, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: {name}: ") and "Traceback" not in done.stderr


def test_listing_is_what_models_does_by_itself(tmp_path: Path) -> None:
    assert studio("models", "list", cwd=tmp_path).stdout == studio("models", cwd=tmp_path).stdout
    listing = studio("models", str(tmp_path), "--json", cwd=tmp_path)
    assert [entry["source"] for entry in json.loads(listing.stdout)] == ["bundled"]
    shown = studio("models", "--help", cwd=tmp_path)
    assert shown.returncode == 0 and "optimize" in shown.stdout and "--json" in shown.stdout


def compared(folder: Path) -> Optimized:
    original = Figures(folder / "Tiny.Q4_1.gguf", "Q4_1", 98_400_000, 200.0, 100.0, 35.0)
    return Optimized(original, Figures(folder / "Tiny\x1b[31m.Q8_0.gguf", "Q8_0", 144_800_000, 400.0, 130.0, 35.35), 2040, 0.25)


def optimized(monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str) -> Result:
    asked: list[Any] = []

    def stand_in(source: Path, to: str, target: Path | None, text: str, say: Any, **more: Any) -> Optimized:
        asked.append((source.name, to, target, more))
        assert text.count("\n\n") > 170
        say("quantising ...")
        return compared(folder)

    monkeypatch.setattr("studio.engine.optimize.optimize", stand_in)
    done = CliRunner().invoke(models_command, ["optimize", *words])
    assert done.exit_code == 0, done.output
    assert asked == [(Path(bundled_identity().path).name, "Q8_0", None, {"force": False, "threads": 0})]
    return done


def test_optimize_prints_both_models_side_by_side(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done = optimized(monkeypatch, tmp_path)
    lines = {line.split("  ")[0]: line.split()[-1] for line in done.stdout.splitlines()}
    assert "+100 %" in done.stdout and "+47.2 %" in done.stdout and "+1.0 % (± 0.2)" in done.stdout
    assert lines["quantisation"] == "Q8_0" and "\x1b" not in done.output
    assert "quantising" in done.stderr and "--model" in done.stderr and "--model" not in done.stdout


def test_optimize_as_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report = json.loads(optimized(monkeypatch, tmp_path, "--json").stdout)
    assert report["original"]["perplexity"] == 35.0 and report["copy"]["size"] == 144_800_000
    assert report["change_percent"] == {"size": 47.15, "prompt_tok_s": 100.0, "decode_tok_s": 30.0, "perplexity": 1.0}
    assert (report["perplexity_change_error"], report["scored_tokens"]) == (0.25, 2040)


def test_optimize_refuses_before_it_works(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").touch()
    done = studio("models", "optimize", "-o", "mine.gguf", cwd=tmp_path)
    assert done.returncode == 2 and "a file already" in done.stderr and done.stdout == ""
    done = studio("models", "optimize", "nothing.gguf", cwd=tmp_path)
    assert done.returncode == 3 and "no such file" in done.stderr


@pytest.mark.real_model
def test_doctor_loads_the_model(tmp_path: Path) -> None:
    done = studio("doctor", "--json", cwd=tmp_path)
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert {"studio", "python", "llama-cpp-python", "textual", "sqlite"} <= set(report["versions"])
    assert report["model"]["sha256"] == bundled_identity().sha256
    assert report["model"]["layers"] >= report["model"]["layers_offloaded"] >= 0
    assert (report["model"]["askings"], report["model"]["thinks"]) == (["chat", "completion"], False)
    assert report["threads"] >= 1 and report["llama_cpp"]["features"]
    assert "cpu" in {device["kind"] for device in report["devices"]} and report["model"]["notices"] == []


def test_doctor_says_when_the_model_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("text")
    done = studio("doctor", "--model", "text.gguf", cwd=tmp_path)
    assert done.returncode == 3
    assert "cannot be loaded" in done.stdout and "studio version" in done.stdout
    assert "not a GGUF file" in done.stderr and "Traceback" not in done.stderr
