"""Deep Speech (Hannun et al. 2014): sound to letters, by connectionist temporal classification (Graves et al. 2006).

Three layers look at a window of spectra, one after the other; a fourth runs over time in both directions; a fifth reads
the sum of the two, and a softmax gives each step of 20 ms a letter or the blank. Trained on breath groups of a corpus
whose words are known (`zoo.utterances`).

Where it is not the paper's: log-mel spectra, which need half the inputs of linear ones at 8 kHz; no term of energy, for
every stretch is brought to one level; Adam instead of Nesterov's momentum; noise is added to spectra; the input is not
shifted, and there is no language model.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from datasets import pipeline
from datasets.errors import InputError
from datasets.filterbank import FilterBank, levelled
from zoo import registry, utterances
from zoo.agent import Learner
from zoo.deep_speech import decoding, transcript
from zoo.deep_speech.config import PRESETS, STRIDE, DeepSpeechConfig
from zoo.deep_speech.examples import Examples
from zoo.deep_speech.layers import BothWays, clipped, context, dropout
from zoo.layers import hashed_uniform
from zoo.tacotron.postnet import Levels

_COUNTED_FRAMES = 200_000
_GAIN, _NOISE_LEVEL, _NOISE, _LEFT_OUT = range(4)  # Streams of random numbers.


@registry.register("deep_speech", PRESETS, mode="transcript")
class DeepSpeech(Learner):
    """A recogniser of letters.

    Args:
        config: `DeepSpeechConfig`.

    Example:
        model = DeepSpeech(PRESETS["tiny"])
        text = model.transcribe(audio)
    """

    mode = "transcript"
    alphabet = transcript.ALPHABET

    def __init__(self, config: DeepSpeechConfig, **kwargs):
        super().__init__(config, **kwargs)
        self.bank = FilterBank(config.sample_rate, config.bands)
        self.levels = Levels(config.bands, name="levels")
        self.below = [self._dense(f"layer{i}") for i in (1, 2, 3)]
        self.both_ways = BothWays(config.units, name="layer4")
        self.above = self._dense("layer5")
        self.letters = keras.layers.Dense(transcript.BLANK + 1, name="letters")
        self.levels.build()
        width = (2 * config.context + 1) * config.bands
        for layer in (*self.below, self.both_ways, self.above, self.letters):
            layer.build((None, None, width))
            width = config.units
        self.built = True

    def _dense(self, name: str) -> keras.layers.Dense:
        return keras.layers.Dense(self.config.units, kernel_initializer="he_uniform", name=name)

    def batches(self, prepared, seed, epoch, skip_batches=0, augmentation=pipeline.Augmentation()):  # noqa: B008
        if augmentation != pipeline.Augmentation():
            raise InputError("--flip_roles, --gain_db: augment crops of dialogues; here take --set=gain_db=...")
        return self.examples.batches(prepared, seed, epoch, skip_batches)

    def n_batches(self, prepared, seed, epoch) -> int:
        return len(self.examples.plan(prepared, seed, epoch))

    @property
    def examples(self) -> Examples:
        """How stretches become batches."""
        return Examples(self.bank, self.config.batch_size)

    def count(self, batches, seed, progress=iter) -> str:
        found, n_frames, n_seen, too_fast = [], 0, 0, 0
        for batch in progress(batches):
            exists = tf.sequence_mask(STRIDE * batch["n_steps"], tf.shape(batch["spectra"])[1]).numpy()
            n_seen += int(exists.sum())
            too_fast += int(((batch["n_steps"].numpy() > 0) & (batch["mask"].numpy() == 0)).sum())
            if n_frames < _COUNTED_FRAMES:
                n_frames += int(exists.sum())
                found.append(batch["spectra"].numpy()[exists])
        self.levels.fit(np.concatenate(found))
        minutes = n_seen / STRIDE * self.config.hop / self.config.sample_rate / 60
        return f"{minutes:.1f} minutes of speech with its words; {too_fast} stretches have more letters than steps"

    def call(self, spectra, n_steps, seed=None, row=None):
        """Logits of letters and the blank, and the activations of the fifth layer.

        Args:
            spectra: float32 [batch, 2 * steps, bands].
            n_steps: int32 [batch].
            seed: int32 [2], of the dropout; None is none.
            row: int32 [batch], numbers of the rows, for the dropout.

        Returns:
            [batch, steps, letters + 1] and [batch, steps, units]; beyond a row's end they mean nothing.
        """

        def thinned(x, stream):
            return x if seed is None else dropout(x, self.config.dropout, seed, row, _LEFT_OUT + stream)

        exists = tf.sequence_mask(STRIDE * n_steps, tf.shape(spectra)[1], tf.float32)
        x = context(self.levels.standard(spectra) * exists[..., None], self.config.context)
        for i, layer in enumerate(self.below):
            x = thinned(clipped(layer(x)), i)
        x = self.both_ways(x, n_steps)
        x = clipped(self.above(x))
        return self.letters(thinned(x, len(self.below))), x

    def sums(self, batch, seed, training=False):
        spectra, n_steps = batch["spectra"], batch["n_steps"]
        row = batch["row"] if "row" in batch else tf.range(tf.shape(n_steps)[0])
        if training:
            logits, _ = self.call(self._disturbed(spectra, seed, row), n_steps, seed, row)
        else:
            logits, _ = self.call(spectra, n_steps)
        nats = ctc(logits, n_steps, batch["letters"], batch["n_letters"])
        counted = batch["mask"] * tf.cast(batch["n_letters"], tf.float32)
        terms = {"letters": (tf.reduce_sum(nats * batch["mask"]) / math.log(2.0), tf.reduce_sum(counted))}
        if not training:
            n = tf.cast(batch["n_letters"], tf.float32)
            wrong = errors(logits, n_steps, batch["letters"], batch["n_letters"])
            terms["errors"] = tf.reduce_sum(wrong), tf.reduce_sum(n)
        return terms

    def _disturbed(self, spectra, seed, row):
        """With a change of level and white noise, drawn for each row; the noise's power in a band is a mean of two."""
        config, shape = self.config, tf.shape(spectra)

        def drawn(stream, *places):
            return hashed_uniform(seed[0] + (stream << 20), seed[1], row[:, None, None], *places)

        low, high = config.noise_db
        below_db = low + (high - low) * drawn(_NOISE_LEVEL)
        power = tf.pow(10.0, -(26.0 + below_db) / 10.0) * self.bank.filters.sum(axis=1)
        places = tf.range(shape[1])[:, None], tf.range(config.bands)
        pair = [-tf.math.log1p(-drawn(_NOISE + (i << 4), *places)) for i in (0, 1)]
        noisy = tf.math.log(tf.exp(spectra) + power * 0.5 * (pair[0] + pair[1]))
        return noisy + math.log(10.0) / 10.0 * config.gain_db * (2.0 * drawn(_GAIN) - 1.0)

    def parts(self):
        return [(self.trainable_variables, self.config.learning_rate)]

    def log_probabilities(self, audio: np.ndarray) -> np.ndarray:
        """Of letters and the blank, float32 [steps, letters + 1], in audio float32 [samples] at the model's rate."""
        spectra = self.bank(levelled(audio))
        n_steps = len(spectra) // STRIDE
        if not n_steps:
            return np.zeros((0, transcript.BLANK + 1), np.float32)
        logits, _ = self(spectra[None, : n_steps * STRIDE], tf.constant([n_steps]))
        return tf.nn.log_softmax(logits[0]).numpy()

    def transcribe(self, audio: np.ndarray, beam: int = 0) -> str:
        """What is said in audio float32 [samples] at the model's rate; by the best path, or a beam of some width."""
        found = self.log_probabilities(audio)
        return transcript.text_of(decoding.beam(found, beam) if beam else decoding.greedy(found))

    def sample(self, prepared: utterances.SpokenSplit) -> dict[str, str]:
        """A stretch of a split as it is meant and as it is heard."""
        chosen = max(prepared.utterances[:20], key=lambda each: len(each.text))
        heard = self.transcribe(utterances.sound(prepared, chosen))
        return {"said": transcript.plain(chosen.text), "heard": heard}

    @classmethod
    def brief(cls, figures):
        return f"{figures['bits_per_letter']:.2f} bits/letter"

    @classmethod
    def describe(cls, figures):
        return "{bits_per_letter:.3f} bits/letter, character error rate {character_error_rate:.1%}".format(**figures)


def ctc(logits, n_steps, letters, n_letters) -> tf.Tensor:
    """Negative logarithms of the probabilities of texts, summed over all paths; 0 for rows with no path or no letters.

    Args:
        logits: float32 [batch, steps, letters + 1]; the last is the blank.
        n_steps, n_letters: int32 [batch].
        letters: int32 [batch, n].

    Returns:
        float32 [batch].
    """
    exists = tf.sequence_mask(n_letters, tf.shape(letters)[1])
    alike = tf.reduce_sum(tf.cast((letters[:, 1:] == letters[:, :-1]) & exists[:, 1:], tf.int32), axis=1)
    possible = (n_letters > 0) & (n_letters + alike <= n_steps)
    # TensorFlow's kernel refuses a row without letters or steps and finds infinity where there is no path.
    written = _sparse(letters, tf.where(possible, n_letters, 1))
    nats = tf.nn.ctc_loss(written, tf.transpose(logits, [1, 0, 2]), None, tf.maximum(n_steps, 1), blank_index=-1)
    return tf.where(possible, nats, 0.0)


def errors(logits, n_steps, letters, n_letters) -> tf.Tensor:
    """Letters of the best path that are wrong, missing or too many (Levenshtein 1966): float32 [batch]."""
    found = tf.nn.ctc_greedy_decoder(tf.transpose(logits, [1, 0, 2]), n_steps)[0][0]
    wanted = _sparse(letters, n_letters)
    return tf.edit_distance(found, tf.cast(wanted, tf.int64), normalize=False)


def _sparse(letters, n_letters) -> tf.SparseTensor:
    exists = tf.sequence_mask(n_letters, tf.shape(letters)[1])
    shape = tf.cast(tf.shape(letters), tf.int64)
    return tf.SparseTensor(tf.where(exists), tf.boolean_mask(letters, exists), shape)
