"""The text of a completion is the same however its bytes are cut into tokens."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from studio.engine.text_stream import TextStream

ALPHABET = st.sampled_from(["a", "b", "ab", "\n", "1", "16", ".", "é", "日", "🙂", "Task", ":"])
TEXTS = st.lists(ALPHABET, max_size=30).map("".join)
BYTES = st.one_of(TEXTS.map(lambda text: text.encode()), st.binary(max_size=40))
STOPS = st.lists(st.lists(ALPHABET, max_size=3).map("".join), max_size=4)


def naive(data: bytes, stops: list[str]) -> tuple[str, str | None]:
    """Look at the whole: the stop that ends first fires, the longest of those that end together."""
    found = []
    for stop in filter(None, stops):
        start = data.find(stop.encode())
        if start >= 0:
            found.append((start + len(stop.encode()), start, stop))
    if not found:
        return data.decode("utf-8", "replace"), None
    _, start, stop = min(found)
    return data[:start].decode("utf-8", "replace"), stop


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(borders)]


@given(BYTES, STOPS, st.lists(st.integers(0, 100), max_size=12))
def test_any_splitting_gives_the_naive_result(data: bytes, stops: list[str], cuts: list[int]) -> None:
    stream = TextStream(stops)
    shown = "".join(stream.feed(piece) for piece in pieces(data, cuts)) + stream.finish()
    assert (shown, stream.stopped) == naive(data, stops)


@given(BYTES, STOPS)
def test_nothing_shown_is_ever_taken_back(data: bytes, stops: list[str]) -> None:
    expected, _ = naive(data, stops)
    stream, shown = TextStream(stops), ""
    for byte in data:
        shown += stream.feed(bytes([byte]))
        assert expected.startswith(shown)


def test_a_possible_stop_is_held_back() -> None:
    stream = TextStream(["\n16"])
    assert stream.feed(b"text\n1") == "text"
    assert stream.feed(b"5.") == "\n15."
    assert stream.feed(b"\n") == ""
    assert stream.feed(b"16. more") == ""
    assert stream.stopped == "\n16"
    assert stream.feed(b"ignored") == "" and stream.finish() == ""


def test_a_character_cut_off_at_the_end_is_marked() -> None:
    stream = TextStream()
    assert stream.feed("日本".encode()[:4]) == "日"
    assert stream.finish() == "\ufffd"
