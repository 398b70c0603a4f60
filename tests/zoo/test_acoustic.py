import numpy as np
import pytest
import tensorflow as tf

from datasets.errors import InputError
from tests.zoo import subjects
from zoo import acoustic, registry

CODES = 5


class Oracle:
    """An acoustic tier that is sure of the code (frame + 1) % CODES."""

    codes = CODES

    def __call__(self, code_before, *told):
        sure = 50.0 * tf.one_hot((tf.range(code_before.shape[1]) + 1) % CODES, CODES)
        return tf.tile(sure[None], [code_before.shape[0], 1, 1]), None


def test_lapsed_codes_are_those_that_the_tier_predicted_of_the_frame_before():
    code_before = np.tile(np.int32([CODES, 3, 3, CODES, 3, 3, 3, 3]), (200, 1))
    uniform = np.random.default_rng(0).random((200, 8, 2), dtype=np.float32)
    found = acoustic.lapsed(Oracle(), tf.constant(code_before), *[None] * 5, 0.4, uniform).numpy()
    drawn = np.arange(8) % CODES
    lapsed = (uniform[..., 1] < 0.4) & (code_before < CODES) & (np.arange(8) > 0)
    np.testing.assert_array_equal(found, np.where(lapsed, drawn, code_before))
    assert 0.3 < lapsed[:, [1, 2, 4, 5]].mean() < 0.5


def test_the_first_code_is_that_of_the_past():
    first = tf.constant([[2], [3]])
    np.testing.assert_array_equal(acoustic.lapsed(Oracle(), first, *[None] * 5, 1.0, tf.zeros([2, 1, 2])), first)


@pytest.mark.parametrize("name", ["wavenet", "samplernn"])
def test_without_codes_there_is_nothing_to_predict(name):
    model = subjects.tiny(name, **{"frame_samples": (8,)} if name == "samplernn" else {}, acoustic_codes=0)
    names = {layer.name for layer in model.acoustic._flatten_layers(include_self=False)}
    assert names == {"voice", "conditioner"}
    assert "code" not in model.sums(subjects.clip(model.config), tf.constant([0, 0]))


@pytest.mark.parametrize(
    ("name", "sizes", "says"),
    [
        ("tacotron", {"acoustic_codes": "0"}, "acoustic_codes=0: Tacotron's decoder draws codes"),
        ("wavenet", {"acoustic_codes": "-3"}, "acoustic_codes=-3: a number of codes, or 0"),
        ("wavenet", {"acoustic_codes": "0", "scheduled_sampling": "0.5"}, "scheduled_sampling: there is no code"),
        ("samplernn", {"input_noise": "1.5"}, "input_noise=1.5: must be a share"),
        ("tacotron", {"scheduled_sampling": "-0.1"}, "scheduled_sampling=-0.1: must be a share"),
        ("tacotron", {"input_noise": "0.1"}, "input_noise: no such size"),
    ],
)
def test_shares_and_codes_that_make_no_sense_are_refused(name, sizes, says):
    with pytest.raises(InputError, match=says):
        registry.find(name, "tiny", sizes)
