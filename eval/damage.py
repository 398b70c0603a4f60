"""Tries the audio proxies on known damage: which of them put it in order?

    python -m eval.damage --corpus=maptask-voiced --data_dir=maptaskv2-1 --dialogues=8
    python -m eval.damage --wavs=recordings            one speaker a file, or any recorded speech

Real speech is damaged by noise of 20, 10 and 0 dB, 4-bit mu-law, a 1 kHz low-pass, random phases, shuffling of 60 ms
and reversal, and every proxy is read beside other speech of the same source that was left alone. Prints the table and,
for each proxy, whether clean > 20 > 10 > 0 dB > white noise, and by how many percent the rest lies above clean.
"""

import dataclasses
import functools
import math
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from absl import flags

from datasets import activity, files
from datasets import audio as audio_lib
from datasets import flags as corpus_flags
from datasets.corpora import Corpus
from datasets.dialogue import bridge
from datasets.errors import InputError, run_command
from eval import detection
from eval.audio import columns, rows, scale
from eval.audio.damages import DAMAGES
from eval.audio.features import Clip

STEPS = ("clean", "noise 20 dB", "noise 10 dB", "noise 0 dB", "white noise")
OTHERS = ("mu-law 4 bits", "low-pass 1 kHz", "phase scramble", "shuffled 60 ms", "reversed")
CLIP_SECONDS = 60.0
SUFFIXES = (".wav", ".flac", ".ogg", ".sph")


def corpus_clips(corpus: Corpus, split: str, dialogues: int, detector: str) -> tuple[list[Clip], dict[str, str]]:
    """Both channels of the first minutes of some held-out dialogues, and the speakers' group of each.

    Args:
        corpus: with sound.
        split: "test" or "validation".
        dialogues: how many, evenly spread over the split.
        detector: of `datasets.activity`.
    """
    names = detection.names(corpus, split)[1]
    chosen = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, dialogues).round().astype(int))]
    clips, groups = [], {}
    for name in chosen:
        dialogue = corpus.load(name)
        if dialogue.audio is None:
            raise InputError(f"--corpus={corpus.name}: {name} has no sound; take maptask-voiced")
        groups[name] = dialogue.info.get("quad", name)
        seconds = min(CLIP_SECONDS, dialogue.duration_seconds)
        for channel in dialogue.audio:
            part = channel[: round(seconds * dialogue.sample_rate)]
            clips.append(_clip(name, part, dialogue.sample_rate, detector))
    return clips, groups


def folder_clips(folder: pathlib.Path, detector: str) -> tuple[list[Clip], dict[str, str]]:
    """The first channel of every recording below a folder, at the rate of most of them, each a group of its own."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f"--wavs={folder}: no recordings there ({', '.join(SUFFIXES)})")
    rates = {path: audio_lib.read_header(path)[1] for path in paths}
    rate = max(sorted(set(rates.values())), key=list(rates.values()).count)
    clips = []
    for path in paths:
        if rates[path] < rate:
            print(f"{path}: left out, {rates[path]} Hz where most have {rate} Hz")
            continue
        audio = audio_lib.resample(audio_lib.read_wav(path)[0][0], rates[path], rate)
        clips.append(_clip(str(path.relative_to(folder)), audio, rate, detector))
    return clips, {clip.dialogue: clip.dialogue for clip in clips}


def try_damage(clips: Sequence[Clip], groups: Mapping[str, str], cache: pathlib.Path, seed: int = 0) -> rows.AudioTable:
    """The audio table of real speech and of all that is done to it."""
    references = {name: name for name in DAMAGES}
    return rows.audio_table({}, clips, groups, cache, references=references, seed=seed, title="known damage")


@dataclasses.dataclass(frozen=True)
class Order:
    """What a proxy makes of known damage.

    Attributes:
        key: of the proxy.
        title: of its column.
        noises: whether clean > 20 > 10 > 0 dB > white noise.
        change: percent by which each of `OTHERS` lies above clean.
    """

    key: str
    title: str
    noises: bool
    change: Mapping[str, float]


def orders(found: rows.AudioTable) -> list[Order]:
    """For each proxy that has percentages, babble quality first."""
    scores = {row.name: row.scores for row in found.rows}
    result = []
    for column in columns.columns():
        key = column.key if column.key == scale.HEADLINE else f"{column.key}_percent"
        percents = {name: each.get(key, math.nan) for name, each in scores.items()}
        if math.isnan(percents["clean"]):
            continue
        steps = [_goodness(column.key, scores[name]) for name in STEPS]
        noises = all(a > b for a, b in zip(steps, steps[1:], strict=False))
        change = {name: percents[name] - percents["clean"] for name in OTHERS}
        result.append(Order(column.key, column.title, noises, change))
    return result


def _goodness(key: str, scores: Mapping[str, float]) -> float:
    """Larger is better, and nothing is clipped."""
    if key == scale.HEADLINE or scale.scale_of(key) == scale.UPWARDS:
        return scores[key]
    return -scores[key if scale.scale_of(key) == scale.LOG else f"{key}_gap"]


def render_orders(found: rows.AudioTable) -> str:
    """`orders` as a table of text."""
    lines = [["", "noises", *OTHERS]]
    for order in orders(found):
        lines.append([order.title, "yes" if order.noises else "no", *(f"{order.change[name]:+.0f}" for name in OTHERS)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def _clip(name: str, audio: np.ndarray, sample_rate: int, detector: str) -> Clip:
    speech = bridge(activity.detect(audio, sample_rate, detector))
    return Clip(name, speech, len(audio) / sample_rate, sample_rate, functools.partial(np.asarray, audio))


def _define_flags() -> None:
    corpus_flags.define_corpus_flags(sample_rate=True)
    flags.DEFINE_string("wavs", None, "A folder of recorded speech, in place of a corpus.")
    flags.DEFINE_string("split", "test", "Whose dialogues: test or validation.")
    flags.DEFINE_integer("dialogues", 8, "How many of them, a minute of each channel.", lower_bound=2)
    flags.DEFINE_integer("seed", 0, "Of the damages and of the intervals.")


def main(argv: list[str]) -> None:
    del argv
    values = flags.FLAGS
    if values.wavs:
        clips, groups = folder_clips(pathlib.Path(values.wavs), values.detector or "silero")
    else:
        corpus = corpus_flags.corpus_from_flags()
        clips, groups = corpus_clips(corpus, values.split, values.dialogues, values.detector or corpus.detector)
    cache = pathlib.Path(values.cache_dir or files.cache_folder()) / "audio-features"
    found = try_damage(clips, groups, cache, values.seed)
    print(f"\n{found.text()}\n\npercent above clean\n\n{render_orders(found)}")


if __name__ == "__main__":
    _define_flags()
    run_command(main)
