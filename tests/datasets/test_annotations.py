import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets import annotations
from datasets.annotations import channel_labels, pair_of_channels, read, read_intervals
from datasets.errors import InputError

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 3
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "left"
        xmin = 0
        xmax = 3
        intervals: size = 4
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1.25
            text = "say ""1 2"" again"
        intervals [3]:
            xmin = 1.25
            xmax = 2
            text = "<sil>"
        intervals [4]:
            xmin = 2
            xmax = 3
            text = "x"
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 3
        points: size = 1
        points [1]:
            number = 1.5
            mark = "here"
    item [3]:
        class = "IntervalTier"
        name = "right"
        xmin = 0
        xmax = 3
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 3
            text = "sp"
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
3
<exists>
2
"IntervalTier"
"left"
0
3
3
0
0.5
""
0.5
1.25
"hey"
1.25
3
"[laughter]"
"IntervalTier"
"right"
0
3
1
0
3
"yes"
"""


@pytest.fixture
def write(tmp_path):
    def to(name: str, content: str, encoding: str = "utf-8"):
        path = tmp_path / name
        path.write_bytes(content.encode(encoding))
        return path

    return to


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_long_textgrid(write, encoding):
    path = write("a.TextGrid", LONG, encoding)
    intervals = read_intervals(path, 3)
    assert list(intervals) == ["left", "right"]
    np.testing.assert_array_equal(intervals["left"], [[0.5, 1.25], [2, 3]])
    assert intervals["right"].shape == (0, 2)
    assert [word.text for word in read(path).words("left")] == ['say "1 2" again']


def test_a_short_textgrid(write):
    intervals = read_intervals(write("a.TextGrid", SHORT), 3)
    np.testing.assert_array_equal(intervals["left"], [[0.5, 1.25]])
    np.testing.assert_array_equal(intervals["right"], [[0, 3]])


@pytest.mark.parametrize("mode", ["normal", "short"])
def test_pympi_writes_what_is_read_here(tmp_path, mode):
    praat = pytest.importorskip("pympi.Praat")
    rng = np.random.default_rng(0)
    grid = praat.TextGrid(xmax=100.0)
    expected = {}
    for name in ("giver", "follower"):
        edges = np.round(np.sort(rng.uniform(0, 100, 40)), 3).reshape(-1, 2)
        tier = grid.add_tier(name)
        for i, (start, end) in enumerate(edges.tolist()):
            tier.add_interval(start, end, f'w{i} "ö"')
        expected[name] = edges
    grid.to_file(str(tmp_path / "a.TextGrid"), mode=mode)
    found = read_intervals(tmp_path / "a.TextGrid", 100)
    assert list(found) == ["giver", "follower"]
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-9)


def test_pympi_reads_a_long_textgrid_as_we_do(write):
    praat = pytest.importorskip("pympi.Praat")
    path = write("a.TextGrid", LONG)
    tier = praat.TextGrid(str(path)).get_tier("left")
    theirs = [(start, end) for start, end, text in tier.get_intervals() if text not in ("", "<sil>")]
    np.testing.assert_array_equal(read_intervals(path)["left"], theirs)


def test_of_an_aligners_tiers_the_words_are_read(write):
    grid = SHORT.replace('"left"', '"A - words"').replace('"right"', '"A - phones"')
    assert list(read_intervals(write("a.TextGrid", grid))) == ["A"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LONG[:600], "not a whole Praat TextGrid .it ends too early"),
        (LONG.replace('"TextGrid"', '"PitchTier"'), "header is not that of a TextGrid"),
        (LONG.replace("intervals: size = 4", "intervals: size = 40000000000"), "not a whole Praat TextGrid"),
        (LONG.replace('"IntervalTier"', '"OddTier"', 1), "'OddTier' is no kind of tier"),
        ("ooBinaryFile\x08TextGrid", "ends too early"),
        ("", "ends too early"),
    ],
)
def test_damaged_textgrids_are_named(write, content, message):
    began = time.monotonic()
    with pytest.raises(InputError, match=message) as caught:
        read(write("bad.TextGrid", content))
    assert "bad.TextGrid" in str(caught.value) and "\n" not in str(caught.value)
    assert time.monotonic() - began < 1


def test_rttm_by_speaker_and_by_channel(write):
    one = "SPKR-INFO a 1 <NA> <NA> <NA> unknown Ann <NA> <NA>\nSPEAKER a 1 5.0 0.5 <NA> <NA> Ann <NA> <NA>\n"
    path = write("a.rttm", one + "SPEAKER a 1 1.0 2.5 <NA> <NA> Bob <NA> <NA>\n")
    np.testing.assert_allclose(read_intervals(path)["Bob"], [[1, 3.5]])
    assert set(read_intervals(path)) == {"Ann", "Bob"} and read(path).speaker("Bob") == "Bob"
    path = write("b.rttm", one + "SPEAKER a 2 1.0 2.5 <NA> <NA> Bob <NA> <NA>\n")
    assert set(read_intervals(path)) == {"1", "2"} and read(path).speaker("2") == "Bob"


@pytest.mark.parametrize(("label", "speaker"), [("Ann", "Ann"), ("SPEAKER_00", ""), ("speaker A", ""), ("2", "")])
def test_a_label_that_is_no_name_is_no_speaker(write, label, speaker):
    assert read(write("a.txt", f"0\t1\t{label}\n")).speaker(label) == speaker


def test_rttm_of_many_recordings_gives_its_own(write):
    lines = "".join(f"SPEAKER rec{i} {i} {i}.0 0.5 <NA> <NA> S{i} <NA> <NA>\n" for i in (1, 2))
    assert set(read_intervals(write("rec2.rttm", lines))) == {"S2"}
    with pytest.raises(InputError, match="2 recordings, and none of them is other"):
        read(write("other.rttm", lines))


def test_what_overlaps_itself_by_rounding_is_one_interval(write):
    lines = "SPEAKER a 1 1.0 1.001 <NA> <NA> S <NA> <NA>\nSPEAKER a 1 2.0 1.0 <NA> <NA> S <NA> <NA>\n"
    np.testing.assert_allclose(read_intervals(write("a.rttm", lines))["S"], [[1, 3]])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv(write, delimiter):
    rows = [["Start", "End", "Channel", "Text"], ["1.5", "2", "A", "oh"], ["0", "1", "B", ""], ["3", "4", "A", "sil"]]
    path = write("a.csv", "\r\n".join(delimiter.join(row) for row in rows) + "\r\n")
    intervals = read_intervals(path)
    np.testing.assert_array_equal(intervals["A"], [[1.5, 2]])
    np.testing.assert_array_equal(intervals["B"], [[0, 1]])
    assert [word.text for word in read(path).words("A")] == ["oh"] and read(path).words("B") == ()


def test_csv_with_speakers_beside_channels_and_decimal_commas(write):
    path = write("a.csv", "start;end;channel;speaker\n0,5;1,25;left;Ann\n")
    np.testing.assert_array_equal(read_intervals(path)["left"], [[0.5, 1.25]])
    assert read(path).speaker("left") == "Ann"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "begin,end,channel\n0,1,A\n", "first line must name start"),
        ("a.csv", "start,end\n0,1\n", "first line must name start, end and channel"),
        ("a.csv", "start,end,channel\n0,1\n", "2 fields where the first has 3"),
        ("a.csv", "start,end,channel\n0,one,A\n", "'one' is not a time"),
        ("a.csv", "start,end,channel\n0,nan,A\n", "must be finite"),
        ("a.csv", "start,end,channel\n-1,2,A\n", "not negative"),
        ("a.csv", "start,end,channel\n3,2,A\n", "must end after it starts"),
        ("a.csv", "", "first line must name"),
        ("a.rttm", "hello\n", "no SPEAKER lines"),
        ("a.rttm", "SPEAKER a 1 0\n", "has 4 fields"),
        ("a.txt", "0 1 left\n", "not start, end and label with tabs"),
        ("a.wav", "RIFF", "wanted is .textgrid, .rttm"),
    ],
)
def test_malformed_files_are_one_line_that_names_them(write, name, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read(write(name, content))
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_audacity_labels(write):
    content = "0.5\t1.0\tleft\n\\\t100.0\t200.0\n2,0\t3,0\tleft\n4\t4\tright\n"
    np.testing.assert_array_equal(read_intervals(write("a.txt", content))["left"], [[0.5, 1], [2, 3]])


def test_times_are_held_against_the_recording(write):
    path = write("a.txt", "0.5\t3.01\tleft\n")
    np.testing.assert_array_equal(read_intervals(path, 3.0)["left"], [[0.5, 3.0]])
    for content, hint in (("1\t2900\tleft\n", "milliseconds"), ("1\t140\tleft\n", "frames"), ("1\t3.3\tleft\n", "3 s")):
        with pytest.raises(InputError, match=hint) as caught:
            read_intervals(write("b.txt", content), 3.0)
        assert "b.txt" in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["right", "left"], ("left", "right")),
        (["B", "A"], ("A", "B")),
        (["Follower", "comments", "Giver"], ("Giver", "Follower")),
        (["speaker B", "Channel A"], ("Channel A", "speaker B")),
        (["2", "1"], ("1", "2")),
        (["SPEAKER_10", "SPEAKER_9"], ("SPEAKER_9", "SPEAKER_10")),
        (["right"], (None, "right")),
    ],
)
def test_which_label_is_which_channel(labels, expected):
    assert channel_labels(labels, "x") == expected


@pytest.mark.parametrize("labels", [[], ["1"], ["Ann", "Bob"], ["1", "2", "3"], ["left", "A"], ["left", "L", "right"]])
def test_labels_that_do_not_say_which_are_refused_by_name(labels):
    with pytest.raises(InputError, match="which channel is which") as caught:
        pair_of_channels({label: np.zeros((0, 2)) for label in labels}, "some.rttm")
    assert "some.rttm" in str(caught.value) and all(label in str(caught.value) for label in labels)


def test_a_channel_without_a_label_is_silent():
    first, second = pair_of_channels({"left": np.array([[0.0, 1.0]])}, "x")
    np.testing.assert_array_equal(first, [[0, 1]])
    assert second.shape == (0, 2)


def _write_audacity(rows) -> str:
    return "".join(f"{start}\t{end}\t{label}\n" for label, start, end in rows)


def _write_rttm(rows) -> str:
    lines = (f"SPEAKER x 1 {s} {repr(e - s)} <NA> <NA> {label} <NA> <NA>\n" for label, s, e in rows)
    return "".join(lines)


def _write_csv(rows) -> str:
    return "start,end,channel\n" + "".join(f"{start},{end},{label}\n" for label, start, end in rows)


def _write_textgrid(rows) -> str:
    tiers = []
    for label in dict.fromkeys(label for label, _, _ in rows):
        marked = [f'{start}\n{end}\n"x"\n' for its, start, end in rows if its == label]
        tiers.append(f'"IntervalTier"\n"{label}"\n0\n999\n{len(marked)}\n{"".join(marked)}')
    return f'File type = "ooTextFile"\nObject class = "TextGrid"\n0\n999\n<exists>\n{len(tiers)}\n{"".join(tiers)}'


@pytest.mark.parametrize(
    ("suffix", "writer"),
    [("txt", _write_audacity), ("rttm", _write_rttm), ("csv", _write_csv), ("TextGrid", _write_textgrid)],
)
@given(edges=st.lists(st.integers(0, 10**6), min_size=2, max_size=40, unique=True))
def test_every_format_brings_back_the_same_intervals(tmp_path_factory, suffix, writer, edges):
    milliseconds = np.sort(edges)[: len(edges) // 2 * 2].reshape(-1, 2)
    rows = [(("left", "right")[i % 2], s / 1000, e / 1000) for i, (s, e) in enumerate(milliseconds.tolist())]
    path = tmp_path_factory.getbasetemp() / f"round.{suffix}"
    path.write_text(writer(rows))
    found = read_intervals(path, 1000.0)
    assert list(found) == list(dict.fromkeys(label for label, _, _ in rows))
    for label, intervals in found.items():
        expected = np.array([(start, end) for its, start, end in rows if its == label])
        np.testing.assert_allclose(intervals, expected, atol=1e-9)


def test_what_is_not_text_is_named(tmp_path):
    (tmp_path / "a.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(InputError, match="a.csv: not text in UTF-8"):
        read(tmp_path / "a.csv")
    with pytest.raises(InputError, match="none.csv: cannot be read"):
        read(tmp_path / "none.csv")


def test_a_file_too_large_to_be_one_is_not_read(tmp_path):
    with open(tmp_path / "a.rttm", "wb") as file:
        file.truncate(annotations._MOST_BYTES + 1)
    with pytest.raises(InputError, match="larger than 64 MB"):
        read(tmp_path / "a.rttm")


def test_real_rttm_of_meetings(real_audio_dir):
    found = read_intervals(real_audio_dir / "ami" / "sample.rttm", 30.0)
    assert set(found) == {"speaker90", "speaker91"} and all(len(intervals) > 3 for intervals in found.values())
