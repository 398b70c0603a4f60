"""Kill -9 at ten random moments of a training, the same command each time: it ends as one that was left alone."""

import functools
import os
import signal
import threading
import time

import numpy as np
import pytest

from tests.zoo import commands, test_training

KILLS = 10
COMMAND = [*test_training.COMMAND, "--steps=14", "--evaluate_steps=4"]


def _prepare(delay_seconds: float | None) -> None:
    """As in `test_training`; writes down how long the training takes, or kills it after a time."""
    from zoo import training

    test_training._prepare()
    run = training.Trainer.run

    def run_in_danger(trainer, *arguments):
        if delay_seconds is not None:
            threading.Timer(delay_seconds, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
        started = time.monotonic()
        figures = run(trainer, *arguments)
        with open("seconds", "w") as file:
            file.write(str(time.monotonic() - started))
        return figures

    training.Trainer.run = run_in_danger


def _train(folder, name: str, delay_seconds: float | None = None) -> commands.Done:
    prepare = functools.partial(_prepare, delay_seconds)
    return commands.run(folder, "zoo.train", *COMMAND, f"--name={name}", prepare=prepare)


@pytest.mark.slow
def test_ten_kills_leave_no_trace(tmp_path):
    folder, rng = tmp_path / "here", np.random.default_rng(0)
    folder.mkdir()
    assert _train(folder, "alone").status == 0
    seconds = float((folder / "seconds").read_text())
    killed = [_train(folder, "killed", delay).status for delay in rng.uniform(0.0, seconds, KILLS)]
    assert killed.count(-signal.SIGKILL) >= KILLS // 2
    done = _train(folder, "killed")
    assert done.status == 0 and "going on from step" in done.stdout, done.stderr
    for name in ("model", "best"):
        wanted, found = (
            test_training._weights(folder / "runs" / run / f"{name}.weights.h5") for run in ("alone", "killed")
        )
        assert wanted.keys() == found.keys() and len(wanted) > 20
        for key in wanted:
            np.testing.assert_array_equal(found[key], wanted[key], err_msg=key)
