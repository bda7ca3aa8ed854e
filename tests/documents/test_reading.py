"""The text of a document: what a reader sees of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.documents.found import find_documents
from studio.documents.reading import PDF, DocumentFile, NoDocument, declared_encoding, joined, text_of, visible_text
from studio.errors import UsageError


def read(path: Path) -> tuple[str, list[str]]:
    notes: list[str] = []
    return "".join(text_of(find_documents([path]).files[0], notes)), notes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_text_is_decoded_whatever_its_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("Zwei Sätze.\r\nEine Zeile.\rEnde\x1b[31m.\x0cSeite".encode(encoding))
    text, notes = read(path)
    assert text == "Zwei Sätze.\nEine Zeile.\nEnde[31m.\n\nSeite"
    assert notes == ["1 control character left out"]


def test_front_matter_is_dropped_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("---\ntitle: x\n---\n# Heading\n\n---\nno front matter\n---\n")
    text, notes = read(path)
    assert text.startswith("# Heading\n\n---\nno front")
    assert "front matter" in notes[0]


def test_html_is_what_one_sees(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    markup = (
        "<html><head><meta charset=iso-8859-1><title>t</title><style>p{}</style></head><body><nav>Home <a>News</a></nav>"
        "<h1>Caf\xe9s &amp; more</h1><p>One <b>two</b>\n three<p>Four<br>five<script>if (a<b) x()</script>"
        "<ul><li>six<li>seven</ul><table><tr><td>8<td>9</table><pre>a\n  b</pre><footer>imprint</body></html>"
    )
    path.write_bytes(markup.encode("cp1252"))
    text, notes = read(path)
    assert text == "Cafés & more\n\nOne two three\n\nFour\nfive\n\n- six\n- seven\n\n8 9\n\na\n  b"
    assert "navigation" in notes[0]


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b'<meta charset="utf-8"/>', "utf-8"),
        (b"<meta content='text/html; charset=latin1'>", "cp1252"),
        (b"<META CHARSET = x><meta charset=Shift_JIS>", "shift_jis"),
        (b'<meta charset="">', "utf-8"),
        (b"charset=base64", "utf-8"),
        (b"charset=" + b" " * 4096, "utf-8"),
        (b"charset=\xff\xfe", "utf-8"),
    ],
)
def test_the_encoding_of_a_page_is_what_its_head_declares(head: bytes, name: str) -> None:
    assert declared_encoding(head) == name


@pytest.mark.parametrize(
    ("markup", "seen"),
    [
        ("<" * 2000, "<" * 2000),
        ("<p" * 2000, ""),
        ("<nav>" * 500 + "x</body><p>y", "y"),
        ("<!--" * 500, ""),
        ("</nav></p>&#x110000;&bogus;", "\ufffd&bogus;"),
        ("", ""),
    ],
)
def test_no_markup_breaks_the_reader(markup: str, seen: str) -> None:
    assert visible_text(markup, []) == seen


@pytest.mark.parametrize("begun", ["<!--", "<a ", '<a b="', "<?", "</x", "<a b=c,"])
def test_markup_without_an_end_is_told_and_not_looked_through_again_and_again(begun: str) -> None:
    notes: list[str] = []
    rest = begun * (400_000 // len(begun))
    assert visible_text(f"<p>One\nline.</p>\n{rest}", notes).startswith("One line.")
    assert notes in ([], [f"{len(rest):,} characters from markup on that does not end are left out"])
    assert notes or begun != "<!--"


def test_what_is_never_opened_is_not_looked_for_among_all_that_was() -> None:
    assert visible_text("<nav>" * 50_000 + "</aside>" * 50_000 + "</nav>" * 50_000 + "seen", []) == "seen"
    assert visible_text("<nav><aside></nav></aside>seen", []) == "seen"


def test_the_last_words_of_a_page_are_read() -> None:
    for last in ("AT&T", "a < b", "1 &lt", "x <", "&amp"):
        notes: list[str] = []
        assert visible_text(f"<p>So {last}", notes) == {"1 &lt": "So 1 <", "&amp": "So &"}.get(last, f"So {last}")
        assert notes == []


def test_pdf_pages_become_paragraphs(tmp_path: Path) -> None:
    fpdf = pytest.importorskip("fpdf")
    pdf = fpdf.FPDF()
    pdf.set_font("Helvetica", size=12)
    for text in ("The heading\n\n" + "A sentence of the first page that is long enough to need lines. " * 4, "", "Second page here."):
        pdf.add_page()
        pdf.multi_cell(0, 6, text)
    pdf.output(str(tmp_path / "a.pdf"))
    text, notes = read(tmp_path / "a.pdf")
    assert text.startswith("The heading\n\nA sentence of the first page that is long enough to need lines. A sentence")
    assert text.rstrip().endswith("lines.\n\nSecond page here.")
    assert notes == ["there is no text on 1 of 3 pages; what is scanned has to be recognised (OCR) first"]


def test_an_encrypted_or_broken_pdf_is_told(tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(str(tmp_path / "locked.pdf"))
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\n" + bytes(range(256)))
    (tmp_path / "good.txt").write_text("one")
    for name, words in (("locked.pdf", "encrypted"), ("broken.pdf", "cannot be read as PDF")):
        # Named itself it ends the command, whatever else is named; in a folder it is told.
        with pytest.raises(UsageError, match=words):
            find_documents([tmp_path / "good.txt", tmp_path / name])
        assert any(name in note and words in note for note in find_documents([tmp_path]).notes)
        with pytest.raises(NoDocument, match=words):
            list(text_of(DocumentFile(tmp_path / name, name, PDF, ""), []))


def test_lines_are_joined_where_a_paragraph_goes_on() -> None:
    page = (
        "7\nA long line of running text which the page breaks some-\nwhere, and the next one goes on with it up to its end.\nShort end.\n"
        "Another paragraph begins on this line and is as long as that.\n- 8 -"
    )
    assert joined(page) == (
        "A long line of running text which the page breaks somewhere, and the next one goes on with it up to its end. Short end.\n\n"
        "Another paragraph begins on this line and is as long as that."
    )
