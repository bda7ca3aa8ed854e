"""How likely the model finds what it draws and what it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from studio.engine.api import Chat, FinishReason, Request, SamplingParams
from studio.engine.catalog import identify
from studio.engine.llama.engine import LlamaEngine
from studio.engine.llama.sampling import UNSURPRISING, Surprisals, surprisals
from studio.engine.llama.vocab import open_vocabulary
from studio.engine.options import EngineOptions, rows_with_logits
from support.engines import animal_requests, complete, outcome, request
from support.logits import llama_logits
from support.tiny_models import CHAT_TEMPLATE, tiny_model

TEXTS = ("Name three rivers of France and say where they end.", "asdf", "The the the the the, of!", "Übersetze: 東京", "A")
LONG = "To be, or not to be: that is the question. " * 9
MEASURED = SamplingParams(max_tokens=0, measure=True)


def _shown(text: str, prefix: str = "", chat: Chat | None = None) -> Request:
    return Request(prefix, text, MEASURED, 1, chat=chat)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("measuring") / "tiny.gguf", template=CHAT_TEMPLATE)


@pytest.fixture(scope="module")
def tiny(path: Path) -> Iterator[LlamaEngine]:
    """A model of random weights whose tokens are bytes, over three sequences."""
    engine = LlamaEngine(identify(path), EngineOptions(context=1536, threads=1, parallel=3, contexts=1))
    yield engine
    engine.close()


def _truth(path: Path, text: str, behind: str = "") -> float:
    """The nats a token of `text` behind another, by llama.cpp token for token."""
    vocabulary = open_vocabulary(path)
    before = vocabulary.tokenise(behind, control=True)
    tokens = before + vocabulary.tokenise(text)
    vocabulary.close()
    logits = llama_logits(f"{path}", tokens)
    chances = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    counted = [chances[place - 1][tokens[place]] for place in range(max(1, len(before)), len(tokens))]
    return float(-np.sum(counted) / (len(counted) + UNSURPRISING))


def test_the_surprisal_is_the_logarithm_of_the_softmax_however_many_rows_are_measured_at_once() -> None:
    block = np.random.default_rng(1).normal(0, 30, (7, 1000)).astype(np.float32)
    tokens = [3, 141, 59, 265, 358, 979, 3]
    chances = np.exp(block.astype(np.float64) - block.max(axis=1, keepdims=True))
    nats = surprisals(block, tokens)
    assert nats == pytest.approx(-np.log(chances[range(7), tokens] / chances.sum(axis=1)), rel=1e-5)
    assert [surprisals(block, tokens, np.empty((most, 1000), dtype=np.float32)) for most in (1, 2, 5)] == [nats] * 3
    assert surprisals(np.zeros((1, 8), dtype=np.float32), [3]) == [pytest.approx(np.log(8))]


def test_what_a_stop_string_cut_off_does_not_count() -> None:
    found = Surprisals()
    assert found.mean() is None
    for nats, size in ((1.0, 3), (3.0, 2), (8.0, 4)):
        found.add(nats, size)
    assert (found.mean(), found.mean(5), found.mean(4), found.mean(3), found.mean(0)) == (1.5, 4 / 7, 4 / 7, 1 / 6, None)


def test_rows_with_logits_are_bounded_by_memory_and_never_fewer_than_sequences() -> None:
    assert rows_with_logits(16, 49_152, 512) == 85
    assert rows_with_logits(16, 262_144, 512) == 36
    assert rows_with_logits(16, 257, 512) == 512
    assert rows_with_logits(64, 262_144, 32) == 68


def test_a_prompt_is_measured_as_llama_cpp_has_it(path: Path, tiny: LlamaEngine) -> None:
    shown = complete(tiny, [_shown(text) for text in (*TEXTS[:4], LONG)])
    for text, found in zip((*TEXTS[:4], LONG), shown, strict=True):
        assert (found.text, found.finish_reason, found.completion_tokens) == ("", FinishReason.LENGTH, 0)
        assert found.nats == pytest.approx(_truth(path, text), abs=2e-3)
    [parted] = complete(tiny, [_shown(LONG[50:], LONG[:50])])
    assert parted.nats == pytest.approx(shown[-1].nats, abs=2e-3)


def test_a_users_turn_is_measured_behind_its_opening(path: Path, tiny: LlamaEngine) -> None:
    chat = Chat(system="Be brief.")
    found = complete(tiny, [_shown(text, chat=chat) for text in TEXTS])
    for text, each in zip(TEXTS, found, strict=True):
        assert each.nats == pytest.approx(_truth(path, text, "<|system|>Be brief.<|end|><|user|>"), abs=2e-3)
    assert [each.cached_tokens > 0 for each in found] == [False, True, True, True, True]


def test_nothing_to_measure(tiny: LlamaEngine) -> None:
    one, empty, opened, unmeasured = complete(
        tiny, [_shown("A"), _shown(""), _shown("", chat=Chat()), Request("", "Hi", SamplingParams(max_tokens=0), 1)]
    )
    assert one.nats is empty.nats is opened.nats is unmeasured.nats is None
    assert (one.finish_reason, empty.finish_reason) == (FinishReason.LENGTH, FinishReason.REFUSED)
    [long] = complete(tiny, [_shown(LONG * 5)])
    assert long.finish_reason is FinishReason.REFUSED and long.nats is None


def test_a_long_prompt_is_measured_whatever_rows_a_batch_has(tiny: LlamaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [_shown(LONG), *(request(text, max_tokens=20) for text in TEXTS), _shown(LONG[:99]), _shown(LONG, chat=Chat())]
    wide = complete(tiny, asked)
    [context] = tiny._model.contexts
    assert context.outputs > len(LONG)
    monkeypatch.setattr(context, "outputs", 7)
    narrow = complete(tiny, asked)
    assert [each.nats for each in narrow] == [pytest.approx(each.nats, abs=2e-3) if each.nats else None for each in wide]
    assert complete(tiny, asked)[0].nats == narrow[0].nats


def test_measuring_changes_nothing_that_is_drawn(tiny: LlamaEngine) -> None:
    hot = [request(text, seed=seed, temperature=1.0, max_tokens=30, repeat_penalty=1.3) for seed, text in enumerate(TEXTS)]
    cold = [request(text, presence_penalty=2.0, max_tokens=30, ignore_eos=True) for text in TEXTS]
    plain = complete(tiny, hot + cold)
    measured = complete(tiny, [replace(each, params=replace(each.params, measure=True)) for each in hot + cold])
    assert outcome(plain) == outcome(measured)
    assert all(each.nats is None for each in plain)
    assert all(each.nats is not None and each.nats > 0 for each in measured if each.completion_tokens)


@pytest.mark.real_model
def test_what_was_drawn_is_as_likely_when_it_is_shown(llama: LlamaEngine) -> None:
    chat = Chat(writes_request=True)
    params = SamplingParams(top_p=0.9, max_tokens=40, measure=True)
    drawn = complete(llama, [Request("", "", params, seed, chat=chat) for seed in range(6)])
    whole = [each.text for each in drawn if each.finish_reason is FinishReason.STOP]
    assert len(whole) > 1
    shown = complete(llama, [_shown(text, chat=Chat()) for text in whole])
    written = [each.nats for each in drawn if each.finish_reason is FinishReason.STOP]
    assert [each.nats for each in shown] == [pytest.approx(nats, abs=0.05) for nats in written]
    assert all(each.cached_tokens > 16 for each in shown)


@pytest.mark.real_model
def test_likelier_texts_have_fewer_nats_whatever_is_beside_them(llama: LlamaEngine) -> None:
    shuffled = "France of say end where rivers and three they name."
    asked = [_shown(text, chat=Chat()) for text in (TEXTS[0], shuffled, TEXTS[1])]
    alone = [complete(llama, [each])[0].nats for each in asked]
    crowded = complete(llama, [*animal_requests(3), *asked, _shown(LONG)])[3:6]
    assert alone[0] is not None and alone[1] is not None and alone[0] < alone[1] - 1.5
    assert [each.nats for each in crowded] == [pytest.approx(nats, abs=0.02) for nats in alone]
    again = complete(llama, [*animal_requests(3), *asked, _shown(LONG)])[3:6]
    assert [each.nats for each in again] == [each.nats for each in crowded]
