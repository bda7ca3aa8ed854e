"""The profiles have the figures of the papers and repositories they follow."""

from __future__ import annotations

import pytest

from studio.errors import UsageError
from studio.loop.profiles import PROFILES, profile
from studio.loop.settings import Method


def test_decoding_of_the_released_code() -> None:
    sampling = profile("code").sampling
    instructions = sampling.instructions
    assert (instructions.temperature, instructions.top_p, instructions.presence_penalty, instructions.max_tokens) == (0.7, 0.5, 2.0, 1024)
    assert instructions.stop == ("\n\n", "\n16", "16.", "16 .")
    assert (sampling.classification.temperature, sampling.classification.max_tokens) == (0.0, 3)
    assert sampling.classification.stop == ("\n", "Task")
    assert (sampling.input_first.presence_penalty, sampling.input_first.max_tokens) == (1.5, 350)
    assert sampling.input_first.stop == ("Example 6", "Task:")
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
    assert all(stop.startswith("\n") for stop in studio.sampling.instructions.stop)
    assert "non_ascii" not in studio.filters


def test_alpaca() -> None:
    alpaca = profile("alpaca")
    assert (alpaca.in_context_tasks, alpaca.generated_in_context, alpaca.max_instances) == (3, 0, 1)
    assert {"video", "audio", "music", "flowchart", "diagram"} < set(alpaca.blocked_words)
    assert (alpaca.sampling.instructions.temperature, alpaca.sampling.instructions.max_tokens) == (1.0, 3072)


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(UsageError) as raised:
        profile("papper")
    assert "'paper'" in raised.value.hint
