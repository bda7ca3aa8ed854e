"""LoRA adapters: what does not fit never reaches llama.cpp, and what fits changes what the model writes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.engine.catalog import file_sha256, identify
from studio.engine.gguf import read_gguf
from studio.engine.llama.engine import LlamaEngine
from studio.engine.llama.model import LlamaModel
from studio.engine.llama.prefixes import fingerprint
from studio.engine.model_file import adapter_label, check_adapter, parted, tuned_name
from studio.engine.opening import open_engine
from studio.engine.options import EngineOptions
from studio.errors import ModelError, UsageError
from support.engines import complete, request
from support.tiny_models import LAYERS, tiny_adapter, tiny_model

SMALL: dict[str, Any] = {"context": 512, "threads": 1, "parallel": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.mark.parametrize(
    ("architecture", "changes", "words"),
    [
        ("llama", {"kind": "model"}, "a GGUF file of the type 'model', not an adapter"),
        ("llama", {"method": "control_vector"}, "of the type 'control_vector', not a LoRA"),
        ("gemma3", {}, "an adapter for the architecture 'gemma3', the model is 'llama'"),
        ("llama", {"width": 48}, "for a model of another size: blk.0.attn_q.weight is 64 x 64 here"),
        ("llama", {"names": (f"blk.{LAYERS}.attn_q.weight",)}, f"changes blk.{LAYERS}.attn_q.weight, which the model does not have"),
        ("llama", {"names": ()}, "the adapter has no weights"),
        ("llama", {"drop": "lora_a"}, "blk.0.attn_q.weight.lora_b has no counterpart"),
        ("llama", {"drop": "lora_b"}, "blk.0.attn_q.weight.lora_a has no counterpart"),
        ("llama", {"rank_b": 3}, "for a model of another size"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, model: Path, architecture: str, changes: dict[str, Any], words: str) -> None:
    adapter = tiny_adapter(tmp_path / "adapter.gguf", architecture, **changes)
    with pytest.raises(ModelError) as error:
        check_adapter(adapter, read_gguf(model))
    assert words in error.value.message and str(adapter) in error.value.message and error.value.hint


def test_files_that_are_no_adapter(tmp_path: Path, model: Path) -> None:
    base = read_gguf(model)
    with pytest.raises(ModelError, match="there is no such adapter"):
        check_adapter(tmp_path / "nothing.gguf", base)
    with pytest.raises(ModelError, match="a folder, not an adapter"):
        check_adapter(tmp_path, base)
    cut = tiny_adapter(tmp_path / "adapter.gguf")
    cut.write_bytes(cut.read_bytes()[:-100])
    with pytest.raises(ModelError, match="truncated"):
        check_adapter(cut, base)


def test_every_shortened_adapter_is_refused(tmp_path: Path, model: Path) -> None:
    whole = tiny_adapter(tmp_path / "whole.gguf").read_bytes()
    cut, base = tmp_path / "cut.gguf", read_gguf(model)
    for length in range(0, len(whole) - 1, 31):
        cut.write_bytes(whole[:length])
        with pytest.raises(ModelError):
            check_adapter(cut, base)


def test_the_engine_refuses_before_llama_cpp_reads_it(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import llama_cpp

    monkeypatch.setattr(llama_cpp, "llama_adapter_lora_init", lambda *_: pytest.fail("llama.cpp saw the file"))
    options = EngineOptions(**SMALL, adapter=str(tiny_adapter(tmp_path / "adapter.gguf", width=48)))
    with pytest.raises(ModelError, match="another size"):
        LlamaModel(str(model), options)


@pytest.fixture
def engines(model: Path, tmp_path: Path) -> Iterator[tuple[LlamaEngine, LlamaEngine]]:
    """The model as it is, and with an adapter."""
    adapter = tiny_adapter(tmp_path / "mine.gguf")
    pair = tuple(LlamaEngine(identify(model), EngineOptions(**SMALL, adapter=each)) for each in ("", str(adapter)))
    yield (pair[0], pair[1])
    for engine in pair:
        engine.close()


def test_an_adapter_changes_what_is_written(engines: tuple[LlamaEngine, LlamaEngine], tmp_path: Path) -> None:
    plain, tuned = engines
    requests = [request(text, max_tokens=12) for text in ("Name a river:", "Say yes.")]
    before, after = complete(plain, requests), complete(tuned, requests)
    assert [each.text for each in before] != [each.text for each in after]
    assert [each.text for each in complete(tuned, requests)] == [each.text for each in after]
    assert (plain.info.adapter, plain.info.adapter_sha256, plain.info.model.name) == ("", "", "tiny")
    assert tuned.info.adapter == str(tmp_path / "mine.gguf") and tuned.info.model.name == "tiny + mine"
    assert tuned.info.adapter_sha256 == file_sha256(tmp_path / "mine.gguf")


def test_kept_templates_belong_to_the_adapter(model: Path) -> None:
    loaded = LlamaModel(str(model), EngineOptions(**SMALL))
    try:
        keys = {fingerprint("ab", loaded), fingerprint("ab", loaded, "cd"), fingerprint("ab", loaded, "ef")}
    finally:
        loaded.close()
    assert len(keys) == 3


def test_the_process_has_the_adapter_too(model: Path, tmp_path: Path) -> None:
    engine = open_engine(str(model), EngineOptions(**SMALL, adapter=str(tiny_adapter(tmp_path / "mine.gguf"))))
    try:
        assert engine.info.model.name == "tiny + mine"
        [completion] = complete(engine, [request("Name a river:")])
        assert completion.completion_tokens > 0 and math.isfinite(completion.seconds)
    finally:
        engine.close()


@pytest.mark.parametrize("model_name", ["scripted", "http://localhost:1/v1"])
def test_adapters_go_with_files_only(model_name: str) -> None:
    with pytest.raises(UsageError, match="--adapter goes with a GGUF model here"):
        open_engine(model_name, EngineOptions(adapter="adapter.gguf"))


def test_names() -> None:
    assert adapter_label("/pools/pool.db.adapters/tuned-1/adapter.gguf") == "tuned-1"
    assert adapter_label("mine.gguf") == "mine" and adapter_label("adapter.gguf") == "adapter"
    assert tuned_name("Tiny", "") == "Tiny" and parted(tuned_name("Tiny", "x/mine.gguf")) == ("Tiny", "mine")
