"""New root verbs by round, against counts by hand and a plain computation."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from studio.insight.diversity_figures import diversity
from studio.insight.new_verbs import NewVerbs, VerbRound, summed
from studio.insight.parser import Parser
from studio.insight.phrases import Phrase
from studio.pool.pool import Queries
from studio.records import Origin
from support.generated_pool import build_pool
from support.instruction_trees import TREES
from support.spacy_pipelines import KnownTrees


def test_counts_by_hand() -> None:
    verbs = NewVerbs()
    verbs.add(None, Phrase("write", "story"))  # a seed's verb is known, and of no round
    for number, verb in ((1, "write"), (1, "give"), (1, None), (3, "give"), (3, "tell"), (3, "tell")):
        verbs.add(number, None if verb is None else Phrase(verb, None))
    assert verbs.result() == (VerbRound(1, 3, 2, 1), VerbRound(3, 3, 3, 1))
    assert summed(verbs.result()) == VerbRound(1, 6, 5, 2)
    assert NewVerbs().result() == ()
    with pytest.raises(ValueError, match="no rounds"):
        summed([])


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
