"""The adapter as llama.cpp has it predicts what the adapter as peft has it predicts: the proof of the conversion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio.engine.gguf import read_gguf
from studio.engine.model_file import check_adapter
from studio.errors import ModelError
from studio.tuning import lora
from studio.tuning.job import TrainingSettings
from studio.tuning.lora import ARCHITECTURES, check_architecture, write_adapter
from studio.tuning.memory import Layout, Load, memory_needed
from studio.tuning.plan import Tokens
from support.extra import needs_extra
from support.logits import divergence, llama_logits
from support.tiny_models import tiny_model

pytestmark = needs_extra

TOKENS = [int(byte) for byte in b"Name three rivers of Europe. Rhine, Elbe, Danube"]
SAME = 1e-5
"""Nats a token: what keys and values of 16 bits may cost."""


def tuned(path: Path, folder: Path) -> tuple[Any, Any]:
    """Put a large random adapter onto the model, save it into `folder`, and return what transformers predicts without and with it.

    Its numbers are 16 bits wide already, so that rounding them is no part of what is measured.
    """
    import torch

    from studio.tuning.lora import TunedModel
    from studio.tuning.weights import load_weights

    weights = load_weights(read_gguf(path), "ab" * 32, "", "float32", "cpu").eval()
    ids = torch.tensor([TOKENS])
    with torch.no_grad():
        before = weights(input_ids=ids).logits[0].double().numpy()
        model = TunedModel(weights, TrainingSettings(rank=4, alpha=8), 1, "cpu", mixed=False)
        generator = torch.Generator().manual_seed(5)
        model.put({name: (0.2 * torch.randn(each.shape, generator=generator)).half() for name, each in model.parameters().items()})
        after = weights(input_ids=ids).logits[0].double().numpy()
    model.save(folder, read_gguf(path), path.name)
    return before, after


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_llama_cpp_and_transformers_agree_with_the_adapter(tmp_path: Path, architecture: str) -> None:
    path = tiny_model(tmp_path / "tiny.gguf", architecture)
    before, after = tuned(path, tmp_path)
    adapter = tmp_path / "adapter.gguf"
    assert divergence(before, llama_logits(str(path), TOKENS)) < SAME
    assert divergence(after, llama_logits(str(path), TOKENS, str(adapter))) < SAME
    assert divergence(before, after) > 0.1
    assert len(read_gguf(adapter).tensors) == 2 * 2 * 7


def test_the_rows_of_q_and_k_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without their permutation the proof above would fail, so it would notice."""
    path = tiny_model(tmp_path / "tiny.gguf")
    monkeypatch.setattr(lora, "_rotary_rows", lambda values, _name, _base: values)
    _, after = tuned(path, tmp_path)
    assert divergence(after, llama_logits(str(path), TOKENS, str(tmp_path / "adapter.gguf"))) > 1000 * SAME


def test_an_architecture_that_is_not_proven_is_refused(tmp_path: Path) -> None:
    header = read_gguf(tiny_model(tmp_path / "tiny.gguf"))
    check_architecture(header)
    header.metadata["general.architecture"] = "qwen3"
    with pytest.raises(ModelError, match="not proven for the architecture 'qwen3'"):
        check_architecture(header)


def test_an_adapter_for_another_model_is_refused(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "tiny.gguf")
    tuned(path, tmp_path)
    base = read_gguf(path)
    del base.tensors["blk.1.ffn_up.weight"]
    with pytest.raises(ModelError, match="the model has no weight for the adapter's"):
        write_adapter(tmp_path / "peft", base, tmp_path / "other.gguf")


def test_the_adapters_scale_is_that_of_its_training(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "tiny.gguf")
    tuned(path, tmp_path)
    check_adapter(tmp_path / "adapter.gguf", read_gguf(path))
    assert read_gguf(tmp_path / "adapter.gguf").metadata["adapter.lora.alpha"] == 8


def saved_bytes(model: Any, length: int) -> int:
    """Return how many bytes PyTorch keeps for the way back from one example of this length, weights left out."""
    import torch

    weights = {each.untyped_storage().data_ptr() for each in model._peft.parameters()}
    found: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.loss([Tokens(tuple(range(length)), length - 1)])
    return sum(each.nbytes() for each in found.values())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_kept_is_what_is_reckoned(tmp_path: Path, architecture: str, precision: str) -> None:
    """A token more keeps no more than the arithmetic says, nor much less; with checkpointing only what goes into the blocks."""
    from studio.tuning.lora import TunedModel
    from studio.tuning.weights import load_weights

    base = read_gguf(tiny_model(tmp_path / "tiny.gguf", architecture))
    kept = []
    for checkpointing in (False, True):
        weights = load_weights(base, "ab" * 32, "", precision, "cpu")
        mixed = precision == "bfloat16"
        model = TunedModel(weights, TrainingSettings(rank=2, alpha=4), 1, "cpu", mixed=mixed, checkpointing=checkpointing)
        model.train(True)
        kept.append((saved_bytes(model, 192) - saved_bytes(model, 64)) / 128)
    few, many = (memory_needed(base, Load(tokens, 0, 1), Layout(precision, 1), 2, "cuda") for tokens in (0, 10_000))
    assert kept[0] < (many - few) / 10_000 < 2 * kept[0]
    assert kept[1] < kept[0] / 4
