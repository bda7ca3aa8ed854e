"""Weights taken out of a GGUF file part by part are those that transformers takes out of it whole, bit for bit."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from studio.engine.gguf import Gguf, read_gguf
from studio.errors import ModelError
from studio.tuning import weights
from studio.tuning.lora import ARCHITECTURES
from studio.tuning.weights import cache_folder, copy_of, is_cached, load_weights
from support.extra import needs_extra
from support.logits import divergence, llama_logits
from support.tiny_models import tiny_model

pytestmark = needs_extra

HASH = "ab" * 32
TOKENS = [int(byte) for byte in b"Name three rivers of Europe. Rhine, Elbe, Danube"]


def quantised(path: Path, target: Path, kind: int) -> Path:
    """Have llama.cpp quantise a model."""
    import ctypes

    import llama_cpp

    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = kind
    assert llama_cpp.llama_model_quantize(str(path).encode(), str(target).encode(), ctypes.byref(params)) == 0
    return target


def whole(base: Gguf) -> dict[str, Any]:
    """Return the tensors as transformers itself takes them out, 32 bits wide."""
    state: dict[str, Any] = weights._read_whole(base, weights._options("float32", "cpu")).state_dict()
    return state


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", [0, 1, 2, 7])
def test_parts_make_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, kind: int) -> None:
    """In float32, float16 and quantised files; in float32 as they are, in bfloat16 rounded once."""
    import torch

    path = quantised(tiny_model(tmp_path / "tiny.gguf", architecture), tmp_path / f"{kind}.gguf", kind)
    base = read_gguf(path)
    expected = whole(base)
    monkeypatch.setattr(weights, "_AT_ONCE", 1000)
    for precision in ("float32", "bfloat16"):
        model = load_weights(base, HASH, "", precision, "cpu")
        assert {each.dtype for each in model.parameters()} == {getattr(torch, precision)}
        found = model.state_dict()
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert torch.equal(found[name], values.to(found[name].dtype)), name
        assert is_cached(HASH, precision)
        again = load_weights(base, HASH, "", precision, "cpu").state_dict()
        assert all(torch.equal(again[name], values) for name, values in found.items())
    assert not list(cache_folder().glob("*.part"))


def test_without_room_for_a_copy_they_are_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    base = read_gguf(tiny_model(tmp_path / "tiny.gguf"))
    expected = whole(base)
    monkeypatch.setattr(weights, "_LEFT_FREE", 1 << 60)
    found = load_weights(base, HASH, "", "float32", "cpu").state_dict()
    assert all(torch.equal(found[name], values) for name, values in expected.items())
    assert not is_cached(HASH, "float32")


def test_a_copy_that_is_too_large_to_keep_lives_as_long_as_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    base = read_gguf(tiny_model(tmp_path / "tiny.gguf"))
    monkeypatch.setattr(weights, "BUDGET_BYTES", 1000)
    model = load_weights(base, HASH, "", "float32", "cpu")
    assert list(cache_folder().iterdir()) == []
    expected = whole(base)
    assert all(torch.equal(values, expected[name]) for name, values in model.state_dict().items())


def test_a_copy_that_was_being_removed_is_written_anew(tmp_path: Path) -> None:
    base = read_gguf(tiny_model(tmp_path / "tiny.gguf"))
    copy = copy_of(HASH, "float32")
    copy.mkdir(parents=True)
    (copy / "model.safetensors").write_bytes(b"half of it")
    load_weights(base, HASH, "", "float32", "cpu")
    assert is_cached(HASH, "float32")


def test_drafts_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path: Path) -> None:
    """Whatever numbers their processes have: in another container that shares the folder, they are the same ones."""
    base = read_gguf(tiny_model(tmp_path / "tiny.gguf"))
    dead, living = (cache_folder() / f"{name}.{os.getpid()}.part" for name in ("dead", "living"))
    for draft in (dead, living):
        draft.mkdir(parents=True)
    dead.with_suffix(".lock").touch()
    (cache_folder() / "before_its_draft.lock").touch()
    with FileLock(living.with_suffix(".lock")):
        load_weights(base, HASH, "", "float32", "cpu")
    assert sorted(each.name for each in cache_folder().glob("*.part")) == [living.name]
    assert {each.stem for each in cache_folder().glob("*.lock")} <= {living.stem}


def test_a_model_that_lacks_a_weight(tmp_path: Path) -> None:
    base = read_gguf(tiny_model(tmp_path / "tiny.gguf"))
    del base.tensors["blk.1.ffn_up.weight"]
    with pytest.raises(ModelError, match=r"no tensor blk\.1\.ffn_up\.weight of \(96, 64\)"):
        load_weights(base, HASH, "", "float32", "cpu")


def test_the_rotary_factors_of_llama_3_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers leaves them out; with them it predicts what llama.cpp predicts."""
    import numpy as np
    import torch

    factors = rotary_factors(8.0, 10_000.0, 8, 32)
    base = read_gguf(tiny_model(tmp_path / "tiny.gguf", rotary=factors))
    truth = llama_logits(str(base.path), TOKENS)

    def kl() -> float:
        model = load_weights(base, HASH, "", "float32", "cpu")
        with torch.no_grad():
            return divergence(model(input_ids=torch.tensor([TOKENS])).logits[0].double().numpy(), truth)

    with pytest.raises(ModelError, match="its rotary embedding is none that is known"):
        kl()
    monkeypatch.setattr(weights, "_LLAMA_3", (1.0, 4.0, 32))
    assert kl() < 1e-5
    assert kl() < 1e-5, "from the copy"
    monkeypatch.setattr(weights, "_ROTARY", "another")
    shutil.rmtree(cache_folder())
    assert kl() > 1e-3
    # As llama.cpp's converter has them for Llama 3.1: 29 of 64 as they were, 29 slowed down by 8.
    real = rotary_factors(8.0, 500_000.0, 64, 8192)
    assert (int(np.sum(real == 1)), int(np.sum(real == 8))) == (29, 29)


def rotary_factors(factor: float, theta: float, count: int, before: int) -> Any:
    """As llama.cpp's converter computes them."""
    import numpy as np

    found = []
    for place in range(count):
        length = 2 * np.pi * theta ** (place / count)
        smooth = (before / length - 1) / (4 - 1)
        slowed = factor if length > before else 1 / ((1 - smooth) / factor + smooth)
        found.append(1.0 if length < before / 4 else slowed)
    return np.array(found, dtype=np.float32)


def test_a_copy_that_another_process_made_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That one may be about to read it."""
    base = read_gguf(tiny_model(tmp_path / "tiny.gguf"))
    load_weights(base, HASH, "", "float32", "cpu")
    made = (weights.copy_of(HASH, "float32") / "model.safetensors").stat().st_ino
    monkeypatch.setattr(weights, "is_cached", lambda *_: False)
    load_weights(base, HASH, "", "float32", "cpu")
    assert (weights.copy_of(HASH, "float32") / "model.safetensors").stat().st_ino == made
    assert not list(cache_folder().glob("*.part"))
