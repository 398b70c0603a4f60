"""Fetches the HCRC Map Task corpus from its own site.

    python -m datasets.maptask download --data_dir=maptask --accept_licence
    python -m datasets.maptask download --data_dir=maptask --accept_licence --audio

The first fetches the annotations (12 MB), the second the recordings too (128 stereo wavs of 20 kHz, 4.2 GB). A
transfer that broke goes on where it stopped when the command is given again. What was fetched is noted with its
checksum in `downloads.json`, and compared with that ever after. Then --corpus=maptask --data_dir=maptask reads it.

The addresses below are the corpus's public ones. They could not be tried where this was written; should the site
move, --site names another copy of it.
"""

import json
import pathlib

import tqdm

from datasets import audio, download, files
from datasets.corpora import Options
from datasets.corpora.maptask import MapTask
from datasets.errors import InputError

SITE = "https://groups.inf.ed.ac.uk/maptask"
ANNOTATIONS = "hcrcmaptask.nxtformatv2-1.zip"
RECORDING = "signals/dialogues/{name}.mix.wav"
LICENCE = f"""\
The HCRC Map Task Corpus, copyright Human Communication Research Centre, University of Edinburgh and University of
Glasgow, may be used under the Creative Commons licence Attribution-NonCommercial-ShareAlike 2.5
(https://creativecommons.org/licenses/by-nc-sa/2.5/): name its authors, make no commercial use of it, and pass on what
you make of it under the same licence only. The corpus: {SITE}/
"""
_FOLDER = "maptaskv2-1"
_NOTES = "downloads.json"
_MOST_ZIP_BYTES, _MOST_UNPACKED_BYTES, _MOST_WAV_BYTES = 200 << 20, 4 << 30, 1 << 30


def download_corpus(
    data_dir: pathlib.Path, with_audio: bool, site: str = SITE, progress: bool = True, **fetching
) -> list[str]:
    """Fetches what is missing or damaged of the corpus below `data_dir`.

    Args:
        data_dir: folder, made if need be.
        with_audio: the recordings too.
        site: address of the corpus site or a copy of it.
        progress: shows bars.
        fetching: `attempts` and `wait_seconds` of `download.fetch`.

    Returns:
        The problems, one line for each recording that could not be fetched.

    Raises:
        InputError: the annotations cannot be fetched, or are not what they were.
    """
    store = _Store(files.writable_folder(data_dir), site.rstrip("/"), dict(fetching, progress=progress))
    archive = data_dir / ANNOTATIONS
    fetched = store.get(ANNOTATIONS, archive, _MOST_ZIP_BYTES)
    if fetched or not (data_dir / _FOLDER / "Data").is_dir():
        try:
            download.unpack(archive, data_dir / _FOLDER, _MOST_UNPACKED_BYTES)
        except InputError as error:
            store.forget(archive)
            raise InputError(f"{error}. It was removed; the same command fetches it again") from error
    names = MapTask(Options(data_dir=data_dir)).names()
    return _get_recordings(store, names, data_dir / "audio", progress) if with_audio else []


def _get_recordings(store: "_Store", names: list[str], folder: pathlib.Path, progress: bool) -> list[str]:
    problems = []
    for name in tqdm.tqdm(names, desc="recordings", unit="dialogue", disable=not progress):
        path = folder / f"{name}.mix.wav"
        try:
            if store.get(RECORDING.format(name=name), path, _MOST_WAV_BYTES):
                _check_recording(store, path)
        except InputError as error:
            problems.append(str(error))
    return problems


def _check_recording(store: "_Store", path: pathlib.Path) -> None:
    try:
        audio.read_header(path, channels=2)
    except InputError as error:
        store.forget(path)
        raise InputError(f"{error}. It was removed; the same command fetches it again") from error


class _Store:
    """Files of a site in a folder, with the checksums that they had when they first came."""

    def __init__(self, folder: pathlib.Path, site: str, fetching: dict):
        self._folder, self._site, self._fetching = folder, site, fetching
        try:
            self._notes = json.loads((folder / _NOTES).read_text(encoding="utf-8"))
        except FileNotFoundError:
            self._notes = {}
        except ValueError as error:
            raise InputError(f"{folder / _NOTES}: not the notes of a download ({error}); remove it") from error

    def get(self, address: str, path: pathlib.Path, most_bytes: int) -> bool:
        """Fetches the file if it is missing or not what it was, and returns whether it did."""
        key = path.relative_to(self._folder).as_posix()
        noted = self._notes.get(key)
        if noted and path.is_file() and download.sha256(path) == noted["sha256"]:
            return False
        if noted and path.is_file():
            print(f"{path}: is not what was downloaded (its checksum is another); fetching it again")
        url = f"{self._site}/{address}"
        download.fetch(url, path, most_bytes, **self._fetching)
        digest = download.sha256(path)
        if noted and digest != noted["sha256"]:
            path.unlink()
            raise InputError(
                f"{url}: is not the file it was: its sha256 is {digest}, noted is {noted['sha256']}; if the corpus has "
                f"a new edition, remove {self._folder / _NOTES}"
            )
        self._notes[key] = {"url": url, "bytes": path.stat().st_size, "sha256": digest}
        files.write_json(self._folder / _NOTES, self._notes)
        return True

    def forget(self, path: pathlib.Path) -> None:
        """Removes a file that came whole and is not what it should be."""
        path.unlink(missing_ok=True)
        self._notes.pop(path.relative_to(self._folder).as_posix(), None)
        files.write_json(self._folder / _NOTES, self._notes)


def _define_command():
    from absl import flags

    flags.DEFINE_string("data_dir", None, "Folder for the corpus.")
    flags.DEFINE_bool("audio", False, "Fetch the recordings too: 4.2 GB.")
    flags.DEFINE_bool("accept_licence", False, "You accept the licence of the corpus, which is shown without it.")
    flags.DEFINE_string("site", SITE, "Address of the corpus site, or of a copy of it.")

    def main(argv):
        args = flags.FLAGS
        if not args.data_dir:
            raise InputError("--data_dir is missing: the folder for the corpus, such as --data_dir=maptask")
        print(LICENCE)
        if not args.accept_licence:
            raise InputError("nothing was downloaded: give --accept_licence if you accept the licence above")
        folder = pathlib.Path(args.data_dir).expanduser()
        problems = download_corpus(folder, args.audio, args.site)
        for problem in problems:
            print(problem)
        if problems:
            raise InputError(f"{len(problems)} recordings are missing (above); the same command tries them again")
        print(f"{folder}: whole. Read it by --corpus=maptask --data_dir={folder}")

    return main


if __name__ == "__main__":
    from datasets.errors import run_command

    run_command(_define_command(), verbs=("download",))
