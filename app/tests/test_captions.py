from __future__ import annotations

import time
from pathlib import Path

import pytest
import webvtt
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared

from research_app.extract.caption_forms import Cue, begins_captions, parsed, seconds
from research_app.extract.captions import cues, plain, without_repetitions
from research_app.extract.decoding import MAX_BYTES, decoded
from research_app.extract.mending import Faults
from research_app.extract.passages import MAX_WORDS, from_cues, from_paragraphs
from research_app.sources.document import RefusedError

VTT = """WEBVTT - a header
Kind: captions

NOTE a comment with
two lines

STYLE
::cue { color: red }

intro
00:01.000 --> 00:04.000 align:start position:0%
<v Ann Lee>Never drink <i>liquid</i> nitrogen.</v>

00:00:05,5 --> 00:00:06.000
- It will &amp; must
- fall.
not an id

NOTE at the end
"""
SRT = """\ufeff1
00:00:01,000 --> 00:00:04,000
{\\an8}<font color="#fff">First</font> line

still the first
2
0:00:05,000 --> 0:00:06,000  X1:1
1984
3
00:00:07,000 --> 00:00:06,000

4
00:00:08,000 --> 00:00:09,000
last"""


def test_webvtt() -> None:
    assert cues(VTT) == [
        Cue(1.0, 4.0, "Ann Lee: Never drink liquid nitrogen."),
        Cue(5.5, 6.0, "It will & must fall. not an id"),
    ]


def test_srt() -> None:
    """A missing empty line, one too many, a year for a caption, an end before the start."""
    assert cues(SRT) == [
        Cue(1.0, 4.0, "First line still the first"),
        Cue(5.0, 6.0, "1984"),
        Cue(8.0, 9.0, "last"),
    ]


def test_numbers_and_lines_that_only_look_empty() -> None:
    text = "WEBVTT\n\n1\n00:01.000 --> 00:02.000\n \none\n \n2\n00:03.000 --> 00:04.000\n42\n"
    assert cues(text) == [Cue(1, 2, "one"), Cue(3, 4, "42")]


MALFORMED = [
    ("WEBVTT\n\n00:01 --> soon\nx", 'line 3: "00:01 --> soon" is not a time'),
    ("1\n00:00:01,000 -> 00:00:04,000\nx", "not captions: there is no time"),
    ("1\n00:00:01,000 --> 00:00:04,000\nx\n\n2\n00:00:0x,000 --> 00:00:09,000\ny", "line 6: "),
    ("1\r\r\n00:00:01,000 -->\r\nx", "line 3: "),
    ("WEBVTT\n\nx --> y\n", "line 3: "),
    ("<html><body>Not found</body></html>", "not captions: there is no time"),
    ("WEBVTT\n\n00:01.000 --> 00:02.000\n<i></i>\n", "not captions: there are times in it, and no"),
    ("WEBVTT\n\n00:01.000 --> 00:02.000\n" + "<" * 20_000, "line 4: longer than a caption"),
]


@pytest.mark.parametrize(("text", "reason"), MALFORMED)
def test_what_is_malformed_is_refused_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(RefusedError) as refused:
        cues(text)
    assert str(refused.value).startswith(reason)


TEXT = "1\n00:00:01,000 --> 00:00:02,000\nÜber naïve “Zebras”\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be",
                                      "utf-32", "cp1252"])  # fmt: skip
def test_encodings_as_they_are_found(encoding: str) -> None:
    assert cues(decoded(TEXT.encode(encoding), Faults()))[0].text == "Über naïve “Zebras”"


def test_an_encoding_that_the_server_names() -> None:
    content = "1\n00:01.0 --> 00:02.0\nŘeč".encode("iso8859-2")
    assert decoded(content, Faults(), "iso8859-2").endswith("Řeč")
    assert decoded(content, Faults(), "no-such-encoding").startswith("1\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b" \r\n", "the file is empty"),
        (b"\x00\x01\x02" * 50, "not a text, whatever its name says"),
        (b"\xff\xfe\x00\xd8\x00", "damaged: it says that it is UTF-16"),
        (b"\xef\xbb\xbf\xff", "damaged: it says that it is UTF-8"),
        (b"x" * (MAX_BYTES + 1), "larger than 8 MiB"),
    ],
)
def test_files_that_are_no_text(content: bytes, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        decoded(content, Faults())


def test_rolling_captions_are_said_once() -> None:
    rolling = [
        Cue(0, 2, "hello world"),
        Cue(2, 4, "hello world how are you"),
        Cue(4, 4.01, "how are you"),
        Cue(4.01, 6, "how are you fine thanks"),
        Cue(6, 7, "thanks a lot"),
        Cue(7, 8, "a lot a lot"),
    ]
    said = without_repetitions(rolling)
    assert [cue.text for cue in said] == [
        "hello world",
        "how are you",
        "fine thanks",
        "thanks a lot",
        "a lot a lot",
    ]
    assert [cue.start for cue in said] == [0, 2, 4.01, 6, 7]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<c.red><00:01.5>a</c>  b\n>> c &lt;d&gt; {\\i1}e{b}", "a b c <d> e"),
        ('<font color="red">a</font> <b>b</b></i>', "a b"),
        ("2 < 3 and 4 > 1", "2 < 3 and 4 > 1"),
        ("if x<3 or y>5", "if x<3 or y>5"),
        ("a <- b and c -> d", "a <- b and c -> d"),
        ("a<>b", "a<>b"),
    ],
)
def test_words_without_markup(text: str, words: str) -> None:
    assert plain(text) == words


@pytest.mark.parametrize(
    ("time", "expected"),
    [("83", 83), ("1:23", 83), ("01:02:03,5", 3723.5), ("00:00:00.001", 0.001), ("90:00", 5400)],
)
def test_times(time: str, expected: float) -> None:
    assert seconds(time) == expected


def sentences(count: int, length: int = 8) -> list[Cue]:
    return [Cue(n * 4, n * 4 + 4, "word " * (length - 1) + "end.") for n in range(count)]


def test_passages_keep_their_second() -> None:
    passages = from_cues(sentences(40))
    assert [passage["start"] for passage in passages] == [0, 40, 80, 120]
    assert all(passage["text"].endswith("end.") for passage in passages)


def test_a_silence_ends_a_passage_and_a_short_rest_does_not_begin_one() -> None:
    later = [Cue(c.start + 500, c.end + 500, c.text) for c in sentences(2)]
    assert [p["start"] for p in from_cues([*sentences(6), *later])] == [0]
    later = [Cue(c.start + 500, c.end + 500, c.text) for c in sentences(8)]
    assert [p["start"] for p in from_cues([*sentences(8), *later])] == [0, 500]


def test_one_endless_cue_is_cut_and_its_time_shared_out() -> None:
    passages = from_cues([Cue(100, 200, "word " * 1000)])
    assert all(len(p["text"].split()) <= MAX_WORDS for p in passages)
    assert passages[0]["start"] == 100
    assert 140 <= passages[len(passages) // 2]["start"] <= 170


def test_a_transcript_without_times() -> None:
    passages = from_paragraphs(["One two. " * 60, "", "Three."])
    assert all(set(p) == {"text"} for p in passages)
    assert " ".join(p["text"] for p in passages).split() == ("One two. " * 60 + "Three.").split()


WORDS = st.text(st.sampled_from("ab.? "), max_size=400)


@given(st.lists(st.tuples(st.integers(0, 9), WORDS), max_size=40))
def test_no_word_is_lost_and_starts_ascend(parts: list[tuple[int, str]]) -> None:
    given_cues, now = [], 0.0
    for length, text in parts:
        given_cues.append(Cue(now, now + length, text))
        now += length
    passages = from_cues(given_cues)
    said = [word for passage in passages for word in passage["text"].split()]
    assert said == [word for cue in given_cues for word in cue.text.split()]
    starts = [passage["start"] for passage in passages]
    assert starts == sorted(starts)
    assert all(0 < len(passage["text"].split()) <= MAX_WORDS for passage in passages)


@given(st.text(st.sampled_from("0123:-> .,\nWEBVTT<>&x"), max_size=300))
def test_any_text_is_captions_or_refused(text: str) -> None:
    try:
        found = cues(text)
    except RefusedError:
        return
    assert all(cue.start <= cue.end and cue.text for cue in found)


def test_hostile_captions_take_no_time() -> None:
    start = time.thread_time()
    with pytest.raises(RefusedError):
        cues("WEBVTT\n" + ("<" * 9_999 + "\n") * 800)
    head = "1\n00:01.0 --> 00:02.0\n"
    cues(head + ("<v " * 3_000 + "\n") * 800)
    cues(head * 50_000 + "x")
    assert time.thread_time() - start < 10


def test_real_lectures_read_as_another_reader_reads_them() -> None:
    files = [*shared("videos/lectures").rglob("*.srt"), *shared("videos/lectures").rglob("*.vtt")]
    assert len(files) == 60
    for path in files:
        mine = cues(decoded(path.read_bytes(), Faults()))
        assert mine == theirs(path), path.name
        passages = from_cues(mine)
        assert passages[0]["start"] == round(mine[0].start, 3)
        lengths = [len(passage["text"].split()) for passage in passages]
        assert all(60 <= length <= MAX_WORDS for length in lengths[:-1]), (path.name, lengths)


def theirs(path: Path) -> list[Cue]:
    read = webvtt.from_srt if path.suffix == ".srt" else webvtt.read
    return without_repetitions(
        [
            Cue(seconds(caption.start), seconds(caption.end), words)
            for caption in read(str(path)).captions
            if (words := plain(caption.raw_text))
        ]
    )
