"""Fetching a file over HTTP and unpacking a zip, as if the line would break and the other side were hostile.

A file grows as `NAME.part` and gets its name when it is whole. A broken transfer goes on where it stopped, if the
server still has the same file; a server that cannot say so starts again.
"""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import ssl
import stat
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator

import tqdm

from datasets import files
from datasets.errors import InputError

_BLOCK_BYTES = 1 << 16
_TIMEOUT_SECONDS = 60.0
_AGAIN = frozenset([408, 425, 429, 500, 502, 503, 504])
_MOST_MEMBERS = 100_000
_LARGEST_RATIO = 200  # Text shrinks to a tenth; what shrinks to a two-hundredth is made to fill a disk.


def fetch(
    url: str,
    path: str | os.PathLike,
    most_bytes: int,
    attempts: int = 5,
    wait_seconds: float = 1.0,
    progress: bool = True,
) -> None:
    """Downloads `url` to `path`, whole or not at all; what was there before is replaced.

    Args:
        url: of http or https.
        path: of the file; what has arrived so far is kept beside it as `.part`.
        most_bytes: a longer file is refused.
        attempts: after so many in a row that got no further it gives up.
        wait_seconds: before the second attempt, then twice as long each time.
        progress: shows a bar.

    Raises:
        InputError: no such file there, a file of another length than announced, or no connection.
    """
    path = pathlib.Path(path)
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url}: not an address of http or https")
    part = _Part(path)
    failures, problem, reached = 0, None, part.size
    with tqdm.tqdm(desc=path.name, unit="B", unit_scale=True, disable=not progress) as bar:
        while failures < attempts:
            if failures:
                time.sleep(wait_seconds * 2 ** (failures - 1))
            try:
                part.go_on(url, most_bytes, bar)
                part.finish(url)
                return
            except urllib.error.HTTPError as error:
                problem = f"the server says {error.code} {error.reason}"
                if error.code not in _AGAIN:
                    raise InputError(f"{url}: {problem}; has the address changed?") from error
            except _BREAKS as error:
                problem = str(getattr(error, "reason", error)) or type(error).__name__
            # A server that lies about the length would otherwise be asked for ever.
            failures = 1 if part.size > reached else failures + 1
            reached = max(reached, part.size)
    raise InputError(
        f"{url}: {problem}; gave up after {attempts} attempts. The same command goes on where this one stopped"
    )


class _Broken(Exception):
    """A transfer that ended before its time, or cannot be gone on with."""


# Not every OSError: a full disk is no reason to try again.
_BREAKS = (urllib.error.URLError, ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException, _Broken)


class _Part:
    """What has arrived of a file, and by what the server knows it: its ETag or date, and its length."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.file = path.with_name(path.name + ".part")
        self.note = path.with_name(path.name + ".part.json")
        files.writable_folder(path.parent)
        self.total: int | None = None

    @property
    def size(self) -> int:
        return self.file.stat().st_size if self.file.exists() else 0

    def go_on(self, url: str, most_bytes: int, bar: tqdm.tqdm) -> None:
        """Fetches what is missing."""
        headers = {"User-Agent": "babblezoo"}
        validator = self._validator(url)
        if self.size and validator:
            headers |= {"Range": f"bytes={self.size}-", "If-Range": validator}
        try:
            response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            if error.code == 416:  # Nothing beyond what is here: not the file it was.
                self.remove()
                raise _Broken("the file there has changed") from error
            raise
        with response:
            start = self._start(response)
            self._check_length(url, response, start, most_bytes)
            bar.total, bar.n = self.total, start
            self._receive(url, response, start, most_bytes, bar)
        if self.total is not None and self.size < self.total:
            raise _Broken(f"the connection broke after {self.size} of {self.total} bytes")

    def finish(self, url: str) -> None:
        if self.total is not None and self.size != self.total:
            size = self.size
            self.remove()
            raise InputError(f"{url}: announced {self.total} bytes and sent {size}; try again later")
        os.replace(self.file, self.path)
        self.note.unlink(missing_ok=True)

    def remove(self) -> None:
        self.file.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def _validator(self, url: str) -> str | None:
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
            return note["validator"] if note["url"] == url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _start(self, response) -> int:
        if response.status != 206:
            return 0
        begins = (response.headers.get("Content-Range") or "").removeprefix("bytes ").partition("-")[0]
        if begins != str(self.size):
            self.remove()
            raise _Broken("the server sent another part of the file than was asked for")
        return self.size

    def _check_length(self, url: str, response, start: int, most_bytes: int) -> None:
        length = response.headers.get("Content-Length")
        self.total = start + int(length) if length and length.isdigit() else None
        if self.total is not None and self.total > most_bytes:
            raise InputError(f"{url}: is {self.total} bytes long, where at most {most_bytes} are expected; look at it")

    def _receive(self, url: str, response, start: int, most_bytes: int, bar: tqdm.tqdm) -> None:
        headers = response.headers
        files.write_json(self.note, {"url": url, "validator": headers.get("ETag") or headers.get("Last-Modified")})
        with open(self.file, "r+b" if start else "wb") as file:
            file.seek(start)
            while block := response.read(_BLOCK_BYTES):
                file.write(block)
                bar.update(len(block))
                if file.tell() > most_bytes:
                    raise InputError(f"{url}: sends more than {most_bytes} bytes, which no such file has")
            file.truncate()


def sha256(path: str | os.PathLike) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(archive: str | os.PathLike, folder: str | os.PathLike, most_bytes: int) -> None:
    """Unpacks a zip so that `folder` holds what it holds, or is left as it was.

    A single folder at the top of the zip is taken for `folder` itself.

    Raises:
        InputError: not a whole zip; names that climb out, links, or more than `most_bytes` in it.
    """
    archive = pathlib.Path(archive)
    with _opened(archive) as content, files.replacing_folder(folder) as part:
        members = content.infolist()
        _check_members(archive, members, most_bytes)
        tops = {pathlib.PurePosixPath(member.filename).parts[0] for member in members}
        has_top = len(tops) == 1 and all("/" in member.filename for member in members)
        for member in members:
            target = part.joinpath(*pathlib.PurePosixPath(member.filename).parts[int(has_top) :])
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with content.open(member) as source, open(target, "wb") as file:
                shutil.copyfileobj(source, file)


@contextlib.contextmanager
def _opened(archive: pathlib.Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(archive) as content:
            yield content
    # RuntimeError: encrypted. NotImplementedError: a method of compression that zip files may have and Python has not.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{archive}: not a whole zip ({error})") from error


def _check_members(archive: pathlib.Path, members: list[zipfile.ZipInfo], most_bytes: int) -> None:
    if not members:
        raise InputError(f"{archive}: an empty zip")
    for member in members:
        name = member.filename
        pieces = name.replace("\\", "/").split("/")
        if "\\" in name or "" in pieces[:-1] or {"..", "."} & set(pieces) or ":" in name or not name:
            raise InputError(f"{archive}: holds {name!r}, which climbs out of its folder; nothing was unpacked")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise InputError(f"{archive}: holds {name!r}, a link; nothing was unpacked")
    size, packed = sum(member.file_size for member in members), archive.stat().st_size
    if size > most_bytes or size > _LARGEST_RATIO * packed or len(members) > _MOST_MEMBERS:
        raise InputError(
            f"{archive}: would unpack to {size} bytes in {len(members)} files from {packed} bytes; nothing was unpacked"
        )
