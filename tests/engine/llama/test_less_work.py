"""The llama.cpp engine with the real bundled model: answers read from logits, and completions ended early."""

from __future__ import annotations

import math
from typing import Any

import pytest

from studio.engine.api import FinishReason
from studio.engine.llama.engine import LlamaEngine
from studio.engine.llama.log import install_log
from studio.engine.text_stream import RepeatWatch
from support.engines import ANIMALS, TEMPLATE, animal_requests, bundled_identity, complete, outcome, request

pytestmark = pytest.mark.real_model

CHOICES = (" Yes", " No")
WORDS = "Say the word again and again: ha ha ha ha ha ha ha ha ha ha ha ha ha"


def test_the_choice_is_what_greedy_decoding_writes(llama: LlamaEngine) -> None:
    chosen = complete(llama, animal_requests(12, choices=CHOICES))
    written = complete(llama, animal_requests(12, max_tokens=1))
    assert all(choice.cached_tokens > 0 for choice in chosen[1:])
    for choice, plain in zip(chosen, written, strict=True):
        assert choice.text in CHOICES and choice.probability is not None
        assert (choice.probability >= 0.5) == (choice.text == " Yes")
        assert choice.finish_reason is FinishReason.STOP and choice.completion_tokens == 0
        assert choice.prompt_tokens == plain.prompt_tokens
        # Greedy decoding may prefer a third word; where it answers the question, the answers agree but for near ties.
        if plain.text in CHOICES and abs(choice.probability - 0.5) > 0.05:
            assert choice.text == plain.text


def test_the_probability_is_the_softmax_of_the_choices_logits(llama: LlamaEngine) -> None:
    import llama_cpp

    [completion] = complete(llama, animal_requests(1, choices=CHOICES))
    reference = llama_cpp.Llama(bundled_identity().path, n_ctx=256, n_threads=1, logits_all=True, verbose=False)
    install_log()
    tokens = reference.tokenize(f"{TEMPLATE}Animal: {ANIMALS[0]}\nCan it fly?".encode(), special=False)
    yes, no = (reference.tokenize(choice.encode(), add_bos=False, special=False)[0] for choice in CHOICES)
    reference.eval(tokens)
    logits = reference.scores[len(tokens) - 1]
    expected = 1 / (1 + math.exp(float(logits[no]) - float(logits[yes])))
    reference.close()
    assert completion.probability == pytest.approx(expected, abs=0.03)


def test_choices_beside_completions_and_again(llama: LlamaEngine) -> None:
    requests: list[Any] = [*animal_requests(9, choices=CHOICES), *animal_requests(3, max_tokens=4)]
    first, second = complete(llama, requests), complete(llama, requests)
    assert outcome(first) == outcome(second)
    assert [c.probability for c in first] == [c.probability for c in second]
    assert all(c.probability is None for c in first[9:])


def test_choices_may_begin_alike_but_not_be_equal(llama: LlamaEngine) -> None:
    alike, equal, single, other = complete(
        llama,
        [
            request("The sun is", choices=(" very hot", " very cold")),
            request("The sun is", choices=(" hot", " hot")),
            request("The sun is", choices=(" hot",)),
            request("The sun is", max_tokens=2),
        ],
    )
    assert alike.text in (" very hot", " very cold") and alike.prompt_tokens == other.prompt_tokens + 1
    assert equal.finish_reason is single.finish_reason is FinishReason.REFUSED
    assert equal.detail == "its choices do not differ in one token" and equal.probability is None
    assert other.completion_tokens == 2


def test_a_completion_that_only_repeats_itself_is_ended(llama: LlamaEngine) -> None:
    ended, whole = complete(llama, [request(WORDS, max_tokens=90, stop_on_repeat="text"), request(WORDS, max_tokens=90)])
    assert whole.finish_reason is FinishReason.LENGTH and whole.text.startswith(" ha ha ha")
    assert (ended.finish_reason, ended.detail) == (FinishReason.REPEAT, "")
    assert ended.text == RepeatWatch("text").feed(whole.text)
    assert len(ended.text) == 96 and ended.completion_tokens < whole.completion_tokens
