"""A gradient step: the terms of the objective on a batch, clipped gradients, Adam, a running average of the weights."""

import contextlib
import math

import keras
import tensorflow as tf

from zoo import distribution, layers, objective
from zoo.agent import Learner

_CLIP_NORM = 5.0
_WARMUP_STEPS = 50
Terms = dict[str, tuple[tf.Tensor, tf.Tensor]]


class Descent:
    """Takes steps with a model.

    Args:
        model: with the weights to start from.
        strategy: under which the model was made, see `zoo.distribution`.
        jit: whether XLA compiles the step; None is `model.jit`, where one device takes the steps.
        mixed_bfloat16: whether the products of the sound take bfloat16 (see `zoo.layers.mixed_bfloat16`).

    Attributes:
        optimizers: of the parts of the model, to be kept with it.
    """

    def __init__(
        self,
        model: Learner,
        strategy: tf.distribute.Strategy | None = None,
        jit: bool | None = None,
        mixed_bfloat16: bool = False,
    ):
        self._model, self._strategy = model, strategy or tf.distribute.get_strategy()
        distribution.check_rows(self._strategy, model.config.batch_size)
        self._mixed = mixed_bfloat16
        self._is_alone = self._strategy.num_replicas_in_sync == 1
        with self._strategy.scope():
            self._parts = [(_adam(model.config, variables), rate, variables) for variables, rate in model.parts()]
        self._jit = model.jit and self._is_alone if jit is None else jit
        self._count = tf.function(self._counts, autograph=False, jit_compile=True)
        self._differentiate = tf.function(self._gradients, autograph=False, jit_compile=True)
        # XLA needs to know every size; without it one graph serves batches of any length.
        self._descend = tf.function(self._descend_all, autograph=False, reduce_retracing=not self._jit)

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        return [optimizer for optimizer, _, _ in self._parts]

    def set_rates(self, step: int, share: float) -> None:
        """Learning rates of a step: up over the first ones, then down to a tenth along a cosine of the share done."""
        up = min(1.0, (step + 1) / _WARMUP_STEPS)
        for optimizer, peak, _ in self._parts:
            optimizer.learning_rate.assign(peak * up * (0.55 + 0.45 * math.cos(math.pi * share)))

    def __call__(self, batch: dict, seed: tf.Tensor) -> tuple[Terms, list[tf.Tensor]]:
        """One step on one batch: the terms, summed over all of it, and the norm of each part's gradient."""
        return self._descend(distribution.share_of(self._strategy, batch), seed)

    @contextlib.contextmanager
    def averaged(self):
        """The running average stands in the place of the weights, if any step was taken; then they are back."""
        self.average()
        yield
        self.restore()

    def average(self) -> None:
        """Puts the running average in the place of the weights."""
        self._kept = [[_read(variable) for variable in variables] for _, _, variables in self._parts]
        for optimizer, _, variables in self._parts:
            if _read(optimizer.iterations):
                optimizer.finalize_variable_values(variables)

    def restore(self) -> None:
        """Takes back `average`."""
        for (_, _, variables), kept in zip(self._parts, self._kept, strict=True):
            for variable, value in zip(variables, kept, strict=True):
                variable.assign(value)

    def _descend_all(self, share, seed):
        # What is summed over all replicas is the same on each of them.
        return tf.nest.map_structure(
            lambda value: self._strategy.experimental_local_results(value)[0],
            self._strategy.run(self._descend_replica, args=(share, seed)),
        )

    def _descend_replica(self, batch, seed):
        if self._jit:
            bits, counts, gradients = self._by_shares(batch, seed)
        else:
            bits, counts, gradients = self._gradients(batch, seed)
        bits, norms = distribution.total(bits), []
        for part in self._parts:
            mine, gradients = gradients[: len(part[2])], gradients[len(part[2]) :]
            norms.append(self._apply(part, mine))
        return dict(zip(self._names, zip(bits, counts, strict=True), strict=True)), norms

    def _by_shares(self, batch, seed):
        """As of `_gradients`. Shares of a batch do not wait for each other, so they are computed side by side."""
        n = distribution.shares(batch["row"].shape[0]) if self._is_alone else 1
        shares = [{key: value[i::n] for key, value in batch.items()} for i in range(n)]
        counts = distribution.total(_added([self._count(share, seed) for share in shares]))
        found = [self._differentiate(share, seed, counts) for share in shares]
        bits, _, gradients = (_added(each) for each in zip(*found, strict=True))
        return bits, counts, gradients

    def _sums(self, batch, seed) -> Terms:
        with layers.mixed_bfloat16(self._mixed):
            terms = self._model.sums(batch, seed, training=True)
        self._names = list(terms)
        return terms

    def _counts(self, batch, seed) -> list[tf.Tensor]:
        """Of what each term is the sum; XLA leaves out all else."""
        return [count for _, count in self._sums(batch, seed).values()]

    def _gradients(self, batch, seed, counts=None):
        """The bits of each term, of what they are sums, and the gradients of all parts.

        `counts`: of the whole batch; None is those of this part of it, over all replicas.
        """
        with tf.GradientTape() as tape:
            terms = self._sums(batch, seed)
            bits, own_counts = zip(*terms.values(), strict=True)
            counts = distribution.total(own_counts) if counts is None else counts
            loss = objective.loss(dict(zip(terms, zip(bits, counts, strict=True), strict=True)))
        gradients = tape.gradient(
            loss,
            [variable.value for _, _, variables in self._parts for variable in variables],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return list(bits), counts, [tf.convert_to_tensor(each) for each in gradients]

    def _apply(self, part, gradient) -> tf.Tensor:
        optimizer, _, variables = part
        summed, norm = tf.clip_by_global_norm(
            distribution.total([tf.convert_to_tensor(each) for each in gradient]), _CLIP_NORM
        )
        # The optimiser adds up what replicas give it, which here is the same.
        replicas = self._strategy.num_replicas_in_sync
        optimizer.apply_gradients(zip([each / replicas for each in summed], variables, strict=True))
        return norm


def _added(found: list[list[tf.Tensor]]) -> list[tf.Tensor]:
    return [tf.add_n(each) for each in zip(*found, strict=True)]


def _read(variable: keras.Variable):
    """In numpy, of the first replica where there are several."""
    return tf.convert_to_tensor(variable.value).numpy()


def _adam(config, variables) -> keras.optimizers.Optimizer:
    optimizer = keras.optimizers.Adam(use_ema=True, ema_momentum=config.averaging, ema_overwrite_frequency=None)
    optimizer.build(variables)
    return optimizer
