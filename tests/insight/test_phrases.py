"""Root verbs and their objects: the rule on trees drawn by hand, and the counts against a plain computation.

New root verbs by round, against counts by hand and a plain computation.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from studio.insight.diversity.parser import Parser
from studio.insight.diversity.phrases import NewVerbs, Phrase, VerbObjects, VerbRound, phrase_figures, phrase_of
from studio.insight.diversity.words import diversity
from studio.pool.pool import Queries
from studio.records import Origin
from support.generated_pool import build_pool
from support.instruction_trees import TREES, Tree, read_tree
from support.spacy_pipelines import KnownTrees


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.text)
def test_the_rule_finds_what_a_reader_finds(tree: Tree) -> None:
    assert phrase_of(tree.root) == tree.expected


def test_the_table_is_long_enough_and_its_trees_are_trees() -> None:
    assert len(TREES) >= 40
    assert len({tree.text for tree in TREES}) == len(TREES)
    for tree in TREES:
        reached, waiting = 0, [tree.root]
        while waiting:
            waiting.extend(waiting.pop().children)
            reached += 1
        assert reached == len(tree.words), tree.text


def test_the_object_of_universal_dependencies_counts_too() -> None:
    assert phrase_of(read_tree("write poem | Write/VERB/0/root poems=poem/NOUN/1/obj").root) == Phrase("write", "poem")


def test_without_lemmas_the_words_stand_for_themselves() -> None:
    tree = read_tree("write poems | Write/VERB/0/ROOT Poems/NOUN/1/dobj")
    for word in tree.words:
        word.lemma_ = ""
    assert phrase_of(tree.root) == Phrase("write", "poems")


def test_counts_by_hand() -> None:
    write = [Phrase("write", noun) for noun in ("story", "story", "poem", "essay", "letter", "song")]
    figures = phrase_figures([*write, Phrase("give", "example"), Phrase("give", None), Phrase("tell", None), None])
    assert (figures.instructions, figures.with_verb, figures.with_pair) == (10, 9, 7)
    assert (figures.distinct_verbs, figures.distinct_pairs) == (3, 6)
    assert figures.branches == (
        VerbObjects("write", 6, (("story", 2), ("essay", 1), ("letter", 1), ("poem", 1))),
        VerbObjects("give", 1, (("example", 1),)),
    )
    assert (figures.covered, figures.pair_share, figures.covered_share) == (6, 0.7, 0.6)


def test_no_instructions() -> None:
    figures = phrase_figures([])
    assert (figures.pair_share, figures.covered_share, figures.branches) == (0.0, 0.0, ())


def test_the_commonest_are_those_of_a_plain_computation() -> None:
    rng = Random(3)
    phrases = [Phrase(f"v{int(rng.expovariate(0.1))}", f"n{int(rng.expovariate(0.3))}") for _ in range(5000)]
    figures = phrase_figures(phrases)
    by_verb: dict[str, list[str]] = {}
    for phrase in phrases:
        by_verb.setdefault(phrase.verb, []).append(phrase.noun or "")
    top = sorted(by_verb, key=lambda verb: (-len(by_verb[verb]), verb))[:20]
    assert [(branch.verb, branch.count) for branch in figures.branches] == [(verb, len(by_verb[verb])) for verb in top]
    covered = 0
    for branch in figures.branches:
        nouns = by_verb[branch.verb]
        expected = sorted(set(nouns), key=lambda noun: (-nouns.count(noun), noun))[:4]
        assert [noun for noun, _ in branch.objects] == expected
        covered += sum(nouns.count(noun) for noun in expected)
    assert figures.covered == covered


def test_new_verbs_by_hand() -> None:
    verbs = NewVerbs()
    verbs.add(None, Phrase("write", "story"))  # a seed's verb is known, and of no round
    for number, verb in ((1, "write"), (1, "give"), (1, None), (3, "give"), (3, "tell"), (3, "tell")):
        verbs.add(number, None if verb is None else Phrase(verb, None))
    assert verbs.result() == (VerbRound(1, 3, 2, 1), VerbRound(3, 3, 3, 1))
    assert NewVerbs().result() == ()


def test_they_are_those_of_a_plain_computation() -> None:
    rng = Random(5)
    given = [(number, f"v{int(rng.expovariate(0.05))}" if rng.random() < 0.9 else None) for number in range(1, 30) for _ in range(20)]
    verbs = NewVerbs()
    for number, verb in given:
        verbs.add(number, None if verb is None else Phrase(verb, "noun"))
    for row in verbs.result():
        here = {verb for number, verb in given if number == row.round and verb}
        before = {verb for number, verb in given if number < row.round}
        assert row.new == len(here - before)


def test_rounds_meet_their_own_phrases(tmp_path: Path) -> None:
    pool = build_pool(tmp_path / "pool.db", [(tree.text, False, ()) for tree in TREES])
    with Queries.open(pool) as reader:
        every = diversity(reader, None, Parser(KnownTrees()))
        generated = diversity(reader, Origin.GENERATED, Parser(KnownTrees()))
        assert diversity(reader, None, None).rounds == ()
    verbs = [tree.expected.verb for tree in TREES if tree.expected]
    # The seeds and the import are none of the trees, so they bring no verb and no round.
    assert every.rounds == generated.rounds == (VerbRound(1, len(TREES), len(verbs), len(set(verbs))),)
