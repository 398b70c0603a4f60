"""Describes a corpus: how much there is, how its speakers take turns, and which recordings look wrong.

    python -m datasets.describe --corpus=maptask --data_dir=maptaskv2-1
    python -m datasets.describe --corpus=stereo --data_dir=recordings --out=about

Prints hours, the timing of each split (the table of the evaluation protocol, section 2), and where there is sound its
rate, level, clipping and the bleed of one channel into the other. Names the recordings whose channels look misaligned,
clipped, mute or at odds with their annotation. With --out, writes describe.json and a figure, describe.png.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tqdm

from datasets import activity, dialogue, files, hazard, turns
from datasets.corpora import Corpus
from datasets.errors import InputError

_FULL_SCALE = 0.999
_MOST_CLIPPED = 1e-4
_BLEED_LAG_SECONDS = 0.02
_LEAST_FTOS = 15
# Of 128 Map Task dialogues none fits better by more than 0.2 s.
_LAGS_SECONDS = sorted(np.arange(-20, 21) / 10, key=abs)  # Of equal ones the smallest is taken.
_MOST_LAG_SECONDS = 0.3
# Of 128 Map Task dialogues two are above: 0.76 and 1.07 s; the next has 0.49.
_MOST_ASYMMETRY_SECONDS = 0.6
# Channels that know nothing of each other overlap as often as chance has it: 1. Map Task: median .31, at most .56.
_MOST_OVERLAP_RATIO = 0.8
_LEAST_AGREEMENT = 0.8
_HEARD_BLEED_DB = -30.0


@dataclasses.dataclass(frozen=True)
class Sound:
    """The sound of one recording, by channel.

    Attributes:
        sample_rate: Hz.
        speech_db: level of the speech, dB below full scale; NaN without speech.
        clipped: share of samples at full scale.
        bleed_db: level of a speaker in the other channel, relative to the own, while the other is silent; NaN where
            nobody speaks alone.
        agreement: share of 20 ms frames in which speech as annotated is speech by the energy detector; NaN where less
            than a second is spoken.
    """

    sample_rate: int
    speech_db: tuple[float, float]
    clipped: tuple[float, float]
    bleed_db: tuple[float, float]
    agreement: float


@dataclasses.dataclass(frozen=True)
class Recording:
    """One dialogue.

    Attributes:
        name, split, seconds: of it.
        speech: share of the time in which each speaker speaks.
        asymmetry_seconds: median floor-transfer offset into channel 1 less that into channel 0; NaN where there are
            few.
        lag_seconds: by how much channel 1 is late, going by how likely its timing is beside channel 0 under the hazard
            tables of Map Task; NaN where there are few floor transfers.
        overlap_ratio: time in which both speak, relative to channels that know nothing of each other; NaN without
            speech of both.
        sound: or None.
    """

    name: str
    split: str
    seconds: float
    speech: tuple[float, float]
    asymmetry_seconds: float
    lag_seconds: float
    overlap_ratio: float
    sound: Sound | None

    def suspicions(self) -> list[str]:
        """What looks wrong, in words."""
        found = []
        late = int(self.asymmetry_seconds > 0)
        if abs(self.lag_seconds) >= _MOST_LAG_SECONDS:
            found.append(
                f"channels misaligned? channel {int(self.lag_seconds > 0)} seems {abs(self.lag_seconds):.1f} s late"
            )
        elif abs(self.asymmetry_seconds) > _MOST_ASYMMETRY_SECONDS:
            slower = abs(self.asymmetry_seconds)
            found.append(f"channels misaligned? channel {late} answers {slower:.2f} s later than the other")
        if self.overlap_ratio > _MOST_OVERLAP_RATIO:
            found.append(f"channels of one dialogue? they overlap {self.overlap_ratio:.2f} times as often as chance")
        for channel in (0, 1):
            if not self.speech[channel]:
                found.append(f"channel {channel} has no speech")
        return found + self._of_sound()

    def _of_sound(self) -> list[str]:
        if self.sound is None:
            return []
        found = []
        for channel in (0, 1):
            if self.sound.clipped[channel] > _MOST_CLIPPED:
                found.append(f"channel {channel} is clipped ({self.sound.clipped[channel]:.2%} of the samples)")
            if self.sound.bleed_db[channel] > _HEARD_BLEED_DB:
                bleed = self.sound.bleed_db[channel]
                found.append(
                    f"channel {channel} is heard in the other at {bleed:.0f} dB: timing by detection will suffer"
                )
        if self.sound.agreement < _LEAST_AGREEMENT:
            found.append(f"annotation and sound agree on {self.sound.agreement:.0%} of the frames only: shifted?")
        return found


def measure(spoken: dialogue.Dialogue) -> Recording:
    """Measures one dialogue, with its sound where it has some."""
    happened = turns.dialogue_events(spoken)
    into = [happened.ftos(owner) for owner in (0, 1)]
    enough = min(map(len, into)) >= _LEAST_FTOS
    floor = happened.floor_seconds() / spoken.duration_seconds
    speech = (floor[turns.FIRST] + floor[turns.BOTH], floor[turns.SECOND] + floor[turns.BOTH])
    chance = speech[0] * speech[1]
    return Recording(
        name=spoken.name,
        split=spoken.split,
        seconds=spoken.duration_seconds,
        speech=tuple(float(share) for share in speech),
        asymmetry_seconds=float(np.median(into[1]) - np.median(into[0])) if enough else float("nan"),
        lag_seconds=_lag_seconds(spoken) if enough else float("nan"),
        overlap_ratio=float(floor[turns.BOTH] / chance) if chance else float("nan"),
        sound=None if spoken.audio is None else _measure_sound(spoken),
    )


def _lag_seconds(spoken: dialogue.Dialogue) -> float:
    gates = [spoken.ipu_activity(channel) for channel in (0, 1)]
    tables = [hazard.maptask_tables()[role] for role in dialogue.ROLE_PAIRS[0]]

    def fit(lag: float) -> float:
        pair = [gates[0], np.roll(gates[1], -round(lag * dialogue.FRAMES_PER_SECOND))]
        return sum(float(np.sum(hazard.llr(tables[c], pair[c], pair[1 - c]))) for c in (0, 1))

    return float(max(_LAGS_SECONDS, key=fit))


def bleed_db(audio: np.ndarray, alone: np.ndarray, sample_rate: int) -> float:
    """How loud one channel is heard in the other.

    Args:
        audio: float32 [2, samples]: the channel, and the one it may bleed into.
        alone: bool [n_frames] at 50 Hz, where only the speaker of the first channel speaks.
        sample_rate: Hz.

    Returns:
        The gain of the strongest path of at most 20 ms, in dB: the largest correlation of the channels over the power
        of the first. Sound that is in the second channel anyway sets a floor of some -50 dB. NaN if never alone.
    """
    hop = sample_rate // dialogue.FRAMES_PER_SECOND
    taken = np.repeat(alone, hop)
    if not taken.any():
        return float("nan")
    # Cut to what is needed: bleed does not change from minute to minute.
    own, other = (np.where(taken, channel[: len(taken)], 0).astype(np.float64) for channel in audio)
    lag = round(_BLEED_LAG_SECONDS * sample_rate)
    size = 1 << (len(own) + lag).bit_length()
    spectrum = np.fft.rfft(other, size) * np.conj(np.fft.rfft(own, size))
    correlation = np.fft.irfft(spectrum, size)
    strongest = max(np.abs(correlation[: lag + 1]).max(), np.abs(correlation[-lag:]).max())
    power = np.square(own).sum()
    return float(20 * np.log10(max(strongest, 1e-12) / power)) if power else float("nan")


def _measure_sound(spoken: dialogue.Dialogue) -> Sound:
    audio, rate = spoken.audio, spoken.sample_rate
    n_frames = min(spoken.n_frames, audio.shape[1] // (rate // dialogue.FRAMES_PER_SECOND))
    speech = np.stack([spoken.ipu_activity(channel)[:n_frames] for channel in (0, 1)])
    levels = activity.frame_levels_db(audio, rate)[:, :n_frames]
    heard = np.stack([dialogue.activity(dialogue.bridge(activity.detect(c, rate)), n_frames) for c in audio])
    return Sound(
        sample_rate=rate,
        speech_db=tuple(_power_mean(levels[c][speech[c]]) for c in (0, 1)),
        clipped=tuple(float(np.mean(np.abs(channel) >= _FULL_SCALE)) for channel in audio),
        bleed_db=tuple(bleed_db(audio[[c, 1 - c]], speech[c] & ~speech[1 - c], rate) for c in (0, 1)),
        agreement=float(np.mean(heard == speech)) if speech.sum() >= dialogue.FRAMES_PER_SECOND else float("nan"),
    )


def _power_mean(levels_db: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(10 ** (levels_db / 10)))) if len(levels_db) else float("nan")


@dataclasses.dataclass(frozen=True)
class Description:
    """A corpus: its recordings, the statistics of each split that has any, and what could not be read."""

    corpus: str
    recordings: list[Recording]
    statistics: dict[str, dict[str, float]]
    ftos: dict[str, np.ndarray]
    skipped: dict[str, str]


def describe(corpus: Corpus, audio: bool = True, progress: bool = True) -> Description:
    """Measures every dialogue of a corpus."""
    recordings, happened, skipped = [], {}, {}
    for name in tqdm.tqdm(corpus.names(), desc=f"describing {corpus.name}", unit="dialogue", disable=not progress):
        try:
            spoken = corpus.load(name, audio=audio)
        except (InputError, OSError) as error:
            skipped[name] = " ".join(str(error).split())
            continue
        recordings.append(measure(spoken))
        happened.setdefault(spoken.split, []).append(turns.dialogue_events(spoken))
    if not recordings:
        raise InputError(f"corpus {corpus.name}: nothing to describe; {next(iter(skipped.values()), 'it is empty')}")
    splits = [split for split in dialogue.SPLITS if split in happened]
    return Description(
        corpus=corpus.name,
        recordings=recordings,
        statistics={split: turns.statistics(happened[split]) for split in splits},
        ftos={split: np.concatenate([each.ftos() for each in happened[split]]) for split in splits},
        skipped=skipped,
    )


def lines(description: Description) -> list[str]:
    """What is printed."""
    recordings = description.recordings
    hours = sum(recording.seconds for recording in recordings) / 3600
    said = [f"{description.corpus}: {len(recordings)} dialogues, {hours:.2f} h", ""]
    heads = [f"{split} ({stats['dialogues']:.0f})" for split, stats in description.statistics.items()]
    columns = [turns.statistics_text(stats) for stats in description.statistics.values()]
    titles = [title for title, _ in columns[0]]
    width, widths = (
        max(map(len, titles)),
        [max(len(h), *(len(t) for _, t in c)) for h, c in zip(heads, columns, strict=True)],
    )
    said.append(f"{'':{width}}  " + "  ".join(f"{head:>{w}}" for head, w in zip(heads, widths, strict=True)))
    for i, title in enumerate(titles):
        said.append(f"{title:{width}}  " + "  ".join(f"{c[i][1]:>{w}}" for c, w in zip(columns, widths, strict=True)))
    said += ["", *_sound_lines([recording.sound for recording in recordings if recording.sound])]
    suspects = {recording.name: found for recording in recordings if (found := recording.suspicions())}
    said += ["", f"{len(suspects)} of {len(recordings)} recordings look suspect" + (":" if suspects else "")]
    said += [f"  {name}: {'; '.join(found)}" for name, found in suspects.items()]
    if description.skipped:
        said += ["", f"{len(description.skipped)} could not be read:"]
        said += [f"  {reason}" for reason in description.skipped.values()]
    return said


def _sound_lines(sounds: Sequence[Sound]) -> list[str]:
    if not sounds:
        return ["sound: none"]
    rates = sorted({sound.sample_rate for sound in sounds})
    said = [f"sound: {', '.join(f'{rate} Hz' for rate in rates)}"]
    for title, field, text in (
        ("speech level, dBFS", "speech_db", "{:.1f}"),
        ("clipped samples", "clipped", "{:.4%}"),
        ("bleed into the other channel, dB", "bleed_db", "{:.0f}"),
    ):
        values = np.array([getattr(sound, field) for sound in sounds])
        medians = [text.format(_median(values[:, channel])) for channel in (0, 1)]
        said.append(f"  {title}, median of channel 0; 1: {'; '.join(medians)}")
    agreement = _median(np.array([sound.agreement for sound in sounds]))
    return [*said, f"  frames in which annotation and energy agree, median: {agreement:.1%}"]


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def write(description: Description, folder: pathlib.Path) -> None:
    """describe.json, with a row a recording, and describe.png."""
    files.write_json(
        folder / "describe.json",
        {
            "corpus": description.corpus,
            "statistics": {split: _json_ready(stats) for split, stats in description.statistics.items()},
            "recordings": [
                _json_ready(dataclasses.asdict(recording)) | {"suspicions": recording.suspicions()}
                for recording in description.recordings
            ],
            "skipped": description.skipped,
        },
    )
    with files.replacing(folder / "describe.png") as part:
        _draw(description, part)


def _json_ready(value: Any) -> Any:
    """NaN as None: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _json_ready(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_ready(each) for each in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def _draw(description: Description, path: pathlib.Path) -> None:
    """Floor-transfer offsets, the floor, and the recordings, of which the suspect are named."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    offsets, floor, recordings = figure.subplots(1, 3, width_ratios=(1.2, 1, 1.2))
    for split, ftos in description.ftos.items():
        offsets.hist(ftos, np.arange(-2, 3.01, 0.1), density=True, histtype="step", linewidth=1.5, label=split)
    offsets.axvline(0, color="0.6", linewidth=0.8)
    offsets.set(xlabel="floor-transfer offset, s", ylabel="density", title="who takes the floor, how fast")
    offsets.legend(frameon=False)
    states = ("nobody", "only_0", "only_1", "both")
    left = np.zeros(len(description.statistics))
    for state, color in zip(states, ("0.85", "C0", "C1", "0.35"), strict=True):
        shares = np.array([stats[state] for stats in description.statistics.values()])
        floor.barh(list(description.statistics), shares, left=left, color=color, label=state.replace("only_", "only "))
        left += shares
    floor.set(xlabel="share of the time", title="who has the floor", xlim=(0, 1))
    floor.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    suspect = [bool(recording.suspicions()) for recording in description.recordings]
    x = [recording.asymmetry_seconds for recording in description.recordings]
    y = [recording.overlap_ratio for recording in description.recordings]
    recordings.scatter(x, y, s=14, c=["C3" if bad else "C0" for bad in suspect])
    for recording, bad in zip(description.recordings, suspect, strict=True):
        if bad and np.isfinite([recording.asymmetry_seconds, recording.overlap_ratio]).all():
            at = (recording.asymmetry_seconds, recording.overlap_ratio)
            recordings.annotate(recording.name, at, fontsize=7, xytext=(3, 3), textcoords="offset points")
    recordings.set(xlabel="offset into channel 1 less into channel 0, s", ylabel="overlap / chance", title="recordings")
    figure.savefig(path, dpi=110)


def _define_command():
    from absl import flags

    from datasets.flags import corpus_from_flags, define_corpus_flags

    define_corpus_flags(sample_rate=True)
    flags.DEFINE_bool("audio", True, "--noaudio describes the timing alone.")
    flags.DEFINE_string("out", None, "Folder for describe.json and describe.png; default: neither is written.")

    def main(argv):
        args = flags.FLAGS
        description = describe(corpus_from_flags(), args.audio)
        print("\n".join(lines(description)))
        if args.out:
            write(description, pathlib.Path(args.out))
            print(f"\n{pathlib.Path(args.out) / 'describe.png'}")

    return main


if __name__ == "__main__":
    from datasets.errors import run_command

    run_command(_define_command())
