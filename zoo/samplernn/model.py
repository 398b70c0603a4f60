"""SampleRNN (Mehri et al. 2017) in dialogue.

The dialogue tier is the topmost recurrent tier: it reads both speakers' 20 ms frames and decides the gate. Below it
stand the paper's tiers of the own channel - one in the 2-tier, two in the 3-tier model - and the perceptron of samples,
conditioned on the acoustic code, the voice and the context.

Where the paper is silent: the products of recurrent layers are weight-normalised like the others; a GRU's reset gate
acts after the product, which is one product instead of two; the perceptron has two rectified layers; the state is
carried through a training window, whose gradients are truncated and summed, where the paper takes a step of the
optimiser at each truncation; a window starts from the learned initial state.
"""

import dataclasses

from datasets.errors import InputError
from zoo import acoustic, coding, registry
from zoo.agent import DialogueConfig, DialogueModel
from zoo.dialogue_tier import DialogueTier
from zoo.recurrent import CELLS, RecurrentStack
from zoo.samplernn.sound import SampleTiers


@dataclasses.dataclass(frozen=True)
class SampleRNNConfig(DialogueConfig):
    """Sizes of a SampleRNN.

    Attributes:
        frame_samples: of the tiers from the top down; each divides the one before, the first divides the hop.
        channels, layers: of each recurrent tier of sound.
        cell: "gru" or "lstm", of all recurrent layers.
        weight_norm: whether linear layers are weight-normalised.
        coding: of samples: "mu-law", "a-law" or "linear" (256 levels), or "mixture" (of logistics, 16 bits).
        input_noise: share of the samples before, as the sound reads them in training, that are moved by a few levels.
        embedding_channels: of a level.
        sample_channels, sample_layers: of the perceptron.
        truncate_samples: how far back a gradient of sound passes.
        lead_frames: start of a training window that is not scored.
        condition_channels: width of what conditions the sound.
        context_channels, context_layers: of the dialogue tier.
        acoustic_channels, acoustic_layers: of the layers that predict the acoustic code.
    """

    frame_samples: tuple[int, ...] = (16,)
    channels: int = 128
    layers: int = 1
    cell: str = "gru"
    weight_norm: bool = True
    coding: str = "mu-law"
    input_noise: float = 0.0
    embedding_channels: int = 16
    sample_channels: int = 96
    sample_layers: int = 1
    truncate_samples: int = 1600
    lead_frames: int = 2
    condition_channels: int = 48
    context_channels: int = 64
    context_layers: int = 1
    acoustic_channels: int = 64
    acoustic_layers: int = 1
    windows: int = 4
    learning_rate: float = 4e-3

    def __post_init__(self):
        super().__post_init__()
        sizes = (self.hop, *self.frame_samples)
        if any(size < 1 or above % size for above, size in zip(sizes, self.frame_samples, strict=False)):
            shown = "+".join(map(str, self.frame_samples))
            raise InputError(
                f"--set=frame_samples={shown}: each must divide the one before, the first the {self.hop} samples "
                f"of 20 ms"
            )
        if self.cell not in CELLS:
            raise InputError(f"--set=cell={self.cell}: no such cell; the choices are {', '.join(CELLS)}")


_PAPER = SampleRNNConfig(
    sample_rate=16000,
    coding="linear",
    channels=1024,
    embedding_channels=256,
    sample_channels=1024,
    sample_layers=2,
    truncate_samples=512,
    context_channels=1024,
    acoustic_channels=1024,
    condition_channels=256,
    batch_size=4,
    window_frames=25,
    windows=4,
    learning_rate=1e-3,
    averaging=0.999,
    steps=100_000,
)
PRESETS = {
    "tiny": SampleRNNConfig(),
    "small": SampleRNNConfig(
        sample_rate=16000,
        frame_samples=(16, 4),
        channels=192,
        embedding_channels=32,
        sample_channels=128,
        context_channels=96,
        acoustic_channels=96,
        acoustic_codes=256,
        windows=2,
        learning_rate=2e-3,
        averaging=0.99,
        steps=1500,
    ),
    "paper-2tier": dataclasses.replace(_PAPER, frame_samples=(16,), layers=3),
    "paper-3tier": dataclasses.replace(_PAPER, frame_samples=(8, 2), layers=1),
}


@registry.register("samplernn", PRESETS)
class SampleRNN(DialogueModel):
    """A SampleRNN with a gate.

    Args:
        config: `SampleRNNConfig`.

    Example:
        model = SampleRNN(PRESETS["tiny"])
        state = model.initial_state(1)
        own_frame, gate, state = model.step(tf.zeros([1, model.config.hop]), state, seed=0)
    """

    jit = True

    def __init__(self, config: SampleRNNConfig, **kwargs):
        super().__init__(config, **kwargs)

        def recurrent(channels, layers, name):
            return RecurrentStack(channels, layers, config.cell, config.weight_norm, name=name)

        context = recurrent(config.context_channels, config.context_layers, "top_tier")
        self.dialogue = DialogueTier(
            context, config.mel_bands, config.context_channels, config.cue_channels, name="dialogue"
        )
        self.acoustic = acoustic.tier(
            config, lambda: recurrent(config.acoustic_channels, config.acoustic_layers, "stack")
        )
        self.sound = self.sound_tier(config, config.condition_channels)
        self.dialogue.build()
        self.acoustic.build(config.context_channels)
        self.sound.build()
        self.built = True

    @staticmethod
    def sound_tier(config: SampleRNNConfig, condition_channels: int) -> SampleTiers:
        return SampleTiers(
            config.hop,
            coding.find(config.coding),
            condition_channels,
            config.frame_samples,
            config.channels,
            config.layers,
            config.cell,
            config.weight_norm,
            config.embedding_channels,
            config.sample_channels,
            config.sample_layers,
            config.truncate_samples,
            config.lead_frames,
            name="sound",
        )
