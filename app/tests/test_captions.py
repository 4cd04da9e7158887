# ruff: noqa: RUF001 - words of languages whose letters look like those of others

from __future__ import annotations

import time
from pathlib import Path

import pytest
import webvtt
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared

from research_app.extract import transcripts
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

00:00:05,500 --> 00:00:06.000
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


def read(text: str) -> tuple[list[tuple[float, str]], list[str]]:
    """When each caption begins and what it says; what was mended."""
    faults = Faults()
    return [(cue.start, cue.text) for cue in cues(text, faults)], faults.sentences


def srt(*captions: str) -> str:
    return "\n\n".join(f"{number}\n{each}" for number, each in enumerate(captions, 1))


FIRST = "00:00:01,000 --> 00:00:02,000\nfirst"
LAST = "00:00:05,000 --> 00:00:06,000\nlast"


@pytest.mark.parametrize(
    "time",
    [
        "00:00:03,000 --> 00:00:0x,000",
        "-00:00:03,000 --> 00:00:04,000",
        "00:00:03,000 --> -00:00:04,000",
        "00:00:03,000 --> ",
        "soon --> later",
        "--> 00:00:04,000",
    ],
)
def test_one_bad_caption_costs_one_and_is_said(time: str) -> None:
    found, mended = read(srt(FIRST, f"{time}\nsecond", LAST))
    assert found == [(1, "first"), (5, "last")]
    assert mended == [f'line 6: "{time.strip()}" is not a time; its caption is left out']


@pytest.mark.parametrize(
    ("time", "start"),
    [
        ("00:03,5 --> 00:04", 3.5),
        ("0:0:3,000 --> 0:0:4,000", 3),
        ("00:01:03 --> 00:01:04", 63),
        ("00:00:003,000 --> 00:00:04,000", 3),
        ("00 : 00 : 03 , 000 --> 00: 00: 04,000", 3),
        ("00:00:03:250 --> 00:00:04:000", 3.25),
        ("00:00:03.250-->00:00:04.000 X1:10", 3.25),
        ("125:03,000 --> 125:04,000", 7503),
        ("266:00:03,000 --> 266:00:04,000", 957603),
    ],
)
def test_times_of_subrip_as_they_are_written(time: str, start: float) -> None:
    found, mended = read(srt(FIRST, f"{time}\nsecond"))
    assert (found, mended) == ([(1, "first"), (start, "second")], [])


@pytest.mark.parametrize(
    "time", ["00:00:03:12 --> 00:00:04:24", "00:00:03;12 --> 00:00:04;24", "00:03;12 --> 00:04;24"]
)
def test_frames_are_read_to_the_second(time: str) -> None:
    found, mended = read(srt(FIRST, f"{time}\nsecond", f"{time}\nthird"))
    assert found == [(1, "first"), (3, "second"), (3, "third")]
    assert mended == ["times of 2 captions count frames, and are read to the second"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (srt(FIRST + " -->", LAST), [(1, "first -->"), (5, "last")]),
        (srt(FIRST + "\na --> b", LAST), [(1, "first a --> b"), (5, "last")]),
        (srt(FIRST + "\n\na --> b", LAST), [(1, "first a --> b"), (5, "last")]),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\na --> b\nc", [(1, "a --> b c")]),
    ],
)
def test_an_arrow_among_words_is_one_of_them(text: str, found: list[tuple[float, str]]) -> None:
    assert read(text) == (found, [])


def test_a_caption_without_its_time_stays_with_the_one_before() -> None:
    found, mended = read(srt(FIRST, "second", LAST))
    assert found == [(1, "first second"), (5, "last")]
    assert mended == ["line 5: caption 2 has no time; its words are kept with those before"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (srt(FIRST, "00:00:03,000 --> 00:00:04,000\n42"), ["first", "42"]),
        ("00:01,000 --> 00:02,000\n42\n\n00:03,000 --> 00:04,000\nx", ["42", "x"]),
        ("1\n\n00:01,000 --> 00:02,000\na\n\n2\n\n00:03,000 --> 00:04,000\nb", ["a", "b"]),
        ("1\r\r\n00:01,000 --> 00:02,000\r\r\na\r\r\nb", ["a b"]),
    ],
)
def test_numbers_of_captions_and_numbers_that_are_said(text: str, words: list[str]) -> None:
    assert [text for _, text in read(text)[0]] == words


# the times that W3C's parser takes and refuses (webvtt, "collect a WebVTT timestamp")
W3C = [
    ("00:00.000 --> 00:01.000", True),
    ("0:00:00.000 --> 0:00:01.000", True),
    ("000:00:00.000 --> 00:00:01.000", True),
    ("100:00:00.000 --> 100:00:01.000", True),
    ("\t00:00.000\t-->\t00:01.000", True),
    ("00:00.000-->00:01.000", True),
    ("00:01.000 --> 00:00.999", True),
    ("00:00.000 --> 00:01.000 align;start line:x", True),
    ("00:00.000 --> 00:01.000\ufffdalign:end", True),
    ("00:00.000 --> 00:01.000 region:fred-->", True),
    ("00:00.000 --> 60:00:01.000", True),
    ("00:60.000 --> 00:61.000", False),
    ("00:60:00.000 --> 01:00:00.000", False),
    ("000:00.000 --> 00:01.000", False),
    ("0:00.000 --> 00:01.000", False),
    ("00:000.000 --> 00:01.000", False),
    ("00:00.0000 --> 00:01.000", False),
    ("00:00.00 --> 00:01.000", False),
    ("00:00..000 --> 00:01.000", False),
    ("00::00.000 --> 00:01.000", False),
    ("00.00.000 --> 00:01.000", False),
    ("00:00.000\ufffd --> 00:01.000", False),
    ("-00:00.000 --> 00:01.000", False),
    ("x00:00.000 --> 00:01.000", False),
    ("00:00.000 ---> 00:01.000", False),
    ("00:00.000 -->", False),
]


@pytest.mark.parametrize(("time", "taken"), W3C)
def test_times_of_webvtt_are_w3cs(time: str, taken: bool) -> None:
    text = f"WEBVTT\n\n{time}\nwords\n\n01:00.000 --> 01:01.000\nlast"
    found, mended = read(text)
    assert [words for _, words in found] == ["words"] * taken + ["last"]
    assert len(mended) == (not taken)


def test_times_of_webvtt_that_can_mean_one_thing_only_are_taken_and_said() -> None:
    times = ["00:01,000 --> 00:02,000", "125:30.500 --> 125:31.000"]
    found, mended = read("WEBVTT\n\n" + "\n\n".join(f"{time}\n{time[:6]}" for time in times))
    assert [start for start, _ in found] == [1, 7530.5]
    assert mended == ["times of 2 captions are not as WebVTT wants them, and are taken"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("WEBVTT\n00:00.000 --> 00:01.000\na", ["a"]),  # in the header
        ("WEBVTT\n \n00:00.000 --> 00:01.000\na", ["a"]),
        ("WEBVTT 00:00.000 --> 00:01.000\nb\n\n00:00.000 --> 00:01.000\na", ["a"]),
        ("WEBVTT\n\nNOTE\n00:00.000 --> 00:01.000\na", ["a"]),  # the name of a caption
        ("WEBVTT\n\nNOTE b\nc\n\n00:00.000 --> 00:01.000\na\n\nNOTE d", ["a"]),
        ("WEBVTT\n\nb\nc\n00:00.000 --> 00:01.000\na", ["a"]),
        ("WEBVTT\n\n-->\n00:00.000 --> 00:01.000\na", ["a"]),
        ("WEBVTT\n\n- -->\n\n00:00.000 --> 00:01.000\na", ["a"]),
        ("WEBVTT\n\n00:00.000 --> 00:01.000\na\n00:01.000 --> 00:02.000\nb", ["a", "b"]),
        ("WEBVTT\n\n00:00.000 --> 00:01.000\n\n00:01.000 --> 00:02.000\nb", ["", "b"]),
        ("WEBVTT\n\nREGION\nid:x\n\nSTYLE\n::cue{}\n\n00:00.000 --> 00:01.000\na", ["a"]),
        ("WEBVTT\r\r00:00.000 --> 00:01.000\ra", ["a"]),
        ("\tWebVTT\n\nNOTE b\n\n00:00.000 --> 00:01.000\na", ["a"]),
    ],
)
def test_blocks_of_webvtt_are_w3cs(text: str, words: list[str]) -> None:
    assert [cue.text for cue in parsed(text, Faults())] == words


def test_words_without_a_time_are_said() -> None:
    text = "WEBVTT\n\nNOTE mine\n\nlost words\n\n00:01.000 --> 00:02.000\na"
    assert read(text)[1] == ['line 5: "lost words" has no time, and is left out']


SBV = "0:00:01.000,0:00:02.500\nfirst[br]line\n\n0:00:03.000,0:00:04.000\nlast\n"
SSA = """[Script Info]
Title: x
[Events]
Format: Layer, Start, End, Style, Text
Dialogue: 0,0:00:01.00,0:00:02.50,Default,{\\pos(1,2)}first\\Nline, and more
Comment: 0,0:00:02.00,0:00:02.50,Default,no
Dialogue: 0,soon,0:00:02.50,Default,second
Dialogue: 0,0:00:03.00,0:00:04.00,Default,last
"""


def test_other_forms() -> None:
    assert read(SBV) == ([(1, "first line"), (3, "last")], [])
    assert read(SSA) == (
        [(1, "first line, and more"), (3, "last")],
        ['line 7: "Dialogue: 0,soon,0:00:02.50,Default,second" is not a time; its caption is'
         " left out"],
    )  # fmt: skip


def test_one_bad_segment_of_json_costs_one() -> None:
    """Segments as podcasts name their parts, and as Whisper does."""
    segments = '{"startTime": "x"}, {"startTime": 1, "body": "a"}, {"start": 2, "text": "b"}, 7'
    found = transcripts.parsed(f'{{"segments": [{segments}]}}'.encode(), "json")
    assert [(each["text"], each["start"]) for each in found["passages"]] == [("a b", 1)]
    assert found["mended"] == [
        f"segment {number} has no time or no text, and is left out" for number in (1, 4)
    ]


def test_of_many_faults_five_are_told() -> None:
    bad = [f"00:00:0x,000 --> 00:00:02,000\nword {number}" for number in range(20)]
    _, mended = read(srt(FIRST, *bad))
    assert len(mended) == 6
    assert mended[-1] == "and 15 more like these"


NOTHING = [
    ("WEBVTT\n\n00:01 --> soon\nx", 'no captions: none of them can be read (line 3: "00:01 --'),
    ("1\n00:00:01,000 -> 00:00:04,000\nx", "not captions: there is no time"),
    ("WEBVTT\n\nx --> y\n", "no captions: there is not one in it"),
    ("<html><body>Not found<!-- x --></body></html>", "not captions: there is no time"),
    ("WEBVTT\n\n00:01.000 --> 00:02.000\n<i></i>\n", "no captions: there are times in it, and"),
    ("WEBVTT\n\nNOTE nothing yet\n", "no captions: there is not one in it"),
]


@pytest.mark.parametrize(("text", "reason"), NOTHING)
def test_what_has_no_captions_is_refused(text: str, reason: str) -> None:
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


LANGUAGES = [
    ("cp1252", "Über naïve “Zebras”"),
    ("cp1252", "Avant l'existence du câble, où le présentateur régnait"),
    ("cp1250", "Đino, dođavola. Neće da izađe odatle, šta ćemo?"),
    ("cp1250", "Dziękuję za uwagę, może ktoś ma pytania?"),
    ("iso8859-2", "V této přednášce si řekneme něco o sítích, děkuji vám všem"),
    ("cp1254", "Bugün sinir ağları hakkında konuşacağız, teşekkürler"),
    ("cp1251", "Сегодня мы поговорим о нейронных сетях"),
    ("koi8-r", "Сегодня мы поговорим о нейронных сетях"),
    ("cp1253", "Σήμερα θα μιλήσουμε για νευρωνικά δίκτυα"),
    ("cp1255", "היום נדבר על רשתות נוירונים. כל שכבה משנה את הנתונים. תודה רבה לכולם."),
    ("cp1256", "اليوم سوف نتحدث عن الشبكات العصبية"),
    ("gb2312", "今天我们来谈谈神经网络。谢谢大家的收看。"),
    ("big5", "今天我們來談談神經網路。謝謝大家的收看。"),
    ("shift_jis", "今日はニューラルネットワークについて話します。"),
    ("euc_kr", "오늘은 신경망에 대해 이야기하겠습니다."),
]


@pytest.mark.parametrize(("encoding", "words"), LANGUAGES)
def test_an_encoding_that_nobody_names_is_guessed_and_said(encoding: str, words: str) -> None:
    faults = Faults()
    assert decoded(srt(f"00:00:01,000 --> 00:00:02,000\n{words}").encode(encoding), faults)[
        -len(words) :
    ] == words  # fmt: skip
    assert len(faults.sentences) == 1
    assert faults.sentences[0].startswith("it does not say its encoding, and is read as ")


@pytest.mark.parametrize("words", ["今天我们来谈谈神经网络。", "Сегодня мы поговорим"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_its_mark_in_any_script(encoding: str, words: str) -> None:
    text = srt(f"00:00:01,000 --> 00:00:02,000\n{words}")
    assert decoded(text.encode(encoding), Faults()) == text


@pytest.mark.parametrize(
    ("content", "text", "mended"),
    [
        ("é".encode() * 20 + b"\xe9", "é" * 20 + "\ufffd", "one place is no UTF-8"),
        (b"\xef\xbb\xbf" + b"a" * 60 + b"\xe9", "a" * 60 + "\ufffd", "one place is no UTF-8"),
        (("a" * 60).encode("utf-16") + b"x", "a" * 60 + "\ufffd", "one place is no UTF-16"),
        (b"WEBVTT" + b" a" * 20 + b"\x00", "WEBVTT" + " a" * 20 + "\ufffd", "it has 1 zero byte"),
    ],
)
def test_one_wrong_byte_costs_one_letter(content: bytes, text: str, mended: str) -> None:
    faults = Faults()
    assert decoded(content, faults) == text
    assert faults.sentences[0].startswith(mended)


@pytest.mark.parametrize("charset", ["punycode", "unicode_escape", "idna", "rot13", "undefined"])
def test_codecs_that_are_no_encodings_of_text_are_not_used(charset: str) -> None:
    assert decoded("1\nÜber naïve Zebras".encode("cp1252"), Faults(), charset)[2] == "Ü"


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
        ("a List<String> and a std::vector<int>", "a List<String> and a std::vector<int>"),
        ("Map<K, V>, vector<c> and <T>", "Map<K, V>, vector<c> and <T>"),
        ("1<b>st</b> a<i>b</i>", "1st ab"),
        ("<B>a</B><br/>b<BR>c <lang en-GB>d</lang> <ruby>e<rt>f</rt></ruby>", "a b c d ef"),
        ("<v.loud Ann>a</v> <00:01.500>b< 00:01.500>c<00:01.500 >d", "Ann: a bcd"),
        ("AT&T and R&D, &copy this", "AT&T and R&D, &copy this"),
        ("a&nbsp;b &lt;c&gt; &eacute; &#233; &amp", "a b <c> é é &"),
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
    with pytest.raises(RefusedError):
        cues("[Script Info]\nFormat: " + "a," * 100_000 + "\n" + "Dialogue: 0\n" * 100_000)
    cues(srt(FIRST) + "\n-->" * 500_000)
    decoded(b"\xe9\n" * 500_000, Faults())
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


TAKEN = {
    "webvtt": VTT.encode(),
    "webvtt, utf-16": VTT.encode("utf-16"),
    "srt": SRT.encode(),
    "srt, utf-16 without a mark": SRT.removeprefix("\ufeff").encode("utf-16-be"),
    "srt, utf-32": SRT.removeprefix("\ufeff").encode("utf-32"),
    "srt, windows": b"1\r\n00:00:01,000 --> 00:00:02,000\r\n\xdcber\r\n",
    "srt without numbers": b"00:01.0 --> 00:02.0\nx\n",
    "srt that begins with words": b"my captions\n\n1\n00:00:01,000 --> 00:00:02,000\nx\n",
    "sbv": SBV.encode(),
    "ssa": SSA.encode(),
}


@pytest.mark.parametrize("content", TAKEN.values(), ids=TAKEN.keys())
def test_what_is_read_is_also_taken_when_it_is_sent(content: bytes) -> None:
    assert cues(decoded(content, Faults()))
    assert begins_captions(content[:4096])
