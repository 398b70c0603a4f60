"""A sum over independent rows of a batch, taken one row at a time, with its gradient.

What the layers of a WaveNet keep of one row stays in the cache of a core, what they keep of a batch does not. Value and
gradient are found in the same pass over a row: nothing is kept for later and nothing is computed again.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

_ZERO = tf.UnconnectedGradients.ZERO


def total(function: Callable[..., tf.Tensor], told: Sequence, given: Sequence, variables: Sequence) -> tf.Tensor:
    """The sum of `function` over rows.

    Args:
        function: of a row of each of `told` and `given`, [1, ...], and of the variables; its value is a scalar.
        told: float32 [n, ...] each; a gradient flows back to them.
        given: [n, ...] each; none does.
        variables: float32; of Keras.

    Returns:
        float32 [].
    """

    # Those of TensorFlow: Keras's own have no zeros for a gradient that is none.
    variables = [each.value for each in variables]

    @tf.custom_gradient
    def run(*told):
        value, of_told, of_variables = _pass(function, told, given, variables)
        by_variable = dict(zip((each.ref() for each in variables), of_variables, strict=True))

        def gradient(upstream, variables=()):
            found = [upstream * each for each in of_told]
            return found, [upstream * by_variable[each.ref()] for each in variables]

        return value, gradient

    return run(*told)


def _pass(function, told, given, variables):
    """The value, and its gradients by `told` and by the variables."""
    rows = tf.shape(told[0])[0]

    def body(i, value, of_told, of_variables):
        row = [tf.gather(each, i)[None] for each in told]
        with tf.GradientTape() as tape:
            tape.watch(row)
            one = function(*row, *(tf.gather(each, i)[None] for each in given))
        by_row, by_variable = tape.gradient(one, [row, variables], unconnected_gradients=_ZERO)
        of_told = [array.write(i, each[0]) for array, each in zip(of_told, by_row, strict=True)]
        of_variables = [sum_ + tf.convert_to_tensor(each) for sum_, each in zip(of_variables, by_variable, strict=True)]
        return i + 1, value + one, of_told, of_variables

    arrays = [tf.TensorArray(tf.float32, rows, element_shape=each.shape[1:]) for each in told]
    begin = [tf.constant(0), tf.constant(0.0), arrays, [tf.zeros(each.shape) for each in variables]]
    _, value, arrays, of_variables = tf.while_loop(lambda i, *_: i < rows, body, begin, parallel_iterations=1)
    return value, [array.stack() for array in arrays], of_variables
