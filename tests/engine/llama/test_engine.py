"""The llama.cpp engine with the real bundled model: what each request gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from studio.engine.api import CancelToken, Completion, FinishReason, Request, TextPiece
from studio.engine.llama.engine import LlamaEngine
from studio.engine.llama.log import LOG, install_log
from studio.engine.options import EngineOptions
from studio.errors import ModelError
from support.engines import TEMPLATE, animal_requests, bundled_identity, complete, outcome, request

pytestmark = pytest.mark.real_model

NEAR_TIE = 0.25
"""Greater than any difference in logits seen between batch shapes (0.07): where two tokens are nearer, either may be chosen."""
STORY = "The history of the bicycle begins in the year"


@pytest.fixture(scope="module")
def reference() -> Iterator[Any]:
    """The high-level `Llama` over the same file, one request after another, keeping all logits."""
    import llama_cpp

    model = llama_cpp.Llama(bundled_identity().path, n_ctx=512, n_threads=1, logits_all=True, verbose=False)
    install_log()
    yield model
    model.close()


def assert_greedy(reference: Any, asked: Request, completion: Completion) -> None:
    """Every token of the completion is the most likely one for the high-level `Llama`, or one within a near tie of it."""
    prompt = reference.tokenize((asked.prefix + asked.suffix).encode(), special=False)
    whole = reference.tokenize((asked.prefix + asked.suffix + completion.text).encode(), special=False)
    assert whole[: len(prompt)] == prompt and len(prompt) == completion.prompt_tokens
    reference.reset()
    reference.eval(whole)
    for position in range(len(prompt), len(whole)):
        logits = reference.scores[position - 1]
        assert logits.max() - logits[whole[position]] <= NEAR_TIE, position


def test_greedy_is_what_the_high_level_api_writes(llama: LlamaEngine, reference: Any) -> None:
    asked = request(STORY, max_tokens=40)
    [completion] = complete(llama, [asked])
    assert_greedy(reference, asked, completion)
    plain = reference.create_completion(STORY, max_tokens=40, temperature=0, top_k=0, top_p=1, min_p=0, repeat_penalty=1)
    assert completion.text[:40] == plain["choices"][0]["text"][:40]
    assert (completion.finish_reason, completion.completion_tokens) == (FinishReason.LENGTH, 40)


def test_batching_and_sharing_give_greedy_completions_too(llama: LlamaEngine, reference: Any) -> None:
    requests = [*animal_requests(3, max_tokens=6), request(STORY, max_tokens=12)]
    for asked, completion in zip(requests, complete(llama, requests), strict=True):
        assert_greedy(reference, asked, completion)


def test_sixteen_requests_each_with_its_own_params(llama: LlamaEngine) -> None:
    requests = [
        request(
            f"Number {n}:",
            seed=n,
            max_tokens=1 + n % 5,
            temperature=n / 8,
            top_p=1 - n / 32,
            top_k=n,
            min_p=n / 100,
            presence_penalty=n / 8,
        )
        for n in range(16)
    ]
    completions = complete(llama, requests)
    assert [c.completion_tokens for c in completions] == [1 + n % 5 for n in range(16)]
    assert outcome(complete(llama, requests)) == outcome(completions)


def test_seeds_draw_differently(llama: LlamaEngine) -> None:
    requests = [request("My favourite word is", seed=seed, temperature=1.5, max_tokens=6) for seed in (1, 2, 1)]
    first, other, _ = complete(llama, requests)
    assert first.text != other.text


def test_penalties_count_the_completion_and_not_the_prompt(llama: LlamaEngine) -> None:
    text = "ha ha ha ha ha ha ha ha ha ha ha ha ha"
    plain, punished = complete(llama, [request(text, max_tokens=10), request(text, max_tokens=10, presence_penalty=100.0)])
    assert plain.text.startswith(" ha ha ha")
    assert punished.text.startswith(" ha") and not punished.text.startswith(" ha ha")


def test_a_stop_string_across_tokens(llama: LlamaEngine) -> None:
    [plain] = complete(llama, [request(STORY, max_tokens=24)])
    middle = len(plain.text) // 2
    stop = plain.text[middle : middle + 9]
    shown: list[str] = []
    [stopped] = complete(
        llama, [request(STORY, max_tokens=24, stop=(stop,))], watch=lambda e: shown.append(e.text) if isinstance(e, TextPiece) else None
    )
    assert stopped.text == plain.text[: plain.text.index(stop)] == "".join(shown)
    assert (stopped.finish_reason, stopped.detail) == (FinishReason.STOP, stop)
    assert 0 < stopped.completion_tokens < 24


def test_grammar(llama: LlamaEngine) -> None:
    grammar = 'root ::= " " ("bee" | "yak") "\\n"'
    [completion] = complete(llama, [request("An animal:", grammar=grammar, max_tokens=10)])
    assert completion.text in (" bee\n", " yak\n")
    assert completion.finish_reason is FinishReason.STOP
    with pytest.raises(ModelError, match="grammar"):
        complete(llama, [request("x", grammar="root ::= (((")])


def test_what_cannot_run_is_refused_and_the_rest_runs(llama: LlamaEngine) -> None:
    long = request("word " * 7000)
    refused, fine, nothing = complete(llama, [long, request(STORY, max_tokens=3), request(STORY, max_tokens=0)])
    assert (refused.finish_reason, refused.text, refused.completion_tokens) == (FinishReason.REFUSED, "", 0)
    assert f"{refused.prompt_tokens} tokens" in refused.detail and "6144" in refused.detail and refused.prompt_tokens > 6144
    assert fine.completion_tokens == 3
    assert (nothing.finish_reason, nothing.completion_tokens, nothing.text) == (FinishReason.LENGTH, 0, "")


def test_an_empty_prompt(llama: LlamaEngine) -> None:
    [completion] = complete(llama, [request("")])
    assert completion.finish_reason in (FinishReason.REFUSED, FinishReason.STOP, FinishReason.LENGTH)
    if completion.finish_reason is FinishReason.REFUSED:
        assert completion.detail == "the prompt is empty"


def test_a_full_context_ends_with_length() -> None:
    engine = LlamaEngine(bundled_identity(), EngineOptions(context=256, threads=1, parallel=2))
    try:
        requests = [request("ha " * 235, max_tokens=500, stop=("never",)), request("ho " * 100, max_tokens=4)]
        full, other = complete(engine, requests)
    finally:
        engine.close()
    assert full.finish_reason is FinishReason.LENGTH
    assert full.prompt_tokens + full.completion_tokens == engine.info.context_tokens == 256
    assert other.completion_tokens == 4


def test_control_words_in_a_prompt_are_plain_text(llama: LlamaEngine) -> None:
    [control] = complete(llama, [request("<|im_start|>user", max_tokens=1)])
    assert control.prompt_tokens > 3


def test_many_requests_over_four_sequences(llama: LlamaEngine) -> None:
    requests = [request(f"{n} and {n + 1} make", max_tokens=1 + n % 3, seed=n) for n in range(24)]
    completions = complete(llama, requests)
    assert [c.completion_tokens for c in completions] == [1 + n % 3 for n in range(24)]


def test_events_of_sequences_interleave(llama: LlamaEngine) -> None:
    order: list[int] = []
    complete(llama, [request(STORY, max_tokens=6)] * 2, watch=lambda e: order.append(e.index) if isinstance(e, TextPiece) else None)
    assert order[:4] == [0, 1, 0, 1]


def test_nothing_reaches_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    engine = LlamaEngine(bundled_identity(), EngineOptions(context=256, threads=1, parallel=1))
    complete(engine, [request("a", max_tokens=1)])
    engine.close()
    engine.close()
    assert capfd.readouterr() == ("", "")
    assert LOG.last(3)


def test_a_second_batch_beside_the_first_is_refused(llama: LlamaEngine) -> None:
    events = llama.stream(animal_requests(2), CancelToken())
    next(events)
    with pytest.raises(ModelError, match="busy"):
        next(llama.stream(animal_requests(1), CancelToken()))
    events.close()  # type: ignore[attr-defined]
    assert len(complete(llama, animal_requests(1))) == 1


def test_a_file_llama_cpp_cannot_load_gives_its_last_words(tmp_path: Any) -> None:
    path = tmp_path / "fake.gguf"
    path.write_bytes(b"GGUF\3\0\0\0" + bytes(16))
    with pytest.raises(ModelError) as caught:
        LlamaEngine(replace(bundled_identity(), path=str(path)), EngineOptions())
    assert str(path) in caught.value.message and "llama.cpp says: " in caught.value.hint


def test_template_is_long_enough_to_be_shared(llama: LlamaEngine) -> None:
    first, second = complete(llama, animal_requests(2, max_tokens=1))
    assert second.cached_tokens >= len(TEMPLATE.split())
    assert first.prompt_tokens > second.cached_tokens
