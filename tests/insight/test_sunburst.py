"""The sunburst: a file that holds up whatever the words are, loads nothing, and draws what was counted."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from studio.insight.phrases import Phrase, PhraseFigures, phrase_figures, sunburst
from support.html_page import Page
from support.nasty_text import NASTY_TEXTS

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></svg></style><b>",
    "{pairs} {0} %s",
    "&lt;script&gt;",
    "\x1b[31m\u202e\u200b",
    *NASTY_TEXTS,
)


def figures(*pairs: tuple[str, str]) -> PhraseFigures:
    return phrase_figures(Phrase(verb, noun) for verb, noun in pairs)


def sweep(path: str) -> float:
    """The angle of a sector in radians, from the two ends of its outer arc."""
    numbers = [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?", path)]
    x, y, _, _, _, large, _, end_x, end_y = numbers[:9]
    turn = (math.atan2(end_x, -end_y) - math.atan2(x, -y)) % (2 * math.pi)
    assert (turn > math.pi) == bool(large)
    return turn


def test_hostile_words_stay_words() -> None:
    plain = Page(sunburst(figures(*[("write", "poem")] * 3), "pool.db"))
    page = Page(sunburst(figures(*[(text, text) for text in HOSTILE]), HOSTILE[0]))
    assert {tag for tag, _ in page.tags} == {tag for tag, _ in plain.tags}
    assert {name for _, given in page.tags for name in given} == {name for _, given in plain.tags for name in given}
    assert "<script>alert(1)</scr" in page.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u200b\ufeff]", page.text)


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    page = sunburst(figures(("write", "poem")), "pool.db")
    found = Page(page)
    assert not {"script", "link", "img", "iframe", "object", "image", "use"} & {tag for tag, _ in found.tags}
    assert not any(name.startswith("on") or name in ("src", "href", "xlink:href") for _, given in found.tags for name in given)
    assert "url(" not in page and "@import" not in page
    assert "default-src 'none'" in page


def test_sectors_are_as_wide_as_their_counts() -> None:
    page = Page(sunburst(figures(*[("write", "poem")] * 3, ("write", "story"), ("give", "tip"), ("give", "idea")), "pool.db"))
    paths = [given["d"] or "" for tag, given in page.tags if tag == "path"]
    # In the order drawn: write, its poem and story, give, its idea and tip.
    expected = [4 / 6, 3 / 6, 1 / 6, 2 / 6, 1 / 6, 1 / 6]
    assert [sweep(path) / (2 * math.pi) for path in paths] == pytest.approx(expected, abs=1e-4)
    assert "write poem: 3 (50.0%)" in page.text


def test_the_drawing_is_well_formed() -> None:
    pairs = [(f"verb{verb}", f"noun{noun}") for verb in range(25) for noun in range(6) for _ in range(1 + verb % 5)]
    page = sunburst(figures(*pairs), "pool.db")
    drawing = page[page.index("<svg") : page.index("</svg>") + 6]
    sectors = [group for group in ElementTree.fromstring(drawing) if group.get("class") == "sector"]
    assert len(sectors) == 20 + 20 * 4
    assert all(group.find("title") is not None and group.get("tabindex") == "0" for group in sectors)


def test_a_single_verb_is_a_whole_ring_and_none_is_an_empty_page() -> None:
    (verb, noun) = (given["d"] or "" for tag, given in Page(sunburst(figures(("write", "poem")), "p")).tags if tag == "path")
    assert sweep(verb) == pytest.approx(2 * math.pi, abs=1e-3) and sweep(noun) == pytest.approx(2 * math.pi, abs=1e-3)
    assert "path" not in [tag for tag, _ in Page(sunburst(phrase_figures([None, None]), "p")).tags]
