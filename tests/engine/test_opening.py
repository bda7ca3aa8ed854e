"""Opening engines by name; the real model in its process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from studio.engine.api import CancelToken, EngineEvent, FinishReason, Restarted, TextPiece
from studio.engine.catalog import file_sha256
from studio.engine.llama.engine import LlamaEngine
from studio.engine.opening import bytes_to_hash, open_engine
from studio.engine.options import EngineOptions
from studio.engine.process.client import ProcessEngine
from studio.engine.scripted import ScriptedEngine
from studio.errors import ModelError
from support.engines import animal_requests, bundled_identity, complete, outcome

SAME = EngineOptions(context=6144, threads=1, parallel=4)
SAMPLED = {"temperature": 0.9, "max_tokens": 6}


def test_scripted_is_a_model_name() -> None:
    assert isinstance(open_engine("scripted"), ScriptedEngine)


def test_a_text_file_and_a_truncated_model_are_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    text = tmp_path / "notes.gguf"
    text.write_text("these are notes")
    with pytest.raises(ModelError, match="not a GGUF file"):
        open_engine(str(text))
    with Path(bundled_identity().path).open("rb") as source:
        (tmp_path / "half.gguf").write_bytes(source.read(3_000_000))
    with pytest.raises(ModelError, match="truncated: 95,362,432 bytes"):
        open_engine(str(tmp_path / "half.gguf"))


def test_what_is_to_be_hashed_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(bundled_identity().path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert bytes_to_hash(str(path)) == path.stat().st_size
    file_sha256(path)
    assert [bytes_to_hash(model) for model in (str(path), "scripted", "http://127.0.0.1:9/v1#m", "nowhere.gguf")] == [0] * 4


@pytest.mark.real_model
def test_the_model_in_its_process_gives_the_same_and_survives_being_killed(llama: LlamaEngine) -> None:
    requests = animal_requests(5, **SAMPLED)
    expected = outcome(complete(llama, requests))
    engine = open_engine("", SAME)
    assert isinstance(engine, ProcessEngine)
    try:
        assert (engine.info.context_tokens, engine.info.parallel, engine.info.layers) == (6144, 4, 30)
        assert engine.info.model == bundled_identity()
        restarts: list[Restarted] = []

        def watch(event: EngineEvent) -> None:
            if isinstance(event, TextPiece) and not restarts:
                os.kill(engine.pid, signal.SIGKILL)
            if isinstance(event, Restarted):
                restarts.append(event)

        assert outcome(complete(engine, requests, watch=watch)) == expected
        assert len(restarts) == 1 and "SIGKILL" in restarts[0].cause
        cancel = CancelToken()
        cancel.cancel()
        assert {c.finish_reason for c in complete(engine, requests, cancel)} == {FinishReason.CANCELLED}
        assert outcome(complete(engine, requests)) == expected
    finally:
        engine.close()
