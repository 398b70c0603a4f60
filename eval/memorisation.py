"""The memorisation probe: does a dialogue replay the timing of a training dialogue?

Two copies of an agent that talk to each other can score as humans do by replaying what they were trained on. The probe
is the best match of a two-channel stretch with the training dialogues (PROTOCOL section 3 and its appendix): Map Task
humans match those of other quads by at most .60, a verbatim replay by 1.
"""

from collections.abc import Sequence

import numpy as np
import scipy.fft

from datasets.errors import InputError
from eval.chunks import Chunk

PROBE_FRAMES_PER_SECOND = 25
FLAGGED_MATCH = 0.70

_BLOCK = 1 << 15


def best_matches(chunks: Sequence[Chunk], train: Sequence[Chunk]) -> np.ndarray:
    """Largest mean product of +1/-1 activity over all alignments with the train dialogues, one after another.

    Args:
        chunks: the stretches to be probed, 60 s each as a rule.
        train: whole dialogues, with the same role as `own`.

    Returns:
        float64 [n] in [-1, 1].
    """
    if not train:
        raise InputError("the memorisation probe needs the train dialogues")
    learnt = np.concatenate([_signs(whole) for whole in train], axis=1)
    return np.array([_best_match(_signs(chunk), learnt) for chunk in chunks])


def _signs(chunk: Chunk) -> np.ndarray:
    """Both channels at 25 Hz, every second frame of the 50 Hz activity: float32 [2, frames] of +1 and -1."""
    return np.where(chunk.activity()[:, :: 50 // PROBE_FRAMES_PER_SECOND], 1, -1).astype(np.float32)


def _best_match(probe: np.ndarray, learnt: np.ndarray) -> float:
    """By overlap-save: blocks of the learnt signal, each correlated with the probe through its spectrum."""
    length = probe.shape[1]
    if length > learnt.shape[1]:
        raise InputError("the memorisation probe needs train dialogues longer than what is probed")
    block = max(_BLOCK, 2 * length)
    step, places = block - length + 1, learnt.shape[1] - length + 1
    padded = np.pad(learnt, ((0, 0), (0, block)))
    starts = np.arange(0, places, step)
    blocks = np.stack([padded[:, start : start + block] for start in starts], axis=1)
    spectrum = (scipy.fft.rfft(blocks) * scipy.fft.rfft(probe, block).conj()[:, None]).sum(axis=0)
    products = scipy.fft.irfft(spectrum, block)[:, :step].ravel()[:places]
    return float(products.max() / probe.size)
