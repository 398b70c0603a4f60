"""The training loop: counted weights first, then gradient steps that a kill cannot lose.

What a step sees is a function of the seed and the step's number alone: the stream of crops of an epoch, the windows of
sound within them. So a run that is killed and continued walks the path of one that was not.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from datasets import files, pipeline, prepare
from datasets.errors import InputError
from zoo import board, descent, distribution, export, held_out, objective
from zoo.agent import Learner
from zoo.runs import RunFolder
from zoo.selection import Selection

_EVALUATIONS = 10


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


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What shapes a training beside the model, the corpus and the budget.

    Attributes:
        seed: of the order of crops, the windows of sound, k-means.
        augmentation: of the crops that are trained on.
        evaluate_steps: steps between evaluations; None is ten in a training.
        patience: evaluations without a better one after which training ends, with the best weights; None is never.
        jit, mixed_bfloat16: as of `zoo.descent.Descent`.
    """

    seed: int
    augmentation: pipeline.Augmentation = pipeline.Augmentation()  # noqa: RUF009 - frozen
    evaluate_steps: int | None = None
    patience: int | None = None
    jit: bool | None = None
    mixed_bfloat16: bool = False

    def evaluates(self, step: int, share_before: float, share: float) -> bool:
        """Whether an evaluation is due after a step; after the last one there is one anyway."""
        if share >= 1.0:
            return False
        if self.evaluate_steps:
            return step % self.evaluate_steps == 0
        return int(_EVALUATIONS * share) > int(_EVALUATIONS * share_before)


class Trainer:
    """Trains a model in a run folder.

    Args:
        model: with fresh weights.
        train, held_out: prepared splits.
        folder: of the run; its checkpoints are continued.
        budget: how long.
        recipe: how.
        checkpoint_seconds: between checkpoints.
        strategy: under which the model was made, see `zoo.distribution`; None is one device.
    """

    def __init__(
        self,
        model: Learner,
        train: prepare.PreparedSplit,
        held_out: prepare.PreparedSplit,
        folder: RunFolder,
        budget: Budget,
        recipe: Recipe,
        checkpoint_seconds: float = 30.0,
        strategy: tf.distribute.Strategy | None = None,
    ):
        self.model, self.folder, self.budget, self.recipe = model, folder, budget, recipe
        self._train, self._held_out = train, held_out
        self._checkpoint_seconds, self._saved = checkpoint_seconds, time.monotonic()
        self._strategy = strategy or tf.distribute.get_strategy()
        self._is_chief = distribution.is_chief(self._strategy)
        self._descent = descent.Descent(model, self._strategy, recipe.jit, recipe.mixed_bfloat16)
        self._selection = Selection()
        self._step = tf.Variable(0, dtype=tf.int64)
        self._seconds = tf.Variable(0.0, dtype=tf.float64)
        checkpoint = tf.train.Checkpoint(
            model=model,
            optimizers=self._descent.optimizers,
            selection=self._selection,
            step=self._step,
            seconds=self._seconds,
        )
        self._manager = tf.train.CheckpointManager(checkpoint, str(folder.checkpoints), max_to_keep=2)

    @property
    def step(self) -> int:
        return int(self._step.numpy())

    @property
    def _share_done(self) -> float:
        return self.budget.share_done(self.step, float(self._seconds))

    def run(self, say: Callable[[str], None] = print) -> dict:
        """Trains to the end of the budget, or to Ctrl-C, then evaluates and exports; returns the held-out figures."""
        self._start(say)
        self._examiner = held_out.Examiner(self.model, self._held_out, self.recipe.seed)
        writer = (
            tf.summary.create_file_writer(str(self.folder.logs)) if self._is_chief else tf.summary.create_noop_writer()
        )
        with writer.as_default():
            stopped = self._loop()
            if stopped:
                say(f"interrupted at step {self.step}: saving what there is; the same command goes on from here")
            if self._tired():
                say(f"no better evaluation among the last {self.recipe.patience}: ending with the best weights")
            self._save()
            distribution.wait_for_all(self._strategy)
            self._descent.average()
            figures = self._conclude(stopped) if self._is_chief else {}
        writer.close()
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
        batches = self.model.batches(self._train, self.recipe.seed, 0)
        found = self.model.count(batches, self.recipe.seed, lambda it: tqdm(it, "counting", unit="batch"))
        say(f"counted: {found}")
        self._save()

    def _save(self) -> None:
        self._saved = time.monotonic()
        if self._is_chief:
            self._manager.save()

    def _loop(self) -> bool:
        """True if a Ctrl-C ended it."""
        with (
            tqdm(total=self.budget.steps, initial=self.step, desc="training", unit="step") as bar,
            _interruptible() as stop,
        ):
            for batch in self._stream():
                share = self._share_done
                if share >= 1.0 or stop() or self._tired():
                    break
                self._take_step(batch, share, bar)
                # Before the checkpoint, which so holds what was found.
                if self.recipe.evaluates(self.step, share, self._share_done):
                    self._examine()
                if time.monotonic() - self._saved > self._checkpoint_seconds:
                    self._save()
            return stop()

    def _stream(self):
        """Batches from the present step on, epoch after epoch."""
        seed, epoch, done = self.recipe.seed, 0, 0
        while True:
            batches = self.model.n_batches(self._train, seed, epoch)
            if self.step < done + batches:
                how = {"skip_batches": self.step - done, "augmentation": self.recipe.augmentation}
                yield from self.model.batches(self._train, seed, epoch, **how)
            done, epoch = done + batches, epoch + 1

    def _take_step(self, batch, share: float, bar) -> None:
        started = time.monotonic()
        self._descent.set_rates(self.step, share)
        terms, norms = self._descent(batch, tf.constant([self.recipe.seed, self.step], tf.int32))
        self._require_finite(batch, terms, norms)
        self._step.assign_add(1)
        self._report(bar, terms, norms)
        self._seconds.assign_add(time.monotonic() - started)

    def _require_finite(self, batch, terms, norms) -> None:
        found = {f"{name} term": total for name, (total, _) in terms.items()}
        found |= {"gradient": sum(float(norm) for norm in norms)}
        bad = [name for name, value in found.items() if not math.isfinite(float(value))]
        if bad:
            arrays = {key: value.numpy() for key, value in batch.items()}
            arrays = {key: array.astype(str) if array.dtype == object else array for key, array in arrays.items()}
            with files.replacing(self.folder.nan_batch) as part, open(part, "wb") as file:
                np.savez_compressed(file, **arrays, seed=self.recipe.seed, step=self.step)
            raise InputError(
                f"step {self.step}: the {bad[0]} is not finite; its batch is in {self.folder.nan_batch}, the weights "
                f"before it in the last checkpoint; try a smaller --set=learning_rate=..."
            )

    def _report(self, bar, terms, norms) -> None:
        figures = objective.figures(objective.numbers(terms), self.model.config.hop)
        bar.update(1)
        bar.set_postfix_str(self.model.brief(figures) or held_out.brief(figures), refresh=False)
        board.show_step(figures, norms, self.step)

    def _examine(self) -> None:
        """An evaluation of the averaged weights, which are kept where it is the best so far."""
        with self._descent.averaged():
            if self._is_chief:
                self._offer(self._examiner())
        waited = distribution.from_chief(self._strategy, int(self._selection.waited))
        self._selection.waited.assign(waited)

    def _offer(self, exam: held_out.Exam) -> None:
        if self._selection.offer(exam.figures):
            self.folder.write_weights(self.model, self.folder.best)
        self._show(exam)

    def _show(self, exam: held_out.Exam) -> None:
        board.show_exam(self.model, exam, next(iter(self._examiner.batches())), self.step)

    def _tired(self) -> bool:
        return self.recipe.patience is not None and int(self._selection.waited) >= self.recipe.patience

    def _conclude(self, stopped: bool) -> dict:
        """Evaluates and writes the averaged weights, or the best ones where those did not get better for long."""
        if self._tired():
            self.model.load_weights(self.folder.best)
        exam = held_out.evaluate(self.model, self._train, self._held_out, self.recipe.seed)
        # One that is interrupted goes on as if it had not been.
        if not stopped and self.step and self._selection.offer(exam.figures):
            self.folder.write_weights(self.model, self.folder.best)
        figures = exam.figures | {"step": self.step, "training_minutes": float(self._seconds) / 60.0}
        self._show(held_out.Exam(figures, exam.hazards))
        board.show_sample(self.model, self._train, self._held_out, self.recipe.seed, self.step)
        self.folder.write_weights(self.model, self.folder.weights)
        files.write_json(self.folder.held_out, figures)
        export.export(self.model, self.folder.saved_model, self.folder.read_config())
        return figures


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
