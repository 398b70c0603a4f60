"""WaveNet (van den Oord et al. 2016) in dialogue.

The dialogue tier is a context stack (section 2.6) over both speakers at 50 Hz with more than 20 s of receptive field.
The sound tier is the paper's dilated gated stack on the mu-law codes of the own channel, one softmax over 256 levels
a sample, conditioned on the acoustic code, the voice and the context. The paper gives no layer counts or widths;
those of the presets are ours.
"""

import dataclasses

from zoo import acoustic, coding, registry
from zoo.agent import DialogueConfig, DialogueModel
from zoo.dialogue_tier import DialogueTier
from zoo.layers import GatedStack
from zoo.wavenet.sound import DilatedSound

_OCTAVES = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclasses.dataclass(frozen=True)
class WaveNetConfig(DialogueConfig):
    """Sizes of a WaveNet.

    Attributes:
        channels, skip_channels, head_channels: of the sound tier.
        dilations: of the sound tier, in samples, one a layer, kernel size 2.
        coding: of samples: "mu-law", "a-law" or "linear" (256 levels), or "mixture" (of logistics, 16 bits).
        input_noise: share of the samples before, as the sound reads them in training, that are moved by a few levels.
        condition_channels: width of what conditions the sound.
        context_channels, context_dilations: of the context stack, in frames, kernel size 3.
        acoustic_channels, acoustic_dilations: of the stack that predicts the acoustic code, kernel size 2.
    """

    channels: int = 32
    skip_channels: int = 64
    head_channels: int = 64
    dilations: tuple[int, ...] = (*_OCTAVES, 256)
    coding: str = "mu-law"
    input_noise: float = 0.0
    condition_channels: int = 48
    context_channels: int = 48
    context_dilations: tuple[int, ...] = (*_OCTAVES, 256)
    acoustic_channels: int = 48
    acoustic_dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32)


PRESETS = {
    "tiny": WaveNetConfig(),
    "small": WaveNetConfig(
        sample_rate=16000,
        acoustic_codes=256,
        dilations=2 * (*_OCTAVES, 256),
        skip_channels=96,
        head_channels=96,
        learning_rate=6e-3,
        averaging=0.99,
        steps=2000,
    ),
    "paper": WaveNetConfig(
        sample_rate=16000,
        acoustic_codes=256,
        channels=128,
        skip_channels=256,
        head_channels=256,
        dilations=3 * (*_OCTAVES, 256, 512),
        condition_channels=128,
        context_channels=128,
        acoustic_channels=128,
        batch_size=8,
        window_frames=50,
        windows=4,
        learning_rate=1e-3,
        averaging=0.9999,
        steps=200_000,
    ),
    # Of Tacotron 2 (Shen et al. 2018, section 2.3), for --mode=vocoder: 30 layers in 3 cycles, mixture of 10 logistics.
    "vocoder": WaveNetConfig(
        sample_rate=24000,
        mel_bands=80,
        acoustic_codes=256,
        channels=128,
        skip_channels=256,
        head_channels=256,
        dilations=3 * (*_OCTAVES, 256, 512),
        coding="mixture",
        condition_channels=128,
        context_channels=128,
        acoustic_channels=128,
        batch_size=8,
        window_frames=24,
        windows=8,
        learning_rate=1e-3,
        averaging=0.9999,
        steps=500_000,
    ),
}


@registry.register("wavenet", PRESETS)
class WaveNet(DialogueModel):
    """A WaveNet with a gate.

    Args:
        config: `WaveNetConfig`.

    Example:
        model = WaveNet(PRESETS["tiny"])
        state = model.initial_state(1)
        own_frame, gate, state = model.step(tf.zeros([1, model.config.hop]), state, seed=0)
    """

    jit = True

    def __init__(self, config: WaveNetConfig, **kwargs):
        super().__init__(config, **kwargs)
        channels = config.context_channels
        encoder = GatedStack(channels, channels, 3, config.context_dilations, name="context_stack")
        self.dialogue = DialogueTier(encoder, config.mel_bands, channels, config.cue_channels, name="dialogue")
        self.acoustic = acoustic.tier(config, lambda: _acoustic_stack(config))
        self.sound = self.sound_tier(config, config.condition_channels)
        self.dialogue.build()
        self.acoustic.build(channels)
        self.sound.build()
        self.built = True

    @staticmethod
    def sound_tier(config: WaveNetConfig, condition_channels: int, positions: int = 1) -> DilatedSound:
        return DilatedSound(
            config.hop,
            coding.find(config.coding),
            condition_channels,
            config.channels,
            config.skip_channels,
            config.head_channels,
            config.dilations,
            positions,
            name="sound",
        )


def _acoustic_stack(config: WaveNetConfig) -> GatedStack:
    channels = config.acoustic_channels
    return GatedStack(channels, channels, 2, config.acoustic_dilations, name="stack")
