"""The training loop: counted weights first, then gradient steps that a kill cannot lose.

What a step sees is a function of the seed and the step's number alone: the stream of crops of an epoch, the windows of
sound within them. So a run that is killed and continued walks the path of one that was not.
"""

import collections
import contextlib
import dataclasses
import math
import time
from collections.abc import Callable

import keras
import tensorflow as tf
from tqdm import tqdm

from datasets import files, pipeline, prepare
from datasets.errors import InputError
from zoo import distribution, export, generation, held_out, objective
from zoo.agent import Learner
from zoo.runs import RunFolder

_CLIP_NORM = 5.0
_SAMPLE_SECONDS = 20.0


@dataclasses.dataclass(frozen=True)
class Budget:
    """How long to train: `steps`, and `minutes` of training if given, whichever ends first.

    A model that is counted and not trained takes no steps.
    """

    steps: int
    minutes: float | None = None

    def share_done(self, step: int, seconds: float) -> float:
        """0 at the start, 1 at the end; without `minutes` a function of the step alone."""
        by_time = seconds / (60.0 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(step / self.steps, by_time)) if self.steps else 1.0


class Trainer:
    """Trains a model in a run folder.

    Args:
        model: with fresh weights.
        train, held_out: prepared splits.
        folder: of the run; its checkpoints are continued.
        budget: how long.
        seed: of the order of crops, the windows of sound, k-means.
        checkpoint_seconds: between checkpoints.
        augmentation: of the crops that are trained on.
        strategy: under which the model was made, see `zoo.distribution`; None is one device.
    """

    def __init__(
        self,
        model: Learner,
        train: prepare.PreparedSplit,
        held_out: prepare.PreparedSplit,
        folder: RunFolder,
        budget: Budget,
        seed: int,
        checkpoint_seconds: float = 30.0,
        augmentation: pipeline.Augmentation = pipeline.Augmentation(),  # noqa: B008 - frozen
        strategy: tf.distribute.Strategy | None = None,
    ):
        self.model, self.folder, self.budget, self.seed = model, folder, budget, seed
        self._train, self._held_out = train, held_out
        self._checkpoint_seconds, self._augmentation = checkpoint_seconds, augmentation
        self._strategy = strategy or tf.distribute.get_strategy()
        distribution.check_rows(self._strategy, model.config.batch_size)
        self._is_chief = distribution.is_chief(self._strategy)
        with self._strategy.scope():
            self._parts = [(_adam(model.config, variables), rate, variables) for variables, rate in model.parts()]
        self._step = tf.Variable(0, dtype=tf.int64)
        self._seconds = tf.Variable(0.0, dtype=tf.float64)
        checkpoint = tf.train.Checkpoint(
            model=model, optimizers=[part[0] for part in self._parts], step=self._step, seconds=self._seconds
        )
        self._manager = tf.train.CheckpointManager(checkpoint, str(folder.checkpoints), max_to_keep=2)
        self._descent = tf.function(self._descend, autograph=False, jit_compile=False)

    @property
    def step(self) -> int:
        return int(self._step.numpy())

    def run(self, say: Callable[[str], None] = print) -> dict:
        """Trains to the end of the budget, or to Ctrl-C, then evaluates and exports; returns the held-out figures."""
        self._start(say)
        writer = (
            tf.summary.create_file_writer(str(self.folder.logs)) if self._is_chief else tf.summary.create_noop_writer()
        )
        with writer.as_default():
            stopped = self._loop()
            if stopped:
                say(f"interrupted at step {self.step}: saving what there is; the same command goes on from here")
            self._save()
            distribution.wait_for_all(self._strategy)
            self._average()
            if not self._is_chief:
                distribution.wait_for_all(self._strategy)
                return {}
            figures = held_out.evaluate(self.model, self._train, self._held_out, self.seed)
            figures |= {"step": self.step, "training_minutes": float(self._seconds) / 60.0}
            self._log_figures(figures)
            self._log_sample()
        writer.close()
        self._finish(figures)
        distribution.wait_for_all(self._strategy)
        return figures

    def _start(self, say) -> None:
        latest = self._manager.latest_checkpoint
        # Nobody saves before all have looked.
        distribution.wait_for_all(self._strategy)
        if latest:
            self._manager.checkpoint.restore(latest).assert_existing_objects_matched()
            say(f"going on from step {self.step} of {self.folder.path}")
            return
        batches = self._crops(epoch=0, augmentation=pipeline.Augmentation())
        found = self.model.count(batches, self.seed, lambda it: tqdm(it, "counting", unit="batch"))
        say(f"counted: {found}")
        self._save()

    def _save(self) -> None:
        if self._is_chief:
            self._manager.save()

    def _loop(self) -> bool:
        """True if a Ctrl-C ended it."""
        saved = time.monotonic()
        with (
            tqdm(total=self.budget.steps, initial=self.step, desc="training", unit="step") as bar,
            _interruptible() as stop,
        ):
            for batch in self._stream():
                started = time.monotonic()
                share = self.budget.share_done(self.step, float(self._seconds))
                if share >= 1.0 or stop():
                    break
                for optimizer, peak, _ in self._parts:
                    optimizer.learning_rate.assign(_rate(peak, self.step, share))
                terms = self.train_step(batch, tf.constant([self.seed, self.step], tf.int32))
                self._require_finite(terms)
                self._step.assign_add(1)
                self._report(bar, terms)
                now = time.monotonic()
                self._seconds.assign_add(now - started)
                if now - saved > self._checkpoint_seconds:
                    self._save()
                    saved = now
            return stop()

    def _stream(self):
        """Batches from the present step on, epoch after epoch."""
        epoch, done = 0, 0
        while True:
            batches = self._n_batches(epoch)
            if self.step < done + batches:
                yield from self._crops(epoch, self._augmentation, skip_batches=self.step - done)
            done, epoch = done + batches, epoch + 1

    def _n_batches(self, epoch: int) -> int:
        return self.model.n_batches(self._train, self.seed, epoch)

    def _crops(self, epoch: int, augmentation: pipeline.Augmentation, skip_batches: int = 0):
        return self.model.batches(self._train, self.seed, epoch, skip_batches=skip_batches, augmentation=augmentation)

    def train_step(self, batch: dict, seed: tf.Tensor) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        """One step on one batch; returns the terms of the objective, summed over the whole batch."""
        return self._descent(distribution.share_of(self._strategy, batch), seed)

    def _descend(self, share, seed):
        # What is summed over all replicas is the same on each of them.
        return tf.nest.map_structure(
            lambda value: self._strategy.experimental_local_results(value)[0],
            self._strategy.run(self._descend_replica, args=(share, seed)),
        )

    def _descend_replica(self, batch, seed):
        replicas = self._strategy.num_replicas_in_sync
        with tf.GradientTape() as tape:
            terms = self.model.sums(batch, seed, training=True)
            counts = distribution.total([count for _, count in terms.values()])
            terms = {name: (bits, count) for (name, (bits, _)), count in zip(terms.items(), counts, strict=True)}
            loss = objective.loss(terms)
        gradients = tape.gradient(
            loss,
            [variables for _, _, variables in self._parts],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        for (optimizer, _, variables), part in zip(self._parts, gradients, strict=True):
            summed, _ = tf.clip_by_global_norm(
                distribution.total([tf.convert_to_tensor(each) for each in part]), _CLIP_NORM
            )
            # The optimiser adds up what replicas give it, which here is the same.
            optimizer.apply_gradients(zip([each / replicas for each in summed], variables, strict=True))
        bits = distribution.total([bits for bits, _ in terms.values()])
        return dict(zip(terms, zip(bits, counts, strict=True), strict=True))

    def _require_finite(self, terms) -> None:
        bad = [name for name, (total, _) in terms.items() if not math.isfinite(float(total))]
        if bad:
            raise InputError(
                f"step {self.step}: the {bad[0]} term is not finite; try a smaller --set=learning_rate=..."
            )

    def _report(self, bar, terms) -> None:
        figures = objective.figures(objective.numbers(terms), self.model.config.hop)
        bar.update(1)
        bar.set_postfix_str(held_out.brief(figures), refresh=False)
        for name, value in figures.items():
            tf.summary.scalar(f"train/{name}", value, step=self.step)

    def _average(self) -> None:
        """Puts the running average in the place of the weights; the checkpoint keeps the weights to go on from."""
        if self.step:
            for optimizer, _, variables in self._parts:
                optimizer.finalize_variable_values(variables)

    def _log_figures(self, figures) -> None:
        for name, value in figures.items():
            tf.summary.scalar(f"held_out/{name}", value, step=self.step)

    def _log_sample(self) -> None:
        if self.model.mode == "dialogue":
            audio, _ = generation.duet(self.model, _SAMPLE_SECONDS, trained_voices(self._train)[:2], seed=self.seed)
        elif self.model.mode == "text":
            audio = self.model.sample(self._held_out, self.seed)
        else:
            audio = generation.babble(self.model, _SAMPLE_SECONDS, seed=self.seed)
        tf.summary.audio(self.model.mode, audio.T[None], self.model.config.sample_rate, step=self.step)

    def _finish(self, figures) -> None:
        self.folder.write_weights(self.model)
        files.write_json(self.folder.held_out, figures)
        export.export(self.model, self.folder.saved_model)


def trained_voices(prepared: prepare.PreparedSplit) -> list[int]:
    """Voice numbers of the speakers of a split, the most heard first."""
    frames = collections.Counter()
    for _, record in prepared.records:
        for speaker, spoken in zip(record.speakers, record.speech_frames, strict=True):
            frames[pipeline.voice_of(speaker)] += spoken
    return [voice for voice, _ in frames.most_common()]


def _adam(config, variables) -> keras.optimizers.Optimizer:
    optimizer = keras.optimizers.Adam(use_ema=True, ema_momentum=config.averaging, ema_overwrite_frequency=None)
    optimizer.build(variables)
    return optimizer


def _rate(peak: float, step: int, share: float) -> float:
    """Up over 50 steps, then down to a tenth along a cosine."""
    return peak * min(1.0, (step + 1) / 50) * (0.55 + 0.45 * math.cos(math.pi * share))


@contextlib.contextmanager
def _interruptible():
    """The first Ctrl-C asks the loop to end after its step; a second one ends at once."""
    import signal

    asked = []

    def ask(number, frame):
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    try:
        before = signal.signal(signal.SIGINT, ask)
    except ValueError:  # not in the main thread
        yield lambda: False
        return
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
