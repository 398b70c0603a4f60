import numpy as np
import pytest
import tensorflow as tf

from tests.zoo import subjects
from zoo import descent, distribution, layers, objective


def _two(batch: dict) -> dict:
    """A batch of two rows from one of one row, the second with its speakers exchanged."""
    whole = ("mask", "reset", "name", "start_frame")
    return {key: tf.concat([value, value if key in whole else value[:, ::-1]], axis=0) for key, value in batch.items()}


def _steps(jit: bool, n: int = 3):
    model = subjects.tiny()
    subjects.shake(model)
    step, batch, losses = descent.Descent(model, jit=jit), _two(subjects.clip(model.config)), []
    for i in range(n):
        step.set_rates(i, i / n)
        terms, norms = step(batch, tf.constant([0, i]))
        losses.append([float(objective.loss(terms)), *map(float, norms)])
    return model, step, np.array(losses)


@pytest.mark.slow
def test_xla_takes_the_same_steps(monkeypatch):
    monkeypatch.setattr(distribution, "shares", lambda batch_size: 1)
    (one, _, found), (two, _, wanted) = _steps(True), _steps(False)
    np.testing.assert_allclose(found, wanted, rtol=1e-3)
    for a, b in zip(one.trainable_variables, two.trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-4)


@pytest.mark.slow
def test_shares_side_by_side_take_the_step_of_the_whole(monkeypatch):
    monkeypatch.setattr(distribution, "shares", lambda batch_size: 2)
    (one, _, found), (two, _, wanted) = _steps(True, 2), _steps(False, 2)
    np.testing.assert_allclose(found, wanted, rtol=1e-3)
    for a, b in zip(one.trainable_variables, two.trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-4)


def test_a_batch_has_as_many_shares_as_cores_can_take_equally(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(4))
    assert [distribution.shares(n) for n in (1, 2, 3, 6, 8)] == [1, 2, 3, 3, 4]


def test_shares_draw_numbers_of_their_own():
    seed = tf.constant([0, 3])
    one, two = (int(objective.drawing(seed, tf.constant(rows))) for rows in ([0, 1], [2, 3]))
    assert one == 3 and two != one


def test_the_average_stands_in_for_the_weights_and_gives_way_again():
    model, step, _ = _steps(False)
    before = [weight.numpy() for weight in model.trainable_variables]
    with step.averaged():
        inside = [weight.numpy() for weight in model.trainable_variables]
    after = [weight.numpy() for weight in model.trainable_variables]
    assert any(np.abs(a - b).max() > 1e-6 for a, b in zip(before, inside, strict=True))
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_before_any_step_there_is_no_average():
    model = subjects.tiny()
    subjects.shake(model)
    before = [weight.numpy() for weight in model.trainable_variables]
    with descent.Descent(model, jit=False).averaged():
        for a, b in zip(before, model.trainable_variables, strict=True):
            np.testing.assert_array_equal(a, b)


def test_rates_rise_then_fall_along_a_cosine():
    model = subjects.tiny()
    step = descent.Descent(model, jit=False)

    def rates(at, share):
        step.set_rates(at, share)
        return [float(optimizer.learning_rate) for optimizer in step.optimizers]

    peaks = [model.config.timing_learning_rate, model.config.learning_rate]
    np.testing.assert_allclose(rates(49, 0.0), peaks, rtol=1e-6)
    np.testing.assert_allclose(rates(0, 0.0), np.array(peaks) / 50, rtol=1e-6)
    np.testing.assert_allclose(rates(1000, 1.0), np.array(peaks) / 10, rtol=1e-6)


def test_products_of_bfloat16_round_both_factors_and_nothing_else():
    rng = np.random.default_rng(0)
    x, kernel = (tf.constant(rng.standard_normal(shape), tf.float32) for shape in ((5, 64), (64, 3)))
    with layers.mixed_bfloat16():
        found = layers.product(x, kernel)
        with layers.mixed_bfloat16(False):
            np.testing.assert_array_equal(layers.product(x, kernel), tf.matmul(x, kernel))
    assert found.dtype == tf.float32
    rounded = [tf.cast(tf.cast(each, tf.bfloat16), tf.float32) for each in (x, kernel)]
    np.testing.assert_allclose(found, tf.matmul(*rounded), rtol=1e-2, atol=2e-2)
    assert np.abs(found - tf.matmul(x, kernel)).max() > 1e-3
    np.testing.assert_array_equal(layers.product(x, kernel), tf.matmul(x, kernel))
