"""Passages: where texts are cut, and that nothing but what is told is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from studio.documents.passages import Passages
from studio.records import Cutting, Passage

TEXTS = st.lists(
    st.sampled_from(["A word. ", "and more ", "\n\n", "\n", "# Heading\n\n", "Short line\n\n", "好。", "x" * 30, "Why? ", "   "]),
    max_size=80,
).map("".join)
CUTTINGS = st.builds(Cutting, st.integers(20, 200), st.integers(0, 19), st.integers(1, 20))


def in_pieces(text: str, length: int) -> Iterator[str]:
    return (text[at : at + length] for at in range(0, len(text), length))


@given(TEXTS, CUTTINGS, st.integers(1, 300))
def test_passages_are_pieces_of_the_text_and_cover_it(text: str, cutting: Cutting, length: int) -> None:
    """However the text comes in pieces."""
    cut = Passages([text], cutting)
    found = list(cut)
    again = Passages(in_pieces(text, length), cutting)
    assert (list(again), again.characters, again.short) == (found, len(text), cut.short)
    covered = 0
    for passage in found:
        assert text[passage.start : passage.stop] == passage.text == passage.text.strip()
        assert cutting.least <= len(passage.text) <= cutting.size
        if not cut.short:
            assert not text[covered : passage.start].strip()
            assert passage.start >= covered - cutting.overlap
        assert passage.stop > covered
        covered = passage.stop
    assert cut.short or not text[covered:].strip()


def texts(text: str, size: int, overlap: int = 0, least: int = 1) -> list[str]:
    return [each.text for each in Passages([text], Cutting(size, overlap, least))]


def test_a_section_is_cut_before_its_heading() -> None:
    text = "One sentence here. Another one there.\n\n## Second\n\nThe section that follows has its own words, and more of them."
    assert texts(text, 90)[0] == "One sentence here. Another one there."
    assert texts(text, 90)[1].startswith("## Second")


def test_a_paragraph_is_cut_where_a_sentence_ends() -> None:
    assert texts("One is here. Two is there. Three is nowhere at all.", 30) == ["One is here. Two is there.", "Three is nowhere at all."]


def test_the_overlap_is_of_whole_sentences() -> None:
    text = "One is here now. Two is there. Three is nowhere at all. Four is gone."
    assert texts(text, 40, overlap=16) == ["One is here now. Two is there.", "Two is there. Three is nowhere at all.", "Four is gone."]


def test_what_is_too_short_is_counted() -> None:
    cut = Passages(["Tiny."], Cutting(100, 0, 20))
    assert (list(cut), cut.short) == ([], 1)
    assert list(Passages([], Cutting(100, 0, 20))) == []
    assert list(Passages(["a passage of its own"], Cutting(100, 0, 20))) == [Passage(0, 20, "a passage of its own")]


def test_headings_without_end_cost_no_more_than_other_texts() -> None:
    """Each of them is a place to cut at that has to be refused: what stands before it must not be read again for that."""
    began = time.process_time()
    assert [each.stop for each in Passages(["a\n\n" * 30_000], Cutting(20_000, 2_000, 150))] == [19_996, 37_996, 55_996, 73_996, 89_998]
    assert time.process_time() - began < 2
