"""Writes what an agent that was made elsewhere has to hear, so that its answers can be scored.

    python -m eval.prompts --corpus=maptask-voiced --data_dir=maptaskv2-1 --out=prompts
    python -m eval.compare --corpus=maptask-voiced --data_dir=maptaskv2-1 --wavs=prompts

For each role and chunk:

    follower/q4ec1-00.prompt.wav      30 s of both real channels, left the one that the agent takes over, right its
                                      partner; give it as the past
    follower/q4ec1-00.partner.wav     60 s of the partner: play it to the agent, which hears up to 20 ms ago
    follower/q4ec1-00.own.wav         is what the agent says meanwhile, 60 s at any rate; it is not written here
    follower/q4ec1-00.both.wav        only with --for_predictors: 60 s of both real channels, for a model that predicts
                                      a dialogue of others and speaks in none; no agent may hear it
    follower-swapped/...              the same prompts before another dialogue's partner: does the agent listen at all?

and manifest.json with the list of chunks. A corpus without sound is written as .rttm, for agents that take intervals.
What else may be answered, and how, is in `eval/recordings.py`.
"""

import functools
import pathlib

import numpy as np
import tqdm
from absl import flags

from datasets import audio, files
from datasets import flags as corpus_flags
from datasets.corpora import Corpus
from datasets.dialogue import Dialogue, cut
from datasets.errors import InputError, run_command
from eval import detection, open_loop, recordings
from eval.chunks import CHUNK_SECONDS, PROMPT_SECONDS, chunk_list


def write_prompts(
    corpus: Corpus, split: str, roles, out: pathlib.Path, chunks_per_dialogue: int = 1, for_predictors: bool = False
) -> int:
    """Writes the folder and returns the number of chunks of each role.

    Args:
        corpus: with sound, or its intervals are written.
        split: "test" or "validation".
        roles: that the agent is to take.
        out: the folder.
        chunks_per_dialogue: how many are to be answered of each dialogue.
        for_predictors: writes the real channels of the chunks too.
    """
    names = detection.names(corpus, split)[1]
    spans = chunk_list([corpus.load(name, audio=False) for name in names], PROMPT_SECONDS)
    spans = [span for span in spans if span.index < chunks_per_dialogue]
    if not spans:
        raise InputError(f"--split={split}: no dialogue is as long as a prompt and a chunk, 90 s")
    load = functools.lru_cache(maxsize=4)(corpus.load)
    todo = [(role, swap) for role in roles for swap in (False, True)]
    with tqdm.tqdm(total=len(todo) * len(spans), unit="chunk") as progress:
        for role, swap in todo:
            folder = out / (f"{role}-swapped" if swap else role)
            for place in open_loop.places(role, spans, swap):
                _write_place(place, load, folder, for_predictors and not swap)
                progress.update()
    manifest = recordings.expected_manifest(corpus.name, split, PROMPT_SECONDS)
    manifest |= {
        "corpus_key": corpus.key(),
        "chunk_seconds": CHUNK_SECONDS,
        "roles": list(roles),
        "chunks": [
            {"name": recordings.file_name(s), "dialogue": s.dialogue, "start_seconds": s.start_seconds} for s in spans
        ],
    }
    files.write_json(out / recordings.MANIFEST, manifest)
    return len(spans)


def _write_place(place: open_loop.Place, load: open_loop.Load, folder: pathlib.Path, with_own: bool) -> None:
    dialogue = load(place.span.dialogue)
    stem = folder / place.file_name
    if dialogue.audio is None:
        _write_intervals(place, dialogue, load(place.heard.dialogue), stem, with_own)
        return
    own, partner, heard = open_loop.prompt_and_partner(place, load)
    audio.write_wav(stem.with_name(stem.name + ".prompt.wav"), np.stack([own, partner]), dialogue.sample_rate)
    audio.write_wav(stem.with_name(stem.name + ".partner.wav"), heard, dialogue.sample_rate)
    if with_own:
        start, samples = (round(t * dialogue.sample_rate) for t in (place.span.start_seconds, place.span.seconds))
        side = dialogue.channel_of(place.role)
        both = dialogue.audio[[side, 1 - side], start : start + samples]
        audio.write_wav(stem.with_name(stem.name + ".both.wav"), both, dialogue.sample_rate)


def _write_intervals(
    place: open_loop.Place, dialogue: Dialogue, other: Dialogue, stem: pathlib.Path, with_own: bool
) -> None:
    span, heard = place.span, place.heard
    own, end = dialogue.channel_of(place.role), span.start_seconds + span.seconds
    sides = [dialogue.speech[channel] for channel in (own, 1 - own)]
    prompt = [cut(speech, span.start_seconds - span.prompt_seconds, span.start_seconds) for speech in sides]
    partner = other.speech[1 - other.channel_of(place.role)]
    partner = cut(partner, heard.start_seconds, heard.start_seconds + heard.seconds)
    _write_rttm(stem.with_name(stem.name + ".prompt.rttm"), {1: prompt[0], 2: prompt[1]})
    _write_rttm(stem.with_name(stem.name + ".partner.rttm"), {2: partner})
    if with_own:
        both = [cut(speech, span.start_seconds, end) for speech in sides]
        _write_rttm(stem.with_name(stem.name + ".both.rttm"), {1: both[0], 2: both[1]})


def _write_rttm(path: pathlib.Path, intervals: dict[int, np.ndarray]) -> None:
    lines = [
        f"SPEAKER {path.name.partition('.')[0]} {channel} {start:.3f} {end - start:.3f} <NA> <NA> {channel} <NA> <NA>\n"
        for channel, speech in intervals.items()
        for start, end in speech
    ]
    with files.replacing(path) as part:
        part.write_text("".join(lines), encoding="utf-8")


def _define_flags() -> None:
    corpus_flags.define_corpus_flags(sample_rate=True)
    flags.DEFINE_string("split", "test", "Whose dialogues are to be answered: test or validation.")
    flags.DEFINE_string("out", "prompts", "Folder to write into.")
    flags.DEFINE_integer("chunks_per_dialogue", 1, "How many 60 s are to be answered of each dialogue.", lower_bound=1)
    flags.DEFINE_boolean("for_predictors", False, "Write both real channels of the chunks too; no agent may hear them.")


def main(argv: list[str]) -> None:
    del argv
    values = flags.FLAGS
    corpus, out = corpus_flags.corpus_from_flags(), pathlib.Path(values.out)
    roles = tuple(reversed(corpus.roles))
    count = write_prompts(corpus, values.split, roles, out, values.chunks_per_dialogue, values.for_predictors)
    print(f"{out}: {count} chunks of each role; answers go beside them, see python -m eval.prompts --help")


if __name__ == "__main__":
    _define_flags()
    run_command(main)
