"""Compiling on two cores: what a copy of the process compiled is read from the cache."""

import gc
import importlib.util
import os
import sys
import time

import numba
import numpy as np
import pytest

from zoo import compiling

SOURCE = """
from zoo.compiling import compiled

@compiled
def double(x):
    for i in range(x.shape[0]):
        x[i] = 2 * x[i]
"""


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A module with one compiled function, which no cache has yet."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    path = tmp_path / "some_kernel.py"
    path.write_text(SOURCE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("some_kernel", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "some_kernel", module)
    spec.loader.exec_module(module)
    return module


def _forks(monkeypatch) -> list[int]:
    """Process numbers of the copies, as they are made."""
    made, fork = [], os.fork

    def counted():
        made.append(fork())
        return made[-1]

    monkeypatch.setattr(os, "fork", counted)
    return made


def _wait_until(there) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_the_copy_compiled_is_read_from_the_cache(kernel, monkeypatch, tmp_path):
    forks, x, seen = _forks(monkeypatch), np.ones(3), []

    def wait_for_the_copy():
        seen.append(gc.isenabled())
        _wait_until(lambda: any((tmp_path / "cache").rglob("*.nbi")))

    works = [wait_for_the_copy, lambda: kernel.double(x)]
    compiling.compile_by(works, "some_kernel")
    # Its doubling is not seen here.
    assert (x == 2).all() and sum(kernel.double.stats.cache_hits.values()) == 1
    assert gc.isenabled() and seen == [False, True] and len(forks) == 1
    compiling.compile_by(works, "some_kernel")
    assert len(forks) == 1


def test_a_work_is_done_once_by_a_process_and_its_copy(tmp_path, kernel):
    path = tmp_path / "done"

    def noted():
        return [line.split() for line in path.read_text(encoding="utf-8").splitlines()]

    def work(name):
        def note():
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{name} {os.getpid()}\n")
            # The first is this process's: it leaves something to the copy.
            if name == "a":
                _wait_until(lambda: len({process for _, process in noted()}) == 2)

        return note

    compiling.compile_by([work(name) for name in "abcdefgh"], "some_kernel")
    # Afterwards this process calls all of them once more.
    done = noted()[:-8]
    assert sorted(name for name, _ in done) == list("abcdefgh") and len({process for _, process in done}) == 2
    assert ["a", str(os.getpid())] in done


def test_one_core_makes_no_copy(kernel, monkeypatch):
    forks, x = _forks(monkeypatch), np.ones(3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    compiling.compile_by([lambda: None, lambda: kernel.double(x)], "some_kernel")
    assert not forks and (x == 4).all()


def test_a_copy_that_fails_leaves_the_work_to_others(kernel, capfd, tmp_path):
    here, x, failed = os.getpid(), np.ones(3), tmp_path / "failed"

    def fail_elsewhere():
        if os.getpid() != here:
            failed.touch()
            raise SystemExit("no")
        kernel.double(x)

    compiling.compile_by([lambda: _wait_until(failed.exists), fail_elsewhere], "some_kernel")
    assert (x == 2).all() and capfd.readouterr().err == ""


def test_a_copy_that_hangs_is_ended(kernel, monkeypatch):
    monkeypatch.setattr(compiling, "_PATIENCE_SECONDS", 0.1)
    forks, began, here = _forks(monkeypatch), time.monotonic(), os.getpid()
    compiling.compile_by([lambda: time.sleep(0.2), lambda: os.getpid() == here or time.sleep(60)], "some_kernel")
    assert time.monotonic() - began < 30
    with pytest.raises(ChildProcessError):
        os.waitpid(forks[0], 0)


def test_an_error_of_a_work_passes(kernel):
    def fail():
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        compiling.compile_by([fail, lambda: None], "some_kernel")
    assert gc.isenabled()
