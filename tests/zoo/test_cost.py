from tests.zoo import subjects, test_samplernn
from zoo import cost, registry
from zoo.layers import GatedStack


def test_a_gated_stack_costs_its_convolutions_and_its_outputs():
    stack = GatedStack(4, 5, 2, (1, 2, 4))
    stack.build((None, None, 4))
    assert cost.multiply_adds(stack) == 3 * (2 * 4 * 8 + 4 * 9)


def test_a_wavenet_counted_by_hand():
    model = subjects.tiny(**{**subjects.SMALLEST_WAVENET, "channels": 6})
    dialogue_features = model.dialogue.n_features
    # In, context stack (three taps), context, residual, projection.
    frames = dialogue_features * 4 + 2 * (3 * 4 * 8 + 4 * 8) + 4 * 4 + 4 * 1 + 4 * 256
    # In, stack of one layer, 8 codes, what conditions the sound.
    frames += (4 + 2 + 6) * 4 + (2 * 4 * 8 + 4 * 8) + 4 * 8 + (4 + 4 + 1 + 2 * 6) * 4
    frames += 4 * 2 * 2 * 6
    samples = 2 * (2 * 6 * 12 + 6 * 10) + 4 * 4 + 4 * 256
    heard = cost.multiply_adds(model.dialogue.cue) if getattr(model.dialogue, "cue", None) else 0
    assert cost.multiply_adds_per_second(model) == 50 * (frames + heard) + 2000 * samples


def test_a_samplernn_counted_by_hand():
    model = subjects.tiny("samplernn", **test_samplernn.SIZES)
    n = 6
    gru = 2 * n * 3 * n
    tiers = 100 * (20 * n + gru + n * 5 * n) + 500 * (4 * n + gru + n * 4 * 8)
    samples = 2000 * (4 * 4 * 8 + 8 * 8 + 8 * 256)
    down = 50 * n * 2 * n
    found = sum(cost.multiply_adds(layer) * rate for layer, rate in model.sound.runs(2000))
    assert found == tiers + samples + down


def test_larger_presets_cost_more_and_a_table_nothing():
    for name, entry in registry.models().items():
        tiny, small = (cost.multiply_adds_per_second(entry.model_class(entry.presets[p])) for p in ("tiny", "small"))
        assert tiny == small == 0 if name == "hazard" else 0 < tiny < small
