"""Who is evaluated: what is asked for, found, and refused before any model is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.engine.catalog import bundled_model
from studio.engine.scripted import ScriptedEngine
from studio.errors import ModelError, UsageError
from studio.tuning import contestants
from studio.tuning.contestants import ContestantSpec, look_up, parse_against, settled
from studio.tuning.prompt_format import ALPACA, PLAIN, SERVED_CHAT

MAIN = ContestantSpec("base.gguf", "lora.gguf", "plain")


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("other", ContestantSpec("other")),
        ("other,format=chat", ContestantSpec("other", "", "chat")),
        ("format=chat", ContestantSpec("base.gguf", "", "chat")),
        (",format=chat", ContestantSpec("base.gguf", "", "chat")),
        ("adapter=runs/a.gguf,format=plain", ContestantSpec("base.gguf", "runs/a.gguf", "plain")),
        ("http://127.0.0.1:1/v1#m=x", ContestantSpec("http://127.0.0.1:1/v1#m=x")),
    ],
)
def test_another_contestant(text: str, spec: ContestantSpec) -> None:
    assert parse_against(text, MAIN) == spec


@pytest.mark.parametrize("text", ["", "m,formt=chat", "m,format", "m,format=", "m,format=chat,format=plain"])
def test_what_names_no_contestant(text: str) -> None:
    with pytest.raises(UsageError, match="--against"):
        parse_against(text, MAIN)


def test_the_format_follows_from_the_training_then_from_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contestants, "check_adapter", lambda *_: None)
    adapter = tmp_path / "my-training" / "adapter.gguf"
    adapter.parent.mkdir()
    adapter.write_bytes(b"GGUF")
    assert look_up(ContestantSpec()).format.name == "chat"
    assert look_up(ContestantSpec(format="plain")).format == PLAIN
    assert look_up(ContestantSpec(adapter=str(adapter))).format.name == "chat"
    for trained, expected in (("varied", "plain"), ("alpaca", "alpaca"), ("chat", "chat"), ("unheard of", "chat")):
        (adapter.parent / "training.json").write_text(json.dumps({"prompt_format": trained}))
        assert look_up(ContestantSpec(adapter=str(adapter.parent))).format.name == expected
    (adapter.parent / "training.json").write_text("[]")
    found = look_up(ContestantSpec(adapter=str(adapter), format="alpaca"))
    assert (found.format.name, found.adapter_name, len(found.adapter_sha256)) == ("alpaca", "my-training", 64)


def test_what_cannot_be_evaluated(tmp_path: Path) -> None:
    model = tmp_path / "no-template.gguf"
    path = bundled_model()
    assert path is not None
    # The key loses its last letter: a model without a chat template, else the same.
    model.write_bytes(path.read_bytes().replace(b"tokenizer.chat_template", b"tokenizer.chat_templatx", 1))
    with pytest.raises(ModelError, match="no chat template"):
        look_up(ContestantSpec(str(model), format="chat"))
    assert look_up(ContestantSpec(str(model))).format == PLAIN
    for spec, words in (
        (ContestantSpec(format="chatt"), "unknown format"),
        (ContestantSpec(adapter=str(tmp_path)), "there is no adapter"),
        (ContestantSpec("scripted", adapter="x"), "needs a model file"),
    ):
        with pytest.raises(UsageError, match=words):
            look_up(spec)


def test_a_server_is_asked_in_the_format_named_or_as_it_wants_to_be() -> None:
    address = "http://127.0.0.1:1/v1"
    chats, completes = ScriptedEngine(chats=True).info, ScriptedEngine().info
    for name, at_a_chat, elsewhere in (("auto", SERVED_CHAT, PLAIN), ("chat", SERVED_CHAT, SERVED_CHAT), ("alpaca", ALPACA, ALPACA)):
        entrant = look_up(ContestantSpec(address, format=name))
        assert (settled(entrant, chats).format, settled(entrant, completes).format) == (at_a_chat, elsewhere)


def test_an_adapter_that_does_not_fit_is_refused_before_anything_runs(tmp_path: Path) -> None:
    path = bundled_model()
    assert path is not None
    (tmp_path / "adapter.gguf").write_bytes(path.read_bytes())
    with pytest.raises(ModelError, match="not an adapter"):
        look_up(ContestantSpec(adapter=str(tmp_path)))
