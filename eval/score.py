"""Scores dialogues of your own: two-channel sound, or who speaks when, and no corpus.

    python -m eval.score --wavs=my_dialogues
    python -m eval.score --wavs=my_dialogues --roles=giver,follower --out=scores.json
    python -m eval.score --wavs=my_dialogues --corpus=stereo --data_dir=human_dialogues

What may lie in the folder is in `eval/dialogues.py`: a two-channel file for each dialogue, a pair of files, or RTTM,
TextGrid, CSV or Audacity labels.

Printed are the joint statistics of your dialogues beside the human ones, and TTR of both speakers together. With
--roles (the role of channel 0 and that of channel 1) each channel is scored as that role, too. The humans are those of
--corpus, else those of Map Task, whose norms are shipped: two people who talk of a route on a map, one of whom leads.
So C, which asks whether the speakers heed each other, can be read for any dialogue; M, which compares rates and
lengths, says how far yours are from Map Task, and is no fault of a dialogue that is of another kind. Compare with a
corpus of your own kind where you have one.

An agent that can answer a recorded partner is better measured by python -m eval.prompts and python -m eval.compare:
here, both speakers are free to make it easy for each other.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

from datasets import activity, files, turns
from datasets import flags as corpus_flags
from datasets.errors import InputError, run_command
from eval import norms, planning, protocol, score_files, table
from eval.chunks import CHUNK_SECONDS, Chunk, cut_wholes, mirrored
from eval.dialogues import read_dialogues
from eval.reference import BOTH, Norm

_STATISTICS = (
    ("speech_0", "speech of channel 0", 3), ("speech_1", "speech of channel 1", 3), ("nobody", "nobody speaks", 3),
    ("both", "both speak", 3), ("ipu_per_min", "IPU per min", 1), ("ipu_median", "IPU median, s", 2),
    ("pause_per_min", "pauses per min", 1), ("pause_median", "pause median, s", 2), ("gap_per_min", "gaps per min", 1),
    ("gap_median", "gap median, s", 2), ("between_overlap_per_min", "between-overlaps per min", 2),
    ("within_overlap_per_min", "within-overlaps per min", 2), ("fto_median", "FTO median, s", 3),
    ("fto_overlapping", "FTO overlapping", 3), ("turn_median", "turn median, s", 2),
    ("backchannel_per_min", "backchannel-like per min", 2),
)  # fmt: skip


def score_dialogues(
    wholes: Sequence[Chunk],
    by_role: Mapping[str, Norm],
    roles: Sequence[str],
    seed: int = 0,
    draws: int = protocol.DRAWS,
) -> dict[str, dict[str, Any]]:
    """Scores of both speakers together, and of each channel that has a role.

    Args:
        wholes: the dialogues from end to end, channel 0 as `own`.
        by_role: norms, by the same detector; "both" among them.
        roles: of channel 0 and of channel 1, or none.
        seed, draws: of the protocol.

    Returns:
        By what was scored ("both speakers", "channel 0 as giver", ...) what `protocol.score` returns.
    """
    chunks = cut_wholes(wholes)
    planning.check_minutes(len(chunks) * CHUNK_SECONDS / 60, "the dialogues")
    sides = [("both speakers", BOTH, chunks)]
    sides += [
        (f"channel {channel} as {role}", role, mirrored(chunks) if channel else chunks)
        for channel, role in enumerate(roles)
    ]
    return {
        name: protocol.score(by_role[role], of_side, np.random.default_rng(seed), draws=draws)
        for name, role, of_side in sides
    }


def statistics(wholes: Sequence[Chunk]) -> dict[str, float]:
    """Joint statistics of the dialogues, as `datasets.turns.statistics` counts them."""
    return turns.statistics([turns.events(whole.own_ipus, whole.partner_ipus, whole.seconds) for whole in wholes])


def _norms_of(values, detector: str) -> tuple[Mapping[str, Norm], Mapping[str, float], str]:
    if not values.corpus:
        return (*norms.shipped_norms(detector), "Map Task, shipped norms")
    corpus = corpus_flags.corpus_from_flags()
    made = norms.make_norms(corpus, values.split, detector)
    return made, statistics(norms.held_out_wholes(corpus, values.split, detector)), f"{corpus.name}, {values.split}"


def _say(ours: Mapping[str, float], humans: Mapping[str, float], source: str) -> None:
    print(f"{'':28s} {'yours':>8s} {'humans':>8s}   ({source})")
    for key, name, decimals in _STATISTICS:
        print(f"{name:28s} {table.number(ours[key], decimals):>8s} {table.number(humans[key], decimals):>8s}")


def _check_roles(roles: Sequence[str], choices: Sequence[str]) -> None:
    if roles and (len(roles) != 2 or not set(roles) <= set(choices)):
        raise InputError(
            f"--roles={','.join(roles)}: wanted are those of channel 0 and channel 1, of {', '.join(choices)}"
        )


def _define_flags() -> None:
    corpus_flags.define_corpus_flags(default=None)
    flags.DEFINE_string("wavs", None, "Folder of your dialogues: sound, pairs of sound, or intervals.")
    flags.DEFINE_list("roles", [], "Role of channel 0 and of channel 1, such as giver,follower.")
    flags.DEFINE_string("split", "test", "Of --corpus: whose dialogues are the humans.")
    flags.DEFINE_string("out", None, "Also writes the scores to this JSON file.")
    flags.DEFINE_integer("seed", 0, "Of the draws.")


def main(argv: list[str]) -> None:
    del argv
    values = flags.FLAGS
    if not values.wavs:
        raise InputError(
            "--wavs: name the folder of your dialogues; python -m eval.score --help says what may be in it"
        )
    wholes, detector = read_dialogues(values.wavs, values.detector, values.cache_dir)
    minutes = sum(whole.seconds for whole in wholes) / 60
    planning.check_minutes(minutes, f"--wavs={values.wavs}")
    by_role, human_statistics, source = _norms_of(values, detector)
    _check_roles(values.roles, [role for role in by_role if role != BOTH])
    ours = statistics(wholes)
    print(f"{len(wholes)} dialogues, {minutes:.1f} minutes, speech by {detector}\n")
    _say(ours, human_statistics, source)
    scores = score_dialogues(wholes, by_role, values.roles, seed=values.seed)
    print(f"\n{table.render(list(scores), list(scores.values()))}")
    print(f"\n{table.render(list(scores), list(scores.values()), table.PEER_COLUMNS)}")
    if values.out:
        content = {
            "protocol": protocol.VERSION,
            "detector": activity.detector_key(detector),
            "norms": {role: norm.describe() for role, norm in by_role.items()},
            "humans": source,
            "seed": values.seed,
            "statistics": {"yours": ours, "humans": human_statistics},
            "scores": scores,
            "software": score_files.software(),
        }
        files.write_json(pathlib.Path(values.out), protocol.json_ready(content))
        print(f"\n{values.out}")


if __name__ == "__main__":
    _define_flags()
    run_command(main)
