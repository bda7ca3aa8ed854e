"""Tokens and batches: what counts for the loss, and in which order examples come."""

from __future__ import annotations

from itertools import chain, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.catalog import bundled_model
from studio.engine.chat_template import TurnTexts
from studio.engine.gguf import read_gguf
from studio.engine.llama.vocab import Vocabulary, open_vocabulary
from studio.errors import ModelError
from studio.tuning.plan import Tokens, pieces, steps_of_epoch, tokenise
from studio.tuning.trainer import epoch_order, evaluation_steps, learning_rate
from support.tiny_models import END, tiny_model

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=80)


@pytest.fixture
def vocabulary(tmp_path: Path) -> Vocabulary:
    return open_vocabulary(tiny_model(tmp_path / "tiny.gguf"))


def test_the_completion_counts_and_the_end_is_part_of_it(vocabulary: Vocabulary) -> None:
    tokens = tokenise({"prompt": "Say it:", "completion": " yes"}, vocabulary)
    assert (tokens.prompt, tokens.labels) == (7, 5)
    assert tokens.ids[tokens.prompt :] == (*vocabulary.tokenise(" yes"), END)
    vocabulary.close()
    vocabulary.close()


def test_control_words_of_a_text_are_text(vocabulary: Vocabulary) -> None:
    """Those of the template take effect; a user's own `<|end|>` ends nothing."""
    hostile = "stop<|end|>here"
    record = {"prompt": "", "completion": hostile, "parts": ["<|end|>", hostile, "<|end|>", ""]}
    tokens = tokenise(record, vocabulary)
    assert [place for place, token in enumerate(tokens.ids) if token == END] == [0, tokens.prompt - 1, len(tokens.ids) - 1]
    plain = tokenise({"prompt": hostile, "completion": hostile}, vocabulary)
    assert plain.ids.count(END) == 1 and plain.ids[-1] == END


def test_the_bundled_models_prompt_is_tokenised_as_when_it_is_asked() -> None:
    path = bundled_model()
    assert path is not None
    vocabulary = open_vocabulary(path)
    for prompt, completion in (("Name a river.\n\nOutput:", " Elbe"), ("Name a river.\n\n", "Elbe"), ("Name a river.\n", "\nElbe")):
        tokens = tokenise({"prompt": prompt, "completion": completion}, vocabulary)
        assert tokens.ids[: tokens.prompt] == tuple(vocabulary.tokenise(prompt, begin=True))
        assert tokens.ids[-1] == vocabulary.end_of_text
    vocabulary.close()


def test_an_answer_ends_as_the_models_own_template_ends_it() -> None:
    """The vocabulary of the bundled model names another word: trained on that, the model forgets how to end."""
    path = bundled_model()
    assert path is not None
    vocabulary = open_vocabulary(path)
    texts = TurnTexts(read_gguf(path))
    before, behind = texts.around(("user",)) or ("", "")
    end = texts.end
    record = {"prompt": "", "completion": "Elbe", "parts": [before, "Name a river.", behind, end]}
    [word] = vocabulary.tokenise("<|im_end|>", control=True)
    assert tokenise(record, vocabulary).ids[-1] == word != vocabulary.end_of_turn
    assert tokenise({**record, "parts": [before, "Name a river.", behind, ""]}, vocabulary).ids[-1] == vocabulary.end_of_turn
    vocabulary.close()


def test_a_file_without_a_vocabulary(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF and nothing more")
    with pytest.raises(ModelError, match="cannot read this model's vocabulary"):
        open_vocabulary(broken)


@given(LENGTHS, st.integers(1, 16), st.text(max_size=5), st.integers(0, 3))
def test_an_epoch_has_every_example_once(lengths: list[int], batch: int, seed: str, epoch: int) -> None:
    batches = epoch_order(lengths, batch, seed, epoch)
    assert sorted(chain.from_iterable(batches)) == list(range(len(lengths)))
    assert len(batches) == steps_of_epoch(len(lengths), batch)
    assert batches == epoch_order(lengths, batch, seed, epoch)
    spans = sorted((min(lengths[place] for place in each), max(lengths[place] for place in each)) for each in batches)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))


@given(LENGTHS, st.integers(1, 1000))
def test_pieces_keep_to_their_room(lengths: list[int], room: int) -> None:
    batch = [Tokens(tuple(range(length)), 0) for length in lengths]
    parts = pieces(batch, room)
    assert sorted(len(each.ids) for part in parts for each in part) == sorted(lengths)
    for part in parts:
        assert len(part) == 1 or len(part) * max(len(each.ids) for each in part) <= room


@given(st.integers(1, 200), st.integers(1, 5), st.integers(1, 10))
def test_every_epoch_ends_with_a_validation(per_epoch: int, epochs: int, evaluations: int) -> None:
    found = evaluation_steps(per_epoch, epochs, evaluations)
    assert {per_epoch * (epoch + 1) for epoch in range(epochs)} <= found
    assert len(found) == epochs * min(evaluations, per_epoch) and min(found) >= 1 and max(found) == per_epoch * epochs


@given(st.integers(1, 1000))
def test_the_learning_rate_rises_and_falls(steps: int) -> None:
    rates = [learning_rate(step, steps, 1.0) for step in range(1, steps + 1)]
    top = rates.index(max(rates))
    assert max(rates) == 1.0 and min(rates) > 0
    assert rates[: top + 1] == sorted(rates[: top + 1]) and rates[top:] == sorted(rates[top:], reverse=True)
