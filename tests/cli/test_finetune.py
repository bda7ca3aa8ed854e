"""`studio finetune` as a user runs it, on a tiny model: killed, resumed, recorded, and refused for every reason there is."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from studio.engine.api import CancelToken
from studio.engine.gguf import read_gguf
from studio.engine.model_file import check_adapter
from studio.errors import Interrupted, ModelError, StudioError, UsageError
from studio.pool.pool import Pool, Queries
from studio.pool.trainings import Side, TrainingState
from studio.tuning import finetune as tuning
from studio.tuning import training, worker
from studio.tuning.data import training_settings
from studio.tuning.finetune import check, finetune
from studio.tuning.job import Ended, Event, Finished, Opened, Resumed, Step, Waiting
from studio.tuning.training import Asked
from support import warm
from support.command import STUDIO, assert_fails, clean_environment, studio
from support.extra import needs_extra
from support.pools import assert_sound
from support.tiny_models import CHAT_TEMPLATE, tiny_model
from support.trainings import QUICK, lesson_pool

pytestmark = needs_extra


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(worker, "COMMAND", warm.training_command())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a pool of lessons and a tiny model."""
    lesson_pool(tmp_path / "pool.db")
    tiny_model(tmp_path / "tiny.gguf")
    return tmp_path


def flags(**changes: Any) -> list[str]:
    return [word for key, value in (QUICK | changes).items() for word in (f"--{key.replace('_', '-')}", str(value))]


def command(place: Path, *more: str, **changes: Any) -> list[str]:
    return ["finetune", str(place / "pool.db"), "--model", str(place / "tiny.gguf"), "--threads", "1", *flags(**changes), *more]


def asked(place: Path, **changes: Any) -> Asked:
    model = str(place / "tiny.gguf")
    settings = training_settings(
        QUICK | {key: value for key, value in changes.items() if key not in ("name", "output", "weights", "model")}
    )
    others = {key: value for key, value in changes.items() if key in ("name", "output", "weights", "model")}
    return check(place / "pool.db", settings, **{"model": model, "threads": 1, **others})


def run(place: Path, **changes: Any) -> list[Event]:
    return list(finetune(asked(place, **changes), CancelToken()))


def test_from_pool_to_adapter(place: Path) -> None:
    done = studio(*command(place, "--json"))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    folder = place / "pool.db.adapters" / "tuned-1"
    assert Path(told["adapter"]) == folder / "adapter.gguf"
    assert {file.name for file in folder.iterdir()} == {"adapter.gguf", "peft", "train.jsonl", "validation.jsonl", "training.json"}
    check_adapter(folder / "adapter.gguf", read_gguf(place / "tiny.gguf"))
    about = json.loads((folder / "training.json").read_text())
    assert 100_000_000 < about["memory_taken"] == told["memory"] and about["memory"] == told["planned"] and about["room"] > 0
    assert (about["state"], about["prompt_format"], about["base"]["name"], about["too_long"]) == ("finished", "chat", "tiny", 0)
    with Queries.open(place / "pool.db") as reader:
        [record] = reader.trainings.all()
        losses = reader.trainings.losses(record.id)
        sides = [each.side for each in reader.trainings.items(record.id)]
    assert (record.state, record.plan.folder) == (TrainingState.FINISHED, "pool.db.adapters/tuned-1")
    assert (record.adapter_sha256, record.plan.fingerprint) == (told["adapter_sha256"], about["fingerprint"])
    assert [each.step for each in losses if each.side is Side.TRAIN] == list(range(1, 13))
    assert (sides.count(Side.TRAIN), sides.count(Side.VALIDATION)) == (about["train"], about["validation"])
    assert_sound(place / "pool.db")
    words = ["--headless", "--rounds", "1", "--model", str(place / "tiny.gguf"), "--context", "8192", "--parallel", "2", "--threads", "1"]
    tuned = studio("run", place / "next.db", *words, "--adapter", told["adapter"], "--set", "stall_rounds=1")
    assert "tiny + tuned-1" in tuned.stderr
    assert_fails(studio("run", place / "next.db", *words, "--adapter", "none"), 2, "was made with the adapter", "not without an adapter")
    again = studio("run", place / "next.db", *words, "--set", "stall_rounds=1")
    assert "going on with run 1" in again.stderr and "tiny + tuned-1" in again.stderr


def test_a_dry_run_tells_the_plan_and_leaves_nothing(place: Path) -> None:
    done = studio(*command(place, "--dry-run", "--json"))
    assert done.returncode == 0 and "steps on cpu in float32, 2" in done.stderr, done.stderr
    told = json.loads(done.stdout)
    assert (told["device"], told["precision"], told["checkpointing"], told["steps"]) == ("cpu", "float32", False, 12)
    assert not (place / "pool.db.adapters").exists()
    with Queries.open(place / "pool.db") as reader:
        assert reader.trainings.all() == []


@pytest.mark.slow
def test_killed_three_times_it_ends_as_if_it_had_not_been(place: Path, tmp_path: Path) -> None:
    long = {"epochs": 30, "patience": 999}
    calm = tmp_path / "calm"
    assert studio(*command(place, "--name", "calm", "-o", str(calm), **long)).returncode == 0
    for wait_s in (0.2, 0.6, 1.0):
        running = subprocess.Popen([*STUDIO, *command(place, **long)], env=clean_environment(), stderr=subprocess.PIPE, text=True)
        assert running.stderr is not None
        for line in running.stderr:
            if "validation loss" in line:
                break
        time.sleep(wait_s)
        running.kill()
        running.communicate()
        assert running.returncode == -9
        assert_sound(place / "pool.db")
    done = studio(*command(place, **long))
    assert done.returncode == 0 and "going on after step" in done.stderr, done.stderr
    weights = [folder / "peft" / "adapter_model.safetensors" for folder in (calm, place / "pool.db.adapters" / "tuned-1")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    with Queries.open(place / "pool.db") as reader:
        curves = [[(each.step, each.loss) for each in reader.trainings.losses(record.id)] for record in reader.trainings.all()]
    assert len(curves) == 2 and curves[0] == curves[1]


def test_a_run_may_write_the_pool_meanwhile(place: Path) -> None:
    """While another process has the pool, losses wait; at the end so does the training, and says for whom."""
    events: list[Event] = []
    held: list[Pool] = []
    for event in finetune(asked(place), CancelToken()):
        events.append(event)
        if isinstance(event, Step) and event.point.step == 1:
            held.append(Pool.open(place / "pool.db"))
        if isinstance(event, Waiting):
            assert "is being written by process" in event.cause
            with Queries.open(place / "pool.db") as reader:
                assert reader.trainings.all()[0].state is TrainingState.STARTED
                assert len(reader.trainings.losses(1)) < 5
            threading.Timer(0.1, held.pop().close).start()
    assert isinstance(events[-1], Finished) and any(isinstance(event, Waiting) for event in events)
    with Queries.open(place / "pool.db") as reader:
        assert len(reader.trainings.losses(1)) == 17


def test_nobody_has_to_wait_for_a_busy_pool(place: Path) -> None:
    cancel, job = CancelToken(), asked(place)
    with pytest.raises(Interrupted, match="is made, but not on record"):
        for event in finetune(job, cancel):
            if isinstance(event, Step) and event.point.step == 1:
                pool = Pool.open(place / "pool.db")
            if isinstance(event, Waiting):
                cancel.cancel()
    pool.close()
    events = run(place)
    assert isinstance(events[-1], Finished) and not any(isinstance(event, Step) for event in events)


def test_cancelled_and_gone_on_with(place: Path) -> None:
    cancel = CancelToken()
    events = []
    for event in finetune(asked(place, epochs=50, patience=999), cancel):
        events.append(event)
        if isinstance(event, Step):
            cancel.cancel()
    assert isinstance(events[-1], Ended) and events[-1].reason == "interrupted"
    again = finetune(asked(place, epochs=50, patience=999), CancelToken())
    opened = next(again)
    assert isinstance(opened, Opened) and opened.resumed and opened.name == "tuned-1"
    assert any(isinstance(event, Resumed) and event.step >= 1 for event in again)


def test_other_settings_are_another_training(place: Path) -> None:
    run(place, epochs=1)
    cancel = CancelToken()
    for event in finetune(asked(place, name="mine"), cancel):
        if isinstance(event, Step):
            cancel.cancel()
    with pytest.raises(UsageError, match="the unfinished training mine was begun otherwise: rank: 2 there, 3 asked for"):
        run(place, name="mine", rank=3)
    with pytest.raises(UsageError, match="the training tuned-1 is finished"):
        run(place, name="tuned-1", epochs=1)
    last = run(place, epochs=1)[-1]
    assert isinstance(last, Finished) and last.name == "tuned-2"
    data = place / "pool.db.adapters" / "mine" / "train.jsonl"
    data.write_bytes(data.read_bytes() + b"\n")
    with pytest.raises(StudioError, match="was changed"):
        run(place, name="mine")


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "-x"])
def test_names_stay_in_their_folder(place: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a folder's name"):
        run(place, name=name)


def test_places_that_cannot_be_used(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = place / "taken"
    taken.mkdir()
    (taken / "thesis.tex").touch()
    with pytest.raises(UsageError, match="holds something else already"):
        run(place, output=taken)
    monkeypatch.setattr(training, "_BYTES", 10**13)
    with pytest.raises(StudioError, match="no room for checkpoints and adapter"):
        run(place)
    with Queries.open(place / "pool.db") as reader:
        assert reader.trainings.all() == []


@pytest.mark.parametrize(("template", "expected"), [(CHAT_TEMPLATE, "chat"), ("", "varied")])
def test_a_model_goes_on_in_its_own_template_where_it_has_one(place: Path, template: str, expected: str) -> None:
    tiny_model(place / "tiny.gguf", template=template)
    assert asked(place).settings.format == expected
    assert asked(place, format="plain").settings.format == "plain"


def test_models_that_cannot_be_trained(place: Path) -> None:
    assert_fails(studio("finetune", place / "pool.db", "--model", place / "nothing.gguf"), 3, "no such file")
    assert_fails(studio("finetune", place / "pool.db", "--model", "http://localhost:1/v1"), 2, "cannot be finetuned here")
    other = tiny_model(place / "other.gguf")
    other.write_bytes(other.read_bytes().replace(b"llama", b"bloom", 1))
    assert_fails(studio("finetune", place / "pool.db", "--model", other), 3, "not proven for the architecture 'bloom'")
    with pytest.raises(ModelError, match="not the folder of a Hugging Face model"):
        asked(place, weights=place)
    (place / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(ModelError, match="weights of the architecture 'gpt2'"):
        asked(place, weights=place)
    (place / "config.json").write_text(json.dumps({"model_type": "llama", "num_hidden_layers": 9}))
    with pytest.raises(ModelError, match="num_hidden_layers is 9, the model has 2"):
        asked(place, weights=place)


def test_pools_and_settings_that_do_not_do(place: Path) -> None:
    assert_fails(studio(*command(place, data="generated")), 4, "no generated tasks with usable instances")
    assert_fails(studio(*command(place, format="chatt")), 2, "unknown prompt format", "did you mean 'chat'?")
    assert_fails(studio(*command(place, rank=0)), 2, "rank")
    assert_fails(studio("finetune", place / "no.db", "--model", place / "tiny.gguf"), 4, "there is no pool")
    with Pool.open(place / "pool.db"):
        assert_fails(studio(*command(place)), 4, "is being written by process")


def test_without_the_extra_it_says_how_to_get_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "find_spec", lambda name: None if name in ("torch", "peft") else object())
    with pytest.raises(UsageError, match="not installed: torch, peft") as error:
        asked(place)
    assert "pip install 'self-instruct-studio[train]'" in error.value.hint
