"""Phones by PocketSphinx (Huggins-Daines et al. 2006) in its allphone mode, with its US English models."""

import functools

import numpy as np

from eval.audio import extras, signals

RATE = 16000
# The phones of its acoustic model, without silence and noises.
PHONES = tuple(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split()
)


def phone_counts(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """How often each of `PHONES` is heard, float64 [39].

    Real speech has 8.5 to 10 phones a second of speech and an entropy above 4 bits; noise has none. Sees noise and what
    has no phones. Blind to reversal and to shuffling, whose pieces pass for phones, and to words.
    """
    audio = signals.at_rate(audio, sample_rate, RATE)
    decoder = _decoder()
    decoder.reinit_feat()  # Its noise tracker would remember what was decoded before.
    decoder.start_utt()
    decoder.process_raw((audio.clip(-1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    counts = np.zeros(len(PHONES))
    for segment in decoder.seg() or ():
        if segment.word in PHONES:
            counts[PHONES.index(segment.word)] += 1
    return counts


def entropy_bits(counts: np.ndarray) -> float:
    """Entropy of the phones [39] in bits; 0 without any."""
    shares = counts[counts > 0] / max(counts.sum(), 1)
    return max(float(-(shares * np.log2(shares)).sum()), 0.0)


@functools.cache
def _decoder():
    models = extras.folder("phones", "pocketsphinx") / "model" / "en-us"
    import pocketsphinx

    return pocketsphinx.Decoder(
        hmm=str(models / "en-us"), allphone=str(models / "en-us-phone.lm.bin"), lm=None, dict=None, allphone_ci=True,
        lw=2.0, pip=0.3, beam=1e-10, pbeam=1e-10, loglevel="FATAL",
        cmn="batch",
    )  # fmt: skip
