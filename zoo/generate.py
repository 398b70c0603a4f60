"""Let a trained run speak: against a partner's recording, two copies with each other, unconditionally, or a text.

    python -m zoo.generate --run=runs/demo --partner=partner.wav --out=answer.wav
    python -m zoo.generate --run=runs/demo --duet --seconds=30 --out=duet.wav
    python -m zoo.generate --run=runs/babbler --seconds=10 --out=babble.wav
    python -m zoo.generate --run=runs/vocoder --vocode=in.wav --out=out.wav
    python -m zoo.generate --run=runs/reader --text="go to the left of the old mill" --out=read.wav

Writes a stereo wav (left the agent, or the giver of a duet; right the partner, or the follower) and, beside it,
the intervals in which each speaks, in seconds, as .csv. The last two commands are for runs of --mode=unconditional and
--mode=text, and their wavs have one channel.
"""

import pathlib
import time

import numpy as np
from absl import flags
from tqdm import tqdm

from datasets import activity, audio, dialogue, files
from datasets.errors import InputError, run_command

FLAGS = flags.FLAGS
flags.DEFINE_string("run", None, "Run folder, such as runs/demo.")
flags.DEFINE_string("partner", None, "Wav of one channel to talk to; any rate.")
flags.DEFINE_string("vocode", None, "Wav of one channel, any rate, that a run of --mode=vocoder says again.")
flags.DEFINE_bool("duet", False, "Two copies of the agent talk to each other.")
flags.DEFINE_float("seconds", None, "Length; default that of the partner, 30 for a duet, 10 alone.", lower_bound=0.02)
flags.DEFINE_string("text", None, "What a run of --mode=text reads aloud.")
flags.DEFINE_string("reference", None, "Wav of one channel, any rate, whose prosody or style the reading takes.")
flags.DEFINE_string("style", None, "Weights of the style tokens instead, such as 0.3+0+0.7.")
flags.DEFINE_string("out", "babble.wav", "The wav to write.")
flags.DEFINE_enum("role", "follower", ["giver", "follower"], "The agent's role against a partner.")
flags.DEFINE_multi_integer("voice", [], "Voice number of the agent; twice for a duet. Default: voices of the training.")
flags.DEFINE_float("temperature", 1.0, "Of the sound; the timing is always sampled as learned.", lower_bound=0.01)
flags.DEFINE_enum(
    "engine",
    "fused",
    ["fused", "int8", "graph", "graph16"],
    "Compiled kernel, with weights of 32 or of 8 bits, or TensorFlow's graph, with 32 or (SampleRNN) 16 bits.",
)
flags.DEFINE_integer("seed", 0, "Same seed, same samples.")


def main(argv: list[str]) -> None:
    del argv
    _check_flags()
    partner = _partner() if FLAGS.partner else None
    from zoo.runs import open_run

    run = open_run(FLAGS.run)
    out = pathlib.Path(FLAGS.out)
    files.writable_folder(out.parent)
    started = time.monotonic()
    _check_mode(run)
    if run.model.mode == "unconditional":
        channels, gates = _babble(run), []
    elif run.model.mode == "text":
        channels, gates = _read(run), []
    elif run.model.mode == "vocoder":
        channels, gates = _vocode(run), []
    else:
        channels, gates = _duet(run) if FLAGS.duet else _answer(run, *partner)
    took = time.monotonic() - started
    seconds = channels.shape[1] / run.sample_rate
    audio.write_wav(out, channels, run.sample_rate)
    if gates:
        _write_intervals(out.with_suffix(".csv"), gates)
    print(f"{out}: {seconds:.1f} s in {took:.1f} s, {seconds / took:.2f} times real time")


def _check_flags() -> None:
    if not FLAGS.run:
        raise InputError("--run: which run folder? python -m zoo.train makes one under runs/")
    if FLAGS.partner and FLAGS.duet:
        raise InputError("give either --partner=a.wav, someone to talk to, or --duet")
    if len(FLAGS.voice) not in (0, 2 if FLAGS.duet else 1):
        raise InputError(f"--voice: {len(FLAGS.voice)} given; a duet has two, an answer to a partner has one")
    if FLAGS.duet and FLAGS["role"].present:
        raise InputError(f"--role={FLAGS.role}: a duet has both roles; leave it out, or give --partner=a.wav")


def _check_mode(run) -> None:
    if run.model.mode == "transcript":
        raise InputError(f"{FLAGS.run}: writes down what is said and makes no sound; python -m zoo.score scores it")
    talks = bool(FLAGS.partner) or FLAGS.duet
    if run.model.mode == "dialogue" and not talks:
        raise InputError("give either --partner=a.wav, someone to talk to, or --duet")
    if run.model.mode == "text":
        _check_reading(talks)
    elif FLAGS.text is not None or FLAGS.reference or FLAGS.style:
        raise InputError(f"{FLAGS.run}: a run of --mode={run.model.mode} takes no --text, --reference or --style")
    if (run.model.mode == "vocoder") != bool(FLAGS.vocode):
        raise InputError(f"{FLAGS.run}: a run of --mode={run.model.mode}; --vocode=a.wav is of --mode=vocoder")
    if run.model.mode == "vocoder" and (talks or FLAGS.voice or FLAGS["role"].present):
        raise InputError(f"{FLAGS.run}: a vocoder takes no --partner, --duet, --role or --voice")
    if run.model.mode == "unconditional" and (talks or FLAGS.voice or FLAGS["role"].present):
        raise InputError(f"{FLAGS.run}: an unconditional model takes no --partner, --duet, --role or --voice")


def _check_reading(talks: bool) -> None:
    unused = [f"--{name}" for name in ("role", "seconds", "temperature") if FLAGS[name].present]
    if talks or unused:
        raise InputError(f"{FLAGS.run}: reads a text; it takes no {', '.join(unused) or '--partner or --duet'}")
    if FLAGS.text is None:
        raise InputError(f'{FLAGS.run}: reads a text; give one, --text="go to the left"')
    if FLAGS.reference and FLAGS.style:
        raise InputError("--reference, --style: both say how to read; give one of them")


def _partner() -> tuple[np.ndarray, int]:
    sound, rate = audio.read_wav(FLAGS.partner, channels=1)
    if sound.shape[1] * dialogue.FRAMES_PER_SECOND < rate:
        raise InputError(f"{FLAGS.partner}: lasts {sound.shape[1] / rate:.4f} s, less than one frame of 0.02 s")
    return sound[0], rate


def _answer(run, sound: np.ndarray, rate: int) -> tuple[np.ndarray, list[np.ndarray]]:
    from zoo import memory

    sound = _at_rate_of(run, FLAGS.partner, sound, rate)
    memory.check(run.model, 1, FLAGS.seconds or 0.0)
    samples = round((FLAGS.seconds or len(sound) / run.sample_rate) * run.sample_rate)
    heard = np.pad(sound[:samples], (0, max(0, samples - len(sound)))).astype(np.float32)
    nothing = np.zeros(0, np.float32)
    voice = FLAGS.voice[0] if FLAGS.voice else None
    with _bar(samples / run.sample_rate) as bar:
        own, gate = run.respond(
            nothing,
            nothing,
            heard,
            FLAGS.role,
            voice,
            FLAGS.seed,
            temperature=FLAGS.temperature,
            engine=FLAGS.engine,
            progress=bar.update,
        )
    partner_speech = dialogue.bridge(activity.detect(heard, run.sample_rate))
    return np.stack([own, heard[: len(own)]]), [dialogue.intervals_from_activity(gate), partner_speech]


def _at_rate_of(run, path: str, sound: np.ndarray, rate: int) -> np.ndarray:
    """Resampled to what a run hears, with a word where that changes it."""
    if rate == run.sample_rate:
        return sound
    print(f"{path}: resampled from {rate} to the model's {run.sample_rate} Hz")
    return audio.resample(sound, rate, run.sample_rate)


def _duet(run) -> tuple[np.ndarray, list[np.ndarray]]:
    from zoo import generation, memory

    seconds = FLAGS.seconds or 30.0
    memory.check(run.model, 2, seconds)
    voices = FLAGS.voice or run.config["voices"][:2]
    with _bar(seconds) as bar:
        channels, gates = generation.duet(
            run.model,
            seconds,
            tuple(voices),
            seed=FLAGS.seed,
            temperature=FLAGS.temperature,
            engine=FLAGS.engine,
            progress=bar.update,
        )
    return channels, [dialogue.intervals_from_activity(gate) for gate in gates]


def _babble(run) -> np.ndarray:
    from zoo import generation, memory

    seconds = FLAGS.seconds or 10.0
    memory.check(run.model, 1, seconds)
    with _bar(seconds) as bar:
        return generation.babble(
            run.model,
            seconds,
            seed=FLAGS.seed,
            temperature=FLAGS.temperature,
            engine=FLAGS.engine,
            progress=bar.update,
        )


def _read(run) -> np.ndarray:
    manner = None
    if FLAGS.style:
        try:
            weights = [float(part) for part in FLAGS.style.split("+")]
        except ValueError as error:
            raise InputError(f"--style={FLAGS.style}: must be numbers, such as 0.3+0+0.7 ({error})") from error
        manner = run.model.manner.of_tokens(weights)
    if FLAGS.reference:
        sound, rate = audio.read_wav(FLAGS.reference, channels=1)
        manner = run.model.manner_of(_at_rate_of(run, FLAGS.reference, sound[0], rate))
    voice = FLAGS.voice or run.config["voices"][:1]
    read = run.model.read([FLAGS.text], voice, FLAGS.seed, manner, FLAGS.engine)[0]
    if not read.stopped:
        print("the decoder did not find the end of the text, and was cut off; is it trained?")
    return read.audio[None]


def _vocode(run) -> np.ndarray:
    from zoo import generation

    sound, rate = audio.read_wav(FLAGS.vocode, channels=1)
    until = round(FLAGS.seconds * run.sample_rate) if FLAGS.seconds else None
    target = _at_rate_of(run, FLAGS.vocode, sound, rate)[:, :until]
    if target.shape[1] < run.model.config.hop:
        raise InputError(f"{FLAGS.vocode}: lasts less than one frame of 0.02 s")
    with _bar(target.shape[1] / run.sample_rate) as bar:
        return generation.vocode(
            run.model,
            target,
            seed=FLAGS.seed,
            temperature=FLAGS.temperature,
            engine=FLAGS.engine,
            progress=bar.update,
        )


def _bar(seconds: float) -> tqdm:
    return tqdm(total=round(seconds * dialogue.FRAMES_PER_SECOND), desc="speaking", unit="frame")


def _write_intervals(path: pathlib.Path, channels: list[np.ndarray]) -> None:
    rows = sorted((start, end, who) for who, found in enumerate(channels) for start, end in found)
    with files.replacing(path) as part:
        lines = ["channel,start_seconds,end_seconds", *(f"{who},{start:.2f},{end:.2f}" for start, end, who in rows)]
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
