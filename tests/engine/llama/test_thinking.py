"""A local model that thinks: its thoughts have tokens of their own, and the text tells them, whoever opened them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from studio.engine.api import Chat, Completion, FinishReason, Request, SamplingParams
from studio.engine.catalog import identify
from studio.engine.llama.engine import LlamaEngine
from studio.engine.llama.vocab import open_vocabulary
from studio.engine.options import EngineOptions
from studio.loop.parsing import answer_of
from support.engines import complete
from support.tiny_models import tiny_model

OPTIONS = EngineOptions(context=1024, threads=1, parallel=2)
TURN = "<user>{{ messages[0].content }}<bot>"
OPENS = TURN + "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}"
"""A template that opens the thoughts itself, as those of DeepSeek-R1 and Qwen do."""


def engine_of(folder: Path, template: str) -> LlamaEngine:
    return LlamaEngine(identify(tiny_model(folder / "m.gguf", template=template, words=("<user>", "<bot>"))), OPTIONS)


@pytest.fixture(scope="module")
def opening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaEngine]:
    engine = engine_of(tmp_path_factory.mktemp("opening"), OPENS)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaEngine]:
    engine = engine_of(tmp_path_factory.mktemp("plain"), TURN)
    yield engine
    engine.close()


def says(engine: LlamaEngine, text: str, chat: Chat | None, params: SamplingParams) -> Completion:
    """The completion of a model that says `text`: a grammar allows it nothing else."""
    words = text.replace("\n", "\\n")
    grammar = replace(params, grammar=f'root ::= "{words}"')
    [done] = complete(engine, [Request("", "Hi", grammar, 1, chat=chat)])
    return done


def test_a_text_whose_thoughts_the_template_opened_begins_with_the_mark(opening: LlamaEngine) -> None:
    params = SamplingParams(max_tokens=5, thinking_tokens=40, stop=("\n\n",))
    done = says(opening, "Hm.\n\nSo.</think>\n\nTawny wine", Chat(), params)
    assert (done.text, done.finish_reason) == ("<think>\nHm.\n\nSo.</think>\n\nTawny", FinishReason.LENGTH)
    assert done.completion_tokens == len("Hm.\n\nSo.</think>\n\nTawny")
    answer = answer_of(done)
    assert (answer.text.strip(), answer.thoughts, answer.truncated) == ("Tawny", "Hm.\n\nSo.", True)


def test_one_that_is_cut_inside_them_has_no_answer(opening: LlamaEngine) -> None:
    done = says(opening, "10. Name a river.\n11. Name", Chat(), SamplingParams(max_tokens=100, thinking_tokens=20))
    assert done.finish_reason is FinishReason.LENGTH and done.completion_tokens == 20
    answer = answer_of(done)
    assert answer.missing and answer.truncated
    whole = says(opening, "10. Name a river.", Chat(), SamplingParams(max_tokens=100, thinking_tokens=50))
    assert whole.finish_reason is FinishReason.STOP and answer_of(whole).missing and answer_of(whole).truncated


@pytest.mark.parametrize("chat", [Chat(thinking=False), Chat(begins="10.")])
def test_thoughts_that_are_over_before_they_begin_need_no_mark(opening: LlamaEngine, chat: Chat) -> None:
    done = says(opening, "Tawny wine", chat, SamplingParams(max_tokens=5, thinking_tokens=40))
    assert (done.text, done.completion_tokens) == ("Tawny", 5)


def test_an_answer_is_as_likely_as_it_is_behind_its_thoughts(opening: LlamaEngine) -> None:
    params = SamplingParams(max_tokens=50, thinking_tokens=50, measure=True, temperature=0.0)
    nats = [says(opening, f"Hm.</think>\n\n{answer}", Chat(), params).nats for answer in ("T", "Ta", "Tawny")]
    assert None not in nats and len(set(nats)) == 3
    thoughts = says(opening, "Hm.</think>\n\n", Chat(), params)
    assert thoughts.nats is None and thoughts.completion_tokens > 0


def test_without_a_budget_they_count_among_the_answers_tokens(opening: LlamaEngine) -> None:
    done = says(opening, "Hm.\n\nSo.</think>", Chat(), SamplingParams(max_tokens=5, stop=("\n\n",)))
    assert (done.text, done.finish_reason) == ("<think>\nHm.", FinishReason.STOP)


def test_a_model_that_is_not_known_to_think_has_no_more_tokens_than_ever(plain: LlamaEngine) -> None:
    assert not plain.info.thinks
    params = SamplingParams(max_tokens=20, thinking_tokens=400, stop=("\n\n",))
    assert says(plain, "<think>A.\n\nB.</think>Tawny", None, params).text == "<think>A.\n\nB.</think"
    for text in ("Tawny wine and cheese of all kinds", "<p>Tawny wine and cheese", "One.\n\nTwo."):
        before = says(plain, text, Chat(), SamplingParams(max_tokens=20, stop=("\n\n",)))
        now = says(plain, text, Chat(), params)
        assert (now.text, now.finish_reason, now.completion_tokens) == (before.text, before.finish_reason, before.completion_tokens)


def test_channels_are_thoughts(plain: LlamaEngine) -> None:
    text = "<|channel|>analysis<|message|>Hm.\n\nSo.<|end|><|start|>assistant<|channel|>final<|message|>Tawny.\n\nNo"
    done = says(plain, text, None, SamplingParams(max_tokens=300, thinking_tokens=200, stop=("\n\n",)))
    assert (done.text, done.detail) == (text.removesuffix("\n\nNo"), "\n\n")
    answer = answer_of(done)
    assert (answer.text, answer.thoughts, answer.truncated) == ("Tawny.", "Hm.\n\nSo.", False)
    cut = answer_of(says(plain, text, None, SamplingParams(max_tokens=300, thinking_tokens=40)))
    assert cut.missing and cut.truncated


def test_marks_that_are_control_words_are_seen(tmp_path: Path) -> None:
    marks = ("[THINK]", "[/THINK]", "<|channel|>", "<|message|>", "<|other|>")
    vocabulary = open_vocabulary(tiny_model(tmp_path / "m.gguf", words=marks, controls=len(marks)))
    try:
        pieces = [vocabulary.piece(token) for token in vocabulary.tokenise("".join(marks), control=True)]
    finally:
        vocabulary.close()
    assert pieces == [b"[THINK]", b"[/THINK]", b"<|channel|>", b"<|message|>", b""]
