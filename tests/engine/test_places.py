"""The models that other programs have downloaded, and folders as people keep them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from studio.engine.catalog import BUNDLED, find_model, identify, list_models
from studio.engine.places import files_of_programs, gguf_files, ollama_models
from studio.errors import ModelError
from support.tiny_models import header_only, tiny_model


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, in which other programs' models are looked for."""
    for name in (
        "HF_HOME",
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "LLAMA_CACHE",
        "OLLAMA_MODELS",
        "STUDIO_MODELS",
        "STUDIO_OTHER_PROGRAMS",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("CACHE", "DATA", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def model(path: Path, architecture: str = "llama") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return header_only(path, architecture)


def hub_file(cache: Path, repository: str, name: str, revision: str = "0a1b") -> Path:
    """A file of the hub's cache: a link in a snapshot that leads to a blob."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    blob = model(folder / "blobs" / ("9f" * 20 + name.partition(".")[0].encode().hex()))
    link = folder / "snapshots" / revision / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(blob, link.parent))
    return link


def ollama_file(root: Path, name: str, digit: str, **changes: Any) -> Path:
    """A model in an Ollama folder under `host/namespace/model/tag`."""
    blob = model(root / "blobs" / f"sha256-{digit * 64}")
    layers = [
        {"mediaType": "application/vnd.ollama.image.license", "digest": f"sha256:{'0' * 64}", "size": 1},
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digit * 64}", "size": 1, **changes},
    ]
    manifest = root / "manifests" / name
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))
    return blob


def test_each_program_is_searched_where_it_keeps_its_models(home: Path) -> None:
    expected = {
        ("writer", "LM Studio", model(home / ".lmstudio/models/acme/writer-GGUF/writer.gguf")),
        ("older", "LM Studio", model(home / ".cache/lm-studio/models/acme/older/older.gguf")),
        ("fetched", "llama.cpp", model(home / "cache/llama.cpp/fetched.gguf")),
        ("hub-q4", "Hugging Face", hub_file(home / "cache/huggingface/hub", "acme/hub-GGUF", "hub-q4.gguf")),
        ("model", "Jan", model(home / "data/Jan/data/llamacpp/models/acme/jan/model.gguf")),
        ("four", "GPT4All", model(home / "data/nomic.ai/GPT4All/four.gguf")),
        ("llama3.2:3b", "Ollama", ollama_file(home / ".ollama/models", "registry.ollama.ai/library/llama3.2/3b", "a")),
        ("ann/mine:latest", "Ollama", ollama_file(home / ".ollama/models", "registry.ollama.ai/ann/mine/latest", "b")),
        ("hf.co/acme/x:Q4_K_M", "Ollama", ollama_file(home / ".ollama/models", "hf.co/acme/x/Q4_K_M", "c")),
    }
    assert {(found.name, found.source, found.path) for found in files_of_programs()} == expected
    for name, source, path in expected:
        assert find_model(name) == path
        assert next(entry.source for entry in list_models() if entry.name == name) == source
    assert find_model("ann/mine") == find_model("ann/mine:latest")
    assert find_model("acme/hub-GGUF").name == "hub-q4.gguf" and find_model("acme/writer-GGUF").name == "writer.gguf"


def test_variables_of_the_programs_name_other_places(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(home / "elsewhere"))
    monkeypatch.setenv("LLAMA_CACHE", "~/lc")
    monkeypatch.setenv("OLLAMA_MODELS", str(home / "om"))
    hub_file(home / "elsewhere/hub", "acme/one", "one.gguf")
    model(home / "lc/two.gguf")
    ollama_file(home / "om", "registry.ollama.ai/library/three/latest", "d")
    assert [found.name for found in files_of_programs()] == ["one", "two", "three:latest"]
    monkeypatch.setenv("HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setenv("STUDIO_OTHER_PROGRAMS", "on")
    hub_file(home / "hub", "acme/four", "four.gguf")
    assert next(files_of_programs()).name == "four"
    monkeypatch.setenv("STUDIO_OTHER_PROGRAMS", "off")
    assert not list(files_of_programs())


def test_a_model_of_two_snapshots_is_listed_once_and_by_its_name(home: Path) -> None:
    hub = home / "cache/huggingface/hub"
    first = hub_file(hub, "acme/tiny", "tiny-q4.gguf")
    second = first.parent.with_name("1c2d") / first.name
    second.parent.mkdir()
    second.symlink_to(first.readlink())
    (first.parent / "gone.gguf").symlink_to("../../blobs/gone")
    assert [(entry.name, entry.path) for entry in list_models() if entry.source != BUNDLED] == [("tiny-q4", first)]


def test_a_hub_name_of_several_files_asks_which(home: Path) -> None:
    for name in ("tiny-q4.gguf", "tiny-q8.gguf"):
        hub_file(home / "cache/huggingface/hub", "acme/tiny", name)
    header_only(home / "mmproj.gguf", "clip").rename(hub_file(home / "cache/huggingface/hub", "acme/one", "mmproj.gguf").resolve())
    assert find_model("acme/one").name == "mmproj.gguf"
    one = hub_file(home / "cache/huggingface/hub", "acme/one", "one.gguf")
    assert find_model("acme/one") == one, "the projector beside it is not meant"
    with pytest.raises(ModelError, match="2 models here") as caught:
        find_model("acme/tiny")
    assert "tiny-q4, tiny-q8" in caught.value.hint


def test_equal_names_are_told_apart_and_each_is_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [model(home / f"mine/{folder}/model.gguf") for folder in ("a", "b", "c/b")]
    monkeypatch.setenv("STUDIO_MODELS", str(home / "mine"))
    names = {entry.path: entry.name for entry in list_models([files[1]])}
    assert [names[file] for file in files] == ["model", "b/model", str(files[2])]
    assert [find_model(names[file]) for file in files] == files


def test_a_hint_does_not_list_a_hundred_models(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(100):
        (home / "mine" / f"model-{number}.gguf").parent.mkdir(exist_ok=True)
        (home / "mine" / f"model-{number}.gguf").touch()
    monkeypatch.setenv("STUDIO_MODELS", str(home / "mine"))
    with pytest.raises(ModelError) as caught:
        find_model("zzzzzz")
    assert caught.value.hint == "`studio models` lists the 101 that are here"


def test_what_ollama_says_is_not_trusted(home: Path) -> None:
    root = home / ".ollama/models"
    model(home / "secret.gguf")
    for number, digest in enumerate(["sha256:../../../secret.gguf", "sha256:" + "e" * 63, 7, None]):
        ollama_file(root, f"registry.ollama.ai/library/bad{number}/latest", "f", digest=digest)
    for number, text in enumerate(["{", "[]", '{"layers": [{}]}', '{"layers": 3}', "[" * 100_000, "\xff"]):
        (root / "manifests" / f"registry.ollama.ai/library/worse{number}").mkdir(parents=True)
        (root / "manifests" / f"registry.ollama.ai/library/worse{number}/latest").write_text(text)
    assert not list(ollama_models(root))


def test_a_pool_knows_an_ollama_model_by_its_name(home: Path) -> None:
    blob = ollama_file(home / ".ollama/models", "registry.ollama.ai/library/llama3.2/3b", "a")
    assert identify(blob).name == "llama3.2:3b"
    alone = model(home / "blobs" / ("sha256-" + "b" * 64))
    assert identify(alone).name == alone.stem


def test_folders_are_searched_in_depth_without_losing_the_way(home: Path) -> None:
    folder = home / "mine"
    deep = model(folder / "a/b/c/deep.GGUF")
    (folder / "a" / "round").symlink_to(folder)
    (folder / ".cache").mkdir()
    model(folder / ".cache" / "hidden.gguf")
    (folder / "folder.gguf").mkdir()
    model(home / "other" / "linked.gguf")
    (folder / "link").symlink_to(home / "other")
    tiny_model(folder / "big.gguf", tensors_each=7)
    (folder / "big.gguf").unlink(missing_ok=True)
    closed = folder / "closed"
    closed.mkdir(mode=0o000)
    try:
        assert gguf_files(folder) == [deep, folder / "big-00001-of-00003.gguf", folder / "link/linked.gguf"]
    finally:
        closed.chmod(0o700)
    assert gguf_files(folder / "none") == [] and gguf_files(deep) == []


def test_a_list_reads_headers_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tiny_model(home / "tiny.gguf")
    (home / "nothing").mkdir()
    (entry,) = [each for each in list_models([file]) if each.path == file]
    assert entry.identity is not None and entry.identity.sha256 == ""
    known = identify(file)
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("a file was read that was hashed before"))
    assert known.sha256 and identify(file) == known
    assert [each.identity for each in list_models([file]) if each.path == file] == [known]
