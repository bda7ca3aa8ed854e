"""The report's page: every section, nothing loaded or run whatever the texts are, nothing private told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st

from studio.insight.studies.comparison import open_comparison, paired, plan_for
from studio.pool.exchange.export import ExportOptions
from studio.pool.pool import Pool, Queries
from studio.pool.reviews import Opinion, Question, ReviewPlan, digest_of
from studio.publish.card import CardOptions, Exported, dataset_card
from studio.publish.charts import Bar, bars
from studio.publish.page import LONGEST, SECTIONS, page, template
from studio.publish.publication import publication
from studio.seeds.reading import draw_hold_out
from studio.text import display
from support.comparisons import graded, grades
from support.html_page import Page
from support.pools import MODEL, make_pool
from support.publications import HOSTILE, published_pool
from support.reviews import reviewed, sheet
from support.sessions import all_seeds

CHART = {"viewbox", "role", "x", "y", "width", "height", "text-anchor"}
"""The attributes of a chart with a bar."""


def page_of(path: Path, title: str = "pool") -> str:
    with Queries.open(path) as reader:
        return page(publication(reader, title, None))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(published_pool(tmp_path_factory.mktemp("hostile") / "pool.db", HOSTILE), HOSTILE[0])


def test_hostile_texts_stay_texts(hostile: str, tmp_path: Path) -> None:
    plain = Page(page_of(published_pool(tmp_path / "plain.db", [f"word {place}" for place in range(len(HOSTILE))])))
    found = Page(hostile)
    assert plain.faults == found.faults == []
    assert {tag for tag, _ in found.tags} == {tag for tag, _ in plain.tags}
    assert {name for _, given in found.tags for name in given} == {name for _, given in plain.tags for name in given}
    assert "<script>alert(1)</script>" in found.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u200b\ufeff]", hostile)


@for_any(st.text(min_size=1))
def test_any_text_in_any_piece_of_the_page_is_only_text(text: str) -> None:
    parts: Any = template("parts.html").module
    chart = bars(text, [Bar(text, 0.5, text)])
    pieces = [
        (parts.missing(text, text), ["p", "code"]),
        (parts.table((text,), [(text,)]), ["div", "table", "thead", "tr", "th", "tbody", "tr", "td"]),
        (parts.facts([(text, text), (text, parts.digest(text, text))]), ["dl", "dt", "dd", "dt", "dd", "code"]),
        (parts.field(text, text), ["p", "pre"]),
        (parts.figure(chart, caller=lambda: "below"), ["figure", "svg", "title", "text", "rect", "text", "figcaption"]),
    ]
    for piece, tags in pieces:
        found = Page(str(piece))
        assert [tag for tag, _ in found.tags] == tags and found.faults == []
        assert {name for _, given in found.tags for name in given} <= CHART | {"class"}
        assert display(text)[:LONGEST].strip() in found.text or tags[0] == "figure"
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u200b\ufeff]", str(piece))


def test_the_page_loads_nothing_and_runs_nothing(hostile: str) -> None:
    found = Page(hostile)
    assert not {"script", "link", "img", "iframe", "object", "image", "use", "base", "form"} & {tag for tag, _ in found.tags}
    for tag, given in found.tags:
        assert not any(name.startswith("on") or name in ("src", "style", "xlink:href") for name in given)
        assert tag == "a" or "href" not in given
        assert (given.get("href") or "#").startswith("#")
    style = hostile[hostile.index("<style>") : hostile.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert "default-src 'none'" in hostile


def test_drawings_are_well_formed(hostile: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", hostile, re.DOTALL)
    assert len(drawings) >= 5
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.find("title") is not None
        numbers = [float(value) for element in root for name in ("x", "y", "width", "height") if (value := element.get(name)) is not None]
        assert all(0 <= number <= 2000 for number in numbers)


def test_every_section_has_its_place_and_a_link(hostile: str) -> None:
    found = Page(hostile)
    assert [given["id"] for tag, given in found.tags if tag == "section"] == list(SECTIONS)
    assert {given["href"] for tag, given in found.tags if tag == "a"} == {f"#{name}" for name in SECTIONS}


def test_what_is_missing_names_the_command_that_adds_it(tmp_path: Path) -> None:
    found = Page(page_of(make_pool(tmp_path / "new.db")))
    for command in ("studio run POOL", "studio review POOL", "studio finetune POOL", "studio evaluate POOL"):
        assert command in found.text
    assert found.faults == []


def test_what_the_pool_has_is_told(tmp_path: Path) -> None:
    text = Page(page_of(published_pool(tmp_path / "pool.db", ["one", "two", "three", "four", "five"]))).text
    for words in (
        "seed",
        "42",
        "ab" * 32,
        "12" * 32,
        "34" * 32,
        "Validation loss 3.000 at step 0, lowest 1.500 at step 3",
        "base says one",
    ):
        assert words in text
    assert "tuned says one" in text
    assert "3 instances to learn from, 1 to validate with" in text
    assert "67% (21-94) of 3" in text


@pytest.mark.parametrize("raters", ["", "a", "ab"])
def test_the_page_tells_how_far_a_judge_agrees_with_any_number_of_raters(tmp_path: Path, raters: str) -> None:
    path = tmp_path / "pool.db"
    reviewed(path, ReviewPlan(8), {rater: sheet("yyy nyy") for rater in raters})
    with Pool.open(path) as pool:
        judge = pool.judges.enter("judge", MODEL, "1")
        for item in pool.reviews.items(1):
            seen = digest_of(item.instruction, item.input, item.output)
            pool.judges.add(judge.id, [Opinion(item.task_id, item.instance_id, each, seen, True) for each in Question])
    text = Page(page_of(path)).text
    assert ("nobody has rated these instances" in text) == (not raters)
    assert ("how far it agrees with people stands below" in text) == ("people and judge" in text) == bool(raters)


def test_an_evaluation_has_its_figures_and_blind_grades_stay_blind(tmp_path: Path) -> None:
    path = published_pool(tmp_path / "pool.db", ["one", "two", "three", "four"])
    with Pool.open(path) as pool:
        comparison = open_comparison(pool, pool.comparisons, plan_for(pool, paired(pool), "x", None))
        for position, grading in grades("AB BB DA").items():
            pool.comparisons.put(comparison.id, "anna", position, grading)
    text = Page(page_of(path)).text
    assert "paired on 4 items" in text and "difference (95 % interval)" in text
    assert "stay blind" in text and "n = 252" not in text
    with Pool.open(path) as pool:
        pool.comparisons.put(comparison.id, "anna", 3, graded("CC"))
    found = Page(page_of(path))
    assert "n = 252" in found.text and "n = 4" in found.text and found.faults == []
    assert sum(given.get("class") == "part3" for _, given in found.tags) == 5


def test_held_out_seeds_are_not_what_the_data_was_made_from(tmp_path: Path) -> None:
    seeds = all_seeds()
    Pool.create(tmp_path / "pool.db", seeds, draw_hold_out(seeds, 30, "0")).close()
    assert "from 145 seed tasks" in page_of(tmp_path / "pool.db")
    with Queries.open(tmp_path / "pool.db") as reader:
        card = dataset_card(reader, CardOptions("pool"), Exported(reader.stream, ExportOptions(), (), ()))
    assert "From 145 seed tasks, which are not part of the data; 30 more were held out for evaluation." in card


def test_raters_and_folders_are_not_told(tmp_path: Path) -> None:
    text = Page(page_of(published_pool(tmp_path / "pool.db", ["bert", "two", "three", "four"]))).text
    assert "rater 1" in text and "rater 2" in text
    assert "anna" not in text and "secret" not in text
    assert "adapter.gguf" in text and "model.gguf" in text


def test_equal_pools_give_equal_pages(tmp_path: Path) -> None:
    path = published_pool(tmp_path / "pool.db", ["one", "two", "three", "four"])
    assert page_of(path) == page_of(path)
