"""Times the pipeline against the naive way, and against what training eats.

    python -m datasets.benchmark
    python -m datasets.benchmark --data_dir=recordings --sample_rate=16000

Seconds of two-channel audio per second, medians over rounds in which every way takes its turn. The recordings are
two-channel wavs of 20 kHz, made for the purpose (noise with the timing of Map Task) or, with --data_dir, your own. The
naive way is librosa in a plain loop: load, resample, mu-law and, where it says so, mel spectra. The prepared way reads
what `datasets.prepare` wrote, in batches, with the activity of both speakers.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tqdm

from datasets import audio, dialogue, files, hazard
from datasets.errors import InputError

RECORDED_RATE = 20000
MEL_BANDS = 40
CROP_SECONDS, BATCH_SIZE = 10.0, 8
_RECORDINGS, _RECORDING_SECONDS = 12, 120.0
_EPOCHS = 5  # Of what is prepared, for an epoch is over in a fifth of a second.
_LIVE_FILES = 2  # Some hundred times slower than what is prepared.
Way = Callable[[], float]


def make_recordings(folder: pathlib.Path, n: int = _RECORDINGS, seconds: float = _RECORDING_SECONDS, seed: int = 0):
    """Writes two-channel wavs of noise, with the times of speech beside each as CSV."""
    rng = np.random.default_rng(seed)
    n_frames = dialogue.seconds_to_frames(seconds)
    for i in tqdm.trange(n, desc="recordings", unit="file"):
        gates = hazard.sample_dialogue(hazard.maptask_tables(), n_frames, rng)
        level = np.repeat(np.where(gates, 0.1, 0.0005), RECORDED_RATE // dialogue.FRAMES_PER_SECOND, axis=1)
        audio.write_wav(folder / f"talk{i:02d}.wav", level * rng.standard_normal(level.shape), RECORDED_RATE)
        rows = [
            f"{start:.2f},{end:.2f},{side}\n"
            for side, gate in zip(("left", "right"), gates, strict=True)
            for start, end in dialogue.intervals_from_activity(gate)
        ]
        (folder / f"talk{i:02d}.csv").write_text("start,end,channel\n" + "".join(rows))


def prepared_way(prepared, with_mels: bool) -> Way:
    """Batches of audio and activity, of the log-mels of both channels too."""
    import tensorflow as tf

    from datasets import features, pipeline

    def mels(batch):
        sound = batch["audio"]
        flat = tf.reshape(sound, [-1, sound.shape[-1]])
        past = tf.zeros([flat.shape[0], prepared.hop])
        return batch | {"mel": features.log_mel(flat, past, prepared.sample_rate, MEL_BANDS)}

    def run():
        batches = pipeline.crops(prepared, CROP_SECONDS, BATCH_SIZE, seed=0, epoch=0)
        if with_mels:
            batches = batches.map(mels, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
            options = tf.data.Options()
            options.autotune.enabled = False
            batches = batches.with_options(options)
        batches = batches.repeat(_EPOCHS)
        return sum(float(batch["mask"].numpy().sum()) for batch in batches) / dialogue.FRAMES_PER_SECOND

    return run


def naive_way(paths: Sequence[pathlib.Path], sample_rate: int, with_mels: bool) -> Way:
    """librosa in a plain loop."""
    import librosa

    def run():
        seconds = 0.0
        for path in paths:
            sound, _ = librosa.load(path, sr=sample_rate, mono=False)
            levels = librosa.mu_compress(sound, mu=255, quantize=True)
            seconds += levels.shape[-1] / sample_rate
            if with_mels:
                hop = sample_rate // dialogue.FRAMES_PER_SECOND
                librosa.feature.melspectrogram(y=sound, sr=sample_rate, n_fft=2 * hop, hop_length=hop, n_mels=MEL_BANDS)
        return seconds

    return run


def live_way(paths: Sequence[pathlib.Path], sample_rate: int) -> Way:
    """Wavs decoded and resampled in the graph."""
    from datasets import live

    return lambda: sum(sound.shape[1] / sample_rate for sound in live.sounds(paths, sample_rate))


def appetite(model: str, preset: str) -> float:
    """Seconds of audio that a training step of this model eats a second, measured by `zoo.benchmark`."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "train.json"
        command = [sys.executable, "-m", "zoo.benchmark", "--train", f"--models={model}", f"--presets={preset}"]
        done = subprocess.run([*command, f"--json={out}"], capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"--model={model}: its training step could not be timed: {done.stderr.strip()}")
        return json.loads(out.read_text())["train"][0]["audio_seconds_per_second"]


def measure(ways: dict[str, Way], rounds: int) -> dict[str, np.ndarray]:
    """Seconds of audio a second of each way, [rounds]; every way is warmed up once, then they take turns."""
    speeds = {name: [] for name in ways}
    with tqdm.tqdm(total=(rounds + 1) * len(ways), desc="timing", unit="run") as bar:
        for round_ in range(rounds + 1):
            for name, way in ways.items():
                started = time.perf_counter()
                seconds = way()
                if round_:
                    speeds[name].append(seconds / (time.perf_counter() - started))
                bar.update()
    return {name: np.array(values) for name, values in speeds.items()}


def table(speeds: dict[str, np.ndarray], against: dict[str, str], eaten: float | None) -> Iterator[str]:
    """Lines: the median of each way, its range, and how many times faster it is than what it stands against."""
    yield f"{'':34} {'x real time':>12} {'range':>16}   times faster"
    for name, values in speeds.items():
        naive = against.get(name)
        ratio = f"{np.median(values / speeds[naive]):.1f} than {naive}" if naive else ""
        spread = f"{values.min():.0f}-{values.max():.0f}"
        yield f"{name:34} {np.median(values):12.0f} {spread:>16}   {ratio}"
    if eaten:
        ratio = np.median(speeds["prepared"]) / eaten
        yield f"{'a training step eats':34} {eaten:12.1f} {'':>16}   prepared is {ratio:.0f} times that"


def _prepared(folder: pathlib.Path, sample_rate: int, cache: pathlib.Path):
    from datasets.corpora import open_corpus
    from datasets.prepare import prepare

    corpus = open_corpus("stereo", data_dir=folder, cache_dir=cache, sample_rate=sample_rate)
    splits = {split: corpus.names(split) for split in dialogue.SPLITS}
    largest = max(splits, key=lambda split: len(splits[split]))
    prepared = prepare(corpus, largest, cache / "shards")
    found = [corpus.load(record.name, audio=False).info["file"] for _, record in prepared.records]
    return prepared, [folder / file for file in found]


def _define_command():
    from absl import flags

    flags.DEFINE_string("data_dir", None, "Folder of two-channel recordings; default: some are made and removed.")
    flags.DEFINE_integer("sample_rate", 8000, "Hz of the batches, a multiple of 50.", lower_bound=50)
    flags.DEFINE_integer("rounds", 5, "How often every way takes its turn.", lower_bound=1)
    flags.DEFINE_string("model", "wavenet", "Whose training step is timed; empty: none.")
    flags.DEFINE_string("preset", "tiny", "Of that model.")
    flags.DEFINE_string("json", None, "Also writes the figures of every round here.")

    def main(argv):
        args = flags.FLAGS
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(args.data_dir or pathlib.Path(temporary) / "recordings")
            if not args.data_dir:
                (folder / "train").mkdir(parents=True)
                make_recordings(folder / "train")
            prepared, paths = _prepared(folder, args.sample_rate, pathlib.Path(temporary) / "cache")
            ways = {
                "prepared": prepared_way(prepared, with_mels=False),
                "prepared, log-mels": prepared_way(prepared, with_mels=True),
                "naive": naive_way(paths, args.sample_rate, with_mels=False),
                "naive, mels": naive_way(paths, args.sample_rate, with_mels=True),
                "wavs in the graph": live_way(paths[:_LIVE_FILES], args.sample_rate),
            }
            speeds = measure(ways, args.rounds)
        eaten = appetite(args.model, args.preset) if args.model else None
        against = {"prepared": "naive", "prepared, log-mels": "naive, mels", "wavs in the graph": "naive"}
        print("\n".join(table(speeds, against, eaten)))
        if args.json:
            rounds = {name: values.tolist() for name, values in speeds.items()}
            files.write_json(args.json, {"audio_seconds_per_second": rounds, "training_step": eaten})

    return main


if __name__ == "__main__":
    from datasets.errors import run_command

    run_command(_define_command())
