"""`studio models` and `studio doctor`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.engines import bundled_identity


def studio(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from studio.cli import main; sys.exit(main())"
    env = {**os.environ, "XDG_DATA_HOME": str(cwd / "data"), **environment}
    return subprocess.run([sys.executable, "-P", "-c", code, *words], cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_models_as_a_table(tmp_path: Path) -> None:
    done = studio("models", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    assert "SmolLM2-135M-Instruct" in done.stdout and "135M" in done.stdout and "Q4_1" in done.stdout and "apache-2.0" in done.stdout
    assert bundled_identity().path in done.stdout.splitlines()[-1]


def test_models_as_json_with_a_folder_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "broken\x1b[31m.gguf").write_text("no model")
    done = studio("models", "--json", cwd=tmp_path, STUDIO_MODELS=str(tmp_path / "mine"))
    bundled, broken = json.loads(done.stdout)
    assert done.returncode == 0
    assert (bundled["parameters"], bundled["context_length"], bundled["source"]) == (134_515_008, 8192, "bundled")
    assert "not a GGUF file" in broken["fault"]
    assert "warning: " in done.stderr and "\x1b" not in done.stderr


@pytest.mark.parametrize("name", ["missing.gguf", "text.gguf"])
def test_a_path_that_is_no_model(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.gguf").write_text("text")
    done = studio("models", name, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: {name}: ") and "Traceback" not in done.stderr


@pytest.mark.real_model
def test_doctor_loads_the_model(tmp_path: Path) -> None:
    done = studio("doctor", "--json", cwd=tmp_path)
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert {"studio", "python", "llama-cpp-python", "textual", "sqlite"} <= set(report["versions"])
    assert report["model"]["sha256"] == bundled_identity().sha256
    assert report["model"]["layers"] >= report["model"]["layers_offloaded"] >= 0
    assert report["threads"] >= 1 and report["llama_cpp"]["features"]


def test_doctor_says_when_the_model_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("text")
    done = studio("doctor", "--model", "text.gguf", cwd=tmp_path)
    assert done.returncode == 3
    assert "cannot be loaded" in done.stdout and "studio version" in done.stdout
    assert "not a GGUF file" in done.stderr and "Traceback" not in done.stderr
