"""The proxies that need packages: the speech embedding, the phone recogniser, DNSMOS."""

import numpy as np
import pytest

from datasets.errors import InputError
from eval.audio import dnsmos, embedding, extras, phones


def need(proxy):
    return pytest.mark.skipif(bool(extras.missing(proxy)), reason=f"needs the extra audio: {extras.missing(proxy)}")


def noise(seconds, rate=16000):
    return (0.05 * np.random.default_rng(0).standard_normal(round(seconds * rate))).astype(np.float32)


@need("speech")
def test_embedding_has_a_vector_each_80_ms(buzz):
    vectors = embedding.speech_embedding(buzz(130, 4.0), 16000)
    assert vectors.shape == ((397 - 76) // 8 + 1, 96) and np.isfinite(vectors).all()
    assert embedding.speech_embedding(noise(0.5), 16000).shape == (0, 96)


@need("speech")
def test_batches_are_those_of_one_window():
    """More vectors than a batch holds, against one window at a time."""
    windows = embedding._mel_windows(noise(4.0))
    one = embedding._open("embedding_model")
    one.resize_tensor_input(one.get_input_details()[0]["index"], (1, 76, 32, 1))
    one.allocate_tensors()
    slowly = np.concatenate([embedding._invoke(one, window[None, ..., None]).reshape(1, -1) for window in windows])
    np.testing.assert_allclose(embedding.speech_embedding(noise(4.0), 16000), slowly, atol=1e-3)


@need("speech")
@pytest.mark.slow
def test_embedding_is_that_of_tensorflow_lite(buzz):
    import tensorflow as tf

    folder = extras.folder("speech", "pyopen_wakeword") / "models"
    audio = buzz(130, 1.0)
    values = (audio.clip(-1, 1) * 32767)[None]
    for name in ("melspectrogram", "embedding_model"):
        network = tf.lite.Interpreter(model_path=str(folder / f"{name}.tflite"))
        place = network.get_input_details()[0]["index"]
        network.resize_tensor_input(place, values.shape)
        network.allocate_tensors()
        network.set_tensor(place, values.astype(np.float32))
        network.invoke()
        values = network.get_tensor(network.get_output_details()[0]["index"])
        if name == "melspectrogram":
            values = (values.reshape(-1, 32) / 10 + 2)[None, :76, :, None]
    np.testing.assert_allclose(embedding.speech_embedding(audio, 16000)[0], values.ravel(), atol=1e-2)


@need("phones")
def test_phones_of_speech_and_of_noise(real_speech):
    audio, rate = real_speech
    counts = phones.phone_counts(audio, rate)
    assert 6 < counts.sum() / (len(audio) / rate) < 14 and phones.entropy_bits(counts) > 4
    assert phones.phone_counts(noise(5.0), 16000).sum() < 10


@need("phones")
def test_phones_do_not_depend_on_what_was_heard_before(real_speech):
    sounds = [piece.copy() for piece in np.split(real_speech[0], 5)]
    first = [phones.phone_counts(sound, 16000) for sound in sounds]
    again = [phones.phone_counts(sound, 16000) for sound in reversed(sounds)]
    np.testing.assert_array_equal(first, again[::-1])


def test_entropy():
    assert phones.entropy_bits(np.zeros(39)) == 0
    assert phones.entropy_bits(np.full(39, 2.0)) == pytest.approx(np.log2(39))
    assert len(phones.PHONES) == len(set(phones.PHONES)) == 39


@need("dnsmos")
@pytest.mark.slow
def test_dnsmos_is_that_of_speechmos(real_speech):
    from speechmos import dnsmos as theirs

    audio, rate = real_speech
    window = audio[: dnsmos.WINDOW_SAMPLES]
    found = theirs.run(window, rate)
    wanted = [found[f"{kind}_mos"] for kind in dnsmos.KINDS]
    np.testing.assert_allclose(dnsmos.dnsmos(window, rate)[0], wanted, atol=1e-3)
    assert dnsmos.dnsmos(window, rate)[0, 2] > dnsmos.dnsmos(window + noise(9.01), rate)[0, 2] + 0.3


@need("dnsmos")
def test_dnsmos_windows(real_speech):
    audio, rate = real_speech
    assert dnsmos.dnsmos(audio[: 3 * rate], rate).shape == (1, 3)
    assert not len(dnsmos.dnsmos(audio[: rate // 2], rate)) and not len(dnsmos.dnsmos(np.zeros(10 * rate), rate))


@pytest.mark.parametrize("function", [embedding.speech_embedding, phones.phone_counts, dnsmos.dnsmos])
def test_malformed_is_refused(function):
    with pytest.raises(InputError, match="one channel"):
        function(np.zeros((2, 16000)), 16000)


def test_what_is_missing_is_said_in_a_line(monkeypatch):
    monkeypatch.setitem(extras.PACKAGES, "phones", {"no_such_module": "no-such-package"})
    (line,) = [line for line in extras.explain() if line.startswith("phones")]
    assert "no-such-package not installed; pip install" in line and "[audio]" in line
    with pytest.raises(extras.MissingPackage, match="no-such-package"):
        extras.folder("phones", "no_such_module")
