"""How functions become machine code: by numba, kept on disk, on two cores where there are two.

The time to compile grows with the length of the code, and numba makes much of a loop, a slice or an array. Hence `part`
for what only compiled functions call, arrays that are handed in, and products and other small loops as functions of
LLVM, one for all calls (`zoo.product_loops`).
"""

import contextlib
import functools
import gc
import hashlib
import os
import pathlib
import time
import warnings
from collections.abc import Callable
from typing import BinaryIO

import numba
from numba.core.compiler_lock import global_compiler_lock

_HERE = pathlib.Path(__file__).resolve().parent
# Python's division by zero would keep the loops from being vectorised.
HOW = {"fastmath": True, "nogil": True, "error_model": "numpy"}
# How long a copy is waited for at least, and how often it is looked at.
_PATIENCE_SECONDS, _LOOK_SECONDS = 5.0, 0.02


def compiled(function):
    """A function as machine code, kept on disk for the next process; it makes no arrays, but is given them to write on.

    For those numba would count who holds an array at every assignment, and compile half as long again. Its own cache
    does not see that a function that is called, in another file, has changed: so it has a folder for each version of
    the kernels.
    """
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_cache_folder())
    try:
        made = numba.njit(**HOW, cache=True, no_cfunc_wrapper=True, _nrt=False)(function)
    finally:
        numba.config.CACHE_DIR = before
    made.compile = functools.partial(_compile_lightly, made.compile)
    return made


def _compile_lightly(compile_for, signature):
    """By LLVM's level 1: the long loops are written as vectors (`zoo.product_loops`), and level 3 makes none faster."""
    with global_compiler_lock:
        before = numba.config.OPT
        numba.config.OPT = type(before)(1)
        try:
            return compile_for(signature)
        finally:
            numba.config.OPT = before


def part(function):
    """A function that compiled ones call, and nobody else: it needs no entry from Python, and makes no arrays."""
    return numba.njit(**HOW, no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)(function)


def inlined(function):
    """The same, compiled anew within each that calls it; for what is called at one place, and is long."""
    return numba.njit(**HOW, inline="always")(function)


@functools.cache
def kernels_version() -> str:
    """Changes with the source of any kernel."""
    forms = "compiling.py", "fused*.py", "product*.py", "*/*kernel.py"
    sources = [source for form in forms for source in sorted(_HERE.glob(form))]
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def _cache_folder() -> pathlib.Path:
    return pathlib.Path(numba.config.CACHE_DIR or _HERE / "__pycache__") / f"kernels-{kernels_version()}"


def compile_by(works: list[Callable[[], object]], module: str) -> None:
    """Calls all of `works`, for what they compile, on two cores where there are two.

    numba compiles one function at a time in a process, so a copy of this one takes part: both take the next work that
    nobody has, and what the copy compiled is read from the cache that both share. A work may touch numpy and compiled
    functions, and nothing that has threads. Should the copy fail, or take twice as long as this process, its part is
    compiled here.

    Args:
        works: of which the first is done here; best the longest first.
        module: name of the file where most of the functions are; where the cache has some of it, no copy is made.
    """
    # Numba makes so many objects that the collector would walk through all of TensorFlow again and again.
    collects, began = gc.isenabled(), time.monotonic()
    gc.disable()
    left = _left(works)
    copy = None if _is_cached(module) or len(os.sched_getaffinity(0)) < 2 else _fork()
    if copy == 0:
        with contextlib.suppress(BaseException):
            _do(works, left)
        os._exit(0)
    try:
        works[0]()
        _do(works, left)
    finally:
        left.close()
        if copy:
            _wait_for(copy, max(time.monotonic() - began, _PATIENCE_SECONDS))
        if collects:
            gc.enable()
    for work in works:
        work()


def _left(works: list) -> BinaryIO:
    """Numbers of the works but the first that nobody has taken yet: in a pipe, for a process and its copy."""
    out, into = os.pipe()
    os.write(into, bytes(range(1, len(works))))
    os.close(into)
    return open(out, "rb", buffering=0)


def _do(works: list, left: BinaryIO) -> None:
    while taken := left.read(1):
        works[taken[0]]()


def _fork() -> int:
    with warnings.catch_warnings():
        # Python 3.12 warns of threads, of which the copy has none and asks nothing.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _is_cached(module: str) -> bool:
    return any(_cache_folder().rglob(f"{module}.*.nbi"))


def _wait_for(process: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not os.waitpid(process, os.WNOHANG)[0]:
        if time.monotonic() > deadline:
            os.kill(process, 9)
        time.sleep(_LOOK_SECONDS)
