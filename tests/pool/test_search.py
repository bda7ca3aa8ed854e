"""Search: words are found, and nothing one types is syntax."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.pool.browse import match_expression
from studio.pool.pool import Pool
from studio.records import Origin, SeedTask
from support.pools import seed_tasks, walk_round

ANY_TEXT = st.text(st.characters(exclude_categories=()))
SYNTAX = st.lists(
    st.sampled_from(['"', "*", "(", ")", "AND", "NOT", "OR", "NEAR(", "^", "instruction:", "-", "+", ":", "{", "}", "a", "\x00", "'", " "])
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    texts = [
        "Write a poem about the sea.",
        "Write C++ code.",
        "Translate 'Straße' and café.",
        "请把这句话翻译成英文",
        "Say NOT a word AND run.",
        "10% of 50?",
    ]
    with Pool.create(tmp_path_factory.mktemp("pool") / "pool.db", seed_tasks(0)) as made:
        made.tasks.add((SeedTask("", "", text, (), False) for text in texts), Origin.IMPORTED)
        yield made


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("poem", [1]),
        ("POEM sea", [1]),
        ("sea poem", [1]),
        ("po", [1]),
        ("po sea", []),
        ("write", [1, 2]),
        ("c++", [2, 3]),
        ("++", [2]),
        ("strasse", []),
        ("straße", [3]),
        ("cafe", [3]),
        ("翻译", [4]),
        ("NOT", [5]),
        ("word AND", [5]),
        ('"poem"', [1]),
        ("10%", [6]),
        ("%", [6]),
        ("", []),
        (" \n ", []),
        ("absent", []),
    ],
)
def test_words_are_found(library: Pool, text: str, found: list[int]) -> None:
    assert sorted(library.tasks.search(text)) == found


def test_no_more_than_the_limit(library: Pool) -> None:
    assert len(library.tasks.search("write", 1)) == 1
    assert library.tasks.search("write", 0) == []


@given(text=st.one_of(ANY_TEXT, SYNTAX.map(" ".join), SYNTAX.map("".join)))
def test_nothing_typed_is_an_error(library: Pool, text: str) -> None:
    assert all(isinstance(number, int) for number in library.tasks.search(text))
    assert library.candidates.rejected(5, text) == []


@given(words=st.lists(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1), min_size=1, max_size=5))
def test_a_text_is_found_by_its_words(words: list[str]) -> None:
    expression = match_expression(" ".join(words))
    assert expression == " ".join(f'"{word}"' for word in words) + " *"


def test_changed_and_deleted_tasks_leave_the_index(pool: Pool) -> None:
    assert pool.tasks.search("animal", 99) != []
    with pool._database.transaction():
        pool._database.execute("UPDATE tasks SET instruction = 'Sing.' WHERE id = 1")
        pool._database.execute("DELETE FROM instances WHERE task_id = 2")
        pool._database.execute("DELETE FROM tasks WHERE id = 2")
    assert sorted(pool.tasks.search("animal", 99)) == list(range(3, 11))
    assert pool.tasks.search("sing") == [1]


def test_rejected_candidates_are_found_however_many_others_match_better(walked: Pool) -> None:
    assert walked.tasks.search("rivers") == [11]
    rounds = [walked.candidates.rejected(1)[0].id, *(0 for _ in range(3))]
    for place in range(1, 4):
        walk_round(walked)
        rounds[place] = walked.candidates.rejected(1)[0].id
    # Two of three candidates of a round are accepted, and one of these has the same words.
    for words in ("rivers", "Name three riv", "", None):
        assert [each.id for each in walked.candidates.rejected(3, words)] == rounds[:0:-1]
    assert walked.candidates.rejected(9, "review") == []
    assert len(walked.candidates.rejected(300_000, "rivers")) == 4
