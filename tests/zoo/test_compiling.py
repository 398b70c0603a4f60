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


def test_what_the_copy_compiled_is_read_from_the_cache(kernel, monkeypatch):
    forks, x = _forks(monkeypatch), np.ones(3)
    with compiling.beside(lambda: kernel.double(x), "some_kernel"):
        assert not gc.isenabled()
    assert gc.isenabled() and len(forks) == 1
    kernel.double(x)
    # The copy's doubling is not seen here.
    assert (x == 2).all() and sum(kernel.double.stats.cache_hits.values()) == 1
    with compiling.beside(lambda: kernel.double(x), "some_kernel"):
        pass
    assert len(forks) == 1


def test_one_core_makes_no_copy(kernel, monkeypatch):
    forks = _forks(monkeypatch)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    with compiling.beside(lambda: kernel.double(np.ones(3)), "some_kernel"):
        pass
    assert not forks


def test_a_copy_that_fails_leaves_the_work_to_others(kernel, capfd):
    def fail():
        raise SystemExit("no")

    with compiling.beside(fail, "some_kernel"):
        pass
    x = np.ones(3)
    kernel.double(x)
    assert (x == 2).all() and capfd.readouterr().err == ""


def test_a_copy_that_hangs_is_ended(kernel, monkeypatch):
    monkeypatch.setattr(compiling, "_PATIENCE_SECONDS", 0.1)
    forks, began = _forks(monkeypatch), time.monotonic()
    with compiling.beside(lambda: time.sleep(60), "some_kernel"):
        pass
    assert time.monotonic() - began < 30
    with pytest.raises(ChildProcessError):
        os.waitpid(forks[0], 0)


def test_an_error_in_the_block_passes(kernel):
    with pytest.raises(ValueError, match="mine"), compiling.beside(lambda: None, "some_kernel"):
        raise ValueError("mine")
    assert gc.isenabled()
