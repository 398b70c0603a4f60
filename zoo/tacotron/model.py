"""Tacotron (Wang et al. 2017) and Tacotron 2 (Shen et al. 2018) in dialogue.

The papers' encoder reads a text; here it reads the partner, causally, and the decoder attends to the last seconds of
it. The stop token is the speaking gate, on the counted table that all models start from. The decoder draws the next
acoustic code, a category, where the papers regress; the mel frames of the code, refined by a causal post-net, become
sound in a streaming inverse of the spectrum.

Two families: "tacotron2" reads with convolutions and an LSTM and attends by content and location; "tacotron1" reads
with a CBHG and attends by content alone.

Where the papers do not fit a dialogue: encoders and post-nets look back only and have no batch normalisation (its
statistics cannot be carried from step to step); Tacotron's GRUs are LSTMs with zoneout; dropout and zoneout stay on
in scoring and speaking; frames last 20 ms, not 12.5, and r mel frames lie within one.
"""

import dataclasses
import types

import tensorflow as tf

from datasets.dialogue import FRAMES_PER_SECOND
from datasets.errors import InputError
from zoo import objective, registry
from zoo.agent import DialogueConfig, DialogueModel
from zoo.tacotron import noise, pictures
from zoo.tacotron.alone import UnconditionalTacotron
from zoo.tacotron.attention import AttentionRNN, ZoneoutStack
from zoo.tacotron.encoder import CBHG, ConvolvedRNN
from zoo.tacotron.sound import OUTPUTS, MelSound
from zoo.tacotron.tiers import AttendingTier, DecoderTier, Prenet

FAMILIES = ("tacotron1", "tacotron2")
_DRAWING = ("dialogue", "acoustic")
_SHOWN_FRAMES = 300  # Of an alignment.


@dataclasses.dataclass(frozen=True)
class TacotronConfig(DialogueConfig):
    """Sizes of a Tacotron.

    Attributes:
        family: "tacotron1" or "tacotron2", of the encoder and of the attention.
        encoder_channels: of the layers that read the partner.
        encoder_layers, encoder_kernel: of their convolutions ("tacotron2").
        bank, highways: of the CBHG ("tacotron1").
        memory_seconds: how far back the decoder attends.
        key_channels: in which query and memory are compared.
        location_filters, location_taps: of the attention to where it was before ("tacotron2").
        prenet_channels: of both prenets, one a layer.
        dropout: share of the prenets' units that are left out, always.
        attention_channels: of the attention RNN.
        decoder_channels, decoder_layers: of the LSTMs that draw the acoustic code.
        zoneout: share of the units of these that stay as they were, always.
        context_channels: of what the dialogue tier hands on.
        condition_channels: width of what conditions the sound.
        reduction: mel frames in 20 ms, the papers' r; divides the samples of a frame.
        output: of the mel frames: "regression" (squared error) or "normal" (a distribution).
        mel_channels: of the layer before them.
        postnet_channels, postnet_layers, postnet_kernel: of the post-net.
    """

    family: str = "tacotron2"
    encoder_channels: int = 32
    encoder_layers: int = 3
    encoder_kernel: int = 5
    bank: int = 8
    highways: int = 4
    memory_seconds: float = 1.5
    key_channels: int = 16
    location_filters: int = 4
    location_taps: int = 9
    prenet_channels: tuple[int, ...] = (64, 64)
    dropout: float = 0.5
    attention_channels: int = 48
    decoder_channels: int = 96
    decoder_layers: int = 1
    zoneout: float = 0.1
    context_channels: int = 48
    condition_channels: int = 64
    reduction: int = 2
    output: str = "regression"
    mel_channels: int = 128
    postnet_channels: int = 48
    postnet_layers: int = 5
    postnet_kernel: int = 5
    windows: int = 4
    # Steps of the attention come one after the other: many short crops are quicker than few long ones.
    crop_seconds: float = 15.0
    batch_size: int = 4
    learning_rate: float = 4e-3

    def __post_init__(self):
        super().__post_init__()
        if not self.acoustic_codes:
            raise InputError("--set=acoustic_codes=0: Tacotron's decoder draws codes; WaveNet and SampleRNN do without")
        for name, choices in (("family", FAMILIES), ("output", OUTPUTS)):
            if getattr(self, name) not in choices:
                raise InputError(f"--set={name}={getattr(self, name)}: the choices are {', '.join(choices)}")
        if self.reduction < 1 or self.hop % self.reduction or self.reduction * self.mel_bands > self.hop:
            raise InputError(
                f"--set=reduction={self.reduction}: must divide the {self.hop} samples of 20 ms, and {self.mel_bands} "
                f"bands of each mel frame must not be more than they"
            )
        for name in ("dropout", "zoneout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InputError(f"--set={name}={getattr(self, name)}: must be a share, at least 0 and less than 1")
        if self.memory_frames < 2:
            raise InputError(f"--set=memory_seconds={self.memory_seconds}: must hold at least two frames of 0.02 s")

    @property
    def memory_frames(self) -> int:
        return round(self.memory_seconds * FRAMES_PER_SECOND)


_PAPER = TacotronConfig(
    sample_rate=24000,
    mel_bands=80,
    acoustic_codes=256,
    encoder_channels=512,
    memory_seconds=10.0,
    key_channels=128,
    location_filters=32,
    location_taps=31,
    prenet_channels=(256, 256),
    attention_channels=1024,
    decoder_channels=1024,
    context_channels=512,
    condition_channels=512,
    mel_channels=1024,
    postnet_channels=512,
    batch_size=16,
    learning_rate=1e-3,
    timing_learning_rate=3e-4,
    averaging=0.999,
    steps=100_000,
)
PRESETS = {
    "tiny": TacotronConfig(),
    "small": TacotronConfig(
        sample_rate=16000,
        mel_bands=40,
        acoustic_codes=256,
        encoder_channels=96,
        memory_seconds=4.0,
        key_channels=48,
        location_filters=16,
        location_taps=31,
        prenet_channels=(128, 128),
        attention_channels=128,
        decoder_channels=192,
        context_channels=96,
        condition_channels=128,
        mel_channels=256,
        postnet_channels=128,
        learning_rate=2e-3,
        averaging=0.99,
        steps=3000,
    ),
    "paper": _PAPER,
    "paper-tacotron1": dataclasses.replace(
        _PAPER,
        family="tacotron1",
        encoder_channels=128,
        bank=16,
        key_channels=256,
        prenet_channels=(256, 128),
        attention_channels=256,
        decoder_channels=256,
        decoder_layers=2,
        context_channels=256,
    ),
}


@registry.register("tacotron", PRESETS)
class Tacotron(DialogueModel):
    """A Tacotron with a gate.

    Args:
        config: `TacotronConfig`.

    Example:
        model = Tacotron(PRESETS["tiny"])
        state = model.initial_state(1)
        own_frame, gate, state = model.step(tf.zeros([1, model.config.hop]), state, seed=0)
    """

    jit = True

    def __init__(self, config: TacotronConfig, **kwargs):
        super().__init__(config, **kwargs)
        self.dialogue = _dialogue(config)
        self.acoustic, self.sound = _acoustic(config), _sound(config)
        self.dialogue.build()
        self.acoustic.build(config.context_channels)
        self.sound.build()
        self.built = True

    @staticmethod
    def alone(config: TacotronConfig) -> UnconditionalTacotron:
        """What `--mode=unconditional` trains."""
        return UnconditionalTacotron(Tacotron, config, _acoustic(config), _sound(config))

    def seeded(self, state, seed) -> dict:
        drawing = {name: {**state[name], "noise": noise.reseeded(state[name]["noise"], seed)} for name in _DRAWING}
        return {**state, **drawing}

    def fused_tier(self, state: dict):
        """Dialogue and acoustic tier without TensorFlow, at a state, as of `zoo.fused_tier.tier_of`."""
        from zoo.tacotron.tier_kernel import FusedTacotronTier

        return FusedTacotronTier(self, state)

    def count(self, batches, seed, progress=iter):
        said = super().count(batches, seed, progress)
        self.sound.set_levels(self.acoustic.codebook.numpy())
        return said

    def attention(self, batch) -> tf.Tensor:
        """To what of the partner's last seconds each frame attends: [rows, frames, memory_frames], the newest last.

        Of the first seconds of a batch of `datasets.pipeline.crops`, seen from both sides.
        """
        if not hasattr(self, "_looking"):
            # Not a function: that Keras would track, and a SavedModel would carry it.
            self._looking = types.SimpleNamespace(attend=tf.function(self._attention, autograph=False))
        example = objective.by_speaker(batch)
        n_frames = min(_SHOWN_FRAMES, example["gate"].shape[1])
        sounds = [example[key][:, : n_frames * self.config.hop] for key in ("own_audio", "partner_audio")]
        rows = example["role"], example["voice"]
        return self._looking.attend(sounds[0], example["gate"][:, :n_frames], sounds[1], *rows)

    def _attention(self, own_audio, gate, partner_audio, role, voice):
        n_frames = gate.shape[1]
        own, partner = (tf.reshape(each, [-1, n_frames, self.config.hop]) for each in (own_audio, partner_audio))

        def body(t, rows, state):
            _, state = self.observe(own[:, t], gate[:, t, None], partner[:, t], state)
            return t + 1, rows.write(t, state["dialogue"]["attention"]["steps"]["alignment"]), state

        begin = [0, tf.TensorArray(tf.float32, n_frames), self.initial_state(gate.shape[0], role, voice)]
        _, rows, _ = tf.while_loop(lambda t, *_: t < n_frames, body, begin, parallel_iterations=1)
        return tf.transpose(rows.stack(), [1, 0, 2])

    def diagnostics(self, batch) -> dict[str, float]:
        shares = self.attention(batch)
        return {"focus_rate": pictures.focus_rate(shares, tf.ones(tf.shape(shares)[:2]))}

    def pictures(self, batch) -> dict[str, tf.Tensor]:
        return {"alignment": pictures.alignment(self.attention(batch)[0])}


def _dialogue(config: TacotronConfig) -> AttendingTier:
    if config.family == "tacotron2":
        partner = ConvolvedRNN(config.encoder_channels, config.encoder_layers, config.encoder_kernel, name="partner")
    else:
        partner = CBHG(config.encoder_channels, config.bank, config.highways, name="partner")
    attention = AttentionRNN(
        config.attention_channels,
        config.memory_frames,
        config.encoder_channels,
        config.key_channels,
        config.location_filters if config.family == "tacotron2" else 0,
        config.location_taps,
        name="attention",
    )
    prenet = Prenet(config.prenet_channels, config.dropout, name="prenet")
    return AttendingTier(
        partner,
        attention,
        prenet,
        config.zoneout,
        config.mel_bands,
        config.context_channels,
        config.cue_channels,
        name="dialogue",
    )


def _acoustic(config: TacotronConfig) -> DecoderTier:
    return DecoderTier(
        config.acoustic_codes,
        config.mel_bands,
        config.voices,
        ZoneoutStack(config.decoder_channels, config.decoder_layers, name="decoder"),
        Prenet(config.prenet_channels, config.dropout, name="prenet"),
        config.zoneout,
        config.condition_channels,
        name="acoustic",
    )


def _sound(config: TacotronConfig) -> MelSound:
    return MelSound(
        config.hop,
        config.condition_channels,
        config.sample_rate,
        config.mel_bands,
        config.reduction,
        config.output,
        config.mel_channels,
        config.postnet_channels,
        config.postnet_layers,
        config.postnet_kernel,
        name="sound",
    )
