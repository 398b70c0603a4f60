"""Who speaks when, read from the files that annotators and diarisers write.

    .TextGrid   Praat, long or short form, UTF-8 or UTF-16; a tier is a channel, marked intervals are speech
    .rttm       NIST Rich Transcription; SPEAKER lines, by channel where the file has two, else by speaker
    .csv, .tsv  a header with start, end and channel or speaker, and text if there is any; comma, semicolon or tab
    .txt        Audacity labels: start, end and the channel's name, with tabs between

Times are seconds. What one speaker says overlaps itself only by rounding, so such intervals become one.
"""

import csv
import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from datasets import dialogue as dialogue_lib
from datasets.errors import InputError

# What annotators write where nobody speaks, without brackets and in lower case.
SILENCE_MARKS = frozenset(["", "sil", "sp", "silence", "silent", "pause", "pau", "#", "##", "_", "-"])
# In brackets only: what the mouth does besides speaking, and what others do.
_NOISE_MARKS = frozenset(
    ["p", "breath", "inhale", "exhale", "noise", "laugh", "laughter", "cough", "lipsmack", "click"]
)
_SPEECH_MARKS = frozenset(["x", "s", "1", "+", "speech", "sounding", "v"])  # Speech, but no word.
_SIDES = {"left": 0, "l": 0, "a": 0, "giver": 0, "g": 0, "right": 1, "r": 1, "b": 1, "follower": 1, "f": 1}
_ROUNDING_SECONDS = 1 / dialogue_lib.FRAMES_PER_SECOND
_MOST_BYTES = 64 << 20


@dataclasses.dataclass(frozen=True)
class Segment:
    """Speech from `start` to `end` seconds on the channel `label`; `text` and `speaker` where they are known."""

    label: str
    start: float
    end: float
    text: str = ""
    speaker: str = ""


@dataclasses.dataclass(frozen=True)
class Annotation:
    """What an annotation file says.

    Attributes:
        path: of the file.
        labels: of its channels, those without speech too.
        segments: in order of time.
    """

    path: pathlib.Path
    labels: tuple[str, ...]
    segments: tuple[Segment, ...]

    def intervals(self, duration_seconds: float | None = None) -> dict[str, np.ndarray]:
        """Speech by label, float64 [n, 2] seconds, sorted and disjoint; see `read_intervals`."""
        return {
            label: _checked([(s.start, s.end) for s in self.segments if s.label == label], duration_seconds, what)
            for label in self.labels
            for what in [f"{self.path}, {label!r}"]
        }

    def words(self, label: str | None) -> tuple[dialogue_lib.Word, ...]:
        """The words, or phrases, of a label where there is text beside the times."""
        return tuple(
            dialogue_lib.Word(segment.start, segment.end, segment.text)
            for segment in self.segments
            if segment.label == label and segment.text and _bare(segment.text) not in _SPEECH_MARKS
        )

    def speaker(self, label: str | None) -> str:
        """Who speaks on the channel of this label: as the file says, else the label; "" where that is no name."""
        named = [segment.speaker for segment in self.segments if segment.label == label and segment.speaker]
        name = named[0] if named else label or ""
        # What a diariser calls SPEAKER_00 is somebody else in every file.
        return "" if _side(name) is not None or _COUNTED.fullmatch(name.lower()) else name


def read(path: str | os.PathLike) -> Annotation:
    """Reads an annotation file; raises `InputError` for another kind of file, and for times that are none."""
    path = pathlib.Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: not a file of speech intervals; wanted is {', '.join(_READERS)}")
    labels, segments = reader(read_text(path), path)
    spoken = sorted((s for s in segments if _is_long(s, path)), key=lambda segment: (segment.start, segment.end))
    return Annotation(path, tuple(dict.fromkeys([*labels, *(s.label for s in spoken)])), tuple(spoken))


def read_intervals(path: str | os.PathLike, duration_seconds: float | None = None) -> dict[str, np.ndarray]:
    """Speech by channel label, as annotated: not bridged into IPUs.

    Args:
        path: of a .TextGrid, .rttm, .csv, .tsv or .txt file.
        duration_seconds: of the recording. An interval that ends less than a frame later ends with it, for that is
            rounding; any other is refused.

    Returns:
        float64 [n, 2] seconds for each label, sorted and disjoint; a tier without speech has n = 0.

    Raises:
        InputError: not such a file, times that are none, or times beyond the recording.
    """
    return read(path).intervals(duration_seconds)


def pair_of_channels(
    intervals_by_label: dict[str, np.ndarray], path: str | os.PathLike
) -> tuple[np.ndarray, np.ndarray]:
    """The intervals of channel 0 and channel 1 by what their labels say; a channel that has no label is silent.

    Raises:
        InputError: the labels do not say which channel they mean.
    """
    nothing = np.zeros((0, 2))
    first, second = channel_labels(list(intervals_by_label), path)
    return intervals_by_label.get(first, nothing), intervals_by_label.get(second, nothing)


def channel_labels(labels: Sequence[str], path: str | os.PathLike) -> tuple[str | None, str | None]:
    """The label of channel 0 and of channel 1; None for a channel that the file does not name.

    Labels say it by a side (left, A, giver; right, B, follower) or, where there are two, by a number at their end.
    Other labels beside two sides (comments, landmarks) are left out. Raises `InputError` where it is not clear.
    """
    sides = [[label for label in labels if _side(label) == side] for side in (0, 1)]
    if [len(side) for side in sides] == [1, 1]:
        return sides[0][0], sides[1][0]
    if len(labels) == 1 and sides != [[], []]:
        return (labels[0], None) if sides[0] else (None, labels[0])
    numbered = sorted((int(found[2]), found[1], label) for label in labels if (found := _NUMBERED.fullmatch(label)))
    if len(labels) == len(numbered) == 2 and numbered[0][1] == numbered[1][1] and numbered[0][0] != numbered[1][0]:
        return numbered[0][2], numbered[1][2]
    found = ", ".join(map(repr, labels)) or "none at all"
    raise InputError(
        f"{path}: which channel is which? Its labels are {found}; wanted are two such as left and right, A and B, "
        "giver and follower, or 1 and 2"
    )


def is_silence(mark: str) -> bool:
    """Whether an annotator's mark stands for no speech: empty, sil, <p>, [laughter], ..."""
    bare = _bare(mark)
    return bare in SILENCE_MARKS or (bare in _NOISE_MARKS and bare != mark.strip().lower())


_COUNTED = re.compile(r"(speaker|spk|channel|ch|track)?[\W_]*\d*")
_NUMBERED = re.compile(r"(.*?)(\d{1,9})")


def _side(label: str) -> int | None:
    plain = re.sub(r"\b(channel|speaker|ch|spk)\b|[\W_]+", " ", label.lower()).strip()
    return _SIDES.get(plain)


def _bare(text: str) -> str:
    return text.strip().strip("<>[](){}").strip().lower()


def _is_long(segment: Segment, path: pathlib.Path) -> bool:
    """Whether there is something to hear; raises `InputError` for times that cannot be."""
    start, end = segment.start, segment.end
    if not (np.isfinite([start, end]).all() and 0 <= start <= end):
        rule = "times must be finite, not negative, and an interval must end after it starts"
        raise InputError(f"{path}, {segment.label!r}: an interval is ({start:g}, {end:g}); {rule}")
    return end > start


def _checked(times: list[tuple[float, float]], duration_seconds: float | None, what: str) -> np.ndarray:
    intervals = dialogue_lib.bridge(np.array(times, np.float64).reshape(-1, 2), 0)
    if duration_seconds is None or not len(intervals):
        return intervals
    rounded = intervals[:, 1] < duration_seconds + _ROUNDING_SECONDS
    intervals[rounded] = intervals[rounded].clip(None, duration_seconds)
    return dialogue_lib.validate_intervals(intervals[intervals[:, 1] > intervals[:, 0]], duration_seconds, what)


def read_text(path: pathlib.Path) -> str:
    """The text of a file in UTF-8 or, by its first bytes, UTF-16; raises `InputError` for others and for huge ones."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: larger than {_MOST_BYTES >> 20} MB; is it really a file of annotations?")
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8 or UTF-16 ({error.reason}); save it as UTF-8 text") from error


# Quoted strings, numbers on their own and flags are all that Praat itself reads in either form.
_TEXTGRID_TOKEN = re.compile(r'"([^"]*(?:""[^"]*)*)"|(?<!\S)(-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?!\S)|<(exists|absent)>')


def _read_textgrid(text: str, path: pathlib.Path) -> tuple[list[str], list[Segment]]:
    tokens = (
        float(found[2])
        if found[2] is not None
        else (found[1] or "").replace('""', '"')
        if found[3] is None
        else found[3]
        for found in _TEXTGRID_TOKEN.finditer(text)
    )
    try:
        header = [next(tokens) for _ in range(6)]
        if header[1] != "TextGrid" or header[4] != "exists":
            raise ValueError("its header is not that of a TextGrid with tiers")
        tiers = [_read_tier(tokens) for _ in range(int(header[5]))]
    except (StopIteration, RuntimeError, ValueError, TypeError, OverflowError) as error:
        problem = "it ends too early" if isinstance(error, StopIteration | RuntimeError) else error
        raise InputError(f"{path}: not a whole Praat TextGrid ({problem}); save it again as a text file") from error
    tiers = _words_only([tier for tier in tiers if tier is not None])
    return [name for name, _ in tiers], [
        Segment(name, start, end, " ".join(mark.split()))
        for name, intervals in tiers
        for start, end, mark in intervals
        if not is_silence(mark)
    ]


def _read_tier(tokens: Iterator) -> tuple[str, list[tuple[float, float, str]]] | None:
    """Name and intervals of the next tier; None for one of points."""
    kind, name, _, _, size = (next(tokens) for _ in range(5))
    if kind not in ("IntervalTier", "TextTier"):
        raise ValueError(f"{kind!r} is no kind of tier")
    if not isinstance(name, str):
        raise ValueError(f"a tier is called {name:g}, without quotes")
    width = 3 if kind == "IntervalTier" else 2
    rows = []
    for _ in range(int(size)):
        row = [next(tokens) for _ in range(width)]
        if [type(value) for value in row] != [float] * (width - 1) + [str]:
            raise ValueError(f"tier {name!r} has {row} where times and a mark should be")
        rows.append(tuple(row))
    return (name, rows) if kind == "IntervalTier" else None


def _words_only(tiers: list[tuple[str, list]]) -> list[tuple[str, list]]:
    """A forced aligner writes two tiers a speaker, "A - words" and "A - phones": the words, as "A"."""
    worded = [(name.removesuffix(" - words"), rows) for name, rows in tiers if name.endswith(" - words")]
    return worded or tiers


def _read_rttm(text: str, path: pathlib.Path) -> tuple[list[str], list[Segment]]:
    rows = [fields for line in text.splitlines() if (fields := line.split())[:1] == ["SPEAKER"]]
    short = [row for row in rows if len(row) < 8]
    if short or not rows:
        problem = f"a SPEAKER line has {len(short[0])} fields, not 9 or 10" if short else "it has no SPEAKER lines"
        raise InputError(f"{path}: not RTTM ({problem})")
    recordings = {row[1] for row in rows}
    if len(recordings) > 1:
        rows = [row for row in rows if row[1] == path.stem]
        if not rows:
            raise InputError(f"{path}: has {len(recordings)} recordings, and none of them is {path.stem}; split it")
    by_channel = len({row[2] for row in rows}) > 1
    return [], [
        Segment(row[2] if by_channel else row[7], start, start + _number(row[4], path), speaker=row[7])
        for row in rows
        for start in [_number(row[3], path)]
    ]


def _read_csv(text: str, path: pathlib.Path) -> tuple[list[str], list[Segment]]:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    rows = csv_rows(text, path, delimiter)
    names = [name.strip().lower() for name in rows[0]] if rows else []
    label = "channel" if "channel" in names else "speaker"
    missing = [name for name in ("start", "end", label) if name not in names]
    if missing:
        raise InputError(
            f"{path}: its first line must name start, end and channel or speaker; found is {header[:80]!r}"
        )
    segments = []
    for row in filter(any, rows[1:]):
        if len(row) != len(names):
            raise InputError(f"{path}: a line has {len(row)} fields where the first has {len(names)}: {row}")
        cells = dict(zip(names, (cell.strip() for cell in row), strict=True))
        times = (cells[name].replace(",", ".") for name in ("start", "end"))
        start, end = (_number(time, path) for time in times)
        text = " ".join(cells.get("text", "").split())
        if "text" in names and text and is_silence(text):
            continue
        segments.append(Segment(cells[label], start, end, text, cells.get("speaker", "") if label == "channel" else ""))
    return [], segments


def csv_rows(text: str, path: pathlib.Path, delimiter: str = ",") -> list[list[str]]:
    """The fields of each line; raises `InputError` where quotes or lengths are not those of a table."""
    try:
        return list(csv.reader(text.splitlines(), delimiter=delimiter, skipinitialspace=True))
    except csv.Error as error:
        raise InputError(f"{path}: not a table ({error})") from error


def _read_audacity(text: str, path: pathlib.Path) -> tuple[list[str], list[Segment]]:
    segments = []
    for line in text.splitlines():
        # A line with a backslash holds the frequencies of the label before.
        if not line.strip() or line.startswith("\\"):
            continue
        fields = line.split("\t")
        if len(fields) != 3:
            raise InputError(
                f"{path}: not Audacity labels: a line is not start, end and label with tabs: {line[:80]!r}"
            )
        segments.append(Segment(fields[2].strip(), *(_number(field.replace(",", "."), path) for field in fields[:2])))
    return [], segments


def _number(text: str, path: pathlib.Path) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{path}: {text!r} is not a time in seconds") from error


_READERS: dict[str, Callable[[str, pathlib.Path], tuple[list[str], list[Segment]]]] = {
    ".textgrid": _read_textgrid,
    ".rttm": _read_rttm,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".txt": _read_audacity,
}
SUFFIXES = tuple(_READERS)
