"""A corpus as a detector hears it: the same dialogues, with detected speech in place of the annotated.

Human, agent and partner go through one detector, since its bias moves every gap (PROTOCOL section 4). What was detected
is kept in the cache folder, for the train dialogues, from which the tables are counted, take minutes. The detector
"annotations" detects nothing: it takes the intervals that the corpus has.
"""

import dataclasses
import hashlib
import json
import pathlib

import numpy as np
import tqdm

from datasets import activity, files
from datasets.corpora import Corpus, rendering
from datasets.dialogue import Dialogue, cut
from datasets.errors import InputError

SPLITS = ("test", "validation")


def names(corpus: Corpus, split: str) -> tuple[list[str], list[str]]:
    """Names of the train dialogues, and of those held out; validation is train when test is held out."""
    if split not in SPLITS:
        raise InputError(f"--split={split}: agents are compared on dialogues held out, {' or '.join(SPLITS)}")
    train = corpus.names("train") + (corpus.names("validation") if split == "test" else [])
    return train, corpus.names(split)


def detected(corpus: Corpus, split: str, detector: str) -> tuple[list[Dialogue], list[Dialogue]]:
    """The train dialogues and those held out, without sound; `speech` is what the detector found."""
    train, held_out = names(corpus, split)
    if detector == activity.ANNOTATIONS:
        return tuple([_without_sound(corpus.load(name, audio=False)) for name in part] for part in (train, held_out))
    if isinstance(corpus, rendering.RenderedCorpus):
        corpus.render_all(train + held_out)
    kept = _Kept(corpus, detector)
    with tqdm.tqdm(total=len(train) + len(held_out), desc=f"speech by {detector}", unit="dialogue") as progress:
        return tuple([_detected(corpus, name, detector, kept, progress) for name in part] for part in (train, held_out))


def _detected(corpus: Corpus, name: str, detector: str, kept: "_Kept", progress: tqdm.tqdm) -> Dialogue:
    speech = kept.read(name)
    dialogue = corpus.load(name, audio=speech is None)
    if speech is None:
        if dialogue.audio is None:
            raise InputError(
                f"--corpus={corpus.name}: {name} has no sound to detect speech in; maptask-voiced speaks the words of"
                " maptask"
            )
        speech = [activity.detect(channel, dialogue.sample_rate, detector) for channel in dialogue.audio]
        kept.write(name, speech)
    progress.update()
    # The sound may end a part of a sample later than the dialogue.
    return _without_sound(dialogue, tuple(cut(channel, 0, dialogue.duration_seconds) for channel in speech))


def _without_sound(dialogue: Dialogue, speech: tuple[np.ndarray, np.ndarray] | None = None) -> Dialogue:
    speech = dialogue.speech if speech is None else speech
    return dataclasses.replace(dialogue, speech=speech, words=((), ()), audio=None, sample_rate=None)


class _Kept:
    """Detected speech on disk, by all that shaped it: the corpus, the detector and its version."""

    def __init__(self, corpus: Corpus, detector: str):
        shaped_by = [corpus.key(), activity.detector_key(detector)]
        digest = hashlib.sha256(json.dumps(shaped_by, sort_keys=True).encode()).hexdigest()[:12]
        cache = pathlib.Path(corpus.options.cache_dir or files.cache_folder())
        self._folder = cache / f"speech-{corpus.name}-{detector}-{digest}"

    def read(self, name: str) -> list[np.ndarray] | None:
        try:
            channels = json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return [np.array(intervals, np.float64).reshape(-1, 2) for intervals in channels]

    def write(self, name: str, speech: list[np.ndarray]) -> None:
        files.write_json(self._folder / f"{name}.json", [np.asarray(channel).tolist() for channel in speech])
