"""The HCRC Map Task corpus (Anderson et al. 1991), read from the official NXT annotations.

Expects the layout of `maptaskv2-1.zip` from https://groups.inf.ed.ac.uk/maptask/: `Data/timed-units` with one XML a
channel and `Data/corpus-resources`. Channel 0 is the giver, channel 1 the follower. Words and unintelligible speech
are speech; breaths, lipsmacks, laughs and other noises are silence.

The split is the one of Roddy et al. 2018: test is quads 4 and 7, train the other six, of which quad 3 is kept for
validation. No speaker is in two of them.
"""

import hashlib
import os
import pathlib
from xml.etree.ElementTree import Element, ParseError

import defusedxml
import numpy as np
from defusedxml import ElementTree

from datasets import corpora
from datasets import dialogue as dialogue_lib
from datasets.errors import InputError

ROLES = ("giver", "follower")
TEST_QUADS = (4, 7)
VALIDATION_QUAD = 3
_POINTER = "{http://nite.sourceforge.net/}pointer"
_WHERE = "the archive maptaskv2-1 of https://groups.inf.ed.ac.uk/maptask/maptasknxt.html"


@corpora.register("maptask")
class MapTask(corpora.Corpus):
    """128 dialogues of 32 pairs of speakers, 14.5 hours; annotations only, no audio.

    `info` of a dialogue: quad (int), eye_contact, familiar (bool), map (str), speaker_info (per channel: age, gender,
    birthplace).
    """

    def __init__(self, options: corpora.Options):
        super().__init__(options)
        self._folder = _find_folder(options.data_dir)
        self._conversations = {
            element.get("id"): element
            for element in _parse(self._folder / "corpus-resources" / "maptask-corpus.xml").iter("conv")
        }
        self._speakers = {
            element.get("id"): element
            for element in _parse(self._folder / "corpus-resources" / "maptask-participants.xml").iter("speaker")
        }

    def names(self, split: str | None = None) -> list[str]:
        corpora.check_split(split)
        return sorted(name for name in self._conversations if split is None or self._split(name) == split)

    def load(self, name: str, audio: bool = True) -> dialogue_lib.Dialogue:
        if name not in self._conversations:
            raise InputError(f"{name}: no such Map Task dialogue; names are like q1ec1")
        conversation = self._conversations[name]
        channels = [_read_channel(self._folder / "timed-units" / f"{name}.{role[0]}.timed-units.xml") for role in ROLES]
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
            },
        )

    def key(self) -> dict:
        return super().key() | {"annotations_sha256": self._checksum()}

    def _split(self, name: str) -> str:
        quad = int(self._conversations[name].get("quad"))
        return "test" if quad in TEST_QUADS else "validation" if quad == VALIDATION_QUAD else "train"

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

    def _checksum(self) -> str:
        digest = hashlib.sha256()
        for path in sorted((self._folder / "timed-units").glob("*.xml")):
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()


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


def _parse(path: pathlib.Path) -> Element:
    try:
        return ElementTree.parse(path).getroot()
    except FileNotFoundError as error:
        raise InputError(f"{path}: missing from the Map Task annotations; unpack the archive again") from error
    except (ParseError, defusedxml.DefusedXmlException) as error:
        raise InputError(f"{path}: not whole XML ({error}); unpack the archive again") from error


def _read_channel(path: pathlib.Path) -> tuple[np.ndarray, tuple[dialogue_lib.Word, ...], float]:
    """Speech [n, 2], words and the end in seconds of one channel."""
    speech, words, end = [], [], 0.0
    for unit in _parse(path):
        unit_start, unit_end = _times(unit, path)
        end = max(end, unit_end)
        is_word = unit.tag == "tu"
        # Eight words of the corpus have no length: they cannot be heard, nor spoken.
        if unit_end <= unit_start or not (is_word or unit.get("type") == "unintelligible"):
            continue
        speech.append((unit_start, unit_end))
        if is_word:
            words.append(dialogue_lib.Word(unit_start, unit_end, " ".join((unit.text or "").split())))
    return np.array(speech).reshape(-1, 2), tuple(words), end


def _times(unit: Element, path: pathlib.Path) -> tuple[float, float]:
    try:
        return float(unit.get("start")), float(unit.get("end"))
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {unit.get('id')} has no start and end in seconds") from error


def _speaker_id(conversation: Element, role: str) -> str:
    for pointer in conversation.iter(_POINTER):
        if pointer.get("role") == role[0]:
            return pointer.get("href").partition("#id(")[2].rstrip(")")
    raise InputError(f"maptask-corpus.xml: {conversation.get('id')} names no {role}")
