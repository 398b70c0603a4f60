import numpy as np
import pytest
import soundfile
import tensorflow as tf

from datasets import audio, live
from datasets.errors import InputError

ENCODINGS = [("a.wav", "PCM_16"), ("b.wav", "PCM_24"), ("c.wav", "FLOAT"), ("d.flac", "PCM_16"), ("e.ogg", "VORBIS")]


def _both():
    return [pytest.param(by, id=by) for by in (live.BACKENDS if live.backend() == "tensorflow-io" else ["soundfile"])]


@pytest.fixture
def paths(tmp_path):
    rng = np.random.default_rng(0)
    for name, subtype in ENCODINGS:
        sound = 0.1 * rng.standard_normal((16000, 2))
        soundfile.write(tmp_path / name, sound, 16000, subtype=subtype)
    return [tmp_path / name for name, _ in ENCODINGS]


@pytest.mark.parametrize("by", _both())
def test_every_encoding_is_decoded_as_by_soundfile(paths, by):
    found = [sound.numpy() for sound in live.sounds(paths, 16000, by)]
    for path, sound in zip(paths, found, strict=True):
        wanted, _ = audio.read_wav(path)
        assert sound.dtype == np.float32 and sound.shape == (2, 16000)
        # A Vorbis decoder may round in another place.
        np.testing.assert_allclose(sound, wanted, atol=1e-6)


@pytest.mark.parametrize("by", _both())
def test_files_come_at_the_rate_that_is_wanted(tmp_path, by):
    for name, rate in (("a.wav", 20000), ("b.wav", 8000), ("c.wav", 16000)):
        tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
        soundfile.write(tmp_path / name, tone, rate)
    for sound in live.sounds(sorted(tmp_path.glob("*.wav")), 16000, by):
        wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
        assert sound.shape == (1, 16000)
        np.testing.assert_allclose(sound[0, 2000:14000], wanted[2000:14000], atol=0.01)


@pytest.mark.parametrize("by", _both())
@pytest.mark.parametrize(("from_rate", "to_rate"), [(20000, 16000), (8000, 16000), (44100, 16000), (48000, 8000)])
def test_resampling_keeps_time_and_length(by, from_rate, to_rate):
    low = np.random.default_rng(0).standard_normal((2, 1000)).astype(np.float32)
    sound = audio.resample(low, 4000, from_rate)
    found = live.resample(tf.constant(sound), from_rate, to_rate, by).numpy()
    wanted = audio.resample(sound, from_rate, to_rate)
    assert found.shape == wanted.shape
    error = found[:, 500:-500] - wanted[:, 500:-500]
    assert np.sqrt(np.mean(error**2)) < 0.05 * np.sqrt(np.mean(wanted**2))


@pytest.mark.parametrize("by", _both())
def test_many_files_at_once_are_not_mixed_up(tmp_path, by):
    for i in range(24):
        soundfile.write(tmp_path / f"{i:02d}.wav", np.full((1000 + i, 2), i / 100), (8000, 16000, 20000)[i % 3])
    for i, sound in enumerate(live.sounds(sorted(tmp_path.glob("*.wav")), 16000, by)):
        rate = (8000, 16000, 20000)[i % 3]
        assert sound.shape == (2, round((1000 + i) * 16000 / rate))
        np.testing.assert_allclose(sound[:, 400:500], i / 100, atol=0.002)


def _level_db(sound, hertz, rate):
    """Of the tone in the middle of the sound, relative to an amplitude of 1."""
    middle = np.asarray(sound, np.float64)[len(sound) // 4 : -len(sound) // 4]
    window = np.hanning(len(middle))
    tone = np.exp(-2j * np.pi * hertz * np.arange(len(middle)) / rate)
    return 20 * np.log10(2 * np.abs(np.sum(window * middle * tone)) / window.sum() + 1e-15)


def _response(by, hertz, measured_hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(40000) / 20000).astype(np.float32)
    resampled = live.resample(tf.constant(tone[None]), 20000, 16000, by)[0].numpy()
    return _level_db(resampled, measured_hertz, 16000)


@pytest.mark.parametrize("by", _both())
def test_response_from_20_to_16_khz(by):
    """Measured: 1 kHz passes; at 7.5 kHz soxr loses 0.4 dB, tensorflow-io 11; 9.5 kHz comes back as 6.5, far down."""
    lost_db, alias_db = {"tensorflow-io": (-12.0, -80.0), "soundfile": (-0.5, -130.0)}[by]
    assert _response(by, 1000, 1000) == pytest.approx(0, abs=0.05)
    assert lost_db < _response(by, 7500, 7500) < lost_db + 2.5
    assert _response(by, 9500, 6500) < alias_db


def test_without_tensorflow_io_soundfile_takes_its_place(monkeypatch, capsys):
    live.backend.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_io", None)
    assert live.backend() == "soundfile"
    assert "soundfile and soxr take its place" in capsys.readouterr().out
    live.backend.cache_clear()


def test_what_is_no_sound_is_refused_before_the_graph_runs(tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(InputError, match="text.wav: not a sound file"):
        live.sounds([tmp_path / "text.wav"], 16000)


@pytest.mark.parametrize("by", _both())
def test_samples_that_are_not_finite_are_refused(tmp_path, by):
    sound = np.zeros((100, 1), np.float32)
    sound[7] = np.nan
    soundfile.write(tmp_path / "nan.wav", sound, 16000, subtype="FLOAT")
    with pytest.raises(tf.errors.InvalidArgumentError, match="not finite"):
        list(live.sounds([tmp_path / "nan.wav"], 16000, by))
