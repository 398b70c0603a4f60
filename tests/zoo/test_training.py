"""One command, stopped twice and given again, against the same command left alone; in processes of their own."""

import functools
import json
import os
import signal

import h5py
import numpy as np
import pytest

from tests.zoo import commands, subjects
from zoo.runs import open_run
from zoo.training import Budget, Recipe

STEPS, KILLED_AT, STOPPED_AT = 8, 3, 7
SIZES = {**subjects.SIZES, **subjects.SMALLEST_WAVENET, "crop_seconds": 3.2, "batch_size": 4}
COMMAND = [
    "--model=wavenet",
    "--corpus=bursts",
    "--checkpoint_seconds=0",
    "--nojit",
    "--evaluate_steps=3",
    f"--steps={STEPS}",
    *(
        f"--set={key}={'+'.join(map(str, value)) if isinstance(value, tuple) else value}"
        for key, value in SIZES.items()
    ),
]


def _prepare(at_step: int | None = None, number: int = signal.SIGTERM, exported: bool = False) -> None:
    """Noise bursts as the corpus; sends itself a signal after a step; no sample and no SavedModel unless asked."""
    from zoo import board, export, generation, training

    commands.use_bursts()
    board._SAMPLE_SECONDS = 0.2
    if not exported:
        export.export = lambda model, path, config: None
        generation.duet = lambda *_, **__: (np.zeros((2, 8), np.float32), None)
    report = training.Trainer._report

    def report_and_signal(trainer, *arguments):
        report(trainer, *arguments)
        if trainer.step == at_step:
            os.kill(os.getpid(), number)

    training.Trainer._report = report_and_signal


def _train(folder, name: str, *flags: str, **disturbance) -> commands.Done:
    prepare = functools.partial(_prepare, **disturbance)
    return commands.run(folder, "zoo.train", *COMMAND, f"--name={name}", *flags, prepare=prepare)


def _weights(path) -> dict[str, np.ndarray]:
    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(keep)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training") / "here"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def alone(folder):
    return folder / "runs" / "alone", _train(folder, "alone")


@pytest.fixture(scope="module")
def killed(folder):
    return folder / "runs" / "disturbed", _train(folder, "disturbed", at_step=KILLED_AT, number=signal.SIGKILL)


@pytest.fixture(scope="module")
def stopped(folder, killed):
    done = _train(folder, "disturbed", at_step=STOPPED_AT, number=signal.SIGINT, exported=True)
    return folder / "runs" / "disturbed", done


def test_training_says_what_it_does_and_leaves_a_run(alone):
    path, done = alone
    assert done.status == 0, done.stderr
    for part in ("devices: ", "train: bursts, 6 dialogues", "silent", "parameters", f"run folder: runs/{path.name}"):
        assert part in done.stdout
    assert "counted: speech above" in done.stdout and "bits/sample" in done.stdout and "bits/s" in done.stdout
    assert {entry.name for entry in path.iterdir()} == {
        "config.json", "model.weights.h5", "best.weights.h5", "held_out.json", "checkpoints", "logs",
    }  # fmt: skip
    figures = json.loads((path / "held_out.json").read_text())
    assert figures["step"] == STEPS and all(np.isfinite(value) for value in figures.values())


def test_a_killed_run_has_no_model_but_a_checkpoint(killed):
    path, done = killed
    assert done.status == -signal.SIGKILL
    assert not (path / "model.weights.h5").exists() and (path / "checkpoints" / "checkpoint").is_file()


def test_ctrl_c_leaves_a_usable_run(stopped):
    path, done = stopped
    assert done.status == 0, done.stderr
    assert f"going on from step {KILLED_AT - 1} of" in done.stdout
    assert f"interrupted at step {STOPPED_AT}" in done.stdout
    assert json.loads((path / "held_out.json").read_text())["step"] == STOPPED_AT
    assert (path / "saved_model" / "saved_model.pb").is_file()
    run = open_run(path)
    rng = np.random.default_rng(0)
    prompt_own, prompt_partner, partner = 0.1 * rng.standard_normal((3, 800)).astype(np.float32)
    audio, gate = run.respond(prompt_own, prompt_partner, partner, "giver", seed=1)
    assert audio.shape == (800,) and gate.shape == (20,) and np.abs(audio).max() > 0


def test_a_disturbed_run_ends_as_one_left_alone(folder, alone, stopped):
    path, _ = stopped
    done = _train(folder, "disturbed")
    assert done.status == 0, done.stderr
    assert f"going on from step {STOPPED_AT} of" in done.stdout
    wanted, found = (_weights(run / "model.weights.h5") for run in (alone[0], path))
    assert wanted.keys() == found.keys() and len(wanted) > 20
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)
    wanted, found = (json.loads((run / "held_out.json").read_text()) for run in (alone[0], path))
    assert {**wanted, "training_minutes": 0} == {**found, "training_minutes": 0}


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--seed=1", "was begun with seed 0, not 1"),
        ("--gain_db=6", "was begun with augmentation gain_db=0.0, not 6.0"),
        ("--corpus_seed=5", "was begun with corpus seed=0, not 5"),
        ("--set=channels=6", "was begun with sizes channels=4, not 6"),
    ],
)
def test_flags_that_disagree_with_the_run_are_refused(folder, alone, flag, says):
    path, _ = alone
    before = commands.tree(path)
    done = _train(folder, "alone", flag)
    assert done.status == 2 and "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ") and says in last and "--name" in last
    assert commands.tree(path) == before


def test_a_loss_that_is_not_finite_ends_training_in_one_line(folder):
    done = _train(folder, "wild", "--set=learning_rate=1e30")
    assert done.status == 2 and "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: step ") and "not finite" in last and "--set=learning_rate" in last
    path = folder / "runs" / "wild"
    assert not (path / "model.weights.h5").exists() and "runs/wild/nan_batch.npz" in last
    with np.load(path / "nan_batch.npz") as batch:
        assert batch["audio"].shape == (4, 2, 3.2 * 2000) and np.isfinite(batch["audio"]).all()
        assert batch["name"].dtype.kind == "U" and int(batch["seed"]) == 0 and f"step {int(batch['step'])}:" in last


def _never_better(selection, figures) -> bool:
    """Takes the first evaluation for the best."""
    first = int(selection.waited) == 0 and np.isinf(float(selection._timing))
    selection._timing.assign(0.0)
    selection.waited.assign(0 if first else selection.waited + 1)
    return first


def _never_get_better() -> None:
    from zoo import selection

    _prepare()
    selection.Selection.offer = _never_better


def test_a_run_that_does_not_get_better_ends_with_the_best_weights(folder):
    flags = ["--name=tired", "--patience=2", "--evaluate_steps=1"]
    done = commands.run(folder, "zoo.train", *COMMAND, *flags, prepare=_never_get_better)
    assert done.status == 0, done.stderr
    assert "no better evaluation among the last 2: ending with the best weights" in done.stdout
    path = folder / "runs" / "tired"
    assert json.loads((path / "held_out.json").read_text())["step"] == 3
    kept, best = (_weights(path / f"{name}.weights.h5") for name in ("model", "best"))
    assert len(best) > 20
    for name in best:
        np.testing.assert_array_equal(kept[name], best[name], err_msg=name)


def test_an_epoch_is_as_many_steps_as_it_has_batches_and_excludes_steps(folder):
    arguments = [each for each in COMMAND if not each.startswith("--steps")]
    done = commands.run(folder, "zoo.train", *arguments, "--name=epoch", "--epochs=1", prepare=_prepare)
    assert done.status == 0, done.stderr
    assert 1 < json.loads((folder / "runs" / "epoch" / "held_out.json").read_text())["step"] < 20
    done = commands.run(folder, "zoo.train", *COMMAND, "--name=both", "--epochs=1", prepare=_prepare)
    assert done.status == 2 and "--epochs=1: says how many steps; leave out --steps=8" in done.stderr


def test_evaluations_are_spread_over_the_budget():
    due = [step for step in range(1, 41) if Recipe(0).evaluates(step, (step - 1) / 40, step / 40)]
    assert due == [4, 8, 12, 16, 20, 24, 28, 32, 36]
    due = [step for step in range(1, 21) if Recipe(0, evaluate_steps=6).evaluates(step, (step - 1) / 20, step / 20)]
    assert due == [6, 12, 18]


def test_a_budget_ends_by_steps_or_by_minutes():
    assert [Budget(100).share_done(step, 1e9) for step in (0, 25, 100, 120)] == [0.0, 0.25, 1.0, 1.0]
    assert [Budget(100, 2.0).share_done(10, seconds) for seconds in (0.0, 60.0, 120.0)] == [0.1, 0.5, 1.0]
