"""Sound that was not prepared: files decoded and resampled in the graph, for live and ad-hoc input.

tensorflow-io does it where its native operations load, soundfile and soxr where they do not; both decode alike.
Its resampler is a quick one: a tone of 7.5 kHz going from 20 to 16 kHz loses 11 dB, which soxr, by which
`datasets.prepare` resamples, passes with 0.4 dB. So what is trained or scored is prepared.
"""

import functools
import os
from collections.abc import Sequence

import numpy as np
import soundfile
import tensorflow as tf

from datasets import audio as audio_lib

BACKENDS = ("tensorflow-io", "soundfile")
# What tensorflow-io decodes: by which operation, to which type (asked for another one it ends the process). Its readers
# of files keep a state that calls side by side would share.
_DECODERS = {
    ("WAV", "PCM_16"): ("decode_wav", tf.int16),
    ("WAV", "PCM_24"): ("decode_wav", tf.int32),
    ("WAV", "FLOAT"): ("decode_wav", tf.float32),
    ("FLAC", "PCM_16"): ("decode_flac", tf.int16),
    ("OGG", "VORBIS"): ("decode_vorbis", tf.float32),
}
_FULL_SCALE = {tf.int16: 2.0**15, tf.int32: 2.0**31, tf.float32: 1.0}
_FILTER_DELAY = 32  # Samples of the lower rate, as measured from 8-48 kHz.


@functools.cache
def backend() -> str:
    """Which of `BACKENDS` works here; says so in one line where it is not the first."""
    try:
        import tensorflow_io

        tensorflow_io.audio.resample(tf.zeros([100, 1]), 8000, 16000)
    except (ImportError, NotImplementedError, AttributeError, tf.errors.OpError) as error:
        print(f"tensorflow-io does not load ({str(error).splitlines()[0]}); soundfile and soxr take its place")
        return "soundfile"
    return "tensorflow-io"


def sounds(paths: Sequence[str | os.PathLike], sample_rate: int, by: str | None = None) -> tf.data.Dataset:
    """The sound of files, in their order.

    Args:
        paths: wav, flac or ogg of one or two channels, at any rate.
        sample_rate: Hz wanted.
        by: one of `BACKENDS`; None takes what works.

    Returns:
        A dataset of float32 [channels, samples].

    Raises:
        InputError: a file that is not sound or whose header cannot be true.
    """
    by = by or backend()
    readers = [_reader(os.fspath(path), by) for path in paths]
    decoders = sorted({decoder for decoder, _ in readers}, key=str)
    rows = (
        [os.fspath(path) for path in paths],
        [decoders.index(decoder) for decoder, _ in readers],
        np.array([rate for _, rate in readers], np.int64),
    )

    def load(path, decoder, rate):
        decoded = tf.switch_case(decoder, [functools.partial(_decode, path, each) for each in decoders])
        decoded = tf.debugging.assert_all_finite(tf.ensure_shape(decoded, [None, None]), "samples that are not finite")
        return tf.cond(rate == sample_rate, lambda: decoded, lambda: resample(decoded, rate, sample_rate, by))

    return tf.data.Dataset.from_tensor_slices(rows).map(load, num_parallel_calls=tf.data.AUTOTUNE).prefetch(1)


def resample(sound: tf.Tensor, from_rate: tf.Tensor | int, to_rate: tf.Tensor | int, by: str | None = None):
    """Resamples float32 [channels, samples] in the graph, to round(samples * to_rate / from_rate) of them."""
    if (by or backend()) == "tensorflow-io":
        return _by_tensorflow_io(sound, tf.cast(from_rate, tf.int64), tf.cast(to_rate, tf.int64))

    def by_soxr(sound, from_rate, to_rate):
        return audio_lib.resample(sound, int(from_rate), int(to_rate))

    resampled = tf.numpy_function(by_soxr, [sound, from_rate, to_rate], tf.float32, stateful=False)
    return tf.ensure_shape(resampled, [None, None])


def _by_tensorflow_io(sound: tf.Tensor, from_rate: tf.Tensor, to_rate: tf.Tensor) -> tf.Tensor:
    """By tensorflow-io, less the delay of its filter."""
    import tensorflow_io

    lower = tf.minimum(from_rate, to_rate)
    late_in, late_out = (-(-_FILTER_DELAY * rate // lower) for rate in (from_rate, to_rate))
    n = tf.cast(tf.round(tf.shape(sound, tf.int64)[1] * to_rate / from_rate), tf.int64)
    # One sample more than the filter needs: what it gives is rounded down.
    padded = tf.pad(sound, [[0, 0], [0, late_in + from_rate // lower + 1]])
    resampled = tf.map_fn(lambda channel: tensorflow_io.audio.resample(channel, from_rate, to_rate), padded)
    return resampled[:, late_out : late_out + n]


def _reader(path: str, by: str) -> tuple[tuple[str, tf.DType] | None, int]:
    """How tensorflow-io decodes a file (None: soundfile reads it), and its rate in Hz."""
    _, rate = audio_lib.read_header(path)
    info = soundfile.info(path)
    return _DECODERS.get((info.format, info.subtype)) if by == "tensorflow-io" else None, rate


def _decode(path: tf.Tensor, decoder: tuple[str, tf.DType] | None) -> tf.Tensor:
    """float32 [channels, samples]."""
    if decoder is None:
        return tf.numpy_function(lambda name: audio_lib.read_wav(name.decode())[0], [path], tf.float32)
    import tensorflow_io

    operation, kind = decoder
    options = {} if operation == "decode_vorbis" else {"dtype": kind}
    samples = getattr(tensorflow_io.audio, operation)(tf.io.read_file(path), **options)
    return tf.transpose(tf.cast(samples, tf.float32) / _FULL_SCALE[kind])
