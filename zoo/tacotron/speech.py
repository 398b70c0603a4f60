"""A Tacotron that reads a text aloud, `--mode=text`: the papers' own task (Wang et al. 2017; Shen et al. 2018).

Characters are encoded from both ends, a decoder attends to them and makes mel frames, r a step, until it says stop; a
post-net refines the frames, and librosa makes them sound. Learned from breath groups of a corpus whose words are known
(`zoo.utterances`), in the voice of each speaker.

Where it is not the papers': no batch normalisation, LSTMs with zoneout in "tacotron1", squared errors of standardised
frames in both families, dropout and zoneout always on, and what `TextConfig.guided` says.
"""

import dataclasses
import math
import types
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from datasets import pipeline
from datasets.errors import InputError
from zoo import generation, objective, registry, utterances
from zoo.agent import Learner
from zoo.tacotron import noise, pictures, text, text_parts
from zoo.tacotron.postnet import Levels
from zoo.tacotron.reading import off_diagonal
from zoo.tacotron.spectra import FRAMES_PER_SECOND, Spectra
from zoo.tacotron.stretches import Stretches
from zoo.tacotron.style import Manner
from zoo.tacotron.text_config import PRESETS, TextConfig

_COUNTED_FRAMES = 50_000
# Nothing takes longer to say; a decoder that goes on does not find the end.
_SECONDS_A_LETTER, _SECONDS_MORE = 0.25, 1.0


@dataclasses.dataclass(frozen=True)
class Read:
    """A text read aloud.

    Attributes:
        audio: float32 [samples].
        alignment: float32 [steps, letters], to which letters each step attended; the last one is the end.
        stopped: whether the decoder found the end of the text, or was cut off.
    """

    audio: np.ndarray
    alignment: np.ndarray
    stopped: bool


@registry.register("tacotron", PRESETS, mode="text")
class TextToSpeech(Learner):
    """A Tacotron that reads.

    Args:
        config: `TextConfig`.

    Example:
        model = TextToSpeech(PRESETS["tiny"])
        audio = model.read(["go to the left of the old mill"])[0].audio
    """

    mode = "text"
    alphabet = text.ALPHABET

    def __init__(self, config: TextConfig, **kwargs):
        super().__init__(config, **kwargs)
        self.spectra = Spectra(config.sample_rate, config.mel_bands)
        self.encoder = text_parts.encoder(config)
        self.manner = Manner(
            config.mel_bands,
            self.encoder.width,
            config.style_tokens,
            config.style_channels,
            config.style_heads,
            config.reference_encoder,
            name="manner",
        )
        self.voice = None
        if config.voice_channels:
            self.voice = keras.layers.Embedding(config.voices, config.voice_channels, name="voice")
            self.voice.build()
        memory = self.encoder.width + self.manner.placed + config.voice_channels
        self.decoder = text_parts.decoder(config, memory)
        self.postnet = text_parts.postnet(config, self.spectra)
        self.levels = Levels(config.mel_bands, name="levels")
        parts = [self.encoder, self.manner, self.decoder, self.postnet, self.levels]
        self.linear_levels = None
        if self.is_linear:
            self.linear_levels = Levels(self.spectra.bins, name="linear_levels")
            parts.append(self.linear_levels)
        for part in parts:
            part.build()
        self.built = True

    @property
    def is_linear(self) -> bool:
        """Whether the post-net makes linear spectra."""
        return self.config.family == "tacotron1"

    def batches(self, prepared, seed, epoch, skip_batches=0, augmentation=pipeline.Augmentation()):  # noqa: B008
        if augmentation != pipeline.Augmentation():
            raise InputError("--flip_roles, --gain_db: augment crops of dialogues, and --mode=text reads none")
        return self._reading.batches(prepared, seed, epoch, skip_batches)

    def n_batches(self, prepared, seed, epoch) -> int:
        return len(self._reading.plan(prepared, seed, epoch))

    @property
    def _reading(self) -> Stretches:
        return Stretches(self.spectra, self.config.reduction, self.config.batch_size, self.is_linear)

    def count(self, batches, seed, progress=iter) -> str:
        found: dict[str, list] = {"mel": [], "linear": []}
        n_frames = n_seen = 0
        for batch in progress(batches):
            exists = _exists(batch["n_frames"], batch["mel"]).numpy() > 0
            n_seen += int(exists.sum())
            if n_frames < _COUNTED_FRAMES:
                n_frames += int(exists.sum())
                for key in found.keys() & batch.keys():
                    found[key].append(batch[key].numpy()[exists])
        self.levels.fit(np.concatenate(found["mel"]))
        if self.linear_levels:
            self.linear_levels.fit(np.concatenate(found["linear"]))
        return f"{n_seen / FRAMES_PER_SECOND / 60:.1f} minutes of speech with its words"

    def sums(self, batch, seed, training=False):
        mel, exists = self.levels.standard(batch["mel"]), _exists(batch["n_frames"], batch["mel"])
        made, refined, stop, alignment = self.call(batch, objective.drawing(seed, batch.get("row", [0])))
        wanted = self.linear_levels.standard(batch["linear"]) if self.is_linear else mel
        bands = self.config.mel_bands
        # Half before, half after the post-net; of linear spectra as much as of mel bands.
        nats = 0.25 * tf.reduce_sum(tf.square(made - mel), axis=-1)
        nats += 0.25 * bands * tf.reduce_mean(tf.square(refined - wanted), axis=-1)
        nats += 0.5 * bands * math.log(2.0 * math.pi)
        n_steps = batch["n_frames"] // self.config.reduction
        steps = exists[:, :: self.config.reduction]
        ends = tf.one_hot(n_steps - 1, tf.shape(steps)[1])
        stops = tf.nn.sigmoid_cross_entropy_with_logits(ends, stop)
        n_real = tf.reduce_sum(steps)
        terms = {
            "mel": (tf.reduce_sum(nats * exists) / math.log(2.0), tf.reduce_sum(exists)),
            "stop": (tf.reduce_sum(stops * steps) / math.log(2.0), n_real),
        }
        if self.config.guided:
            off = tf.reduce_sum(alignment * off_diagonal(batch["text"], n_steps, steps), axis=-1)
            terms["drift"] = tf.reduce_sum(off * steps), n_real
        return terms

    def parts(self):
        return [(self.trainable_variables, self.config.learning_rate)]

    def call(self, batch, seed):
        """Teacher-forced.

        Args:
            batch: of `batches`.
            seed: int32 [], of what layers draw.

        Returns:
            Standardised mel frames before the post-net, frames after it, logits of the stop, and the alignment; as of
            `ReadingDecoder`.
        """
        reduction, letters = self.config.reduction, batch["text"]
        mel, exists = self.levels.standard(batch["mel"]), _exists(batch["n_frames"], batch["mel"])
        mel *= exists[..., None]
        manner = self.manner.of_mel(mel, batch["n_frames"])
        memory, written, _ = self.begin(letters, batch["voice"], manner, seed)
        state = self.decoder.initial_state(*tf.unstack(tf.shape(letters)), seed)
        before = tf.pad(mel[:, reduction - 1 : -1 : reduction], [[0, 0], [1, 0], [0, 0]])
        made, stop, alignment, _ = self.decoder(before, memory, written, state)
        return made, self.postnet(made, exists), stop, alignment

    def manner_of(self, reference: np.ndarray):
        """How a recording at the model's rate, float32 [samples], is said: [1, n], for `read`."""
        if not self.manner.width:
            raise InputError("--reference: this run has no reference encoder; train one with --set=style_tokens=10")
        audio = np.pad(reference, (0, -len(reference) % self.spectra.hop))
        mel = self.levels.standard(self.spectra.mel(audio)[None])
        return self.manner.of_mel(mel, tf.constant([mel.shape[1]]))

    def read(
        self, texts: Sequence[str], voices: Sequence[int] | None = None, seed: int = 0, manner=None,
        engine: str = "fused",
    ) -> list[Read]:  # fmt: skip
        """Reads texts aloud.

        Args:
            texts: read at once, each by itself.
            voices: one a text; None: the first.
            seed: of dropout, zoneout and first phases.
            manner: [1 or texts, n], of `manner_of` or `manner.of_tokens`; None: all style tokens alike.
            engine: "fused" or "graph".
        """
        if engine not in ("fused", "graph"):
            raise InputError(f"--engine={engine}: texts are read by fused, with weights of 16 bits, or by graph")
        spell = (engine == "fused" and generation.attempt(self._fused, engine)) or self.graph("spell")
        numbers = [text.letters(each) for each in texts]
        rows = np.zeros((len(texts), max(map(len, numbers))), np.int32)
        for row, each in zip(rows, numbers, strict=True):
            row[: len(each)] = each
        manner = self.manner.unsaid() if manner is None else manner
        voices = tf.constant(list(voices) if voices else [0] * len(texts), tf.int32)
        manner = tf.broadcast_to(manner, [len(texts), self.manner.width])
        told = spell(tf.constant(rows), voices, manner, tf.constant(seed))
        found = zip(*(np.asarray(each) for each in told), numbers, strict=True)
        render = self.spectra.sound_of_linear if self.is_linear else self.spectra.sound_of_mel
        return [
            Read(render(frames[: n * self.config.reduction], seed), shares[:n, : len(own)], bool(ended))
            for frames, n, shares, ended, own in found
        ]

    def spell(self, letters, voices, manner, seed):
        """Reads letters, step after step.

        Args:
            letters: int32 [batch, letters], 0 beyond the end.
            voices: int32 [batch].
            manner: [batch, manner.width].
            seed: int32 [].

        Returns:
            Log magnitudes [batch, frames, bands or bins]; number of steps of each row, int32 [batch]; alignment
            [batch, steps, letters]; whether each row stopped by itself, bool [batch].
        """
        memory, exists, most = self.begin(letters, voices, manner, seed)
        batch, n_letters = tf.unstack(tf.shape(letters))
        state, bands = self.decoder.initial_state(batch, n_letters, seed), self.config.mel_bands

        def body(t, before, state, n_steps, going, rows):
            mel, stop, alignment, state = self.decoder(before[:, None], memory, exists, state)
            n_steps += tf.cast(going, tf.int32)
            # One that was cut off is decoded for as long as others go on, and finds no end any more.
            going = tf.logical_and(going, tf.logical_or(stop[:, 0] <= 0.0, t >= most))
            rows = [row.write(t, each) for row, each in zip(rows, (mel, alignment[:, 0]), strict=True)]
            return t + 1, mel[:, -1], state, n_steps, going, rows

        rows = [tf.TensorArray(tf.float32, 0, dynamic_size=True, infer_shape=False) for _ in range(2)]
        begin = [0, tf.zeros([batch, bands]), state, tf.zeros([batch], tf.int32), tf.ones([batch], tf.bool), rows]
        _, _, _, n_steps, going, rows = tf.while_loop(
            lambda t, before, state, n_steps, going, rows: tf.reduce_any(tf.logical_and(going, t < most)), body, begin
        )
        n_steps = tf.minimum(n_steps, most)
        frames, alignment = tf.transpose(rows[0].stack(), [1, 0, 2, 3]), tf.transpose(rows[1].stack(), [1, 0, 2])
        return self.refine(frames, n_steps), n_steps, alignment, tf.logical_not(going)

    def begin(self, letters, voices, manner, seed):
        """What the decoder reads: arguments of `spell` -> the encoded text [batch, letters, n], where there are letters
        float32 [batch, letters], and after how many steps each is cut off, int32 [batch]."""
        exists = tf.cast(letters > 0, tf.float32)
        drawn = noise.reseeded(noise.start(), seed)
        encoded = self.encoder(letters, exists, drawn)
        parts = [self.manner.place(encoded, manner)]
        if self.voice:
            voice = self.voice(voices % self.config.voices)[:, None]
            parts.append(tf.tile(voice, [1, tf.shape(letters)[1], 1]))
        seconds = _SECONDS_MORE + _SECONDS_A_LETTER * tf.reduce_sum(exists, axis=1)
        most = tf.cast(seconds * FRAMES_PER_SECOND / self.config.reduction, tf.int32)
        return tf.concat(parts, axis=-1) * exists[..., None], exists, most

    def refine(self, frames, n_steps):
        """Log magnitudes [batch, frames, bands or bins] of the frames of so many steps, [batch, steps, ...]."""
        mel = tf.reshape(frames, [tf.shape(frames)[0], -1, self.config.mel_bands])
        heard = tf.sequence_mask(n_steps * self.config.reduction, tf.shape(mel)[1], dtype=tf.float32)
        levels = self.linear_levels if self.is_linear else self.levels
        return levels.plain(self.postnet(mel, heard))

    def graph(self, name: str):
        """`spell`, `begin` or `refine` as a graph, made once a model."""
        # Not an attribute that Keras would track, and a SavedModel carry.
        if not hasattr(self, "_graphs"):
            parts = {each.__name__: each for each in (self.spell, self.begin, self.refine)}
            graphs = {key: tf.function(each, autograph=False, reduce_retracing=True) for key, each in parts.items()}
            self._graphs = types.SimpleNamespace(**graphs)
        return getattr(self._graphs, name)

    def _fused(self):
        from zoo.tacotron.reader import FusedReader

        return FusedReader(self)

    def diagnostics(self, batch) -> dict[str, float]:
        _, _, _, alignment = self.call(batch, tf.constant(0))
        n_steps = batch["n_frames"] // self.config.reduction
        return {"focus_rate": pictures.focus_rate(alignment, tf.sequence_mask(n_steps, tf.shape(alignment)[1]))}

    def pictures(self, batch) -> dict[str, tf.Tensor]:
        _, _, _, alignment = self.call(batch, tf.constant(0))
        n_steps = int(batch["n_frames"][0]) // self.config.reduction
        n_letters = int(tf.math.count_nonzero(batch["text"][0]))
        return {"alignment": pictures.alignment(alignment[0, :n_steps, :n_letters])}

    def sample(self, prepared: utterances.SpokenSplit, seed: int) -> np.ndarray:
        """A sentence of a split, read aloud: float32 [1, samples]; said like the recording, where manner matters."""
        chosen = max(prepared.utterances[:20], key=lambda each: len(each.text))
        manner = self.manner_of(utterances.sound(prepared, chosen)) if self.manner.width else None
        voice = pipeline.voice_of(prepared.records[chosen.dialogue][1].speakers[chosen.channel])
        return self.read([chosen.text], [voice], seed, manner)[0].audio[None]


def _exists(n, x):
    return tf.sequence_mask(n, tf.shape(x)[1], dtype=tf.float32)
