import dataclasses

import pytest

from datasets.errors import InputError
from tests.zoo import harness
from zoo import registry
from zoo.samplernn.model import PRESETS, SampleRNN

SIZES = dict(
    frame_samples=(20, 4),
    channels=6,
    embedding_channels=4,
    sample_channels=8,
    condition_channels=6,
    context_channels=6,
    acoustic_channels=6,
    lead_frames=1,
)


class TestSampleRNN(harness.TrainedContract):
    name = "samplernn"
    sizes = SIZES
    compiled = True


class TestSampleRNNOfTwoTiersOfLSTMs(harness.ModelContract):
    name = "samplernn"
    sizes = {**SIZES, "frame_samples": (8,), "cell": "lstm", "layers": 2, "weight_norm": False, "coding": "linear"}
    compiled = True


class TestSampleRNNWithoutCodes(harness.ModelContract):
    name = "samplernn"
    sizes = {**SIZES, "acoustic_codes": 0}
    compiled = True
    heard_in = ("toggle", "context", "condition")


def test_the_paper_presets_have_as_many_weights_as_counted_by_hand():
    n = 1024
    gru = 2 * (n * 3 * n + 3 * n + 3 * n) + n  # two products, each with lengths and biases, and the initial state
    perceptron = 256 * 256 + 2 * (n * n + n + n) + (n * 256 + 256 + 256)
    down = {16: 256 * 20 * n + 2 * 20 * n, 8: 256 * 40 * n + 2 * 40 * n}
    room_level = 1
    two = (16 * n + 2 * n) + 3 * gru + (n * 16 * n + 2 * 16 * n) + (16 * 256 * n + n)
    upper = (8 * n + 2 * n) + gru + (n * 4 * n + 2 * 4 * n)
    lower = (2 * n + 2 * n) + gru + (n * 2 * n + 2 * 2 * n) + (2 * 256 * n + n)
    for preset, tiers, top in (("paper-2tier", two, 16), ("paper-3tier", upper + lower, 8)):
        config = PRESETS[preset]
        assert SampleRNN(config).sound.count_params() == tiers + perceptron + down[top] + room_level
        # Without a dialogue above, the biases of what hands it down are left.
        alone = SampleRNN.sound_tier(config, 0)
        alone.build()
        assert alone.count_params() == tiers + perceptron + 320 // top * n + room_level


@pytest.mark.parametrize("sizes", [(24,), (16, 3), (0,)])
def test_frames_that_do_not_divide_are_refused(sizes):
    with pytest.raises(InputError, match="--set=frame_samples=.*each must divide the one before.*160 samples"):
        dataclasses.replace(PRESETS["tiny"], frame_samples=sizes)


def test_unknown_cells_are_refused():
    with pytest.raises(InputError, match="--set=cell=rnn: no such cell; the choices are gru, lstm"):
        registry.find("samplernn", "tiny", {"cell": "rnn"})
