"""Prepares a corpus for training: dialogues -> shards of int16 audio and 50 Hz activity, with an index.

    python -m datasets.prepare --corpus=simulated --hours=2 --split=train
    python -m datasets.prepare --corpus=stereo --data_dir=recordings --workers=8
    python -m datasets.prepare --corpus=stereo --data_dir=recordings --runner=DirectRunner --workers=2    (Apache Beam)

Every shard is written whole or not at all and its checksum kept, so that a run that was killed goes on with the next
shard and a damaged shard is found and made again, alone. Nothing is trimmed and no silence is dropped. A dialogue that
cannot be read is left out and named at the end, with the reason; --strict stops at it.
"""

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator, Sequence

import tqdm

from datasets import dialogue, files, records, runners, shards
from datasets.corpora import Corpus
from datasets.errors import InputError

FORMAT_VERSION = 2
_INDEX = "index.json"
_MOST_SKIPPED_SHOWN = 20


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
    def sample_rate(self) -> int | None:
        """Hz; None for shards of timing alone."""
        return self.index["sample_rate"]

    @property
    def hop(self) -> int:
        """Samples of a 20 ms frame; 0 for shards of timing alone."""
        return (self.sample_rate or 0) // dialogue.FRAMES_PER_SECOND

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
    def skipped(self) -> dict[str, str]:
        """Dialogues that could not be read, and why."""
        return {name: reason for shard in self.index["shards"] for name, reason in shard["skipped"].items()}

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


@dataclasses.dataclass(frozen=True)
class How:
    """How shards are made; none of it changes what is in them, but `audio` and what `strict` refuses.

    Attributes:
        workers: processes.
        progress: shows a bar, and says which shards were damaged and which dialogues left out.
        strict: stops at a dialogue that cannot be read.
        audio: without it, shards of timing alone.
        runner: of Apache Beam; None does without.
        beam_options: of its pipeline.
    """

    workers: int = 1
    progress: bool = True
    strict: bool = False
    audio: bool = True
    runner: str | None = None
    beam_options: str = ""


def prepare(corpus: Corpus, split: str, out_dir: str | os.PathLike | None = None, **how) -> PreparedSplit:
    """Writes the shards that are missing or damaged, and returns the split.

    Args:
        corpus: its `options.sample_rate`, where given, is the rate of the shards.
        split: "train", "validation" or "test".
        out_dir: folder of the shards; by default one in the cache, named by everything that shapes the corpus.
        how: the fields of `How`.

    Raises:
        InputError: the split is empty, none of its dialogues can be read (with `strict`: one of them cannot), or the
            folder holds another corpus.
    """
    how = How(**how)
    names = corpus.names(split)
    if not names:
        raise InputError(f"corpus {corpus.name}: its {split} split is empty; {_HOW_TO_FILL}")
    key = {"format": FORMAT_VERSION, "corpus": corpus.key(), "split": split, "names": names, "audio": how.audio}
    key_sha256 = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    folder = pathlib.Path(out_dir) if out_dir else _cache_folder(corpus, split, key_sha256)
    groups = shards.groups(split, names)
    with _alone_in(folder):
        index = _read_index(folder, key)
        kept = _kept(folder, index, key_sha256, groups, how)
        if list(kept.values()) != index["shards"] or not kept:
            rate = index["sample_rate"] or (_sample_rate(corpus, names, how) if how.audio else None)
            maker = shards.Maker(corpus, files.writable_folder(folder), key_sha256, rate, how.strict)
            _make(maker, {file: group for file, group in groups.items() if file not in kept}, how)
            made = {file: kept.get(file) or shards.entry_of(folder, file, key_sha256) for file in groups}
            # JSON has no tuples: what is returned is what the next start reads.
            index = json.loads(json.dumps(_index(folder, key, rate, made)))
            files.write_json(folder / _INDEX, index)
        # Also those of a run that was killed when its index was just written.
        shards.forget_notes(folder, groups)
    prepared = PreparedSplit(folder, index)
    if how.progress:
        _say_skipped(split, prepared.skipped)
    return prepared


_HOW_TO_FILL = (
    "more hours, or more recordings, give every split a part; a folder of recordings may also be sorted into train,"
    " validation and test"
)


@contextlib.contextmanager
def _alone_in(folder: pathlib.Path) -> Iterator[None]:
    """Waits for other processes that make the same shards; then clears away what killed ones left half written."""
    handle = os.open(folder if folder.is_dir() else files.writable_folder(folder), os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # Some network file systems know no locks; nothing breaks without them.
            fcntl.flock(handle, fcntl.LOCK_EX)
            for part in folder.glob(".*.part*"):
                part.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)
        # A refusal leaves no empty folder behind.
        with contextlib.suppress(OSError):
            folder.rmdir()


def _kept(folder, index: dict, key_sha256: str, groups, how: How) -> dict[str, dict]:
    """Entries of the shards that are there and whole, in order."""
    listed = {shard["file"]: shard for shard in index["shards"]}
    found = {file: shards.entry_of(folder, file, key_sha256) or listed.get(file) for file in groups}
    entries = {file: entry for file, entry in found.items() if entry and not (how.strict and entry["skipped"])}
    for file in shards.damaged(folder, entries):
        if how.progress and (folder / file).exists():
            print(f"{folder / file}: damaged (its checksum is not the one noted); making this shard again")
        del entries[file]
    return entries


def _make(maker: shards.Maker, missing: dict[str, Sequence[str]], how: How) -> None:
    items = list(missing.items())
    if how.runner:
        runners.run_beam(maker, items, how.runner, how.beam_options, how.workers)
        return
    n_dialogues = sum(map(len, missing.values()))
    with tqdm.tqdm(total=n_dialogues, desc="shards", unit="dialogue", disable=not how.progress) as bar:
        for file in runners.run(maker, items, how.workers):
            bar.update(len(missing[file]))


def _sample_rate(corpus: Corpus, names: Sequence[str], how: How) -> int:
    """Hz: what the options ask for, else that of the first dialogue that can be read."""
    rate, reason = corpus.options.sample_rate, None
    for name in [] if rate else names:
        try:
            rate = corpus.load(name).sample_rate
        except (InputError, OSError) as error:
            if how.strict:
                raise
            reason = reason or str(error)
        if rate:
            break
    if rate is None:
        raise InputError(
            reason
            and f"corpus {corpus.name}: none of its {len(names)} dialogues can be read; the first: {reason}"
            or f"{names[0]}: has no audio to prepare; voice the corpus (maptask-voiced), or prepare its timing alone"
            " (--noaudio)"
        )
    if rate % dialogue.FRAMES_PER_SECOND:
        raise InputError(f"sample rate {rate} Hz: must be a multiple of 50, for a frame is 20 ms; see --sample_rate")
    return rate


def _index(folder: pathlib.Path, key: dict, sample_rate: int | None, made: dict[str, dict]) -> dict:
    entries = list(made.values())
    found = [record for entry in entries for record in entry["records"]]
    if not found:
        skipped = {name: reason for entry in entries for name, reason in entry["skipped"].items()}
        for file in made:
            (folder / file).unlink()
        shards.forget_notes(folder, made)
        reason = next(iter(skipped.values()))
        raise InputError(f"none of the {len(skipped)} dialogues can be read; the first: {reason}")
    totals = {
        "dialogues": len(found),
        "skipped": sum(len(entry["skipped"]) for entry in entries),
        "seconds": sum(record["n_frames"] for record in found) / dialogue.FRAMES_PER_SECOND,
        "source_seconds": sum(record["source_seconds"] for record in found),
        "speech_seconds": [
            sum(record["speech_frames"][channel] for record in found) / dialogue.FRAMES_PER_SECOND for channel in (0, 1)
        ],
    }
    return {"key": key, "sample_rate": sample_rate, "totals": totals, "shards": entries}


def _read_index(folder: pathlib.Path, key: dict) -> dict:
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"sample_rate": None, "shards": []}
    if not isinstance(index, dict) or index.get("key") != key:
        raise InputError(f"{folder}: holds shards of another corpus, split or format; name another folder")
    return index


def _cache_folder(corpus: Corpus, split: str, key_sha256: str) -> pathlib.Path:
    root = pathlib.Path(corpus.options.cache_dir or files.cache_folder())
    return root / "prepared" / f"{corpus.name}-{split}-{key_sha256[:12]}"


def _say_skipped(split: str, skipped: dict[str, str]) -> None:
    if skipped:
        print(f"{split}: {len(skipped)} dialogues could not be read and were left out:")
    for name, reason in list(skipped.items())[:_MOST_SKIPPED_SHOWN]:
        print(f"  {reason if name in reason else f'{name}: {reason}'}")
    if len(skipped) > _MOST_SKIPPED_SHOWN:
        print(f"  ... and {len(skipped) - _MOST_SKIPPED_SHOWN} more, in index.json")


def _describe(prepared: PreparedSplit) -> str:
    sound = f"at {prepared.sample_rate} Hz" if prepared.sample_rate else "of timing alone"
    return (
        f"{len(prepared.records)} dialogues, {prepared.seconds / 3600:.2f} h {sound} in "
        f"{len(prepared.paths)} shards; nobody speaks {prepared.silence_share:.1%} of the time"
    )


def _define_command():
    from absl import flags

    from datasets.flags import corpus_from_flags, define_corpus_flags

    define_corpus_flags(sample_rate=True)
    choices = [*dialogue.SPLITS, "all"]
    flags.DEFINE_enum("split", "all", choices, "Which split to prepare.")
    flags.DEFINE_string("out", None, "Folder for the shards, one folder below it a split; default: the cache.")
    flags.DEFINE_integer("workers", os.cpu_count(), "Processes.", lower_bound=1)
    flags.DEFINE_bool("strict", False, "Stop at a dialogue that cannot be read; else it is left out and named.")
    flags.DEFINE_bool("audio", True, "--noaudio prepares timing alone: 50 Hz activity without sound.")
    flags.DEFINE_string("runner", None, "Apache Beam runner (DirectRunner, FlinkRunner, ...); default: no Beam.")
    flags.DEFINE_string("beam_options", "", "Options of the Beam pipeline, as one string.")

    def main(argv):
        args = flags.FLAGS
        corpus = corpus_from_flags()
        how = {key: args[key].value for key in ("workers", "strict", "audio", "runner", "beam_options")}
        splits = [split for split in dialogue.SPLITS if corpus.names(split)] if args.split == "all" else [args.split]
        for split in splits:
            out = pathlib.Path(args.out) / split if args.out else None
            prepared = prepare(corpus, split, out, **how)
            print(f"{split}: {_describe(prepared)}\n  {prepared.folder}")

    return main


if __name__ == "__main__":
    from datasets.errors import run_command

    run_command(_define_command())
