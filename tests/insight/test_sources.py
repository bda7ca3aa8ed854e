"""What each source of instructions brought, against plain SQL and by hand, and told alike everywhere."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from studio.engine.scripted import ScriptedEngine
from studio.insight.statistics import SourceRow, statistics
from studio.insight.statistics_report import report
from studio.insight.studies.review import open_review
from studio.loop.session import Goal
from studio.pool.exchange.export import ExportOptions
from studio.pool.pool import Pool, Queries
from studio.pool.reviews import Rating, ReviewPlan
from studio.publish.card import CardOptions, Exported, dataset_card
from studio.publish.page import page
from studio.publish.publication import publication
from support.pools import ask, make_pool, walk_round
from support.sessions import all_seeds, chat_pool, configuration, mixed_pool, play, session_in
from support.tables import printed


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_pool(tmp_path_factory.mktemp("sources") / "pool.db", rounds=3)


def sources_of(path: Path) -> dict[str, SourceRow]:
    with Queries.open(path) as pool:
        return {each.source: each for each in statistics(pool).sources}


def card_of(path: Path) -> str:
    with Queries.open(path) as pool:
        return dataset_card(pool, CardOptions("pool"), Exported(pool.stream, ExportOptions(), (), ()))


def page_of(path: Path) -> str:
    with Queries.open(path) as pool:
        return page(publication(pool, "pool", None))


def stats_of(path: Path) -> str:
    with Queries.open(path) as pool:
        return printed(report(statistics(pool)))


def test_each_source_against_plain_sql(chat: Path) -> None:
    found = sources_of(chat)
    sql = (
        "SELECT source, count(*), sum(verdict = 'accepted') FROM decisions JOIN candidates ON candidates.id = candidate_id"
        " JOIN requests ON requests.id = request_id GROUP BY source"
    )
    assert {name: (each.candidates, each.accepted) for name, each in found.items()} == {
        name: (all_, kept) for name, all_, kept in ask(chat, sql)
    }
    sql = (
        "SELECT source, count(DISTINCT tasks.id), count(*) FROM instances JOIN tasks ON tasks.id = instances.task_id"
        " JOIN candidates ON candidates.id = candidate_id JOIN requests ON requests.id = candidates.request_id"
        " WHERE verdict = 'accepted' AND state = 'active' GROUP BY source"
    )
    assert {name: each.instances for name, each in found.items()} == {name: kept for name, _, kept in ask(chat, sql)}
    with Queries.open(chat) as pool:
        figures = statistics(pool)
    assert sum(each.instances for each in found.values()) == figures.instances
    assert sum(each.tasks for each in found.values()) == figures.generated
    assert sum(each.candidates for each in found.values()) == figures.candidates
    assert not any(each.quality for each in found.values())


def test_quality_of_each_source_by_hand(tmp_path: Path) -> None:
    path = chat_pool(tmp_path / "pool.db")
    with Pool.open(path) as pool:
        review = open_review(pool, pool.reviews, ReviewPlan(100))
        items = pool.reviews.items(review.id)
        source = {each.position: made.source for each in items if (made := pool.candidates.of_task(each.task_id)) is not None}
        lists, own = ([place for place, each in source.items() if each == name] for name in ("in_context", "template"))
        assert len(lists) >= 2 and len(own) >= 2
        pool.reviews.put(review.id, "anna", lists[0], Rating((True, True, False)))
        pool.reviews.put(review.id, "anna", lists[1], Rating((False, None, None)))
        pool.reviews.put(review.id, "anna", own[0], Rating((True, True, True)))
        pool.reviews.put(review.id, "ben", own[0], Rating((True, False, True)))
        pool.reviews.put(review.id, "ben", own[1], Rating((True, True, True), skipped=True))
    found = sources_of(path)
    counted = {name: {key: (share.yes, share.count) for key, share in each.quality.items()} for name, each in found.items()}
    assert counted == {
        "in_context": {
            "instruction_valid": (1, 2),
            "input_appropriate": (1, 1),
            "output_acceptable": (0, 1),
            "all_fields_valid": (0, 1),
        },
        "template": {
            "instruction_valid": (2, 2),
            "input_appropriate": (1, 2),
            "output_acceptable": (2, 2),
            "all_fields_valid": (1, 2),
        },
    }
    words = found["template"].quality["all_fields_valid"].words
    assert words.startswith("50%") and all(words in told for told in (stats_of(path), page_of(path), card_of(path)))


def test_an_answer_to_a_text_that_was_changed_since_does_not_count(tmp_path: Path) -> None:
    path = chat_pool(tmp_path / "pool.db")
    with Pool.open(path) as pool:
        review = open_review(pool, pool.reviews, ReviewPlan(100))
        [item, *_] = pool.reviews.items(review.id)
        pool.reviews.put(review.id, "anna", item.position, Rating((True, True, True)))
        assert sum(len(each.answers) and each.answers["instruction_valid"][1] for each in pool.figures.sources()) == 1
        session_in(pool, ScriptedEngine(chats=True), configuration(), force=True).steering.edit_instance(item.instance_id, "", "Another.")
        assert sum(each.answers["instruction_valid"][1] for each in pool.figures.sources()) == 0


def test_every_place_tells_of_both_sources(chat: Path) -> None:
    for name, each in sources_of(chat).items():
        figures = (f"{each.candidates:,}", f"{each.accepted:,}", f"{each.acceptance_rate:.1%}", f"{each.tasks:,}", f"{each.instances:,}")
        line = next(line for line in stats_of(chat).splitlines() if line.startswith(name))
        assert line.split()[1:6] == list(figures)
        cells = "".join(f'<td class="figure">{cell}</td>' for cell in figures)
        assert f'<td class="words">{name}</td>{cells}' in page_of(chat)
        row = next(line for line in card_of(chat).splitlines() if line.startswith(f"| {name} |"))
        assert [cell.strip() for cell in row.split("|")[2:-1]] == list(figures)


def test_json_has_them(chat: Path) -> None:
    with Queries.open(chat) as pool:
        told = json.loads(json.dumps(asdict(statistics(pool))))
    assert [each["source"] for each in told["sources"]] == ["in_context", "template"]
    assert all(set(each) >= {"candidates", "accepted", "acceptance_rate", "tasks", "instances", "quality"} for each in told["sources"])


@pytest.mark.parametrize("kind", ["raw", "paper", "bare", "server"])
def test_pools_of_one_source_are_told_as_ever(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "pool.db"
    match kind:
        case "raw":
            mixed_pool(path)
        case "paper":
            play(path, Goal(rounds=1), ScriptedEngine(chats=True), configuration("paper"), all_seeds()[:40])
        case "bare":
            with Pool.open(make_pool(path)) as pool:
                walk_round(pool)
        case _:
            play(path, Goal(rounds=1), ScriptedEngine(chats=True), configuration(template_requests=0), all_seeds()[:40])
    assert sources_of(path) == {}
    for told in (stats_of(path), page_of(path), card_of(path)):
        assert "here instructions come from" not in told and "kept instances" not in told


def test_what_a_model_wrote_in_all_its_stages_is_in_what_a_task_costs(chat: Path) -> None:
    stages = dict(
        ask(
            chat,
            "SELECT stage, sum(prompt_tokens + completion_tokens) FROM requests JOIN completions ON request_id = requests.id"
            " GROUP BY stage",
        )
    )
    assert {"filter", "answer"} <= set(stages) and all(stages.values())
    with Queries.open(chat) as pool:
        figures = statistics(pool)
    assert figures.prompt_tokens + figures.completion_tokens == sum(stages.values())


def test_the_card_and_the_page_quote_what_the_model_was_asked_with(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    asked = configuration(
        brief="beekeeping for ``` schools", best_of=3, likely_share=0.5, likely_answers=0.8, prompts__answer_system="Answer <b>briefly</b>."
    )
    play(path, Goal(rounds=1), ScriptedEngine(chats=True), asked, all_seeds()[:40])
    card, told = card_of(path), page_of(path)
    method = json.loads(ask(path, "SELECT settings FROM runs")[0][0])["method"]
    numbers = f"{method['requests_per_round']} lists of tasks and {method['template_requests']} requests of its own a round"
    assert f"asked in its own chat template: {numbers}, of which the likeliest 50% were kept; of 3 answers the one" in card
    assert "; the likeliest 80% of the answers" in card
    assert "Brief:\n\n````text\nbeekeeping for ``` schools\n````" in card
    assert "```text\nAnswer <b>briefly</b>.\n```" in card
    assert "Answer &lt;b&gt;briefly&lt;/b&gt;." in told and "beekeeping for ``` schools" in told
    with Queries.open(mixed_pool(tmp_path / "raw.db")) as pool:
        [run] = publication(pool, "pool", None).provenance.runs
    assert run.asked.words == "to go on with a text" and run.asked.quotes == ()
