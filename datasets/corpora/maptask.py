"""The HCRC Map Task corpus (Anderson et al. 1991): the official NXT annotations, and the recordings where they are.

`python -m datasets.maptask download` fetches both. Expected is the layout of that archive: `Data/timed-units` with one
XML a channel, `Data/corpus-resources`, and anywhere below --data_dir the recordings as `q1ec1.mix.wav` (20 kHz, giver
left, follower right) or one file a channel, `q1ec1.g.wav` and `q1ec1.f.wav` or `q1ec1.1.wav` and `q1ec1.2.wav`.
Channel 0 is the giver, channel 1 the follower. Words and unintelligible speech are speech; breaths, lipsmacks, laughs
and other noises are silence.

The split is the one of Roddy et al. 2018: test is quads 4 and 7, train the other six, of which quad 3 is kept for
validation. With `fold` k of 1 to 8 the test is quad k, validation the quad after it. No speaker is in two splits,
which is checked from their names.
"""

import dataclasses
import functools
import hashlib
import math
import os
import pathlib
import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element, ParseError

import defusedxml
import numpy as np
from defusedxml import ElementTree

from datasets import corpora
from datasets import dialogue as dialogue_lib
from datasets.corpora import recorded
from datasets.errors import InputError

ROLES = ("giver", "follower")
TEST_QUADS = (4, 7)
VALIDATION_QUAD = 3
QUADS = 8
_POINTER = "{http://nite.sourceforge.net/}pointer"
_WHERE = "the archive maptaskv2-1 of https://groups.inf.ed.ac.uk/maptask/maptasknxt.html"
_NAME = re.compile(r"q[1-8][en]c[1-8]")
_RECORDING = re.compile(r"(q[1-8][en]c[1-8])\.(mix|g|f|1|2)\.(?:wav|flac|ogg|sph)", re.IGNORECASE)
_MUMBLED = "unintelligible"
_PARTS = ("timed-units", "moves")
_SPAN = re.compile(r"#id\(([^)]+)\)(?:\.\.id\(([^)]+)\))?$")
_CHANNEL_FILES = (("g", "f"), ("1", "2"))
_MOST_XML_BYTES = 64 << 20
_LONGEST_SECONDS = 24 * 3600.0


@corpora.register("maptask")
class MapTask(corpora.Corpus):
    """128 dialogues of 32 pairs of speakers, 14.5 hours, at 20 kHz where the recordings are there.

    The longer of recording and annotation gives the length of a dialogue, with zeros behind the shorter recording.
    `info` of a dialogue: quad (int), eye_contact, familiar (bool), map (str), speaker_info (per channel: age, gender,
    birthplace), moves (per channel: start and end in seconds, label; empty without Data/moves), and with sound
    recorded_hz and channels_exchanged: whether the recording had the giver on the right.
    """

    takes = frozenset({"fold"})

    def __init__(self, options: corpora.Options):
        super().__init__(options)
        if options.fold is not None and not 1 <= options.fold <= QUADS:
            raise InputError(f"--fold={options.fold}: must be 1 to {QUADS}, the quad that is the test")
        self._folder = _find_folder(options.data_dir)
        resources = self._folder / "corpus-resources"
        self._conversations = {
            element.get("id"): element for element in _parse(resources / "maptask-corpus.xml").iter("conv")
        }
        self._speakers = {
            element.get("id"): element for element in _parse(resources / "maptask-participants.xml").iter("speaker")
        }
        for name, conversation in self._conversations.items():
            _check_conversation(name, conversation)
        self._check_speakers()
        self._recordings = _find_recordings(pathlib.Path(options.data_dir or os.environ["MAPTASK_DIR"]))
        if self._recordings:
            self.detector = "silero"

    def names(self, split: str | None = None) -> list[str]:
        corpora.check_split(split)
        return sorted(name for name in self._conversations if split is None or self._split(name) == split)

    def load(self, name: str, audio: bool = True) -> dialogue_lib.Dialogue:
        parts = self._recordings.get(name)
        paths = _in_order(name, parts) if parts else []
        return recorded.beside(self.annotated(name), paths, self.sample_rate if audio and paths else None)

    def annotated(self, name: str) -> dialogue_lib.Dialogue:
        """The dialogue as the annotations alone have it, whatever recordings there are."""
        if name not in self._conversations:
            raise InputError(f"{name}: no such Map Task dialogue; names are like q1ec1")
        conversation = self._conversations[name]
        units = [_units(self._folder / "timed-units" / f"{name}.{role[0]}.timed-units.xml") for role in ROLES]
        channels = [_speech(found) for found in units]
        duration = max(end for _, _, end in channels)
        speakers = [_speaker_id(conversation, role) for role in ROLES]
        return dialogue_lib.Dialogue(
            name=name,
            split=self._split(name),
            duration_seconds=duration,
            speech=tuple(
                dialogue_lib.bridge(dialogue_lib.validate_intervals(speech, duration, f"{name}, {role}"), 0)
                for (speech, _, _), role in zip(channels, ROLES, strict=True)
            ),
            words=tuple(words for _, words, _ in channels),
            roles=ROLES,
            speakers=tuple(speakers),
            info={
                "quad": int(conversation.get("quad")),
                "eye_contact": conversation.get("eyecontact") == "yes",
                "familiar": conversation.get("familiar") == "yes",
                "map": conversation.get("map"),
                "speaker_info": [self._speaker_info(speaker) for speaker in speakers],
                "moves": [_moves(self._folder, name, role, found) for role, found in zip(ROLES, units, strict=True)],
            },
        )

    @functools.cached_property
    def sample_rate(self) -> int | None:
        """Hz: what the options ask for, else that of most recordings; None without any."""
        every = [path for parts in self._recordings.values() for path in parts.values()]
        return self.options.sample_rate or (recorded.common_rate(every) if every else None)

    def key(self) -> dict:
        key = super().key() | self.annotations_key()
        if self.options.fold is not None:
            key["fold"] = self.options.fold
        if self._recordings:
            every = [path for parts in self._recordings.values() for path in parts.values()]
            key |= {"sample_rate": self.sample_rate, "recordings": recorded.fingerprint(every)}
        return key

    def annotations_key(self) -> dict:
        """Everything that shapes the dialogues as annotated, as JSON values."""
        digest = hashlib.sha256()
        for path in [path for part in _PARTS for path in sorted((self._folder / part).glob("*.xml"))]:
            digest.update(path.name.encode() + path.read_bytes())
        return {"annotations_sha256": digest.hexdigest()}

    def _split(self, name: str) -> str:
        quad = int(self._conversations[name].get("quad"))
        fold = self.options.fold
        test = TEST_QUADS if fold is None else (fold,)
        validation = VALIDATION_QUAD if fold is None else fold % QUADS + 1
        return "test" if quad in test else "validation" if quad == validation else "train"

    def _check_speakers(self) -> None:
        """Raises `InputError` where a speaker is in two splits."""
        splits: dict[str, tuple[str, str]] = {}
        for name, conversation in self._conversations.items():
            for role in ROLES:
                speaker, split = _speaker_id(conversation, role), self._split(name)
                other, other_split = splits.setdefault(speaker, (name, split))
                if other_split != split:
                    raise InputError(
                        f"{self._folder}: speaker {speaker} is in {other} ({other_split}) and in {name} ({split}); "
                        "quads share no speakers, so unpack the archive again"
                    )

    def _speaker_info(self, speaker: str) -> dict:
        element = self._speakers.get(speaker)
        if element is None:
            return {}
        age = element.get("age") or ""
        return {
            "age": int(age) if age.isdigit() else None,
            "gender": element.get("gender"),
            "birthplace": element.get("birthplace"),
        }


def _find_folder(data_dir: str | os.PathLike | None) -> pathlib.Path:
    """The folder of timed-units and corpus-resources, from the archive's root, its parent or the folder itself."""
    data_dir = data_dir or os.environ.get("MAPTASK_DIR")
    if not data_dir:
        raise InputError(f"maptask needs --data_dir or $MAPTASK_DIR: {_WHERE}, unpacked")
    root = pathlib.Path(data_dir)
    for folder in (root / "Data", root, root / "maptaskv2-1" / "Data"):
        if (folder / "timed-units").is_dir() and (folder / "corpus-resources").is_dir():
            return folder
    problem = "lacks Data/timed-units and Data/corpus-resources" if root.is_dir() else "is not a folder"
    raise InputError(f"--data_dir={root} {problem}; wanted is {_WHERE}, unpacked")


def _find_recordings(root: pathlib.Path) -> dict[str, dict[str, pathlib.Path]]:
    """Sound files by dialogue and part: mix, or g and f, or 1 and 2."""
    found: dict[str, dict[str, pathlib.Path]] = {}
    for path in recorded.every_file(root):
        match = _RECORDING.fullmatch(path.name)
        if match:
            found.setdefault(match[1].lower(), {}).setdefault(match[2].lower(), path)
    return found


def _in_order(name: str, parts: dict[str, pathlib.Path]) -> list[pathlib.Path]:
    """The stereo file, or the giver's and the follower's."""
    if "mix" in parts:
        return [parts["mix"]]
    for channels in _CHANNEL_FILES:
        if all(channel in parts for channel in channels):
            return [parts[channel] for channel in channels]
    (lone, *_), wanted = parts.values(), " and ".join(f"{name}.{c}.wav" for c in _CHANNEL_FILES[0])
    raise InputError(f"{lone}: the recording of the other speaker is missing; wanted are {name}.mix.wav, or {wanted}")


def _check_conversation(name: str | None, conversation: Element) -> None:
    quad = conversation.get("quad") or ""
    if not _NAME.fullmatch(name or "") or quad not in map(str, range(1, QUADS + 1)):
        raise InputError(
            f"maptask-corpus.xml: a dialogue is called {name!r}, of quad {quad!r}; wanted is q1ec1, of 1 to 8"
        )


def _parse(path: pathlib.Path) -> Element:
    try:
        if path.stat().st_size > _MOST_XML_BYTES:
            raise InputError(f"{path}: larger than {_MOST_XML_BYTES >> 20} MB; unpack the archive again")
        return ElementTree.parse(path).getroot()
    except FileNotFoundError as error:
        raise InputError(f"{path}: missing from the Map Task annotations; unpack the archive again") from error
    # LookupError: an encoding that does not exist.
    except (ParseError, defusedxml.DefusedXmlException, LookupError) as error:
        raise InputError(f"{path}: not whole XML ({error}); unpack the archive again") from error


@dataclasses.dataclass(frozen=True)
class _Unit:
    """A word, a noise or a silence of the annotations."""

    tag: str
    kind: str | None
    start: float
    end: float
    text: str


def _units(path: pathlib.Path) -> dict[str, _Unit]:
    """What one channel holds, by identity, in order."""
    found = {}
    for unit in _parse(path):
        text = " ".join((unit.text or "").split())
        found[unit.get("id")] = _Unit(unit.tag, unit.get("type"), *_times(unit, path), text)
    return found


def _speech(units: Mapping[str, _Unit]) -> tuple[np.ndarray, tuple[dialogue_lib.Word, ...], float]:
    """Speech [n, 2], words and the end in seconds of one channel."""
    # Eight words of the corpus have no length: they cannot be heard, nor spoken.
    heard = [unit for unit in units.values() if unit.end > unit.start and (unit.tag == "tu" or unit.kind == _MUMBLED)]
    words = tuple(dialogue_lib.Word(unit.start, unit.end, unit.text) for unit in heard if unit.tag == "tu")
    speech = np.array([(unit.start, unit.end) for unit in heard]).reshape(-1, 2)
    return speech, words, max((unit.end for unit in units.values()), default=0.0)


def _moves(folder: pathlib.Path, name: str, role: str, units: Mapping[str, _Unit]) -> list[tuple[float, float, str]]:
    """(start, end, label) of the dialogue moves of one channel, sorted; none where the archive lacks them."""
    path = folder / "moves" / f"{name}.{role[0]}.moves.xml"
    if not path.exists():
        return []
    found = []
    for move in _parse(path).iter("move"):
        spans = [_SPAN.search(child.get("href") or "") for child in move]
        ends = [units.get(identity) for span in spans if span for identity in span.groups() if identity]
        if not spans or not all(spans) or None in ends:
            raise InputError(f"{path}: {move.get('id')} is of words that are not there; unpack the archive again")
        label = move.get("label") or "uncodable"
        found.append((min(unit.start for unit in ends), max(unit.end for unit in ends), label))
    return sorted(found)


def _times(unit: Element, path: pathlib.Path) -> tuple[float, float]:
    try:
        start, end = float(unit.get("start")), float(unit.get("end"))
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {unit.get('id')} has no start and end in seconds") from error
    if not (math.isfinite(start) and end <= _LONGEST_SECONDS):
        raise InputError(f"{path}: {unit.get('id')} is ({start:g}, {end:g}) s; no dialogue lasts a day. Milliseconds?")
    return start, end


def _speaker_id(conversation: Element, role: str) -> str:
    for pointer in conversation.iter(_POINTER):
        if pointer.get("role") == role[0]:
            return pointer.get("href").partition("#id(")[2].rstrip(")")
    raise InputError(f"maptask-corpus.xml: {conversation.get('id')} names no {role}")
