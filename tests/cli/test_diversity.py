"""`studio diversity` as a user calls it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from studio.cli import main
from studio.errors import ExitCode
from support.command import assert_fails
from support.command import studio as run_studio
from support.generated_pool import build_pool
from support.instruction_trees import TREES
from support.nasty_text import NASTY_TEXTS
from support.spacy_pipelines import KnownTrees, put_spacy


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return build_pool(tmp_path / "pool.db", [(tree.text, False, ()) for tree in TREES])


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> KnownTrees:
    known = KnownTrees()
    put_spacy(monkeypatch, lambda _, **__: known)
    return known


def call(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["studio", "diversity", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


@pytest.mark.usefixtures("pipeline")
def test_json_has_all_figures(pool: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, pool, "--json") == 0
    shown = capsys.readouterr()
    figures: dict[str, Any] = json.loads(shown.out)
    with_noun = [tree for tree in TREES if tree.expected and tree.expected.noun]
    assert shown.err == ""
    assert figures["origin"] == "generated"
    assert figures["words"]["instructions"] == figures["phrases"]["instructions"] == len(TREES)
    assert figures["phrases"]["with_pair"] == len(with_noun)
    assert figures["phrases"]["pair_share"] == len(with_noun) / len(TREES)
    assert figures["phrases"]["pipeline"] == "en_known_trees 1.0"
    assert figures["phrases"]["branches"][0] == {"verb": "write", "count": 2, "objects": [["code", 1], ["story", 1]]}
    verbs = [tree.expected.verb for tree in TREES if tree.expected]
    [row] = figures["phrases"]["rounds"]
    assert row == {"round": 1, "tasks": len(TREES), "with_verb": len(verbs), "new": len(set(verbs))}
    assert figures["paper"]["with_pair"] == 26_559 and round(figures["paper"]["pair_share"], 3) == 0.506


@pytest.mark.usefixtures("pipeline")
def test_the_tree_stands_beside_the_papers_figures(pool: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, pool) == 0
    shown = capsys.readouterr().out
    assert "26,559 (50.6%)" in shown and "(14%)" in shown
    assert "new verbs" in shown
    assert "write" in shown and "├─ code" in shown and "└─ story" in shown and "█" in shown


@pytest.mark.usefixtures("pipeline")
def test_the_sunburst_is_written_whole_or_not_at_all(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert call(monkeypatch, pool, "--html", page, "--json") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["phrases"]["with_pair"] > 0 and str(page) in shown.err
    assert page.read_text(encoding="utf-8").endswith("</html>\n")
    assert call(monkeypatch, pool, "--html", tmp_path / "none" / "page.html") == ExitCode.POOL
    assert "make the folder first" in capsys.readouterr().err


def test_hostile_words_do_nothing_to_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Verbs(KnownTrees):
        def pipe(self, texts: Any, batch_size: int) -> Any:
            for text, document in zip(NASTY_TEXTS, super().pipe(texts, batch_size), strict=True):
                (sentence,) = document.sents
                sentence.root.pos_, sentence.root.lemma_ = "VERB", f"[red]{text}"
                sentence.root.children.append(type(sentence.root)("", text, "NOUN", 1, "dobj"))
                yield type("Document", (), {"sents": iter([sentence])})

    put_spacy(monkeypatch, lambda _, **__: Verbs())
    assert call(monkeypatch, build_pool(tmp_path / "p.db", [(text, False, ()) for text in NASTY_TEXTS]), "--html", tmp_path / "p.html") == 0
    shown = capsys.readouterr().out
    assert shown.count("[red]") == len(NASTY_TEXTS)
    assert not {"\x00", "\x07", "\x1b", "\x7f", "\u202e", "\u200b", "\ufeff"} & set(shown)


def test_words_alone_need_no_parser(pool: Path) -> None:
    done = run_studio("diversity", pool, "--words", "--json", "--origin", "all")
    assert (done.returncode, done.stderr) == (0, "")
    figures = json.loads(done.stdout)
    assert figures["phrases"] is None and figures["origin"] == "all"
    assert figures["words"]["instructions"] == len(TREES) + 3


def test_words_alone_never_import_the_parser(pool: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    assert call(monkeypatch, pool, "--words") == 0
    assert "distinct-2" in capsys.readouterr().out
    assert call(monkeypatch, pool) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "hint: get it with: pip install 'self-instruct-studio[diversity]'" in error


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--words", "--html", "x.html"), ExitCode.USAGE, "--words leaves out"),
        (("--origin", "mine"), ExitCode.USAGE, "mine"),
        (("--sample", "1"), ExitCode.USAGE, "--sample"),
        (("--words", "--pipeline", "en_core_web_sm"), ExitCode.USAGE, "--words needs no parser"),
    ],
)
def test_wrong_options(pool: Path, words: tuple[str, ...], code: ExitCode, message: str) -> None:
    assert_fails(run_studio("diversity", pool, *words), code, message)


def test_a_missing_pool(tmp_path: Path) -> None:
    assert_fails(run_studio("diversity", tmp_path / "none.db", "--words"), ExitCode.POOL, "none.db")
