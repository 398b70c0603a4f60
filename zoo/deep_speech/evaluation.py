"""Character error rates of a Deep Speech on the stretches of a split, by jiwer."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from datasets.errors import InputError
from zoo import utterances
from zoo.deep_speech import decoding, transcript
from zoo.deep_speech.model import DeepSpeech


def character_error_rate(model: DeepSpeech, split: utterances.SpokenSplit, beam: int = 0, progress=iter) -> float:
    """Letters that are wrong, missing or too many, as a share of those that were said.

    Args:
        model: trained.
        split: with its words.
        beam: how many texts a beam keeps; 0 takes the best path.
        progress: wraps the list of batches.
    """
    try:
        import jiwer
    except ImportError as error:
        raise InputError("jiwer is not installed; pip install -c constraints.txt -e '.[recogniser]'") from error
    said, heard = zip(*written(model, split, beam, progress), strict=True)
    return float(jiwer.cer(list(said), list(heard)))


def written(
    model: DeepSpeech, split: utterances.SpokenSplit, beam: int = 0, progress=iter
) -> Iterator[tuple[str, str]]:
    """What was said in each stretch and what is heard in it; arguments as of `character_error_rate`."""
    examples = model.examples
    predict = tf.function(
        lambda spectra, n: tf.nn.log_softmax(model(spectra, n)[0]), autograph=False, reduce_retracing=True
    )
    for rows in progress(examples.plan(split, 0, 0)):
        chosen = [split.utterances[row] for row in rows if row >= 0]
        batch = examples.read(split, chosen, len(chosen))
        found = predict(batch["spectra"], batch["n_steps"]).numpy()
        for each, logs, n in zip(chosen, found, batch["n_steps"], strict=True):
            if said := transcript.plain(each.text):
                yield said, transcript.text_of(decoded(logs[:n], beam))


def decoded(log_probabilities: np.ndarray, beam: int) -> list[int]:
    """Numbers of letters, by the best path or by a beam of some width."""
    return decoding.beam(log_probabilities, beam) if beam else decoding.greedy(log_probabilities)
