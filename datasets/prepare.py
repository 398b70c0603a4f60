"""Prepares a corpus for training: dialogues -> shards of int16 audio and 50 Hz activity, with an index.

    python -m datasets.prepare --corpus=simulated --hours=2 --split=train

Every shard is written whole or not at all and its checksum kept, so that a run that was killed goes on with the next
shard and a damaged shard is found and made again, alone. Nothing is trimmed and no silence is dropped.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Sequence

import tqdm

from datasets import audio, dialogue, files, records
from datasets.corpora import Corpus
from datasets.errors import InputError

FORMAT_VERSION = 1
DIALOGUES_PER_SHARD = 4
_INDEX = "index.json"


@dataclasses.dataclass(frozen=True)
class PreparedSplit:
    """The shards of one split on disk.

    Attributes:
        folder: of the shards and `index.json`.
        index: as read from there.
    """

    folder: pathlib.Path
    index: dict

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.index["sample_rate"]

    @property
    def hop(self) -> int:
        """Samples of a 20 ms frame."""
        return self.sample_rate // dialogue.FRAMES_PER_SECOND

    @property
    def paths(self) -> list[pathlib.Path]:
        return [self.folder / shard["file"] for shard in self.index["shards"]]

    @functools.cached_property
    def records(self) -> list[tuple[pathlib.Path, records.Record]]:
        """Every dialogue and its shard, in the corpus's order."""
        return [
            (self.folder / shard["file"], records.Record.from_json(values))
            for shard in self.index["shards"]
            for values in shard["records"]
        ]

    @property
    def seconds(self) -> float:
        """Length of the split, of both channels at once."""
        return self._frames("n_frames") / dialogue.FRAMES_PER_SECOND

    @property
    def silence_share(self) -> float:
        """Share of the time in which nobody speaks."""
        return self._frames("silent_frames") / max(self._frames("n_frames"), 1)

    @property
    def channel_silence_share(self) -> float:
        """Share of a channel in which its speaker is silent."""
        spoken = sum(sum(record.speech_frames) for _, record in self.records)
        return 1 - spoken / max(2 * self._frames("n_frames"), 1)

    def _frames(self, field: str) -> int:
        return sum(getattr(record, field) for _, record in self.records)


def prepare(
    corpus: Corpus,
    split: str,
    out_dir: str | os.PathLike | None = None,
    workers: int = 1,
    progress: bool = True,
) -> PreparedSplit:
    """Writes the shards that are missing or damaged, and returns the split.

    Args:
        corpus: with audio; its `options.sample_rate`, where given, is the rate of the shards.
        split: "train", "validation" or "test".
        out_dir: folder of the shards; by default one in the cache, named by everything that shapes the corpus.
        workers: processes that render a corpus made of voices.
        progress: shows bars and says which shards were damaged.

    Raises:
        InputError: the split is empty, the corpus has no audio, or the folder holds another corpus.
    """
    names = corpus.names(split)
    if not names:
        raise InputError(f"corpus {corpus.name}: its {split} split is empty; a larger --hours gives every split a part")
    key = _key(corpus, split, names)
    folder = pathlib.Path(out_dir) if out_dir else _cache_folder(corpus, split, key)
    index = _open_index(folder, key)
    kept = {shard["file"]: shard for shard in index["shards"] if _is_whole(folder, shard, progress)}
    groups = _groups(split, names)
    missing = {file: group for file, group in groups.items() if file not in kept}
    wanted = [name for group in missing.values() for name in group]
    if wanted and hasattr(corpus, "render_all"):
        corpus.render_all(wanted, workers)
    with tqdm.tqdm(
        total=len(wanted), desc=f"shards of {split}", unit="dialogue", disable=not (progress and wanted)
    ) as bar:
        for file, group in missing.items():
            kept[file] = _write_shard(folder / file, corpus, group, index)
            # Written after every shard: what is listed is whole, what is not is made again.
            index["shards"] = [kept[file] for file in groups if file in kept]
            files.write_json(folder / _INDEX, index)
            bar.update(len(group))
    return PreparedSplit(folder, index)


def _key(corpus: Corpus, split: str, names: Sequence[str]) -> dict:
    return {"format": FORMAT_VERSION, "corpus": corpus.key(), "split": split, "names": list(names)}


def _cache_folder(corpus: Corpus, split: str, key: dict) -> pathlib.Path:
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    root = pathlib.Path(corpus.options.cache_dir or files.cache_folder())
    return root / "prepared" / f"{corpus.name}-{split}-{digest[:12]}"


def _groups(split: str, names: Sequence[str]) -> dict[str, Sequence[str]]:
    """File name of each shard, and the dialogues in it."""
    starts = range(0, len(names), DIALOGUES_PER_SHARD)
    return {
        f"{split}-{i:05d}-of-{len(starts):05d}.tfrecord": names[start : start + DIALOGUES_PER_SHARD]
        for i, start in enumerate(starts)
    }


def _open_index(folder: pathlib.Path, key: dict) -> dict:
    fresh = {"key": key, "sample_rate": key["corpus"].get("sample_rate"), "shards": []}
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return fresh
    if not isinstance(index, dict) or index.get("key") != key:
        raise InputError(f"{folder}: holds shards of another corpus, split or format; name another folder")
    return index


def _is_whole(folder: pathlib.Path, shard: dict, say: bool) -> bool:
    path = folder / shard["file"]
    if not path.exists():
        return False
    whole = path.stat().st_size == shard["bytes"] and records.checksum(path) == shard["sha256"]
    if say and not whole:
        print(f"{path}: damaged (its checksum is not the one in {_INDEX}); making this shard again")
    return whole


def _write_shard(path: pathlib.Path, corpus: Corpus, names: Iterable[str], index: dict) -> dict:
    dialogues = [_at_rate(corpus.load(name), index) for name in names]
    with files.replacing(path) as part:
        written = records.write_shard(part, dialogues, index["sample_rate"])
        digest, size = records.checksum(part), part.stat().st_size
    return {
        "file": path.name,
        "bytes": size,
        "sha256": digest,
        "records": [dataclasses.asdict(record) for record in written],
    }


def _at_rate(loaded: dialogue.Dialogue, index: dict) -> dialogue.Dialogue:
    """The dialogue at the rate of the shards, which the first dialogue sets where the corpus names none."""
    if loaded.audio is None:
        raise InputError(f"{loaded.name}: has no audio to prepare; maptask-voiced and simulated have")
    rate = index["sample_rate"] = index["sample_rate"] or loaded.sample_rate
    if rate % dialogue.FRAMES_PER_SECOND:
        raise InputError(f"sample rate {rate} Hz: must be a multiple of 50, for a frame is 20 ms")
    sound = audio.resample(loaded.audio, loaded.sample_rate, rate)
    return dataclasses.replace(loaded, audio=sound, sample_rate=rate)


def _describe(prepared: PreparedSplit) -> str:
    return (
        f"{len(prepared.records)} dialogues, {prepared.seconds / 3600:.2f} h at {prepared.sample_rate} Hz in "
        f"{len(prepared.paths)} shards; nobody speaks {prepared.silence_share:.1%} of the time"
    )


def _define_command():
    from absl import flags

    from datasets.flags import corpus_from_flags, define_corpus_flags

    define_corpus_flags(sample_rate=True)
    choices = [*dialogue.SPLITS, "all"]
    flags.DEFINE_enum("split", "all", choices, "Which split to prepare.")
    flags.DEFINE_string("out", None, "Folder for the shards, one folder below it a split; default: the cache.")
    flags.DEFINE_integer("workers", os.cpu_count(), "Processes that render voices.", lower_bound=1)

    def main(argv):
        args = flags.FLAGS
        corpus = corpus_from_flags()
        for split in dialogue.SPLITS if args.split == "all" else [args.split]:
            out = pathlib.Path(args.out) / split if args.out else None
            prepared = prepare(corpus, split, out, workers=args.workers)
            print(f"{split}: {_describe(prepared)}\n  {prepared.folder}")

    return main


if __name__ == "__main__":
    from datasets.errors import run_command

    run_command(_define_command())
