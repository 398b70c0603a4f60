"""Writing so that a file is either whole or absent."""

import contextlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from datasets.errors import InputError


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path`; it becomes `path` if the block ends well, else it is removed."""
    path = pathlib.Path(path)
    folder = writable_folder(path.parent)
    # The suffix is kept: some writers choose the format by it.
    handle, name = tempfile.mkstemp(prefix=".", suffix=".part" + path.suffix, dir=folder)
    os.close(handle)
    part = pathlib.Path(name)
    try:
        yield part
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary folder beside `path`; it takes the place of `path` if the block ends well."""
    path = pathlib.Path(path)
    part = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.part", dir=writable_folder(path.parent)))
    old = part.with_name(part.name + ".old")
    try:
        yield part
        os.chmod(part, 0o777 & ~_umask())
        if path.exists():
            os.replace(path, old)
        os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_json(path: str | os.PathLike, value: Any) -> None:
    with replacing(path) as part:
        part.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def writable_folder(path: str | os.PathLike) -> pathlib.Path:
    """Makes the folder if need be; raises `InputError` where nothing can be written."""
    path = pathlib.Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot write there ({error.strerror or error}); name another folder") from error
    return path


def cache_folder() -> pathlib.Path:
    """`$BABBLEZOO_CACHE`, else the user's cache folder."""
    if "BABBLEZOO_CACHE" in os.environ:
        return pathlib.Path(os.environ["BABBLEZOO_CACHE"])
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "babblezoo"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
