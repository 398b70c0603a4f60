import librosa
import numpy as np
import pytest
import tensorflow as tf

from datasets.features import log_mel

RATE, HOP, BANDS = 8000, 160, 24


@pytest.fixture
def sound():
    return (0.1 * np.random.default_rng(0).standard_normal((2, 12 * HOP))).astype(np.float32)


def _silence():
    return tf.zeros([2, HOP])


def test_log_mel_is_that_of_librosa(sound):
    padded = np.concatenate([np.zeros((2, HOP), np.float32), sound], axis=1)
    frames = np.stack([padded[:, t * HOP : (t + 2) * HOP] for t in range(12)], axis=1)
    direct = np.abs(np.fft.rfft(frames * librosa.filters.get_window("hann", 2 * HOP), 512)) ** 2
    filters = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=BANDS, fmin=60.0)
    found = log_mel(sound, _silence(), RATE, BANDS)
    np.testing.assert_allclose(found, np.log(direct @ filters.T + 1e-8), rtol=1e-4, atol=1e-4)
    # librosa's frames of 512 samples are centred on ours of 320, so that all but the edges can be compared.
    centred = np.pad(padded, [(0, 0), (96, 96)])
    wanted = librosa.feature.melspectrogram(
        y=centred, sr=RATE, n_fft=512, hop_length=HOP, win_length=2 * HOP, center=False, n_mels=BANDS, fmin=60.0
    )
    np.testing.assert_allclose(found, np.log(wanted.transpose(0, 2, 1) + 1e-8), rtol=1e-4, atol=1e-4)


def test_log_mel_in_pieces_is_the_whole(sound):
    whole = log_mel(sound, _silence(), RATE, BANDS)
    past, parts = _silence(), []
    for a, b in ((0, 1), (1, 5), (5, 12)):
        piece = sound[:, a * HOP : b * HOP]
        parts.append(log_mel(piece, past, RATE, BANDS))
        past = piece[:, -HOP:]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-5, atol=1e-5)
