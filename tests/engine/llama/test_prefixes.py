"""Templates from the disk, with the real model: exactly what a cold engine gives, and no evaluation."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import studio.engine.llama.prefixes as prefixes
from studio.engine.api import Completion
from studio.engine.llama.engine import LlamaEngine
from studio.engine.llama.prefixes import Prefixes, PrefixStore, fingerprint
from studio.engine.options import EngineOptions
from support.engines import animal_requests, bundled_identity, complete, outcome

pytestmark = pytest.mark.real_model

REQUESTS = animal_requests(3, temperature=1.0, presence_penalty=1.5, max_tokens=6)
SMALL = EngineOptions(context=2048, threads=1, parallel=4)
Opener = Callable[..., LlamaEngine]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PrefixStore:
    """A store for the tests' template, which is too short to be worth it otherwise."""
    monkeypatch.setattr(prefixes, "worth_storing", lambda _seconds, _size: True)
    return PrefixStore(tmp_path)


@pytest.fixture
def opened(store: PrefixStore) -> Iterator[Opener]:
    engines: list[LlamaEngine] = []

    def open_one(options: EngineOptions = SMALL) -> LlamaEngine:
        engines.append(LlamaEngine(bundled_identity(), options, store=store))
        return engines[-1]

    yield open_one
    for engine in engines:
        engine.close()


def cached(completions: list[Completion]) -> list[bool]:
    return [completion.cached_tokens > 0 for completion in completions]


def test_another_engine_takes_the_template_from_the_disk_and_writes_the_same(
    opened: Opener, store: PrefixStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = complete(opened(), REQUESTS)
    assert store.usage().files == 1
    with monkeypatch.context() as patched:
        patched.setattr(Prefixes, "_evaluate", lambda *_: pytest.fail("the template was evaluated again"))
        warm = complete(opened(), REQUESTS)
    assert outcome(warm) == outcome(cold)
    assert cached(cold) == [False, True, True] and cached(warm) == [True] * 3


def test_other_threads_and_sequences_share_it_and_another_context_does_not(opened: Opener, store: PrefixStore) -> None:
    complete(opened(), REQUESTS[:1])
    [before] = store.folder.iterdir()
    content = before.read_bytes()
    before.unlink()
    complete(opened(EngineOptions(context=2048, threads=2, parallel=7)), REQUESTS[:1])
    assert [path.read_bytes() for path in store.folder.iterdir()] == [content], "the states are equal to the last bit"
    complete(opened(EngineOptions(context=4096, threads=1, parallel=4)), REQUESTS[:1])
    assert store.usage().files == 2


def test_the_fingerprint_tells_models_apart(opened: Opener) -> None:
    model = opened()._model
    assert fingerprint("a", model) != fingerprint("b", model) == fingerprint("b", opened()._model)


def test_a_damaged_file_only_costs_the_evaluation(opened: Opener, store: PrefixStore) -> None:
    cold = complete(opened(), REQUESTS)
    [path] = store.folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    assert outcome(complete(opened(), REQUESTS)) == outcome(cold)
    assert path.read_bytes() == whole, "it was evaluated and stored again"


def test_a_state_that_llama_cpp_does_not_take_is_removed(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    cold = complete(opened(), REQUESTS)
    monkeypatch.setattr(PrefixStore, "load", lambda *_: (ctypes.c_uint8 * 100)())
    removed: list[str] = []
    monkeypatch.setattr(PrefixStore, "remove", lambda _, key: removed.append(key))
    assert outcome(complete(opened(), REQUESTS)) == outcome(cold)
    assert len(removed) == 1
