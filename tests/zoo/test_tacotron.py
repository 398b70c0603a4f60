import numpy as np
import tensorflow as tf

from tests.zoo import harness

SIZES = dict(
    encoder_channels=6,
    bank=3,
    highways=1,
    memory_seconds=0.2,
    key_channels=4,
    location_filters=2,
    location_taps=3,
    prenet_channels=(24, 16),
    attention_channels=12,
    decoder_channels=6,
    context_channels=6,
    condition_channels=8,
    mel_channels=8,
    postnet_channels=6,
    postnet_layers=3,
)


class TacotronContract(harness.TrainedContract):
    """What is predicted is spectra, and not samples."""

    name = "tacotron"
    compiled = True

    def count(self, model):
        # Softer than full scale, where all would be clipped.
        model.sound.set_levels(-5.0 + 0.25 * (model.acoustic.codebook.numpy() + 5.0))

    def spectra(self, subject, condition, gate=None, state=None):
        gate = subject.gate if gate is None else gate
        state = subject.model.sound.initial_state(len(gate)) if state is None else state
        return subject.model.sound.predict(None, tf.constant(gate), tf.constant(condition), state)

    def sound_is_shaped(self, subject, condition):
        parts, _ = self.spectra(subject, condition)
        config = subject.config
        shape = (*subject.gate.shape, config.reduction, config.mel_bands)
        assert [part.shape for part in parts] == [*[shape] * 3, (*subject.gate.shape, 2)]
        past = np.zeros_like(subject.own[:, : config.hop])
        audio = np.concatenate([past, subject.own], axis=1)
        assert subject.model.sound.mels(audio).shape == shape
        assert subject.model.sound.nats(audio, subject.gate, condition).shape == subject.gate.shape

    def test_a_sample_is_predicted_from_those_before(self, subject):
        """Spectra, here: they are made of the conditioning of frames up to their own."""
        gate, at = np.ones_like(subject.gate), harness.CHANGED
        condition = subject.predictions(gate=gate)["condition"]
        other = condition.copy()
        other[:, at] += 0.5
        one, two = (self.spectra(subject, each, gate)[0][1].numpy() for each in (condition, other))
        harness.same(one[:, :at], two[:, :at], 1e-5)
        assert harness.differs(one[:, at], two[:, at]) and harness.differs(one[:, at + 1], two[:, at + 1])

    def sound_is_drawn_from_what_is_predicted(self, subject, audio, gate, condition, uniforms, temperature):
        """The vocoder says the same whether it is given one spectrum at a time or has all before it."""
        sound, frames = subject.model.sound, subject.frames(audio)
        parts, _ = self.spectra(subject, condition, gate)
        state = {name: each for name, each in sound.initial_state(len(gate)).items() if name != "postnet"}
        for t in range(gate.shape[1]):
            now = [part[:, t] for part in parts]
            said, after = sound.render(now, uniforms[:, t], tf.constant(temperature), state)
            spoken = gate[:, t] > 0
            harness.same(said.numpy()[spoken], frames[:, t][spoken], 1e-3)
            state = sound.shut(gate[:, t], after)
        assert frames[gate > 0].std() > 1e-3

    def sound_is_learned(self, first, last, finer):
        assert last["mel_bits_per_frame"] < first["mel_bits_per_frame"] - 5.0
        assert last["code_bits_per_frame"] < self.overfit_share * first["code_bits_per_frame"]

    def timing_is_replayed(self, told):
        """Half of the prenet's units are always missing: most toggles, and few others."""
        scored = told["scored"].numpy() > 0
        found, wanted = told["toggle"].numpy()[scored] > 0, told["toggled"].numpy()[scored] > 0
        assert found[wanted].mean() > 0.5 and found[~wanted].mean() < 0.02


class TestTacotron2(TacotronContract):
    sizes = {**SIZES, "family": "tacotron2"}


class TestTacotron1(TacotronContract):
    sizes = {**SIZES, "family": "tacotron1", "output": "normal", "reduction": 1, "dropout": 0.2}
