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


def test_a_header_that_promises_more_than_there_is_does_not_invent_samples(tmp_path):
    path = tmp_path / "long.wav"
    audio.write_wav(path, _tone(440, 8000), 8000)
    raw = bytearray(path.read_bytes())
    raw[40:44] = (2**31 - 8).to_bytes(4, "little")
    path.write_bytes(raw)
    try:
        assert audio.read_wav(path)[0].shape == (1, 4000)
    except InputError as error:
        assert "cut short" in str(error)


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
