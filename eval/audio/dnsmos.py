"""DNSMOS P.835 (Reddy et al. 2022): a network's guess of what listeners would say of signal, background and the whole.

The network and the polynomials that turn its outputs into opinion scores are those of speechmos; the package itself
slides its window by one second, ours do not overlap.
"""

import functools

import numpy as np

from eval.audio import extras, signals

RATE = 16000
WINDOW_SAMPLES = 144160
KINDS = ("sig", "bak", "ovrl")
_LEAST_SECONDS = 1.0
# By kind, from the square down.
_POLYNOMIALS = np.array(
    [
        [-0.08397278, 1.22083953, 0.0052439],
        [-0.13166888, 1.60915514, -0.39604546],
        [-0.06766283, 1.11546468, 0.04602535],
    ]
)


def dnsmos(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Scores of signal, background and the whole, 1 to 5, for each window of 9.01 s: float64 [n, 3].

    Sees noise, phase and shuffling. Blind to 8-bit mu-law; far-field recordings of people score as low as 2, a voice at
    10 dB of noise may lie above them, and one system's whole score moved by .2 where all else changed: read it beside
    real speech of the same corpus.

    Args:
        audio: float [samples]. What is left after the last whole window is not used; a clip that is shorter than one
            window is repeated, from 1 s on. Silence and shorter clips give no score.
        sample_rate: Hz; sound of a lower rate than 16 kHz scores lower.
    """
    audio = signals.at_rate(audio, sample_rate, RATE)
    if len(audio) < _LEAST_SECONDS * RATE or not np.isfinite(signals.level_db(audio)):
        return np.zeros((0, len(KINDS)))
    if len(audio) < WINDOW_SAMPLES:
        audio = np.resize(audio, WINDOW_SAMPLES)
    windows = signals.frames(audio.clip(-1, 1), WINDOW_SAMPLES, WINDOW_SAMPLES)
    network = _network()
    # One at a time: on one thread a batch takes longer.
    raw = np.concatenate([network.run(None, {"input_1": window[None]})[0] for window in windows]).astype(np.float64)
    return _POLYNOMIALS[:, 0] * raw**2 + _POLYNOMIALS[:, 1] * raw + _POLYNOMIALS[:, 2]


@functools.cache
def _network():
    path = extras.folder("dnsmos", "speechmos") / "dnsmos_models" / "sig_bak_ovr.onnx"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
