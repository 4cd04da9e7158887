from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pdfs import FONT, bars, built, drawn, encrypted, one_page, pdf, stream, words
from PIL import Image

from research_app.extract import front
from research_app.extract import pdf as pdf_reader
from research_app.extract.extraction import OWN
from research_app.extract.papers import Papers
from research_app.extract.pdf import extract
from research_app.files import FileStore
from research_app.sources import pdf_folder
from research_app.sources.document import Candidate, Refusal, RefusedError, Workshop

GOOD = pdf("The first page\nspeaks of zebras", "The second of giraffes")

BAD = [
    (b"", "the file is empty"),
    (b"<html>not here</html>", "not a PDF, whatever its name says"),
    (b"%PDF-1.7\ngarbage", "damaged: it cannot be opened as a PDF"),
    (GOOD[: len(GOOD) // 3], "damaged"),
    (encrypted(GOOD), "encrypted: a password is needed"),
    (pdf(""), "no text in it"),
]


def taken(folder: Path) -> dict[str, dict[str, Any] | str]:
    """File → fields, or the reason why not."""

    async def run() -> dict[str, dict[str, Any] | str]:
        found: dict[str, dict[str, Any] | str] = {}
        workshop = Workshop(Papers(OWN).read, FileStore(folder / ".store"))
        for item in pdf_folder.read(folder, "paper", OWN):
            if isinstance(item, Refusal):
                found[item.source] = item.reason
                continue
            try:
                found[item.source] = {"id": item.id, **await item.load(workshop)}
            except RefusedError as error:
                found[item.source] = str(error)
        return found

    return asyncio.run(run())


def test_a_document_of_too_much_text_is_read_up_to_a_page_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.pdf"
    path.write_bytes(pdf(*(f"Page {at} of zebras\nand their ways" for at in range(1, 8))))
    with path.open("rb") as file:
        whole = extract(file)
    monkeypatch.setattr(pdf_reader, "MAX_TEXT", 400)
    with path.open("rb") as file:
        cut = extract(file)
    assert "mended" not in whole
    assert [each["page"] for each in cut["passages"]] == [1, 2, 3, 4]
    assert cut["passages"][3]["text"] == "Page 4 of zebras"
    assert (whole["pages"], cut["pages"]) == (7, 7)
    assert cut["mended"] == [
        "it has more text than is read of one document: what follows page 4 of 7, and perhaps the"
        " end of that page, is left out"
    ]


def test_bad_files_are_refused_each_with_its_reason(tmp_path: Path) -> None:
    for number, (content, _) in enumerate(BAD):
        (tmp_path / f"bad{number}.pdf").write_bytes(content)
    (tmp_path / "good.PDF").write_bytes(GOOD)
    (tmp_path / "notes.txt").write_text("not mine")
    found = taken(tmp_path)
    for number, (_, reason) in enumerate(BAD):
        refused = found.pop(f"bad{number}.pdf")
        assert isinstance(refused, str)
        assert refused.startswith(reason)
    good = found.pop("good.PDF")
    assert isinstance(good, dict)
    assert good["title"] == "good"
    assert good["pages"] == 2
    assert "zebras" in good["passages"][0]["text"]
    assert "giraffes" in good["passages"][1]["text"]
    assert not found


def test_what_is_known_beside_the_files_wins(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    (below / "a.pdf").write_bytes(pdf("words", information={"Title": "Its own", "Author": "A. X."}))
    record = {"file": "a.pdf", "title": "The librarian's", "doi": "10.1/a", "year": 2021}
    (below / "metadata.jsonl").write_text("broken\n" + json.dumps(record) + "\n[]\n")
    (fields,) = taken(tmp_path).values()
    assert isinstance(fields, dict)
    assert fields["id"] == "10.1/a"
    assert fields["title"] == "The librarian's"
    assert fields["authors"] == ("A. X.",)
    assert fields["url"] == "https://doi.org/10.1/a"


def test_bad_metadata_refuses_its_file_only(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(GOOD)
    (tmp_path / "b.pdf").write_bytes(pdf("other words"))
    (tmp_path / "metadata.jsonl").write_text('{"file": "a.pdf", "year": "soon"}')
    found = taken(tmp_path)
    assert str(found["a.pdf"]).startswith("year: ")
    assert isinstance(found["b.pdf"], dict)


def test_the_identity_is_the_content_not_the_name(tmp_path: Path) -> None:
    for name in ("one.pdf", "two.pdf"):
        (tmp_path / name).write_bytes(GOOD)
    one, two = pdf_folder.read(tmp_path, "paper", OWN)
    assert isinstance(one, Candidate)
    assert isinstance(two, Candidate)
    assert one.id == two.id
    assert one.content_hash == two.content_hash


def test_nothing_is_extracted_until_it_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\ngarbage")
    (item,) = pdf_folder.read(tmp_path, "paper", OWN)
    assert isinstance(item, Candidate)


PAPER = drawn(
    words("We show how zebras run.\nThey run fast, as the figure shows to all who look at it.")
    + bars(60, 500)
    + words("Figure 1: Speed of zebras\nover five summers.", top=480)
    + words("Figure 2: There is nothing above this one.", top=440),
    words("The text ends here.\nReferences\n[1] A. One, 2001.\n[2] B. Two, 2002."),
)


def test_figures_and_references_of_a_paper(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(PAPER)
    (fields,) = taken(tmp_path).values()
    assert isinstance(fields, dict)
    assert fields["references"] == ("A. One, 2001.", "B. Two, 2002.")
    assert [passage["page"] for passage in fields["passages"]] == [1, 2]
    assert fields["passages"][1]["text"] == "The text ends here."
    figure, other = fields["figures"]
    assert figure["page"] == 1
    assert figure["caption"] == "Figure 1: Speed of zebras over five summers."
    assert other == {"page": 1, "caption": "Figure 2: There is nothing above this one."}
    store = FileStore(tmp_path / ".store")
    assert store.path(fields["file"]).read_bytes() == PAPER
    assert fields["thumbnail"] == figure["image"]
    with Image.open(store.path(figure["image"])) as picture:
        assert picture.format == "WEBP"
        assert 470 <= max(picture.size) <= 480
        assert 1.2 < picture.width / picture.height < 1.45  # the plot, not the page
        colours = picture.convert("RGB").getcolors(picture.width * picture.height)
        assert colours is not None
        assert max(colours)[1][2] > 200  # blue, on white


def test_a_paper_without_figures_shows_its_first_page(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(GOOD)
    (fields,) = taken(tmp_path).values()
    assert isinstance(fields, dict)
    with Image.open(FileStore(tmp_path / ".store").path(fields["thumbnail"])) as picture:
        assert max(picture.size) == 320


def test_a_library_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(GOOD)
    (tmp_path / ".store").write_text("not a folder")
    (reason,) = taken(tmp_path).values()
    assert reason == "cannot be kept in the library's folder: Not a directory"


def test_ids_stay_when_the_stored_form_changes(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4 x")
    (item,) = pdf_folder.read(tmp_path, "paper", OWN)
    assert isinstance(item, Candidate)
    assert item.id == "pdf-84e890dfb69ba4a9ca60"


XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:pdf="http://ns.adobe.com/pdf/1.3/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">A title of its own</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>A. One</rdf:li><rdf:li>B. Two</rdf:li></rdf:Seq></dc:creator>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize(
    ("packet", "found"),
    [
        (XMP, {"title": "A title of its own", "authors": ["A. One", "B. Two"]}),
        (
            XMP.replace("A title of its own", "Microsoft Word - x.doc"),
            {"authors": ["A. One", "B. Two"]},
        ),
        (XMP.replace("ns.adobe.com/pdf", "ns.adobe.com/photoshop"), {}),  # that of a picture
        (XMP.replace("<dc:title>", ""), {}),
        (XMP.replace("A. One", "&secret;"), {}),
        ("", {}),
    ],
)
def test_what_an_xmp_packet_says(packet: str, found: dict[str, Any]) -> None:
    assert front.xmp_from(b"%PDF-1.7 ... " + packet.encode() + b" ... %%EOF") == found


def test_the_doi_is_the_one_with_its_label() -> None:
    assert front.doi_from("DOI: 10.21105/jose.00015, see https://doi.org/10.1/x") == (
        "10.21105/jose.00015"
    )
    assert front.doi_from("DOI\n10.5281/zenodo.1.") == "10.5281/zenodo.1"
    assert front.doi_from("code at https://doi.org/10.5281/zenodo.2") == ""
    assert front.doi_from("doi:10.1234/a and doi:10.1234/b") == ""


def test_own_information(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf("words", information={"Title": "A title", "Author": "A. B."}))
    with path.open("rb") as file:
        fields = extract(file)
    assert fields["title"] == "A title"
    assert fields["authors"] == ["A. B."]


def read(tmp_path: Path, content: bytes) -> dict[str, Any]:
    path = tmp_path / "a.pdf"
    path.write_bytes(content)
    with path.open("rb") as file:
        return extract(file)


def texts(fields: dict[str, Any]) -> list[str]:
    return [passage["text"] for passage in fields["passages"]]


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("It was discov-\nered there.", "It was discovered\nthere."),
        ("A well-known man, a well-\nknown man.", "A well-known man, a well-known\nman."),
    ],
)
def test_words_that_a_line_cuts(tmp_path: Path, page: str, text: str) -> None:
    assert texts(read(tmp_path, pdf(page))) == [text]


def test_words_that_a_page_cuts(tmp_path: Path) -> None:
    fields = read(tmp_path, pdf("It was discov-", "ered there."))
    assert texts(fields) == ["It was discovered", "there."]


def test_heads_and_feet_are_no_text(tmp_path: Path) -> None:
    pages = [
        words(f"A Journal of Zebras {number}", top=770)
        + words(f"{animal} run fast.", top=500)
        + words(f"{number}", left=300, top=30)
        for number, animal in enumerate(("Zebras", "Lions", "Mice"), 1)
    ]
    found = texts(read(tmp_path, drawn(*pages)))
    assert found == ["Zebras run fast.", "Lions run fast.", "Mice run fast."]


def test_a_page_whose_lines_are_set_upwards(tmp_path: Path) -> None:
    shown = "BT /F1 11 Tf 14 TL 0 1 -1 0 100 100 Tm (Zebras run fast, and) Tj T* (so do we) Tj ET"
    assert texts(read(tmp_path, drawn(shown))) == ["Zebras run fast, and\nso do we"]


PLEASE_WAIT = "Please wait... If this message is not eventually replaced with the contents"
REAL_FORM = "The name of your zebra, and how fast it ran this year"


def form(shown: str, entries: str) -> bytes:
    """A document with one page and a form."""
    return built(
        f"<< /Type /Catalog /Pages 2 0 R {entries} >>".encode(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R"
        b" /Resources << /Font << /F1 4 0 R >> >> >>",
        FONT,
        stream(words(shown).encode()),
        stream(b"<xdp:xdp/>"),
    )


@pytest.mark.parametrize(
    ("shown", "entries"),
    [
        (PLEASE_WAIT, "/AcroForm << /XFA 6 0 R /Fields [] >> /NeedsRendering true"),
        ("Bitte mit Adobe Reader oeffnen", "/AcroForm << /XFA 6 0 R /Fields [] >>"),
        ("", "/AcroForm << /XFA 6 0 R /Fields [] >>"),
        (PLEASE_WAIT, ""),
    ],
)
def test_the_placeholder_of_a_form_is_not_its_text(
    tmp_path: Path, shown: str, entries: str
) -> None:
    with pytest.raises(RefusedError, match=r"an interactive form \(XFA\)"):
        read(tmp_path, form(shown, entries))


def test_a_form_with_words_of_its_own_is_taken(tmp_path: Path) -> None:
    found = read(tmp_path, form(REAL_FORM, "/AcroForm << /XFA 6 0 R /Fields [] >>"))
    assert texts(found) == [REAL_FORM]


def test_what_a_page_cannot_say_is_said(tmp_path: Path) -> None:
    """A font without names for its letters, as some programs embed it."""
    nameless = (
        b"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [0.1 0 0 0.1 0 0]"
        b" /CharProcs << /g1 6 0 R >> /Encoding << /Differences [1 /g1] >> /FirstChar 1"
        b" /LastChar 1 /Widths [9] /Resources << >> >>"
    )
    content = one_page(
        stream(b"BT /F2 11 Tf 50 700 Td (\\001\\001\\001) Tj ET"),
        stream(b"9 0 0 0 9 9 d1 0 0 9 9 re f"),
        nameless,
        resources="",
    ).replace(b"/F1 4 0 R", b"/F2 7 0 R")
    found = read(tmp_path, content)
    assert found["wordless"].startswith("no text in it that can be told: its fonts do not say")
