"""The profiles have the figures of the papers and repositories they follow."""

from __future__ import annotations

import pytest

from studio.engine.scripted import ScriptedEngine
from studio.errors import UsageError
from studio.loop.filters import FILTERS, INSTANCE_RULES
from studio.loop.settings import PROFILES, Decoding, Method, profile


def stops(name: str, decoding: Decoding, **changed: int) -> tuple[str, ...]:
    """The stop strings as they are sent."""
    return tuple(map(profile(name).model_copy(update=changed).filled, decoding.stop))


def test_decoding_of_the_released_code() -> None:
    sampling = profile("code").sampling
    instructions = sampling.instructions
    assert (instructions.temperature, instructions.top_p, instructions.presence_penalty, instructions.max_tokens) == (0.7, 0.5, 2.0, 1024)
    assert stops("code", instructions) == ("\n\n", "\n16", "16.", "16 .")
    assert (sampling.classification.temperature, sampling.classification.max_tokens) == (0.0, 3)
    assert sampling.classification.stop == ("\n", "Task")
    assert (sampling.input_first.presence_penalty, sampling.input_first.max_tokens) == (1.5, 350)
    assert stops("code", sampling.input_first) == stops("code", sampling.output_first) == ("Example 6", "Task:")
    assert sampling.output_first.max_tokens == 300


@pytest.mark.parametrize("name", PROFILES)
def test_nothing_cuts_the_distribution_that_the_method_does_not_name(name: str) -> None:
    sampling = profile(name).sampling
    for decoding in (sampling.instructions, sampling.classification, sampling.input_first, sampling.output_first):
        assert (decoding.top_k, decoding.min_p, decoding.repeat_penalty, decoding.frequency_penalty) == (0, 0.0, 1.0, 0.0)


def test_where_paper_and_code_differ() -> None:
    code, paper = profile("code"), profile("paper")
    differing = {name for name in Method.model_fields if getattr(code, name) != getattr(paper, name)}
    assert differing == {"profile", "capitalize", "accept_at_threshold"}
    assert code.capitalize and code.accept_at_threshold


def test_studio_is_free_of_the_faults() -> None:
    studio = profile("studio")
    assert not studio.capitalize
    assert studio.tokenizer == "unicode"
    assert studio.keep_complete
    assert "non_ascii" not in studio.filters


def test_every_stop_of_studio_begins_a_line() -> None:
    sampling = profile("studio").sampling
    for decoding in (sampling.instructions, sampling.classification, sampling.input_first, sampling.output_first):
        assert all(stop.startswith("\n") for stop in decoding.stop)
    texts = (
        "To-do list\nTask: buy milk",
        "See Example 6 and Task: foo.",
        "Example 6: a list",
        "In the year\n2016. Then",
        "16 eggs\n160. b",
    )
    for text in texts:
        for stop in (
            *stops("studio", sampling.input_first),
            *stops("studio", sampling.output_first),
            *stops("studio", sampling.instructions),
        ):
            assert stop not in text


def test_stops_and_prompts_follow_from_the_settings() -> None:
    sampling = profile("studio").sampling
    assert "\n16." in stops("studio", sampling.instructions)
    assert "\n24." in stops("studio", sampling.instructions, in_context_tasks=16)
    assert "\n29)" in stops("studio", sampling.instructions, new_tasks=20)
    assert "\nExample 9\n" in stops("studio", sampling.input_first, max_instances=8)
    assert stops("code", profile("code").sampling.input_first, max_instances=8) == ("Example 9", "Task:")
    assert stops("alpaca", profile("alpaca").sampling.instructions, in_context_tasks=30) == ("\n47", "47.")
    prompt = profile("alpaca").prompts.triples
    assert "a collection of 20 tasks" in profile("alpaca").filled(prompt)
    assert "a collection of 22 tasks" in profile("alpaca").model_copy(update={"in_context_tasks": 5}).filled(prompt)


@pytest.mark.parametrize(
    ("parallel", "target", "expected"),
    [(1, None, 5), (5, None, 5), (16, None, 16), (64, None, 64), (256, None, 64), (16, 20, 5), (16, 50, 13), (16, 1000, 16), (64, 1, 5)],
)
def test_requests_a_round_follow_the_engine_where_no_number_was_chosen(parallel: int, target: int | None, expected: int) -> None:
    engine = ScriptedEngine(parallel=parallel).info
    assert profile("studio").resolved(engine, target).requests_per_round == expected
    assert all(profile(name).resolved(engine, target).requests_per_round == 5 for name in ("paper", "code", "alpaca"))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [({}, (2, 64)), ({"template_requests": 8}, (1, 8)), ({"template_requests": 0}, (16, 0)), ({"requests_per_round": 3}, (3, 64))],
)
def test_in_chat_most_requests_are_the_models_own(asked: dict[str, int], expected: tuple[int, int]) -> None:
    engine = ScriptedEngine(parallel=16, chats=True).info
    settled = profile("studio").model_copy(update=asked).resolved(engine)
    assert (settled.requests_per_round, settled.template_requests) == expected


def test_alpaca() -> None:
    alpaca = profile("alpaca")
    assert (alpaca.in_context_tasks, alpaca.generated_in_context, alpaca.max_instances) == (3, 0, 1)
    assert {"video", "audio", "music", "flowchart", "diagram"} < set(alpaca.blocked_words)
    assert stops("alpaca", alpaca.sampling.instructions) == ("\n20", "20.")
    assert (alpaca.sampling.instructions.temperature, alpaca.sampling.instructions.max_tokens) == (1.0, 3072)


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(UsageError) as raised:
        profile("papper")
    assert "'paper'" in raised.value.hint


def test_threshold() -> None:
    code, paper = profile("code"), profile("paper")
    assert code.is_novel(0.7) and not paper.is_novel(0.7)
    assert not code.is_novel(0.7000000000000001)
    assert paper.is_novel(0.6999999999999998)
    assert not code.is_novel(0.71)


def test_the_rules_that_settings_name_are_there() -> None:
    assert profile("code").instance_rules == INSTANCE_RULES
    assert all(set(profile(name).filters) <= set(FILTERS) for name in PROFILES)
