"""The columns of an audio table: babble quality, then its parts, then what stands beside them."""

from eval.audio import extras, scale
from eval.audio.embedding import EMBEDDINGS
from eval.table import Column


def columns() -> tuple[Column, ...]:
    """All of them; those of a package that is not installed are shown, with dashes."""
    head = (
        Column(scale.HEADLINE, "babble quality", "Mean percentage of Frechet distances and pitch; no timing.", 0),
        Column("ttr", "TTR", "Turn-timing realism, beside it and never merged with it."),
        Column(
            "bits_per_sample",
            "bits/sample",
            "Likelihood of 16-bit speech, validation split of its training corpus, codings made comparable.",
        ),
    )
    return (*head, *_distances(), *_PITCH, *_phones(), *_dnsmos(), *_REST)


def _proxy(key: str, title: str, meaning: str, decimals: int, package: str = "") -> Column:
    return Column(key, title, meaning, decimals, percent=True, always=bool(extras.missing(package)))


def _distances() -> list[Column]:
    result = []
    for name, embedding in EMBEDDINGS.items():
        what = f"Frechet distance to other real speech, by {embedding.title}."
        result.append(_proxy(f"frechet_{name}", f"Frechet, {embedding.title}", what, 1, embedding.package))
    for name, embedding in EMBEDDINGS.items():
        what = f"Kernel distance to other real speech, by {embedding.title}."
        result.append(_proxy(f"kernel_{name}", f"kernel, {embedding.title}", what, 0, embedding.package))
    return result


def _phones() -> list[Column]:
    return [
        _proxy("phone_rate", "phones/s", "Phones a second of speech; may look normal in shuffled sound.", 1, "phones"),
        _proxy("phone_entropy", "entropy, bits", "Entropy of the phones.", 2, "phones"),
    ]


def _dnsmos() -> list[Column]:
    kinds = {"ovrl": "the whole", "sig": "the signal", "bak": "the background"}
    return [
        _proxy(f"dnsmos_{kind}", kind.upper(), f"DNSMOS: what listeners would say of {what}, 1 to 5.", 2, "dnsmos")
        for kind, what in kinds.items()
    ]


_PITCH = (
    Column("pitch_percent", "pitch %", "Mean percentage of f0 and voiced share.", 0),
    Column("f0_median", "f0, Hz", "Median fundamental frequency.", 0),
    Column("f0_spread", "spread, st", "From the 10th to the 90th percentile of f0 in a dialogue, semitones.", 1),
    _proxy("f0_distance", "f0 dist., st", "Wasserstein distance of f0 to that of other real speech, semitones.", 2),
    _proxy("voiced_share", "voiced", "Share of speech that has a voice.", 2),
    _proxy("hnr", "HNR, dB", "Harmonics-to-noise ratio of what has a voice.", 1),
)
_REST = (
    Column("spectrum_distance", "spectrum, dB", "Long-term spectrum beside other real speech; noise has it.", 1),
    _proxy("modulation_distance", "modulation, dB", "Modulation at 2 to 8 Hz beside other real speech.", 1),
    Column("replayed", "replayed %", "Share of its seconds of speech that are in the training audio.", 0, 100),
    Column("speech_seconds", "speech, s", "How much speech was measured.", 0),
)
