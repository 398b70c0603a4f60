"""Sizes of a Deep Speech."""

import dataclasses

from datasets.errors import InputError
from datasets.filterbank import FRAMES_PER_SECOND

# Of the paper's sections 2 and 4.2: where activations are cut off, and how many frames a step takes.
CEILING = 20.0
STRIDE = 2


@dataclasses.dataclass(frozen=True)
class DeepSpeechConfig:
    """Sizes and training recipe.

    Attributes:
        sample_rate: Hz, a multiple of 100.
        bands: of the log-mel spectra.
        context: frames of 10 ms that a step sees on each side of its own; the paper tried 5, 7 and 9.
        units: of each layer.
        dropout: share of the units of layers 1, 2, 3 and 5 that training leaves out; the paper's is 5 to 10 %.
        gain_db: the loudest change of level, up or down, of what is trained on.
        noise_db: the least and the most that the white noise lies below the speech that is trained on.
        crop_seconds: the longest breath group that is trained on and scored; longer ones are left out.
        batch_size, learning_rate, averaging, steps: of training, as of `zoo.agent.DialogueConfig`.
    """

    sample_rate: int = 8000
    bands: int = 40
    context: int = 7
    units: int = 320
    dropout: float = 0.1
    gain_db: float = 3.0
    noise_db: tuple[float, ...] = (15.0, 60.0)
    crop_seconds: float = 9.0
    batch_size: int = 32
    learning_rate: float = 1e-3
    averaging: float = 0.995
    steps: int = 8000

    def __post_init__(self):
        if self.sample_rate % FRAMES_PER_SECOND:
            raise InputError(f"--set=sample_rate={self.sample_rate}: must be a multiple of {FRAMES_PER_SECOND}")
        if min(self.bands, self.units) < 1 or self.context < 0:
            raise InputError(
                f"--set=bands={self.bands}, units={self.units}, context={self.context}: at least 1, 1 and 0"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise InputError(f"--set=dropout={self.dropout}: must be a share, at least 0 and less than 1")
        if len(self.noise_db) != 2 or self.noise_db[0] > self.noise_db[1]:
            raise InputError(f"--set=noise_db={'+'.join(map(str, self.noise_db))}: the least and the most, as in 15+60")

    @property
    def hop(self) -> int:
        """Samples from one step to the next."""
        return STRIDE * self.sample_rate // FRAMES_PER_SECOND


PRESETS = {
    "tiny": DeepSpeechConfig(),
    "small": DeepSpeechConfig(sample_rate=16000, bands=64, units=768, learning_rate=5e-4, steps=40_000),
    "paper": DeepSpeechConfig(
        sample_rate=16000,
        bands=80,
        context=9,
        units=2048,
        dropout=0.05,
        learning_rate=2e-4,
        averaging=0.999,
        steps=200_000,
    ),
}
