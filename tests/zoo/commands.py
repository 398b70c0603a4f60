"""Runs commands in processes of their own, forked from one that has TensorFlow imported: no wait for it each time."""

import dataclasses
import multiprocessing
import os
import pathlib
import runpy
import sys
from collections.abc import Callable

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["keras", "librosa.filters", "sklearn.cluster", "numba", "soxr", "soundfile"])
TIMEOUT_SECONDS = 240


@dataclasses.dataclass(frozen=True)
class Done:
    """How a command ended; `status` is negative where a signal ended it."""

    status: int
    stdout: str
    stderr: str


def run(folder: pathlib.Path, module: str, *arguments: str, prepare: Callable[[], None] | None = None) -> Done:
    """`python -m module arguments`, in `folder`; `prepare` is called in the new process before."""
    logs = [folder.parent / f"{folder.name}.{stream}" for stream in ("stdout", "stderr")]
    process = _PROCESSES.Process(target=_command, args=(folder, logs, module, arguments, prepare))
    process.start()
    process.join(TIMEOUT_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
    return Done(process.exitcode, *(log.read_text(encoding="utf-8") for log in logs))


def tree(folder: pathlib.Path) -> dict[str, bytes | None]:
    """Every file below a folder with what is in it, and every folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def use_bursts() -> None:
    """--corpus=bursts is the noise bursts of the tests."""
    from datasets import corpora
    from tests.conftest import Bursts

    corpora.register("bursts")(Bursts)


def _command(folder, logs, module, arguments, prepare) -> None:
    for stream, log in enumerate(logs, start=1):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    os.environ["BABBLEZOO_CACHE"] = str(folder.parent / "cache")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.chdir(folder)
    if prepare:
        prepare()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
