"""Train a model of the zoo.

    python -m zoo.train --model=wavenet
    python -m zoo.train --model=wavenet --corpus=maptask-voiced --data_dir=... --minutes=30 --name=voiced

The same command continues a run that was stopped. Ctrl-C stops early and leaves a usable run.
"""

import dataclasses
import importlib.metadata
import os
import pathlib
import platform

from absl import flags, logging

from datasets import files
from datasets import flags as corpus_flags
from datasets.errors import InputError, run_command

FLAGS = flags.FLAGS
corpus_flags.define_corpus_flags()
flags.DEFINE_string("model", None, "Which model: python -m zoo.list shows them.")
flags.DEFINE_enum(
    "mode",
    None,
    ["dialogue", "unconditional", "text", "vocoder", "transcript"],
    "A side of a dialogue, or a paper's own task: one channel with no partner, gate or voice; a text read aloud; mels "
    "said again; speech written down. Default: dialogue, or what the model does.",
)
flags.DEFINE_string("preset", "tiny", "Which sizes of it.")
flags.DEFINE_multi_string("set", [], "Changes a size of the preset, such as --set=channels=48; may be given again.")
flags.DEFINE_float("crop_seconds", None, "Length of a training example; default the preset's.", lower_bound=3.0)
flags.DEFINE_bool("flip_roles", False, "Augmentation: exchange the two channels in half of the training examples.")
flags.DEFINE_float("gain_db", 0.0, "Augmentation: the loudest change of level of an example, up or down.", 0.0)
flags.DEFINE_string("name", None, "Name of the run; default <model>-<preset>-<corpus>.")
flags.DEFINE_string("runs_dir", "runs", "Where runs lie.")
flags.DEFINE_integer("steps", None, "Gradient steps; default the preset's.", lower_bound=1)
flags.DEFINE_integer("epochs", None, "As many steps as so many passes over the corpus take.", lower_bound=1)
flags.DEFINE_float(
    "minutes", None, "Stop after so many minutes even if steps are left; the rate then follows the clock.", 0.01
)
flags.DEFINE_float("checkpoint_seconds", 30.0, "Seconds between checkpoints.", lower_bound=0.0)
flags.DEFINE_integer("evaluate_steps", None, "Steps between held-out evaluations; default: ten in a training.", 1)
flags.DEFINE_integer(
    "patience", None, "Stop after so many evaluations without a better one, with the best weights; default never.", 1
)
flags.DEFINE_bool("jit", None, "Compile the step with XLA; default: where that was found to be faster.")
flags.DEFINE_bool(
    "mixed_bfloat16", False, "Products of the sound in bfloat16; sums, likelihoods and weights stay float32."
)
flags.DEFINE_integer("seed", 0, "Of weights, order and windows.")

_PACKAGES = ("tensorflow", "keras", "numpy", "librosa", "scikit-learn")


def main(argv: list[str]) -> None:
    del argv
    import tensorflow as tf

    from zoo import devices, held_out, registry

    if not FLAGS.model:
        raise InputError(f"--model: which one? The choices are {', '.join(registry.names())}")
    logging.set_verbosity(logging.WARNING)
    FLAGS.mode = FLAGS.mode or registry.mode_of(FLAGS.model)
    model_class, sizes = registry.find(FLAGS.model, FLAGS.preset, _overrides(FLAGS.set), FLAGS.mode)
    if FLAGS.crop_seconds:
        sizes = dataclasses.replace(sizes, crop_seconds=FLAGS.crop_seconds)
    if model_class.jit if FLAGS.jit is None else FLAGS.jit:
        devices.side_by_side()
    path = pathlib.Path(FLAGS.runs_dir) / (FLAGS.name or _default_name())
    try:
        figures = train(model_class, sizes, path)
    except tf.errors.OpError as error:
        raise InputError(f"{path}: TensorFlow gave up; is the disk full or the memory? {error.message}") from error
    if not figures:
        return  # The chief writes and reports.
    minutes = figures["training_minutes"]
    said = model_class.describe(figures) or held_out.describe(figures)
    print(f"held out: {said}; step {figures['step']}, {minutes:.1f} minutes of training")


def train(model_class, sizes, path: pathlib.Path) -> dict:
    """Prepares the corpus, makes or continues the run folder, trains.

    Returns:
        The held-out figures; nothing on hosts that are not the chief.
    """
    import keras

    from datasets import pipeline, prepare
    from zoo import board, devices, distribution, runs, training

    strategy = distribution.strategy()
    if FLAGS.steps and FLAGS.epochs:
        raise InputError(f"--epochs={FLAGS.epochs}: says how many steps; leave out --steps={FLAGS.steps}")
    if strategy.num_replicas_in_sync > 1 and FLAGS.minutes:
        raise InputError("--minutes: the clocks of several devices would not agree when to stop; give --steps")
    corpus = corpus_flags.corpus_from_flags(sizes.sample_rate)
    folder = runs.RunFolder(path)
    files.writable_folder(path.parent)
    print(f"devices: {devices.describe()}")
    splits = {split: prepare.prepare(corpus, split, workers=os.cpu_count()) for split in ("train", "validation")}
    for split, prepared in splits.items():
        print(
            f"{split}: {FLAGS.corpus}, {len(prepared.records)} dialogues, {prepared.seconds / 3600:.2f} h at "
            f"{prepared.sample_rate} Hz; a channel is silent {prepared.channel_silence_share:.0%} of the time"
        )
    if FLAGS.mode in ("text", "transcript"):
        splits = {split: _with_words(corpus, prepared, sizes.crop_seconds) for split, prepared in splits.items()}
    voices = board.trained_voices(splits["train"])
    recipe = training.Recipe(
        FLAGS.seed,
        pipeline.Augmentation(FLAGS.flip_roles, FLAGS.gain_db),
        FLAGS.evaluate_steps,
        FLAGS.patience,
        FLAGS.jit,
        FLAGS.mixed_bfloat16,
    )
    config = _config(sizes, corpus, recipe, devices.describe(), voices)
    if distribution.is_chief(strategy):
        _write_or_check(folder, config)
    keras.utils.set_random_seed(FLAGS.seed)
    with strategy.scope():
        model = runs.new_model(model_class, sizes, FLAGS.mode)
    if not model.trainable_variables and (FLAGS.steps or FLAGS.epochs or FLAGS.minutes):
        raise InputError(
            f"--steps, --epochs, --minutes: {FLAGS.model} is counted and has nothing to train; leave them out"
        )
    parts = ", ".join(f"{part.name} {part.count_params():,}" for part in model.layers)
    print(f"model: {FLAGS.model} {FLAGS.preset}, {model.count_params():,} parameters ({parts})")
    print(f"run folder: {path}")
    budget = training.Budget(_steps(model, splits["train"]), FLAGS.minutes)
    trainer = training.Trainer(
        model, splits["train"], splits["validation"], folder, budget, recipe, FLAGS.checkpoint_seconds, strategy
    )
    return trainer.run()


def _steps(model, train) -> int:
    if FLAGS.epochs:
        return sum(model.n_batches(train, FLAGS.seed, epoch) for epoch in range(FLAGS.epochs))
    return FLAGS.steps or model.config.steps


def _with_words(corpus, prepared, longest_seconds: float):
    from zoo import utterances

    split = utterances.spoken(corpus, prepared, longest_seconds)
    n = len(split.utterances)
    print(f"  {n} breath groups with their words; {split.too_long} are longer than {longest_seconds:g} s")
    return split


def _default_name() -> str:
    from zoo import registry

    mode = [] if FLAGS.mode == registry.mode_of(FLAGS.model) else [FLAGS.mode]
    return "-".join([FLAGS.model, *mode, FLAGS.preset, FLAGS.corpus])


def _overrides(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise InputError(f"--set={pair}: must be key=value, such as --set=channels=48")
    return dict(pair.split("=", 1) for pair in pairs)


def _config(sizes, corpus, recipe, devices: str, voices: list[int]) -> dict:
    from zoo.runs import FORMAT

    return {
        "format": FORMAT,
        "model": FLAGS.model,
        "mode": FLAGS.mode,
        "preset": FLAGS.preset,
        "sizes": dataclasses.asdict(sizes),
        "sample_rate": sizes.sample_rate,
        "corpus": corpus.key(),
        **dataclasses.asdict(recipe),
        "voices": voices,
        "devices": devices,
        "versions": {
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in _PACKAGES},
        },
    }


def _write_or_check(folder, config: dict) -> None:
    """A run folder belongs to one model on one corpus; a second command must agree with the first."""
    from zoo.training import Recipe

    if not folder.config.is_file():
        files.write_json(folder.config, config)
        return
    before = folder.read_config()
    fixed = ("model", "mode", "preset", "sizes", "corpus", *(field.name for field in dataclasses.fields(Recipe)))
    for key in fixed:
        now, then = (_plain(c.get(key)) for c in (config, before))
        if now != then:
            raise InputError(
                f"{folder.path}: was begun with {key} {_differing(then, now)}; give the same flags to continue it, "
                f"or another --name"
            )


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _differing(then, now) -> str:
    if not isinstance(then, dict):
        return f"{then}, not {now}"
    keys = sorted(key for key in {*then, *now} if then.get(key) != now.get(key))
    return ", ".join(f"{key}={then.get(key)}, not {now.get(key)}" for key in keys)


if __name__ == "__main__":
    run_command(main)
