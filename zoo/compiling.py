"""How functions become machine code: by numba, kept on disk, on two cores where there are two.

Most of the time to compile is numba's own, in Python: as many functions, arrays and assignments as there are. Hence
`part` for what only compiled functions call, loops in place of assignments to parts of arrays, and products as one
function (`zoo.product_loops`).
"""

import contextlib
import functools
import gc
import hashlib
import os
import pathlib
import time
import warnings
from collections.abc import Callable, Iterator

import numba

_HERE = pathlib.Path(__file__).resolve().parent
# Python's division by zero would keep the loops from being vectorised.
HOW = {"fastmath": True, "nogil": True, "error_model": "numpy"}
# How long a copy is waited for at least, and how often it is looked at.
_PATIENCE_SECONDS, _LOOK_SECONDS = 5.0, 0.02


def compiled(function, makes_arrays: bool = False):
    """A function as machine code, kept on disk for the next process.

    numba's own cache does not see that a function that is called, in another file, has changed: so it has a folder
    for each version of the kernels.

    Args:
        makes_arrays: whether it does; then numba counts who holds an array at every assignment, and compiles longer.
    """
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_cache_folder())
    try:
        return numba.njit(**HOW, cache=True, no_cfunc_wrapper=True, _nrt=makes_arrays)(function)
    finally:
        numba.config.CACHE_DIR = before


compiled_with_arrays = functools.partial(compiled, makes_arrays=True)


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


@contextlib.contextmanager
def beside(work: Callable[[], object], module: str) -> Iterator[None]:
    """While the block compiles, compiles on another core what `work()` calls, for the cache that both share.

    numba compiles one function at a time in a process, so `work` runs in a copy of this one. It may touch numpy and
    compiled functions, and nothing that has threads. Should the copy fail, or take twice as long as the block, who
    needs the functions compiles them.

    Args:
        module: name of the file whose functions these are; where the cache has some of it, no copy is made.
    """
    # Numba makes so many objects that the collector would walk through all of TensorFlow again and again.
    collects, began = gc.isenabled(), time.monotonic()
    gc.disable()
    copy = None if _is_cached(module) or len(os.sched_getaffinity(0)) < 2 else _fork()
    if copy == 0:
        with contextlib.suppress(BaseException):
            work()
        os._exit(0)
    try:
        yield
    finally:
        if collects:
            gc.enable()
        if copy:
            _wait_for(copy, max(time.monotonic() - began, _PATIENCE_SECONDS))


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
