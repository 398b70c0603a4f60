"""Switchboard-1 (Godfrey et al. 1992) with the word times of Mississippi State (ms98; Deshmukh et al. 1998).

Expects below --data_dir, in any folders: the word files `sw2001A-ms98-a-word.text` of both sides; the recordings where
there are any, as `sw02001.sph` or `sw2001.wav` with two channels, or `sw2001A.wav` and `sw2001B.wav`; and, from the
documents of LDC97S62, `call_con_tab.csv` (who called) and `caller_tab.csv` (their gender) if they are at hand.
Channel 0 is side A. Words, words said laughing and parts of words are speech; silence, noise, laughter and asides'
marks are not.

There is no official split. Each caller is in about nine calls, and by their calls nearly all of them hang together,
so no split of all calls keeps speakers apart. With `call_con_tab.csv`, therefore, it is the callers that are drawn, by
a hash of their number - 80 % train, 8 % validation, 12 % test - and a call between two groups belongs to none and is
left out: of 2,400 calls about 1,560 are for training, 15 for validation and 35 for the test. Without the table nobody
knows who speaks: calls are drawn, 80, 10 and 10 %, and a test speaker may have been heard in training.
"""

import functools
import hashlib
import math
import pathlib
import re

import numpy as np

from datasets import annotations, corpora
from datasets import dialogue as dialogue_lib
from datasets.corpora import recorded
from datasets.errors import InputError

ROLES = ("A", "B")
_WORDS = re.compile(r"sw(\d{4})([AB])-ms98-a-word\.text")
_RECORDING = re.compile(r"sw0?(\d{4})(?:[-_.]?([AB]))?\.(?:sph|wav|flac|ogg)", re.IGNORECASE)
_NOT_SPEECH = frozenset(["[silence]", "[noise]", "[laughter]", "[vocalized-noise]"])
_PLACES = 25  # Callers: 20 train, 2 validation, 3 test.
_LONGEST_SECONDS = 24 * 3600.0


@corpora.register("switchboard")
class Switchboard(corpora.Corpus):
    """Telephone calls of about six minutes, by two strangers; at the recordings' own rate (8 kHz) where they are.

    The longer of recording and words gives the length of a call. `info` of a call: speaker_info (per channel: gender,
    birth_year, where known), and with sound recorded_hz and channels_exchanged.
    """

    roles = ROLES

    def __init__(self, options: corpora.Options):
        super().__init__(options)
        if not options.data_dir:
            raise InputError(
                "switchboard needs --data_dir: the folder of the ms98 word files (sw2001A-ms98-a-word.text)"
            )
        root = pathlib.Path(options.data_dir)
        if not root.is_dir():
            raise InputError(f"--data_dir={root} is not a folder; wanted is one with the ms98 word files below it")
        self._words, self._recordings, self._tables = _find(root)
        if not self._words:
            raise InputError(f"--data_dir={root}: no word files (sw2001A-ms98-a-word.text) in it or below")
        self._callers = _read_calls(self._tables["call_con_tab.csv"]) if "call_con_tab.csv" in self._tables else {}
        self._people = _read_people(self._tables["caller_tab.csv"]) if "caller_tab.csv" in self._tables else {}
        if self._recordings:
            self.detector = "silero"

    def names(self, split: str | None = None) -> list[str]:
        corpora.check_split(split)
        splits = ((name, self._split(name)) for name in sorted(self._words))
        return [name for name, its_split in splits if its_split and split in (None, its_split)]

    def load(self, name: str, audio: bool = True) -> dialogue_lib.Dialogue:
        parts = self._recordings.get(name)
        paths = _in_order(name, parts) if parts else []
        return recorded.beside(self.annotated(name), paths, self.sample_rate if audio and paths else None)

    def annotated(self, name: str) -> dialogue_lib.Dialogue:
        """The call as its word files alone have it, whatever recordings there are."""
        if name not in self._words:
            raise InputError(f"{name}: no such call in {self.options.data_dir}; names are like {min(self._words)}")
        sides = self._words[name]
        if len(sides) < 2:
            (side,) = sides
            raise InputError(f"{sides[side]}: the word file of the other side is missing beside it")
        split = self._split(name)
        if split is None:
            raise InputError(f"{name}: its callers are in two splits, or not in call_con_tab.csv; it belongs to none")
        channels = [_read_side(sides[side]) for side in ROLES]
        callers = self._callers.get(name, {})
        duration = max(end for _, _, end in channels)
        return dialogue_lib.Dialogue(
            name=name,
            split=split,
            duration_seconds=duration,
            speech=tuple(
                dialogue_lib.validate_intervals(dialogue_lib.bridge(speech, 0), duration, str(sides[side]))
                for (speech, _, _), side in zip(channels, ROLES, strict=True)
            ),
            words=tuple(words for _, words, _ in channels),
            roles=ROLES,
            speakers=tuple(callers.get(side, f"{name}{side}") for side in ROLES),
            info={"speaker_info": [self._people.get(callers.get(side), {}) for side in ROLES]},
        )

    @functools.cached_property
    def sample_rate(self) -> int | None:
        """Hz: what the options ask for, else that of most recordings; None without any."""
        every = [path for parts in self._recordings.values() for path in parts.values()]
        return self.options.sample_rate or (recorded.common_rate(every) if every else None)

    def key(self) -> dict:
        key = super().key() | self.annotations_key()
        if self._recordings:
            every = [path for parts in self._recordings.values() for path in parts.values()]
            key |= {"sample_rate": self.sample_rate, "recordings": recorded.fingerprint(every)}
        return key

    def annotations_key(self) -> dict:
        """Everything that shapes the calls as annotated, as JSON values."""
        digest = hashlib.sha256()
        words = (path for sides in self._words.values() for path in sides.values())
        for path in sorted([*words, *self._tables.values()], key=lambda path: path.name):
            digest.update(path.name.encode() + path.read_bytes())
        return {"annotations_sha256": digest.hexdigest()}

    def _split(self, name: str) -> str | None:
        """None for a call between callers of different groups."""
        if not self._callers:
            return recorded.split_of_hash(hashlib.sha256(name.encode()).hexdigest())
        callers = self._callers.get(name, {})
        if set(callers) != set(ROLES):
            return None
        first, second = (caller_split(callers[side]) for side in ROLES)
        return first if first == second else None


def caller_split(caller: str) -> str:
    """The group of a caller, by a hash of the number."""
    place = int(hashlib.sha256(f"caller {caller}".encode()).hexdigest()[:12], 16) % _PLACES
    return "test" if place < 3 else "validation" if place < 5 else "train"


def spoken_text(token: str) -> str | None:
    """What was said, of a token of the transcript; None if it was not speech.

    Of a word said laughing the word, of a slip ("[splace/space]") what was pronounced, of a part of a word
    ("th[at]-") that part with its hyphen, and no mark of a variant ("okay_1") or a coined word ("{geekier}").
    """
    if token.lower() in _NOT_SPEECH or token.startswith("<"):
        return None
    text = re.sub(r"\[laughter-(.*)\]", r"\1", token, flags=re.IGNORECASE)
    text = re.sub(r"^(-?)\[(.*)/.*\](-?)$", r"\1\2\3", text)
    if re.fullmatch(r"\[[^\[\]]*\]", text):
        return None
    text = re.sub(r"\[[^\[\]]*\]", "", text)
    text = re.sub(r"_\d+", "", text)
    return text.strip("{}").replace("{", "").replace("}", "")


def _find(root: pathlib.Path):
    """Word files and recordings by call and side ("" is both), and the tables by name."""
    words: dict[str, dict[str, pathlib.Path]] = {}
    recordings: dict[str, dict[str, pathlib.Path]] = {}
    tables: dict[str, pathlib.Path] = {}
    for path in recorded.every_file(root):
        if match := _WORDS.fullmatch(path.name):
            words.setdefault(f"sw{match[1]}", {}).setdefault(match[2], path)
        elif match := _RECORDING.fullmatch(path.name):
            recordings.setdefault(f"sw{match[1]}", {}).setdefault((match[2] or "").upper(), path)
        elif path.name in ("call_con_tab.csv", "caller_tab.csv"):
            tables.setdefault(path.name, path)
    return words, recordings, tables


def _in_order(name: str, parts: dict[str, pathlib.Path]) -> list[pathlib.Path]:
    """The file of both channels, or that of side A and that of side B."""
    if "" in parts:
        return [parts[""]]
    if len(parts) < 2:
        (lone,) = parts.values()
        raise InputError(f"{lone}: the recording of the other side is missing; wanted is that, or {name}.wav with both")
    return [parts[side] for side in ROLES]


def _read_side(path: pathlib.Path) -> tuple[np.ndarray, tuple[dialogue_lib.Word, ...], float]:
    """Speech [n, 2], words and the end in seconds of one side."""
    words, last = [], 0.0
    for number, line in enumerate(annotations.read_text(path).splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        start, end = _times(fields, f"{path}, line {number}")
        last = max(last, end)
        text = spoken_text(fields[3])
        if text is not None and end > start:
            words.append(dialogue_lib.Word(start, end, text))
    words.sort(key=lambda word: (word.start, word.end))
    speech = np.array([(word.start, word.end) for word in words]).reshape(-1, 2)
    return speech, tuple(words), last


def _times(fields: list[str], where: str) -> tuple[float, float]:
    try:
        start, end = float(fields[1]), float(fields[2])
        if len(fields) != 4 or not (math.isfinite(start) and 0 <= start <= end <= _LONGEST_SECONDS):
            raise ValueError
    except (ValueError, IndexError) as error:
        wanted = "utterance, start and end in seconds, word"
        raise InputError(f"{where}: {' '.join(fields)[:80]!r} is not {wanted}") from error
    return start, end


def _read_calls(path: pathlib.Path) -> dict[str, dict[str, str]]:
    """Callers by call and side."""
    calls: dict[str, dict[str, str]] = {}
    for row in _rows(path, least=3):
        if row[0].isdigit() and row[1] in ROLES:
            calls.setdefault(f"sw{row[0]}", {})[row[1]] = row[2]
    if not calls:
        raise InputError(f'{path}: has no rows of call, side (A or B) and caller, such as 2001, "A", 1000')
    return calls


def _read_people(path: pathlib.Path) -> dict[str, dict]:
    """Gender and year of birth by caller."""
    return {
        row[0]: {"gender": row[3][:1].lower() or None, "birth_year": int(row[4]) if row[4].isdigit() else None}
        for row in _rows(path, least=5)
        if row[0].isdigit()
    }


def _rows(path: pathlib.Path, least: int) -> list[list[str]]:
    rows = annotations.csv_rows(annotations.read_text(path), path)
    return [[cell.strip() for cell in row] for row in rows if len(row) >= least]
