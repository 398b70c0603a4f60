"""The counted hazard table as a model: no network, and the bar for those that have one.

Its gate is the table of what an agent can hear (PROTOCOL, section 5), counted on the training corpus; its sound is
noise with the long-term spectrum of the speaker.
"""

import dataclasses

from datasets.errors import InputError
from zoo import coding, registry
from zoo.agent import CountedConfig, DialogueModel
from zoo.dialogue_tier import CountedTier
from zoo.hazard.sound import LinearPrediction, LongTermSpectrum


@dataclasses.dataclass(frozen=True)
class HazardConfig(CountedConfig):
    """Sizes of the table's sound.

    Attributes:
        order: coefficients of the linear prediction.
        coding: of samples: "mu-law", "a-law" or "linear" (256 levels).
    """

    order: int = 16
    coding: str = "mu-law"

    def __post_init__(self):
        if self.coding not in coding.CURVES:
            raise InputError(f"--set=coding={self.coding}: the table's noise has levels; {', '.join(coding.CURVES)}")


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
        self.sound = LinearPrediction(config.hop, coding.find(config.coding), config.order + 1, name="sound")
        self.dialogue.build()
        self.acoustic.build()
        self.sound.build()
        self.built = True
