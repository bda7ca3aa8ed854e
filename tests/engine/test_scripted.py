"""The scripted engine: deterministic, plausible at every stage, and as obedient as a real one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from studio.engine.api import CancelToken, Completion, EngineEvent, Finished, FinishReason, Request, TextPiece
from studio.engine.scripted import ScriptedEngine
from studio.loop.prompts import Template, builtin_prompt
from support.engines import collect, complete, request


def prompt(name: str, filling: str, seed: int = 1, **params: Any) -> Request:
    template = Template.parse(name, builtin_prompt(name))
    return request(template.suffix(filling), template.prefix, seed, **params)


def text_of(name: str, filling: str, seed: int = 1) -> str:
    return complete(ScriptedEngine(), [prompt(name, filling, seed, max_tokens=400)])[0].text


def test_a_completion_depends_on_its_request_alone() -> None:
    requests = [request("1. Name a river.\n2.", seed=seed, max_tokens=200) for seed in range(12)]
    together = complete(ScriptedEngine(parallel=3), requests)
    alone = [complete(ScriptedEngine(), [each])[0] for each in requests]
    assert [c.text for c in together] == [c.text for c in alone]
    assert len({c.text for c in together}) == 12


def test_the_list_goes_on_from_its_number() -> None:
    text = text_of("instructions", "1. Name a river.\n2. Sing a song now.\n9.")
    assert text.startswith(" ")
    assert "\n10. " in text


def test_answers_to_the_classification_question() -> None:
    answers = {
        text_of("classification", task).strip() for task in ("Classify the sentiment of a review about tea.", "Write a poem about tea.")
    }
    assert answers == {"Yes", "No"}


def test_instances_of_both_kinds() -> None:
    assert "Output:" in text_of("input_first", "Write a poem about tea.")
    assert text_of("output_first", "Tell whether the tea is hot.").startswith("Class label:")


def test_triples() -> None:
    text = text_of("triples", "###\n4. Instruction:", seed=1)
    assert "4. Input:" in text and "4. Output:" in text and "###\n5. Instruction:" in text


def test_stop_strings_and_the_token_limit() -> None:
    engine = ScriptedEngine(responder=lambda _: "one two three four STOP five")
    stopped, cut, whole = complete(engine, [request("x", stop=(" STOP",)), request("x", max_tokens=2), request("x", max_tokens=6)])
    assert (stopped.text, stopped.finish_reason, stopped.detail) == ("one two three four", FinishReason.STOP, " STOP")
    assert (cut.text, cut.finish_reason, cut.completion_tokens) == ("one two", FinishReason.LENGTH, 2)
    assert (whole.finish_reason, whole.detail) == (FinishReason.STOP, "")


def test_a_choice_is_what_the_text_begins_with() -> None:
    engine = ScriptedEngine(responder=lambda asked: "\n No, it is not" if "moon" in asked.suffix else " Yes")
    choices = (" Yes", " No", " Maybe")
    no, yes, again = complete(engine, [request(word, choices=choices, max_tokens=1) for word in ("moon", "sun", "moon")])
    assert (no.text, yes.text) == (" No", " Yes") and no == again
    assert no.probability is not None and no.probability < 1 / 3 < (yes.probability or 0) <= 1
    assert (yes.finish_reason, yes.completion_tokens, yes.detail) == (FinishReason.STOP, 0, "")


def test_any_choice_where_the_text_is_none_of_them() -> None:
    engine = ScriptedEngine(responder=lambda _: "Perhaps")
    requests = [request("x", seed=seed, choices=(" Yes", " No")) for seed in range(30)]
    completions = complete(engine, requests)
    assert {c.text for c in completions} == {" Yes", " No"}
    assert all((c.text == " Yes") == ((c.probability or 0) > 0.5) for c in completions)
    assert complete(ScriptedEngine(responder=lambda _: "Perhaps", parallel=2), requests) == completions


def test_a_list_that_only_repeats_itself_is_ended() -> None:
    engine = ScriptedEngine(responder=lambda _: " Sing.\n10. Dance.\n11. Dance.\n12. dance.\n13. Name a river.\n")
    suffix = "8. Name a hill.\n9."
    ended, whole = complete(engine, [request(suffix, stop_on_repeat="items", max_tokens=99), request(suffix, max_tokens=99)])
    assert (ended.finish_reason, ended.detail) == (FinishReason.REPEAT, "")
    # A token of this engine is a word with the newline before it: what comes after the newline is cut.
    assert ended.text == " Sing.\n10. Dance.\n11. Dance.\n12. dance.\n"
    assert whole.finish_reason is FinishReason.STOP and whole.text.startswith(ended.text)
    assert ended.completion_tokens < whole.completion_tokens


def test_a_responder_may_give_the_whole_completion() -> None:
    given = Completion("a b", FinishReason.REFUSED, 7, 3, 1, 0.5, "too long")
    assert complete(ScriptedEngine(responder=lambda _: given), [request("x", max_tokens=1)]) == [given]


def test_cancelling_ends_every_request_with_what_it_has() -> None:
    cancel = CancelToken()
    requests = [request("x", max_tokens=50)] * 5

    def watch(event: EngineEvent) -> None:
        if isinstance(event, TextPiece):
            cancel.cancel()

    engine = ScriptedEngine(responder=lambda _: "word " * 50, parallel=2)
    completions = collect(engine.stream(requests, cancel), 5, watch)
    assert {c.finish_reason for c in completions} == {FinishReason.CANCELLED}
    assert completions[0].text == "word" and completions[4].text == ""


def test_the_writer_makes_flawed_lists_too() -> None:
    engine = ScriptedEngine()
    requests = [request("1. Name a river.\n9.", seed=seed, max_tokens=300) for seed in range(150)]
    completions = complete(engine, requests)
    reasons = {c.finish_reason for c in completions}
    text = "\n".join(c.text for c in completions)
    assert reasons == {FinishReason.STOP, FinishReason.LENGTH}
    assert "Draw a picture" in text and "Do it." in text and "Écris" in text and "Name a river." in text


def test_the_second_request_of_a_prefix_is_counted_as_cached() -> None:
    first, second = complete(ScriptedEngine(), [request("x", "a b c")] * 2)
    assert first.cached_tokens == 0 and second.cached_tokens == 3
    assert replace(second, cached_tokens=0) == first


def test_an_empty_batch_has_no_events() -> None:
    assert list(ScriptedEngine().stream([], CancelToken())) == []
    assert isinstance(next(iter(ScriptedEngine(lambda _: "").stream([request("x")], CancelToken()))), Finished)
