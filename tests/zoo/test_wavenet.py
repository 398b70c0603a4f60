import dataclasses

import keras
import pytest

from tests.zoo import harness
from zoo.wavenet.model import PRESETS, WaveNet

SIZES = dict(
    channels=6,
    skip_channels=8,
    head_channels=8,
    dilations=(1, 2, 4, 8, 16, 32),
    condition_channels=6,
    context_channels=6,
    context_dilations=(1, 2, 4),
    acoustic_channels=6,
    acoustic_dilations=(1, 2),
)


class TestWaveNet(harness.TrainedContract):
    name = "wavenet"
    sizes = SIZES
    compiled = True


class TestWaveNetOfLogistics(harness.TrainedContract):
    name = "wavenet"
    sizes = {**SIZES, "coding": "mixture", "channels": 16, "skip_channels": 16, "head_channels": 16}
    compiled = True
    overfit_steps, averaged_steps = 400, 20
    overfit_rate, overfit_compiled = keras.optimizers.schedules.CosineDecay(2e-2, 400), True
    engines_agree = 0.7  # Of 16 bits, a draw in some hundreds is rounded the other way, and weights here are wild.


class TestWaveNetWithoutCodes(harness.ModelContract):
    name = "wavenet"
    sizes = {**SIZES, "acoustic_codes": 0}
    compiled = True
    heard_in = ("toggle", "context", "condition")


@pytest.mark.parametrize(("coding", "parameters"), [("mu-law", 256), ("mixture", 30)])
def test_the_paper_preset_has_as_many_weights_as_counted_by_hand(coding, parameters):
    config = dataclasses.replace(PRESETS["paper"], coding=coding)
    assert len(config.dilations) == 30 and WaveNet(config).sound.receptive_samples == 3 * 1023 + 2
    taps = 2 * 256 * 128 if coding == "mu-law" else 2 * (128 + 128)
    layer = (2 * 128 * 256 + 256) + (128 * (128 + 256) + 128 + 256)
    conditions = 128 * 30 * 256 + 30 * 256
    head = (256 * 256 + 256) + (256 * parameters + parameters)
    room_level = 1
    assert WaveNet(config).sound.count_params() == taps + 30 * layer + conditions + head + room_level
