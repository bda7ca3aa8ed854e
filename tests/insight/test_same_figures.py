"""However a pool was steered, every place that counts its candidates counts the same: those whose verdict stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.insight.lineage import lineage
from studio.insight.statistics_report import report
from studio.loop.whatif import Change, what_if
from studio.pool.browse import Kind, Selection
from studio.pool.exchange.export import ExportOptions
from studio.pool.pool import Queries
from studio.publish.card import CardOptions, Exported, dataset_card
from studio.publish.page import page
from studio.publish.publication import publication
from support.pools import ask
from support.steering import steered_pool
from support.tables import printed

ALL = """
SELECT candidates.id, verdict, reason, decided_by, rounds.stage = 'superseded', rounds.stage = 'done', coalesce(tasks.state, ''), action_id
FROM decisions JOIN candidates ON candidates.id = decisions.candidate_id JOIN requests ON requests.id = request_id
    JOIN rounds ON rounds.id = requests.round_id LEFT JOIN tasks ON tasks.candidate_id = candidates.id
ORDER BY decisions.id"""


@pytest.fixture(scope="module", params=range(3))
def steered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return steered_pool(tmp_path_factory.mktemp("steered") / "pool.db", request.param)


@pytest.fixture
def reader(steered: Path) -> Iterator[Queries]:
    with Queries.open(steered) as opened:
        yield opened


def standing(path: Path) -> dict[int, tuple[Any, ...]]:
    """Verdict, reason, decider and whether its round is done, by candidate: the last decision counts, superseded rounds do not."""
    rows = {found: rest for found, *rest in ask(path, ALL)}
    return {found: (verdict, reason, who, done) for found, (verdict, reason, who, aside, done, *_) in rows.items() if not aside}


def test_the_pools_of_this_test_have_all_that_can_make_figures_differ(steered: Path) -> None:
    rows = ask(steered, ALL)
    assert any(aside for *_, aside, _, _, _ in rows), "no round was written anew"
    assert len(rows) > len({row[0] for row in rows}), "no decision was overtaken"
    assert any(who == "rule" and action for _, _, _, who, *_, action in rows), "no decision was taken back"
    assert any(state == "retired" for *_, state, _ in rows) and any(who == "human" for _, _, who, _ in standing(steered).values())


def test_every_place_counts_the_verdicts_that_stand(steered: Path, reader: Queries) -> None:
    held = standing(steered)
    reasons = Counter(reason for verdict, reason, *_ in held.values() if verdict == "rejected")
    accepted = sum(verdict == "accepted" for verdict, *_ in held.values())
    by_hand = sum(who == "human" for _, _, who, _ in held.values())

    assert {row[0]: row[1:] for row in ask(steered, "SELECT candidate_id, verdict, reason, decided_by FROM verdicts")} == {
        found: row[:3] for found, row in held.items()
    }
    assert dict(ask(steered, "SELECT reason, count(*) FROM verdicts WHERE verdict = 'rejected' GROUP BY reason")) == reasons

    published = publication(reader, "pool", None)
    figures = published.statistics
    assert (figures.accepted, figures.rejected, figures.candidates) == (accepted, reasons, len(held))
    assert f"candidates ({len(held):,})" in printed(report(figures))
    assert published.provenance.by_hand == by_hand
    assert sum(each.counts.accepted for each in published.provenance.runs) == accepted
    assert sum((Counter(each.counts.rejected) for each in published.provenance.runs), Counter()) == reasons
    assert f"What became of {len(held):,} candidate instructions. A person has the last word on {by_hand:,}" in page(published)
    card = dataset_card(reader, CardOptions("pool"), Exported(reader.stream, ExportOptions(), (), ()))
    assert f"Of {len(held):,} candidates {accepted:,} were accepted; a person has the last word on {by_hand:,}" in card

    whole = Counter(each.reason for each in reader.candidates.rejected(10**6))
    assert whole == reasons
    assert [held[each][1] for each in reader.candidates.rejected_by_reason(1)] == sorted(reasons)
    for reason, count in reasons.items():
        assert len(reader.browse.ids(Selection(kind=Kind.REJECTED, reason=reason))) == count
    assert what_if(reader, Change()).accepted_before == accepted

    finished = [verdict for verdict, *_, done in held.values() if done]
    rounds = [(each.candidates, each.accepted) for each in figures.rounds]
    assert (sum(all_ for all_, _ in rounds), sum(kept for _, kept in rounds)) == (len(finished), finished.count("accepted"))
    results = [reader.rounds.result(found) for (found,) in ask(steered, "SELECT id FROM rounds")]
    assert (sum(each.accepted for each in results), sum((Counter(each.rejected) for each in results), Counter())) == (accepted, reasons)
    depths = lineage(reader).depths
    assert (sum(each.candidates for each in depths), sum(each.accepted for each in depths)) == (len(held), accepted)
