"""Two processes under TF_CONFIG against one, and the same pair killed and started again."""

import functools
import json
import os
import pathlib
import signal
import socket
import threading

import numpy as np
import pytest
import tensorflow as tf

from datasets.errors import InputError
from tests.zoo import commands, test_training
from zoo import distribution

STEPS, KILLED_AT = 6, 3


def _prepare(cluster: dict | None, index: int, killed_at: int | None) -> None:
    """As in `test_training`; notes every step's losses, and kills itself after one where that is asked."""
    from zoo import export, generation, training

    commands.use_bursts()
    export.export = lambda model, path, config: None
    generation.duet = lambda *_, **__: (np.zeros((2, 8), np.float32), None)
    if cluster:
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
    report = training.Trainer._report

    def report_and_note(trainer, bar, terms, norms):
        report(trainer, bar, terms, norms)
        losses = {name: float(bits) / (float(count) + 1) for name, (bits, count) in terms.items()}
        with open("losses.jsonl", "a") as file:
            file.write(json.dumps([trainer.step, losses]) + "\n")
        if trainer.step == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)

    training.Trainer._report = report_and_note


def _free_addresses(n: int) -> list[str]:
    sockets = [socket.create_server(("localhost", 0)) for _ in range(n)]
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def _train(root: pathlib.Path, name: str, workers: int, killed_at: int | None = None) -> list[commands.Done]:
    """The same command in as many processes, each in a folder of its own, all with one run folder."""
    cluster = {"worker": _free_addresses(workers)} if workers > 1 else None
    done: dict[int, commands.Done] = {}

    def work(index):
        folder = root / f"{name}-{index}"
        folder.mkdir(exist_ok=True)
        prepare = functools.partial(_prepare, cluster, index, killed_at)
        arguments = [*test_training.COMMAND, f"--steps={STEPS}", f"--runs_dir={root / 'runs'}", f"--name={name}"]
        done[index] = commands.run(folder, "zoo.train", *arguments, prepare=prepare)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [done[index] for index in range(workers)]


def _losses(folder: pathlib.Path) -> dict[int, dict[str, float]]:
    """Of each step, the last time it was taken."""
    return dict(json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines())


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_also_when_the_pair_was_killed(tmp_path):
    (one,) = _train(tmp_path, "one", workers=1)
    assert one.status == 0, one.stderr
    killed = _train(tmp_path, "pair", workers=2, killed_at=KILLED_AT)
    assert [each.status for each in killed] == [-signal.SIGKILL] * 2, killed[0].stderr
    pair = _train(tmp_path, "pair", workers=2)
    assert [each.status for each in pair] == [0, 0], pair[0].stderr + pair[1].stderr
    assert f"going on from step {KILLED_AT - 1}" in pair[0].stdout
    wanted = _losses(tmp_path / "one-0")
    assert sorted(wanted) == list(range(1, STEPS + 1))
    for index in (0, 1):
        found = _losses(tmp_path / f"pair-{index}")
        assert sorted(found) == sorted(wanted)
        for step, losses in wanted.items():
            for name, value in losses.items():
                assert found[step][name] == pytest.approx(value, rel=1e-5, abs=1e-5), (step, name)
    weights = [test_training._weights(tmp_path / "runs" / name / "model.weights.h5") for name in ("one", "pair")]
    for key, value in weights[0].items():
        np.testing.assert_allclose(weights[1][key], value, rtol=1e-4, atol=1e-5, err_msg=key)
    assert "held out" in pair[0].stdout and "held out" not in pair[1].stdout


def test_replicas_share_the_rows_of_a_batch():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    batch = {"mask": tf.ones([4, 3]), "audio": tf.reshape(tf.range(8.0), [4, 2])}
    whole = distribution.share_of(strategy, batch)
    np.testing.assert_array_equal(whole["row"], range(4))
    np.testing.assert_array_equal(whole["audio"], batch["audio"])


def test_a_batch_that_cannot_be_shared_is_refused():
    class Three:
        num_replicas_in_sync = 3

    with pytest.raises(InputError, match="batch_size=4: must be a multiple of the 3 replicas"):
        distribution.check_rows(Three(), 4)


@pytest.mark.parametrize("text", ["{", "{}", '{"cluster": 3}'])
def test_a_cluster_that_is_none_is_one_line(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="not a cluster of workers"):
        distribution.strategy()


def test_one_device_is_the_default_strategy(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    strategy = distribution.strategy()
    assert strategy.num_replicas_in_sync == 1 and distribution.is_chief(strategy)
