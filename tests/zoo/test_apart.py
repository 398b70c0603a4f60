import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.zoo import subjects
from zoo import apart, objective


@pytest.mark.parametrize("jit", [False, True])
def test_rows_taken_apart_add_up_to_the_whole_and_so_do_their_gradients(jit):
    rng = np.random.default_rng(0)
    told, given = (tf.constant(rng.standard_normal((5, 3, 4)), tf.float32) for _ in range(2))
    weight = keras.Variable(rng.standard_normal((4, 2)).astype(np.float32))
    unused = keras.Variable(np.ones(3, np.float32))

    def function(told, given):
        return tf.reduce_sum(tf.tanh(tf.matmul(told, tf.convert_to_tensor(weight))) ** 2 * given[..., :2])

    def taken(total):
        with tf.GradientTape() as tape:
            tape.watch(told)
            loss = 3.0 * total()
        return loss, *tape.gradient(loss, [told, weight.value], unconnected_gradients=tf.UnconnectedGradients.ZERO)

    def by_row():
        return taken(lambda: apart.total(function, [told], [given], [weight, unused]))

    found = tf.function(by_row, autograph=False, jit_compile=jit)()
    wanted = taken(lambda: function(told, given))
    for one, two in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
        assert np.abs(two).max() > 0.1


def test_a_wavenet_trains_on_windows_apart_as_on_all_at_once(monkeypatch):
    model = subjects.tiny()
    subjects.shake(model)
    batch, seed = subjects.clip(model.config), tf.constant([0, 0])

    def gradients():
        with tf.GradientTape() as tape:
            terms = objective.sums(model, batch, seed, training=True)
            loss = objective.loss(terms)
        found = tape.gradient(
            loss, [each.value for each in model.trainable_variables], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return terms["sound"], [tf.convert_to_tensor(each) for each in found]

    sound, found = tf.function(gradients, autograph=False)()
    monkeypatch.setattr(type(model.sound), "rows_apart", False)
    wanted_sound, wanted = tf.function(gradients, autograph=False)()
    np.testing.assert_allclose(sound, wanted_sound, rtol=1e-5)
    for one, two, weight in zip(found, wanted, model.trainable_variables, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5, err_msg=weight.path)
