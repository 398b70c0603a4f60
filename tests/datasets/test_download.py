"""Downloads from a server on this machine that breaks, lies and changes its mind."""

import http.server
import io
import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import pytest
import soundfile

from datasets import download, maptask
from datasets.errors import InputError

ROOT = pathlib.Path(__file__).parents[2]
CONTENT = bytes(np.random.default_rng(0).integers(0, 256, 300_000, np.uint8))
MOST = 1 << 30


class Site(http.server.ThreadingHTTPServer):
    """Files by path, and how to misbehave; `requests` are (path, range asked for)."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.cut_after: list[int] = []  # Bytes after which each of the next answers breaks.
        self.statuses: list[int] = []  # Of the next answers.
        self.extra_length = 0
        self.ranges = self.lengths = True
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        site, asked = self.server, self.headers.get("Range")
        site.requests.append((self.path, asked))
        if site.statuses:
            return self.send_error(site.statuses.pop(0))
        if self.path not in site.files:
            return self.send_error(404)
        content = site.files[self.path]
        etag, start = f'"{hash(content)}"', 0
        if asked and site.ranges and self.headers.get("If-Range") == etag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if site.ranges:
            self.send_header("ETag", etag)
        if site.lengths:
            self.send_header("Content-Length", str(len(content) - start + site.extra_length))
        self.end_headers()
        rest = content[start:]
        self.wfile.write(rest[: site.cut_after.pop(0)] if site.cut_after else rest)


@pytest.fixture
def site():
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(site, path, **options):
    url = f"{site.address}/a.bin"
    download.fetch(url, path, **({"most_bytes": MOST, "wait_seconds": 0.01, "progress": False} | options))


def test_a_file_arrives_whole(site, tmp_path):
    site.files["/a.bin"] = CONTENT
    fetch(site, tmp_path / "deep" / "a.bin")
    assert (tmp_path / "deep" / "a.bin").read_bytes() == CONTENT
    assert os.listdir(tmp_path / "deep") == ["a.bin"]


def test_a_cut_connection_goes_on_where_it_broke(site, tmp_path):
    site.files["/a.bin"] = CONTENT
    site.cut_after = [100_000, 50_000]
    fetch(site, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert [asked for _, asked in site.requests] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_later_command_goes_on_too(site, tmp_path):
    site.files["/a.bin"] = CONTENT
    site.cut_after = [100_000]
    with pytest.raises(InputError, match="broke after 100000 of 300000 bytes; gave up after 1 attempts"):
        fetch(site, tmp_path / "a.bin", attempts=1)
    assert not (tmp_path / "a.bin").exists()
    fetch(site, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert site.requests[-1][1] == "bytes=100000-"


def test_a_file_that_changed_meanwhile_is_fetched_anew(site, tmp_path):
    site.files["/a.bin"] = CONTENT
    site.cut_after = [100_000]
    with pytest.raises(InputError):
        fetch(site, tmp_path / "a.bin", attempts=1)
    for changed in (CONTENT[::-1], CONTENT[:50]):
        site.files["/a.bin"] = changed
        fetch(site, tmp_path / "a.bin")
        assert (tmp_path / "a.bin").read_bytes() == changed


def test_a_server_without_ranges_starts_again(site, tmp_path):
    site.files["/a.bin"], site.ranges = CONTENT, False
    site.cut_after = [100_000, 200_000]
    fetch(site, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_server_that_names_no_length_is_believed(site, tmp_path):
    site.files["/a.bin"], site.lengths = CONTENT, False
    fetch(site, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(site, tmp_path):
    site.files["/a.bin"] = CONTENT
    site.statuses = [503, 429, 500]
    fetch(site, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_missing_file_is_not_asked_for_twice(site, tmp_path):
    with pytest.raises(InputError, match="a.bin: the server says 404 Not Found; has the address changed") as caught:
        fetch(site, tmp_path / "a.bin")
    assert len(site.requests) == 1 and "\n" not in str(caught.value) and os.listdir(tmp_path) == []


def test_a_wrong_length_is_never_taken_for_whole(site, tmp_path):
    site.files["/a.bin"], site.extra_length = CONTENT, 10
    with pytest.raises(InputError, match="gave up after 3 attempts"):
        fetch(site, tmp_path / "a.bin", attempts=3)
    assert not (tmp_path / "a.bin").exists()


@pytest.mark.parametrize("lengths", [True, False])
def test_a_file_that_is_far_too_long_is_refused(site, tmp_path, lengths):
    site.files["/a.bin"], site.lengths = CONTENT, lengths
    with pytest.raises(InputError, match="1000 (bytes|are)"):
        fetch(site, tmp_path / "a.bin", most_bytes=1000)
    assert not (tmp_path / "a.bin").exists()


def test_nobody_there(tmp_path, site):
    address = site.address
    site.shutdown()
    site.server_close()
    began = time.monotonic()
    with pytest.raises(InputError, match="refused; gave up after 2 attempts"):
        download.fetch(f"{address}/a", tmp_path / "a", MOST, attempts=2, wait_seconds=0.01, progress=False)
    with pytest.raises(InputError, match="not an address"):
        download.fetch("file:///etc/passwd", tmp_path / "a", MOST)
    assert time.monotonic() - began < 1


# Zips.


def zip_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as content:
        for name, data in members.items():
            content.writestr(name, data)
    return buffer.getvalue()


def link_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        member = zipfile.ZipInfo("top/link")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        content.writestr(member, "/etc")
    return buffer.getvalue()


def test_a_zip_is_unpacked_without_its_top_folder(tmp_path):
    (tmp_path / "a.zip").write_bytes(zip_of({"top/": b"", "top/a.txt": b"a", "top/deep/b.txt": b"b"}))
    download.unpack(tmp_path / "a.zip", tmp_path / "out", MOST)
    assert (tmp_path / "out" / "a.txt").read_bytes() == b"a" and (
        tmp_path / "out" / "deep" / "b.txt"
    ).read_bytes() == b"b"
    (tmp_path / "b.zip").write_bytes(zip_of({"a/x": b"1", "b/y": b"2"}))
    download.unpack(tmp_path / "b.zip", tmp_path / "out", MOST)
    assert sorted(os.listdir(tmp_path / "out")) == ["a", "b"]


DAMAGED = bytearray(zip_of({"top/a.txt": CONTENT}))
DAMAGED[1000] ^= 255
HOSTILE_ZIPS = {
    "climbs": (zip_of({"top/a": b"", "../evil": b"x"}), "'../evil', which climbs out"),
    "climbs inside": (zip_of({"top/../../evil": b"x"}), "climbs out"),
    "absolute": (zip_of({"/tmp/evil": b"x"}), "climbs out"),
    "windows": (zip_of({"top\\..\\..\\evil": b"x"}), "climbs out"),
    "drive": (zip_of({"C:/evil": b"x"}), "climbs out"),
    "link": (link_zip(), "'top/link', a link"),
    "bomb": (zip_of({f"top/{i}": bytes(10_000_000) for i in range(5)}), "would unpack to 50000000 bytes in 5 files"),
    "truncated": (zip_of({"top/a": CONTENT})[:-50], "not a whole zip"),
    "damaged": (bytes(DAMAGED), "not a whole zip"),
    "page": (b"<html>moved</html>", "not a whole zip"),
    "empty": (zip_of({}), "an empty zip"),
    "nothing": (b"", "not a whole zip"),
}


@pytest.mark.parametrize("kind", HOSTILE_ZIPS)
def test_hostile_zips_are_refused_within_a_second_and_leave_nothing(tmp_path, kind):
    content, message = HOSTILE_ZIPS[kind]
    archive = tmp_path / "in" / "a.zip"
    archive.parent.mkdir()
    archive.write_bytes(content)
    began = time.monotonic()
    with pytest.raises(InputError, match=message) as caught:
        download.unpack(archive, tmp_path / "in" / "out", MOST)
    assert time.monotonic() - began < 1
    assert str(archive) in str(caught.value) and "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["in"] and os.listdir(tmp_path / "in") == ["a.zip"]
    assert not pathlib.Path("/tmp/evil").exists()


def test_more_than_expected_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(zip_of({"a": CONTENT}))
    with pytest.raises(InputError, match="would unpack to 300000 bytes"):
        download.unpack(tmp_path / "a.zip", tmp_path / "out", len(CONTENT) - 1)


# The corpus.


def archive_bytes(word="okay") -> bytes:
    root = '<nite:root xmlns:nite="http://nite.sourceforge.net/" id="x">{}</nite:root>'
    conversation = (
        '<conv id="{0}" quad="1" eyecontact="yes" familiar="no" map="m1">'
        '<nite:pointer role="f" href="x#id(b)"/><nite:pointer role="g" href="x#id(a)"/></conv>'
    )
    names = ["q1ec1", "q1ec2"]
    members = {
        "corpus-resources/maptask-corpus.xml": root.format("".join(map(conversation.format, names))),
        "corpus-resources/maptask-participants.xml": root.format(""),
    }
    for name in names:
        for role in "gf":
            members[f"timed-units/{name}.{role}.timed-units.xml"] = root.format(
                f"<tu id='1' start='0' end='1'>{word}</tu>"
            )
    return zip_of({f"maptaskv2-1/Data/{name}": text.encode() for name, text in members.items()})


def wav_bytes(seed=0) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.1 * np.random.default_rng(seed).standard_normal((20000, 2)), 20000, format="WAV")
    return buffer.getvalue()


@pytest.fixture
def corpus_site(site):
    site.files[f"/{maptask.ANNOTATIONS}"] = archive_bytes()
    for name in ("q1ec1", "q1ec2"):
        site.files["/" + maptask.RECORDING.format(name=name)] = wav_bytes()
    return site


def get(site, folder, with_audio=False):
    return maptask.download_corpus(folder, with_audio, site.address, False, wait_seconds=0.01, attempts=2)


def test_the_corpus_is_fetched_and_read(corpus_site, tmp_path):
    assert get(corpus_site, tmp_path) == []
    corpus = maptask.MapTask(maptask.Options(data_dir=tmp_path))
    assert corpus.names() == ["q1ec1", "q1ec2"] and corpus.load("q1ec1").audio is None
    assert get(corpus_site, tmp_path, with_audio=True) == []
    corpus = maptask.MapTask(maptask.Options(data_dir=tmp_path))
    assert corpus.load("q1ec2").audio.shape == (2, 20000)
    notes = json.loads((tmp_path / "downloads.json").read_text())
    assert sorted(notes) == ["audio/q1ec1.mix.wav", "audio/q1ec2.mix.wav", maptask.ANNOTATIONS]
    n_requests = len(corpus_site.requests)
    assert get(corpus_site, tmp_path, with_audio=True) == [] and len(corpus_site.requests) == n_requests == 3


def test_a_damaged_file_is_fetched_again(corpus_site, tmp_path, capsys):
    get(corpus_site, tmp_path, with_audio=True)
    path = tmp_path / "audio" / "q1ec1.mix.wav"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert get(corpus_site, tmp_path, with_audio=True) == []
    assert path.read_bytes() == wav_bytes() and "q1ec1.mix.wav: is not what was downloaded" in capsys.readouterr().out


def test_another_file_than_at_first_is_refused(corpus_site, tmp_path):
    get(corpus_site, tmp_path)
    (tmp_path / maptask.ANNOTATIONS).unlink()
    corpus_site.files[f"/{maptask.ANNOTATIONS}"] = archive_bytes("other")
    with pytest.raises(InputError, match="is not the file it was"):
        get(corpus_site, tmp_path)
    assert not (tmp_path / maptask.ANNOTATIONS).exists()
    (tmp_path / "downloads.json").unlink()
    get(corpus_site, tmp_path)
    assert maptask.MapTask(maptask.Options(data_dir=tmp_path)).load("q1ec1").words[0][0].text == "other"


@pytest.mark.parametrize("kind", ["climbs", "damaged", "truncated", "bomb"])
def test_a_bad_archive_is_removed_so_that_the_next_try_works(corpus_site, tmp_path, kind):
    whole = corpus_site.files[f"/{maptask.ANNOTATIONS}"]
    corpus_site.files[f"/{maptask.ANNOTATIONS}"] = HOSTILE_ZIPS[kind][0]
    with pytest.raises(InputError, match="It was removed"):
        get(corpus_site, tmp_path)
    assert not (tmp_path / maptask.ANNOTATIONS).exists()
    corpus_site.files[f"/{maptask.ANNOTATIONS}"] = whole
    assert get(corpus_site, tmp_path) == []


def test_one_missing_recording_does_not_stop_the_others(corpus_site, tmp_path):
    del corpus_site.files["/" + maptask.RECORDING.format(name="q1ec1")]
    corpus_site.files["/" + maptask.RECORDING.format(name="q1ec2")] = wav_bytes()[:1000]
    problems = get(corpus_site, tmp_path, with_audio=True)
    assert len(problems) == 2 and "404" in problems[0] and "cut short" in problems[1]
    corpus_site.files["/" + maptask.RECORDING.format(name="q1ec2")] = wav_bytes()
    assert len(get(corpus_site, tmp_path, with_audio=True)) == 1
    assert (tmp_path / "audio" / "q1ec2.mix.wav").exists()


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "datasets.maptask", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_command(corpus_site, tmp_path):
    flags = [f"--data_dir={tmp_path / 'maptask'}", f"--site={corpus_site.address}"]
    refused = command("download", *flags)
    assert refused.returncode == 2 and "--accept_licence" in refused.stderr and "Attribution" in refused.stdout
    assert not (tmp_path / "maptask").exists() and not corpus_site.requests
    done = command("download", *flags, "--accept_licence", "--audio")
    assert done.returncode == 0, done.stderr
    assert "whole" in done.stdout and (tmp_path / "maptask" / "audio" / "q1ec2.mix.wav").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to do: the first argument must be download"),
        (["upload"], "upload: the first argument must be download"),
        (["download", "everything"], "everything: an argument that no flag takes"),
        (["download"], "--data_dir is missing"),
    ],
)
def test_a_wrong_command_is_one_line(arguments, message):
    done = command(*arguments)
    assert done.returncode == 2 and re.search(message, done.stderr) and "Traceback" not in done.stderr
