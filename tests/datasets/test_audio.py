import io
import struct
import time
import tracemalloc

import numpy as np
import pytest
import soundfile

from datasets import audio
from datasets.errors import InputError


def _tone(frequency: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def test_every_int16_survives_the_way_to_float_and_back():
    values = np.arange(-32768, 32768).astype(np.int16)
    np.testing.assert_array_equal(audio.to_int16(audio.from_int16(values)), values)


def test_to_int16_clips_instead_of_wrapping():
    np.testing.assert_array_equal(audio.to_int16(np.array([1.0, 2.0, -1.0, -2.0])), [32767, 32767, -32768, -32768])


def test_a_written_wav_is_read_back_bit_by_bit(tmp_path):
    written = audio.from_int16(np.random.default_rng(0).integers(-32768, 32768, (2, 1000)).astype(np.int16))
    audio.write_wav(tmp_path / "a.wav", written, 16000)
    read, rate = audio.read_wav(tmp_path / "a.wav", channels=2, sample_rate=16000)
    assert rate == 16000 and read.dtype == np.float32
    np.testing.assert_array_equal(read, written)


def test_mono_is_read_as_one_channel(tmp_path):
    audio.write_wav(tmp_path / "a.wav", _tone(440, 8000), 8000)
    assert audio.read_wav(tmp_path / "a.wav")[0].shape == (1, 4000)


@pytest.mark.parametrize(
    ("samples", "rate", "wanted", "message"),
    [
        (np.zeros((10, 3)), 8000, {}, "has 3 channels, wanted is one or two"),
        (np.zeros((10, 1)), 8000, {"channels": 2}, "has 1 channels, wanted is two"),
        (np.zeros((10, 2)), 8000, {"channels": 1}, "has 2 channels, wanted is one"),
        (np.zeros((0, 2)), 8000, {}, "zero length"),
        (np.zeros((10, 2)), 8000, {"sample_rate": 16000}, "8000 Hz, wanted is 16000 Hz; resample"),
        (np.array([0.0, np.nan]), 8000, {}, "not finite"),
        (np.array([0.0, np.inf]), 8000, {}, "not finite"),
    ],
)
def test_bad_wavs_are_refused_in_one_line_that_names_the_file(tmp_path, samples, rate, wanted, message):
    path = tmp_path / "bad.wav"
    soundfile.write(path, samples, rate, subtype="FLOAT")
    with pytest.raises(InputError, match=message) as caught:
        audio.read_wav(path, **wanted)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"# not a wav, a text\n" * 50])
def test_what_is_not_a_wav_is_refused(tmp_path, content):
    path = tmp_path / "text.wav"
    path.write_bytes(content)
    with pytest.raises(InputError, match="text.wav: not a sound file") as caught:
        audio.read_wav(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such sound file"):
        audio.read_wav(tmp_path / "none.wav")
    with pytest.raises(InputError, match="is a folder"):
        audio.read_wav(tmp_path)


def wav_bytes(samples=100, channels=2, rate=8000, promised_bytes=None, fmt=1, bits=16, data=None) -> bytes:
    width = channels * bits // 8
    data = bytes(samples * width) if data is None else data
    promised = len(data) if promised_bytes is None else promised_bytes
    form = struct.pack("<HHIIHH", fmt, channels, rate, rate * width & 0xFFFFFFFF, width, bits)
    size = min(36 + promised, 2**32 - 1)
    head = struct.pack("<4sI4s4sI", b"RIFF", size, b"WAVE", b"fmt ", 16) + form
    return head + struct.pack("<4sI", b"data", promised) + data


def sphere_bytes(samples=100, coding="pcm", rate=8000, promised=None, width=2) -> bytes:
    fields = f"sample_count -i {promised or samples}\nsample_n_bytes -i {width}\nchannel_count -i 2\n"
    fields += f"sample_byte_format -s{width} {'01'[-width:]}\nsample_rate -i {rate}\n"
    fields += f"sample_coding -s{len(coding)} {coding}\n"
    return f"NIST_1A\n   1024\n{fields}end_head\n".encode().ljust(1024, b"\0") + bytes(samples * 2 * width)


def flac_bytes(promised: int, rate: int = 8000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((100, 2)), rate, format="FLAC")
    raw = bytearray(buffer.getvalue())
    raw[21] = raw[21] & 0xF0 | promised >> 32  # The 36 bits of STREAMINFO that count the samples.
    raw[22:26] = (promised & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(raw)


HOSTILE = {
    "promises twice.wav": (wav_bytes(promised_bytes=800), "promises 800 bytes of sound and 400 are there"),
    "promises 2 GB.wav": (wav_bytes(promised_bytes=2**31), "promises 2147483648 bytes of sound and 400 are there"),
    "promises almost 4 GB.wav": (wav_bytes(promised_bytes=2**32 - 2), "cut short"),
    "no rate.wav": (wav_bytes(rate=0), "sample rate of 0 Hz"),
    "low rate.wav": (wav_bytes(rate=10), "sample rate of 10 Hz"),
    "low rate.flac": (flac_bytes(100, rate=10), "sample rate of 10 Hz"),
    "high rate.wav": (wav_bytes(rate=2**32 - 1), "sample rate of 4294967295 Hz"),
    "no channels.wav": (wav_bytes(channels=0), "not a sound file"),
    "many channels.wav": (wav_bytes(channels=1000), "has 1000 channels|not a sound file"),
    "NaN.wav": (wav_bytes(fmt=3, bits=32, data=np.array([0, np.nan], "<f4").tobytes()), "not finite"),
    "no data.wav": (wav_bytes(data=b""), "zero length"),
    "header only.wav": (wav_bytes()[:30], "not a sound file"),
    "promises 64 G samples.flac": (flac_bytes(2**36 - 1), "ends after 100 of 68719476735|not a sound file"),
    "promises 2 G samples.flac": (flac_bytes(2**31 - 1), "ends after 100 of 2147483647|not a sound file"),
    "promises more.sph": (sphere_bytes(promised=2**30), "promises 4294967296 bytes of sound and 400 are there"),
    "no rate.sph": (sphere_bytes(rate=0), "sample rate of 0 Hz"),
    "shortened.sph": (sphere_bytes(coding="pcm,embedded-shorten-v2.00"), "compressed by shorten.*sph2pipe"),
    "half a header.sph": (b"NIST_1A\n   1024\nsample_count -i 5\n", "not a whole sphere header"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_one_line_within_a_second(tmp_path, name):
    content, message = HOSTILE[name]
    path = tmp_path / name
    path.write_bytes(content)
    began = time.monotonic()
    tracemalloc.start()
    with pytest.raises(InputError, match=message) as caught:
        audio.read_wav(path)
    most_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert name in str(caught.value) and "\n" not in str(caught.value)
    assert time.monotonic() - began < 1 and most_bytes < 64 << 20


@pytest.mark.parametrize(("coding", "width"), [("pcm", 2), ("ulaw", 1), ("alaw", 1)])
def test_sphere_files_are_read(tmp_path, coding, width):
    (tmp_path / "a.sph").write_bytes(sphere_bytes(coding=coding, width=width))
    read, rate = audio.read_wav(tmp_path / "a.sph")
    assert read.shape == (2, 100) and rate == 8000
    assert audio.read_header(tmp_path / "a.sph") == (100, 8000)


def test_a_real_sphere_file(real_audio_dir):
    read, rate = audio.read_wav(real_audio_dir / "read" / "stereo.sph")
    assert read.shape == (2, 8000) and rate == 8000 and read.any()


def test_a_wav_of_a_stream_that_knew_no_length_is_read(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav_bytes(promised_bytes=2**32 - 1))
    assert audio.read_wav(tmp_path / "a.wav")[0].shape == (2, 100)


def test_a_long_file_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "_BLOCK_SAMPLES", 1000)
    written = audio.from_int16(np.random.default_rng(1).integers(-32768, 32768, (2, 4321)).astype(np.int16))
    for suffix in ("wav", "flac"):
        soundfile.write(tmp_path / f"a.{suffix}", written.T, 8000, subtype="PCM_16")
        np.testing.assert_array_equal(audio.read_wav(tmp_path / f"a.{suffix}")[0], written)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.wav"
    audio.write_wav(path, _tone(440, 8000), 8000)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        audio.write_wav(path, _tone(440, 8000), "fast")
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("frequency", "gain_db"), [(1000, 0.0), (7200, 0.0)])
def test_resampling_keeps_what_the_new_rate_can_hold(frequency, gain_db):
    resampled = audio.resample(_tone(frequency, 20000), 20000, 16000)
    inner = resampled[2000:-2000]
    assert resampled.shape == (8000,) and resampled.dtype == np.float32
    assert 20 * np.log10(inner.std() / (0.5 / np.sqrt(2))) == pytest.approx(gain_db, abs=0.1)


def test_resampling_folds_nothing_back():
    resampled = audio.resample(_tone(9500, 20000), 20000, 16000)
    assert 20 * np.log10(resampled[2000:-2000].std() + 1e-12) < -90


def test_resampling_keeps_leading_shape_and_same_rate_is_the_identity():
    stereo = np.stack([_tone(500, 20000), _tone(900, 20000)]).astype(np.float32)
    assert audio.resample(stereo, 20000, 8000).shape == (2, 4000)
    np.testing.assert_array_equal(audio.resample(stereo, 8000, 8000), stereo)
    assert audio.resample(np.zeros((2, 0)), 20000, 8000).shape == (2, 0)
