"""The flags by which every command names a corpus."""

import pathlib

from absl import flags

from datasets import activity
from datasets.corpora import Corpus, open_corpus
from datasets.errors import InputError

_FLAGS = flags.FLAGS


def define_corpus_flags(default: str | None = "simulated", sample_rate: bool = False) -> None:
    """Defines --corpus, --data_dir, --cache_dir, --hours, --corpus_seed, --detector, --fold,
    --voices and --tables.

    Args:
        default: of --corpus.
        sample_rate: defines --sample_rate too, for commands that have no model to take it from.
    """
    flags.DEFINE_string(
        "corpus", default, "Which corpus: simulated; maptask or switchboard, also -voiced; stereo, your own."
    )
    flags.DEFINE_string("data_dir", None, "Your copy of the corpus; for Map Task also $MAPTASK_DIR.")
    flags.DEFINE_string("cache_dir", None, "Where rendered and prepared audio is kept; also $BABBLEZOO_CACHE.")
    flags.DEFINE_float("hours", None, "Length of a corpus that is made, not read.", lower_bound=0.0)
    flags.DEFINE_integer("corpus_seed", 0, "Seed of a corpus that is made, not read.")
    flags.DEFINE_string("detector", None, "Finds speech: silero, energy or annotations; default: what fits the corpus.")
    flags.DEFINE_integer("fold", None, "Cross-validation on Map Task: the quad, 1 to 8, that is the test.")
    flags.DEFINE_string("voices", None, "Who reads a corpus without sound: espeak (default) or natural.")
    flags.DEFINE_string("tables", None, "Timing of simulated dialogues: a file of python -m datasets.hazard.")
    if sample_rate:
        flags.DEFINE_integer("sample_rate", None, "Hz, a multiple of 50; default: the corpus's own.", lower_bound=50)


def corpus_from_flags(sample_rate: int | None = None) -> Corpus:
    """Opens the corpus that the flags name, at `sample_rate` Hz (None: --sample_rate, else the corpus's own)."""
    if sample_rate is None and "sample_rate" in _FLAGS:
        sample_rate = _FLAGS.sample_rate
    if _FLAGS.detector not in (None, *activity.DETECTORS):
        raise InputError(f"--detector={_FLAGS.detector}: no such detector; choices: {', '.join(activity.DETECTORS)}")
    return open_corpus(
        _FLAGS.corpus,
        data_dir=_path(_FLAGS.data_dir),
        cache_dir=_path(_FLAGS.cache_dir),
        sample_rate=sample_rate,
        hours=_FLAGS.hours,
        seed=_FLAGS.corpus_seed,
        detector=_FLAGS.detector,
        fold=_FLAGS.fold,
        voices=_FLAGS.voices,
        tables=_path(_FLAGS.tables),
    )


def _path(text: str | None) -> pathlib.Path | None:
    return pathlib.Path(text).expanduser() if text else None
