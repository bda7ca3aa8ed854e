"""The training loop on a tiny model: it learns, counts outputs only, and goes on after any event as if nothing had happened."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio.engine.gguf import read_gguf
from studio.errors import ModelError, PoolError
from studio.pool.trainings import Side
from studio.tuning import lora, plan
from studio.tuning.job import RECORD, Ended, Event, Job, Resumed, Saved, Step, Validated
from studio.tuning.memory import Layout
from studio.tuning.plan import prepare
from studio.tuning.trainer import CHECKPOINT, Trainer
from studio.tuning.weights import cache_folder, check_folder, is_cached
from support.extra import needs_extra
from support.trainings import quick_job, train

pytestmark = needs_extra


def adapter_of(job: Job) -> str:
    """The digest of the trained matrices."""
    return hashlib.sha256((Path(job.folder) / "peft" / "adapter_model.safetensors").read_bytes()).hexdigest()


def losses(events: list[Event], side: Side) -> dict[int, float]:
    points = [each.point for each in events if isinstance(each, Step | Validated)]
    return {each.step: each.loss for each in points if each.side is side}


def test_it_learns_and_keeps_the_best_weights(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "calm")
    events = list(train(job))
    validation = losses(events, Side.VALIDATION)
    assert list(validation) == [0, 3, 6, 9, 12] and validation[12] < 0.7 * validation[0]
    assert list(losses(events, Side.TRAIN)) == list(range(1, 13))
    assert events[-1] == Ended("epochs", min(validation, key=lambda step: validation[step]))
    assert (Path(job.folder) / "adapter.gguf").is_file()
    config = json.loads((Path(job.folder) / "peft" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["r"]) == ("tiny.gguf", 2)


def test_killed_after_any_event_it_ends_in_the_same_adapter(tmp_path: Path) -> None:
    """Each session sees one event more than the one before, saves after every step, and is then gone without a word."""
    calm, killed = quick_job(tmp_path / "calm", dropout=0.1), quick_job(tmp_path / "killed", dropout=0.1)
    truth = list(train(calm))
    seen: dict[int, float] = {}
    sessions = 0
    while True:
        sessions += 1
        session = train(killed, save_every_s=0)
        taken = [event for event, _ in zip(session, range(sessions), strict=False)]
        seen |= losses(taken, Side.TRAIN)
        if isinstance(taken[-1], Ended):
            break
        session.close()
    assert sessions > 4
    assert seen == losses(truth, Side.TRAIN)
    assert adapter_of(killed) == adapter_of(calm)


def test_a_kill_between_checkpoints_costs_only_what_came_after_the_last(tmp_path: Path) -> None:
    calm, killed = quick_job(tmp_path / "calm"), quick_job(tmp_path / "killed")
    list(train(calm))
    for event in train(killed):
        if isinstance(event, Step) and event.point.step == 5:
            break
    again = list(train(killed))
    resumed = next(event for event in again if isinstance(event, Resumed))
    assert resumed.step == 3 and [each.step for each in resumed.losses] == [0, 1, 2, 3, 3]
    assert adapter_of(killed) == adapter_of(calm)


def test_cancelled_it_saves_the_last_whole_step(tmp_path: Path) -> None:
    calm, stopped = quick_job(tmp_path / "calm"), quick_job(tmp_path / "stopped")
    list(train(calm))
    count = 0

    def cancelled() -> bool:
        nonlocal count
        count += 1
        return count > 9

    events = list(train(stopped, cancelled))
    assert isinstance(events[-2], Saved) and events[-1] == Ended("interrupted", events[-2].step)
    assert not (Path(stopped.folder) / "adapter.gguf").exists()
    list(train(stopped))
    assert adapter_of(stopped) == adapter_of(calm)


def test_it_stops_when_the_validation_loss_gets_no_better(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "worse", learning_rate=1.0, patience=2, epochs=9)
    events = list(train(job))
    validation = losses(events, Side.VALIDATION)
    best = min(validation, key=lambda step: validation[step])
    assert events[-1] == Ended("early_stop", best)
    assert len([step for step in validation if step > best]) == 2


def test_only_completions_count(tmp_path: Path) -> None:
    """The loss is that of transformers itself over the whole text, with the prompt's targets left out."""
    import torch

    from studio.tuning.lora import TunedModel
    from studio.tuning.weights import load_weights

    job = quick_job(tmp_path / "one")
    prepared = prepare(job)
    weights = load_weights(read_gguf(Path(job.model)), job.sha256, "", "float32", "cpu")
    model = TunedModel(weights, job.settings, 1, "cpu", mixed=False)
    piece = sorted(prepared.train, key=lambda each: len(each.ids))[::7]
    assert len({len(each.ids) for each in piece}) > 1
    expected = 0.0
    with torch.no_grad():
        for each in piece:
            targets = torch.tensor([[-100] * each.prompt + list(each.ids[each.prompt :])])
            expected += float(weights(input_ids=torch.tensor([each.ids]), labels=targets).loss) * each.labels
        assert float(model.loss(piece)) == pytest.approx(expected, rel=1e-5)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "job")
    list(train(job))
    other = replace(job, settings=job.settings.model_copy(update={"rank": 3}))
    with pytest.raises(ModelError, match="of another training"):
        list(train(other))
    place = Path(job.folder) / CHECKPOINT
    place.write_bytes(place.read_bytes()[:1000])
    with pytest.raises(ModelError, match="the checkpoint is damaged"):
        list(train(job))


def test_a_folder_of_the_same_weights_makes_the_same_adapter(tmp_path: Path) -> None:
    """The copy that is kept of a GGUF file's weights is a Hugging Face folder as any other."""
    first, second = quick_job(tmp_path / "first"), quick_job(tmp_path / "second")
    list(train(first))
    copy = cache_folder() / first.sha256[:32]
    assert is_cached(first.sha256, "float32")
    check_folder(copy, read_gguf(Path(first.model)))
    list(train(replace(second, weights=str(copy))))
    assert adapter_of(first) == adapter_of(second)
    (copy / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="transformers cannot read these weights"):
        list(train(replace(second, weights=str(copy))))
    list(train(quick_job(tmp_path / "third")))


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calm, full = quick_job(tmp_path / "calm"), quick_job(tmp_path / "full")
    list(train(calm))

    def no_space(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(PoolError, match="no space left on device"):
        for event in train(full, save_every_s=0):
            if isinstance(event, Step) and event.point.step == 4:
                patched.setattr(os, "fsync", no_space)
    assert not list(Path(full.folder).glob("*.part"))
    events = list(train(full))
    assert next(event.step for event in events if isinstance(event, Resumed)) == 3
    assert adapter_of(full) == adapter_of(calm)


def test_a_loss_that_is_no_number_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from studio.tuning.lora import TunedModel

    job = quick_job(tmp_path / "job", validation=0.0)
    monkeypatch.setattr(TunedModel, "loss", lambda self, _piece: next(iter(self.parameters().values())).sum() * torch.nan)
    with pytest.raises(ModelError, match="the loss of step 1 is not a number"):
        list(train(job))


def test_what_the_machine_cannot_do_is_said_before_the_weights_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = quick_job(tmp_path / "job")
    with pytest.raises(ModelError, match=r"--device cuda: PyTorch .* sees no such device"):
        prepare(replace(job, settings=job.settings.model_copy(update={"device": "cuda"})))
    with pytest.raises(PoolError, match="all 23 examples are longer than 16 tokens"):
        prepare(replace(job, settings=job.settings.model_copy(update={"max_tokens": 16})))
    monkeypatch.setattr(plan, "_available", lambda _device: 100_000_000)
    with pytest.raises(ModelError, match=r"needs at least about .* of memory, this machine has .* available"):
        prepare(job)


def test_a_training_goes_on_with_the_precision_that_it_began_with(tmp_path: Path) -> None:
    """Weights in 4 bits are another model: what cannot have them here is told so, whatever `auto` would choose."""
    job = quick_job(tmp_path / "job")
    about = {"fingerprint": job.fingerprint, "device": "cuda", "precision": "4bit", "room": 512, "checkpointing": True}
    (Path(job.folder) / RECORD).write_text(json.dumps(about), "utf-8")
    with pytest.raises(ModelError, match="--precision 4bit needs a GPU of CUDA"):
        prepare(job)
    (Path(job.folder) / RECORD).write_text(json.dumps(about | {"precision": "float32"}), "utf-8")
    assert prepare(job).layout == prepare(quick_job(tmp_path / "new")).layout


def test_the_chat_format_trains_on_the_models_own_template(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "chat", format="chat")
    events = list(train(job))
    validation = losses(events, Side.VALIDATION)
    assert validation[12] < validation[0]
    record = job.records(Side.TRAIN)[0]
    assert record["prompt"].startswith("<|user|>Say yes to question") and record["prompt"].endswith("<|end|><|assistant|>")


def step_by_step(job: Job, layout: Layout) -> tuple[list[float], dict[str, Any]]:
    """Train with this layout; return the losses and the adapter's matrices."""
    from safetensors.torch import load_file

    events = list(Trainer(replace(prepare(job), layout=layout), lambda: False, 1e9).events())
    found = [*losses(events, Side.TRAIN).values(), *losses(events, Side.VALIDATION).values()]
    return found, load_file(Path(job.folder) / "peft" / "adapter_model.safetensors")


@pytest.mark.parametrize(("layout", "dropout"), [(Layout("float32", 1), 0.0), (Layout("float32", 10_000, checkpointing=True), 0.1)])
def test_how_a_step_is_computed_does_not_change_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Layout, dropout: float) -> None:
    """One example at a time, or with all but the blocks' inputs computed again: the same losses and the same adapter, within rounding."""
    import torch

    monkeypatch.setattr(lora, "HEAD_AT_ONCE", 5)

    settings = {"epochs": 1, "patience": 99, "dropout": dropout, "learning_rate": 0.001}
    whole, adapter = step_by_step(quick_job(tmp_path / "whole", **settings), Layout("float32", 10_000))
    parted, other = step_by_step(quick_job(tmp_path / "parted", **settings), layout)
    assert parted == pytest.approx(whole, rel=1e-4)
    for name, values in adapter.items():
        assert torch.allclose(values, other[name], rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize(("checkpointing", "times"), [(False, 1), (True, 2)])
def test_checkpointing_computes_blocks_again(tmp_path: Path, checkpointing: bool, times: int) -> None:
    """Otherwise the proof above would show nothing."""
    from studio.tuning.lora import TunedModel
    from studio.tuning.weights import load_weights

    job, calls = quick_job(tmp_path / "job"), []
    weights = load_weights(read_gguf(Path(job.model)), job.sha256, "", "float32", "cpu")
    model = TunedModel(weights, job.settings, 1, "cpu", mixed=False, checkpointing=checkpointing)
    weights.get_decoder().layers[0].mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    model.train(True)
    model.loss(prepare(job).train[:2]).backward()
    assert len(calls) == times


def test_an_unfinished_training_keeps_its_layout(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "job")
    assert prepare(job).layout == Layout("float32", 236)
    about = {"fingerprint": job.fingerprint, "device": "cpu", "precision": "float32", "room": 90, "checkpointing": True}
    record = Path(job.folder) / RECORD
    record.write_text(json.dumps(about))
    prepared = prepare(job).prepared
    assert (prepared.room, prepared.checkpointing, prepared.why) == (90, True, ())
    for other in ({"fingerprint": "x"}, {"device": "cuda"}, {"room": "many"}):
        record.write_text(json.dumps(about | other))
        assert prepare(job).layout == Layout("float32", 236)
    record.write_text("[")
    assert prepare(job).layout == Layout("float32", 236)


def test_4_bits_need_a_gpu(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="--precision 4bit needs a GPU of CUDA") as error:
        prepare(quick_job(tmp_path / "job", precision="4bit"))
    assert "pip install bitsandbytes" in error.value.hint
