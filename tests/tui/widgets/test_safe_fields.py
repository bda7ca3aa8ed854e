"""Fields hold every character as it is, show none that acts on a terminal, and change nothing but what is typed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import ComposeResult
from textual.events import Key, Paste
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from studio.text import display
from studio.tui.dialogs.edit import in_editor
from studio.tui.widgets.fields import Palette, SafeInput, SafeTextArea, StandIns, mark_of
from support.nasty_text import NASTY_TEXTS
from support.screens import NASTY_LINES, Host, assert_harmless, until

ACTING = "\x00\t\r\x0b\x1b\x7f\x85\x9b\xad\u061c\u200b\u200f\u2028\u2029\u202e\u2066\ufeff\U000e0041\U00100000\U00100001\U0010fffd"
TEXTS = st.text(st.one_of(st.sampled_from(ACTING + "\n ab漢"), st.characters(exclude_categories=["Cs"])))
HOSTILE = (*NASTY_TEXTS[:4], *(text[:300] for text in NASTY_LINES[1:4]), ACTING, f"one\r\n\ttwo {ACTING}\x1c\nthree\r")


class Fields(Screen[None]):
    """One of each."""

    def compose(self) -> ComposeResult:
        yield SafeInput()
        yield SafeTextArea(ACTING)


@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(["", "\n"]))
def test_stand_ins_are_told_apart_from_all_that_they_stand_beside(texts: list[str], but: str) -> None:
    stand_ins = StandIns(but)
    put = [stand_ins.put(text) for text in texts]
    assert [stand_ins.put(each, again=True) for each in put] == put
    assert [stand_ins.take(each) for each in put] == texts
    for text, each in zip(texts, put, strict=True):
        assert len(each) == len(text)
        assert display(each) == each
        assert len(each.splitlines()) <= 1 + (each.count("\n") if but else 0)


@given(st.characters())
def test_every_character_is_drawn_by_one_that_does_not_act(character: str) -> None:
    mark = mark_of(character)
    assert len(mark) == 1 and mark != "\n" and display(mark) == mark
    assert mark == character or display(character) != character or character == "\n"


async def test_an_edit_elsewhere_leaves_every_other_character_as_it_is() -> None:
    screen = Fields()
    async with Host(screen).run_test(size=(80, 24)) as pilot:
        area, field = screen.query_one(SafeTextArea), screen.query_one(SafeInput)
        assert area.text == ACTING
        for text in HOSTILE:
            area.text = field.text = text
            assert (area.text, field.text) == (text, text)
            await pilot.pause()
            assert_harmless(pilot.app)
            area.move_cursor(area.document.end)
            await press(pilot, area, "x", "backspace", "y")
            assert area.text == f"{text}y"
            area.move_cursor((0, 0))
            await press(pilot, area, "z", "f7")
            assert area.selected_text == area.text == f"z{text}y"
            await press(pilot, field, "end", "x", "left", "y")
            assert field.text == f"{text}yx"
            assert_harmless(pilot.app)


async def test_what_is_pasted_copied_and_cut_is_as_it_was() -> None:
    screen = Fields()
    host = Host(screen)
    async with host.run_test(size=(80, 24)) as pilot:
        area, field = screen.query_one(SafeTextArea), screen.query_one(SafeInput)
        await press(pilot, area, "f7", "ctrl+x")
        assert (host.copied, area.text) == (ACTING, "")
        area.post_message(Paste(f"a{ACTING}\r\nb\rc"))
        await until(pilot, lambda: area.text != "")
        assert area.text == f"a{ACTING}".replace("\r", "\n") + "\nb\nc"
        assert area.cursor_location == area.document.end
        area.load_text(f"{ACTING}\r\n")
        await press(pilot, area, "f7", "ctrl+c")
        assert host.copied == f"{ACTING}\r\n"
        field.focus()
        field.post_message(Paste("one\r\ntwo\u200f\tthree\r"))
        await until(pilot, lambda: field.text != "")
        assert field.text == "one\ntwo\u200f\tthree"
        assert_harmless(pilot.app)


async def test_joiners_and_marks_of_direction_can_be_typed() -> None:
    screen, typed = Fields(), "👩\u200d👧 \u200fעברית"
    async with Host(screen).run_test(size=(80, 24)) as pilot:
        for field in (screen.query_one(SafeTextArea), screen.query_one(SafeInput)):
            field.text = ""
            field.focus()
            await pilot.pause()
            for character in typed:
                pilot.app.post_message(Key("some_name", character))
            await until(pilot, lambda here=field: here.text == typed)  # type: ignore[misc]
            assert_harmless(pilot.app)


async def press(pilot: Pilot[Any], field: SafeInput | SafeTextArea, *keys: str) -> None:
    field.focus()
    await pilot.press(*keys)


@contextmanager
def editor(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> Iterator[None]:
    """Let `$EDITOR` be a shell script that is handed the file."""
    program = folder / "editor"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setenv("EDITOR", str(program))
        yield


@pytest.mark.parametrize("text", ["", "one", "one\n", "one\r\ntwo\r", f"a{ACTING}b", "a\r\nb", "x\n\n"])
def test_an_editor_gets_and_gives_the_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    with editor(monkeypatch, tmp_path, "true"):
        assert in_editor(text) == text
    with editor(monkeypatch, tmp_path, 'printf z > "$1.new"; cat "$1" >> "$1.new"; mv "$1.new" "$1"'):
        assert in_editor(text) == f"z{text}"
    # As most do: the last line ends, too.
    with editor(monkeypatch, tmp_path, '[ -z "$(tail -c 1 "$1")" ] || printf "\\n" >> "$1"'):
        assert in_editor(text) == text


def test_an_editor_that_writes_dos_lines_adds_no_carriage_return(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with editor(monkeypatch, tmp_path, 'printf "\\r\\n" >> "$1"'):
        assert in_editor("a\r\nb") == "a\r\nb"


async def test_the_palette_looks_for_words_and_not_for_a_whole_clipboard() -> None:
    async with Host(Screen()).run_test(size=(80, 24)) as pilot:
        palette = Palette()
        await pilot.app.push_screen(palette)
        field = palette.query_one(Input)
        await pilot.press("a", "b")
        field.post_message(Paste("\tc" * 50_000))
        pilot.app.copy_to_clipboard("\td" * 50_000)
        await pilot.press("ctrl+v", "e")
        await until(pilot, lambda: field.value == "abe")
