"""Making shards: what one worker does, here, in another process or on another host.

A shard is written whole or not at all, then a note beside it says what is in it; the note is what makes it count. So
whoever makes the shards, in whatever order and however often killed, the folder ends up the same.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent import futures

from datasets import audio, dialogue, files, records
from datasets.corpora import Corpus
from datasets.errors import InputError

DIALOGUES_PER_SHARD = 4
_NOTE_SUFFIX = ".json"
_CHECKING_THREADS = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Maker:
    """Makes shards of one split.

    Attributes:
        corpus: whose dialogues they hold.
        folder: of the shards.
        key_sha256: of everything that shapes the split; a note with another one does not count.
        sample_rate: Hz; None leaves the audio out.
        strict: a dialogue that cannot be loaded stops the work; else it is left out, and the note says why.
    """

    corpus: Corpus
    folder: pathlib.Path
    key_sha256: str
    sample_rate: int | None
    strict: bool = False

    def __call__(self, shard: tuple[str, Sequence[str]]) -> str:
        """Makes one shard, given as file name and names of dialogues; returns the file name."""
        file, names = shard
        skipped: dict[str, str] = {}
        provenance = {"corpus": self.corpus.name, "key_sha256": self.key_sha256}
        with files.replacing(self.folder / file) as part:
            written = records.write_shard(part, self._dialogues(names, skipped), self.sample_rate, provenance)
            entry = {
                "file": file,
                "bytes": part.stat().st_size,
                "sha256": records.checksum(part),
                "records": [dataclasses.asdict(record) for record in written],
                "skipped": skipped,
            }
        files.write_json(_note(self.folder / file), {"key_sha256": self.key_sha256, "shard": entry})
        return file

    def _dialogues(self, names: Iterable[str], skipped: dict[str, str]) -> Iterator[dialogue.Dialogue]:
        for name in names:
            try:
                yield self._load(name)
            except (InputError, OSError) as error:
                if self.strict:
                    raise
                skipped[name] = " ".join(str(error).split())

    def _load(self, name: str) -> dialogue.Dialogue:
        loaded = self.corpus.load(name, audio=self.sample_rate is not None)
        if self.sample_rate is None:
            return loaded
        if loaded.audio is None:
            raise InputError(f"{name}: has no audio; voice it (maptask-voiced) or prepare its timing alone (--noaudio)")
        sound = audio.resample(loaded.audio, loaded.sample_rate, self.sample_rate)
        return dataclasses.replace(loaded, audio=sound, sample_rate=self.sample_rate)


def groups(split: str, names: Sequence[str]) -> dict[str, Sequence[str]]:
    """File name of each shard, and the dialogues in it."""
    starts = range(0, len(names), DIALOGUES_PER_SHARD)
    return {
        f"{split}-{i:05d}-of-{len(starts):05d}.tfrecord": names[start : start + DIALOGUES_PER_SHARD]
        for i, start in enumerate(starts)
    }


def entry_of(folder: pathlib.Path, file: str, key_sha256: str) -> dict | None:
    """What the note beside a shard says; None without one, or where it is not whole."""
    try:
        note = json.loads(_note(folder / file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if note.get("key_sha256") != key_sha256:
        raise InputError(f"{folder}: holds shards of another corpus, split or format; name another folder")
    return note["shard"]


def forget_notes(folder: pathlib.Path, shard_files: Iterable[str]) -> None:
    """Removes the notes, once an index holds what they say."""
    for file in shard_files:
        _note(folder / file).unlink(missing_ok=True)


def damaged(folder: pathlib.Path, entries: Mapping[str, dict]) -> list[str]:
    """Files among the entries that are missing or not what was written."""
    with futures.ThreadPoolExecutor(_CHECKING_THREADS) as pool:
        whole = pool.map(lambda entry: _is_whole(folder / entry["file"], entry), entries.values())
        return [file for file, is_whole in zip(entries, whole, strict=True) if not is_whole]


def _is_whole(path: pathlib.Path, entry: dict) -> bool:
    return path.is_file() and path.stat().st_size == entry["bytes"] and records.checksum(path) == entry["sha256"]


def _note(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(path.name + _NOTE_SUFFIX)
