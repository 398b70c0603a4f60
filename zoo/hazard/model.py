"""The counted hazard table as a model: no network, and the bar for those that have one.

Its gate is the table of what an agent can hear (PROTOCOL, section 5), counted on the training corpus; its sound is
noise with the long-term spectrum of the speaker.
"""

import dataclasses

from zoo import registry
from zoo.agent import CountedConfig, DialogueModel
from zoo.coding import Levels
from zoo.dialogue_tier import CountedTier
from zoo.hazard.sound import LinearPrediction, LongTermSpectrum


@dataclasses.dataclass(frozen=True)
class HazardConfig(CountedConfig):
    """Sizes of the table's sound.

    Attributes:
        order: coefficients of the linear prediction.
        levels: curve of the 256 levels: "mu-law", "a-law" or "linear".
    """

    order: int = 16
    levels: str = "mu-law"


PRESETS = {"tiny": HazardConfig(), "small": HazardConfig(sample_rate=16000, order=32)}


@registry.register("hazard", PRESETS)
class Hazard(DialogueModel):
    """A counted table that speaks in noise.

    Args:
        config: `HazardConfig`.
    """

    def __init__(self, config: HazardConfig, **kwargs):
        super().__init__(config, **kwargs)
        self.dialogue = CountedTier(config.mel_bands, name="dialogue")
        self.acoustic = LongTermSpectrum(config.mel_bands, config.voices, config.order, name="acoustic")
        self.sound = LinearPrediction(config.hop, Levels(config.levels), config.order + 1, name="sound")
        self.dialogue.build()
        self.acoustic.build()
        self.sound.build()
        self.built = True
