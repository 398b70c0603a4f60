"""A recurrence over time whose step is any function of tensors, with windows of the past that slide along.

Only the states are kept on the way; on the way back each step is made again and differentiated on the spot. So memory
grows with the states alone and both loops compile under XLA.
"""

from collections.abc import Callable

import tensorflow as tf

Step = Callable[[list, list, list, list], list]


def unroll(
    step: Step, inputs: list, windows: list, state: list, weights: list, by_step: bool = False
) -> list[tf.Tensor]:
    """The state after each step.

    Args:
        step: `step(inputs, windows, state, weights) -> state`, a function of a module (a new closure traces anew).
        inputs: [batch, time, ...] each; a step is given [batch, ...].
        windows: [batch, window - 1 + time, ...] each; step t is given t to t + window - 1, [batch, window, ...].
        state: [batch, ...] each.
        weights: tensors.
        by_step: the weights hold rows of the batch too, such as a text that all steps read, so steps cannot be put
            together for the gradient by them.

    Returns:
        Of each tensor of the state [batch, time, ...].
    """
    # A custom gradient follows tensors, not variables.
    weights = [tf.convert_to_tensor(each) for each in weights]
    if inputs[0].shape[1] == 1:
        after = step([each[:, 0] for each in inputs], windows, state, weights)
        return [each[:, None] for each in after]
    sizes = [len(each) for each in (inputs, windows, state, weights)]

    @tf.custom_gradient
    def run(*given):
        # Out of sight of an eager tape, which would ask XLA for its own gradient.
        seen = [tf.stop_gradient(each) for each in given]
        states = _forward(step, *_split(seen, sizes))

        def gradient(*upstream):
            return _backward(step, *_split(seen, sizes), states, list(upstream), by_step)

        return states, gradient

    return list(run(*inputs, *windows, *state, *weights))


def _split(given, sizes):
    parts, start = [], 0
    for size in sizes:
        parts.append(list(given[start : start + size]))
        start += size
    return parts


def _at(t, inputs, windows):
    """What step t is given; `inputs` are [time, batch, ...]."""
    steps = tf.shape(inputs[0])[0]
    return [tf.gather(each, t) for each in inputs], [
        _window(each, t, tf.shape(each)[1] - steps + 1) for each in windows
    ]


def _window(x, t, size):
    rest = tf.shape(x)[2:]
    begin = tf.concat([[0, t], tf.zeros_like(rest)], axis=0)
    return tf.slice(x, begin, tf.concat([[tf.shape(x)[0], size], rest], axis=0))


def _time_first(x):
    return tf.transpose(x, [1, 0, *range(2, len(x.shape))])


@tf.function(jit_compile=True, autograph=False)
def _forward(step, inputs, windows, state, weights):
    inputs = [_time_first(each) for each in inputs]
    steps = tf.shape(inputs[0])[0]

    def body(t, state, rows):
        state = step(*_at(t, inputs, windows), state, weights)
        return t + 1, state, [row.write(t, each) for row, each in zip(rows, state, strict=True)]

    rows = [tf.TensorArray(tf.float32, steps, element_shape=each.shape) for each in state]
    _, _, rows = tf.while_loop(lambda t, *_: t < steps, body, [tf.constant(0), state, rows])
    return [_time_first(row.stack()) for row in rows]


@tf.function(jit_compile=True, autograph=False)
def _backward(step, inputs, windows, state, weights, states, upstream, by_step):
    """Gradients by all arguments of `unroll` but the first.

    The gradient by the window of a step goes along with it: what leaves at its new end is complete. Without windows,
    and unless `by_step`, all steps fit into one for the gradient by the weights: a few large products, not many small.
    """
    inputs, upstream = [_time_first(each) for each in inputs], [_time_first(each) for each in upstream]
    befores = [tf.concat([s[None], _time_first(after)[:-1]], axis=0) for s, after in zip(state, states, strict=True)]
    steps = tf.shape(inputs[0])[0]
    looped = weights if windows or by_step else []
    sizes = [len(each) for each in (inputs, windows, state, looped)]

    def body(t, later, by_window, by_weight, rows, leaving, told):
        given = [*_at(t, inputs, windows), [tf.gather(each, t) for each in befores], weights]
        with tf.GradientTape() as tape:
            tape.watch([given[:3], looped])
            after = step(*given)
        totals = [one + tf.gather(each, t) for one, each in zip(later, upstream, strict=True)]
        flat = tape.gradient(after, tf.nest.flatten([given[:3], looped]), totals, unconnected_gradients="zero")
        by_input, one_window, earlier, one_weight = _split(flat, sizes)
        by_window = [a + b for a, b in zip(by_window, one_window, strict=True)]
        by_weight = [a + b for a, b in zip(by_weight, one_weight, strict=True)]
        rows = [row.write(t, each) for row, each in zip(rows, by_input, strict=True)]
        leaving = [row.write(t, each[:, -1]) for row, each in zip(leaving, by_window, strict=True)]
        by_window = [tf.concat([tf.zeros_like(each[:, :1]), each[:, :-1]], axis=1) for each in by_window]
        told = [row.write(t, each) for row, each in zip(told, totals, strict=True)]
        return t - 1, earlier, by_window, by_weight, rows, leaving, told

    def array(shape):
        return tf.TensorArray(tf.float32, steps, element_shape=shape)

    first = _at(tf.constant(0), inputs, windows)[1]
    begin = [
        steps - 1,
        [tf.zeros_like(each) for each in state],
        [tf.zeros_like(each) for each in first],
        [tf.zeros_like(each) for each in looped],
        [array(each.shape[1:]) for each in inputs],
        [array([each.shape[0], *each.shape[2:]]) for each in windows],
        [array(each.shape) for each in state],
    ]
    _, by_state, by_window, by_weight, rows, leaving, told = tf.while_loop(lambda t, *_: t >= 0, body, begin)
    by_windows = [
        tf.concat([rest[:, 1:], _time_first(row.stack())], axis=1) for rest, row in zip(by_window, leaving, strict=True)
    ]
    if not looped:
        by_weight = _by_weight(step, inputs, befores, weights, [row.stack() for row in told])
    return [*[_time_first(row.stack()) for row in rows], *by_windows, *by_state, *by_weight]


def _by_weight(step, inputs, befores, weights, totals):
    """Gradients by the weights of all steps at once; each [time, batch, ...]."""

    def together(parts):
        return [tf.reshape(each, tf.concat([[-1], tf.shape(each)[2:]], axis=0)) for each in parts]

    with tf.GradientTape() as tape:
        tape.watch(weights)
        after = step(together(inputs), [], together(befores), weights)
    return tape.gradient(after, weights, together(totals), unconnected_gradients="zero")
