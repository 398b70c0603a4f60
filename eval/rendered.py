"""What a detector does to the human row: with floors and tables recomputed for it, and with those of the word timings.

PROTOCOL section 4. A detector's bias moves every gap, so what it finds is compared with what it finds in humans; beside
floors and tables that were counted on word timings the same humans would pass for something else.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from datasets import activity
from datasets.corpora import Corpus
from datasets.dialogue import Dialogue, bridge
from eval import coordination, detection, protocol
from eval.chunks import cut_wholes, whole_dialogues


@dataclasses.dataclass(frozen=True)
class Detected:
    """The human row of one role, three times.

    Attributes:
        role: of the humans.
        annotated: TTR from word timings.
        recomputed: TTR from detected speech, with floors and tables of the same detector.
        not_recomputed: TTR from detected speech, with floors and tables of the word timings.
    """

    role: str
    annotated: float
    recomputed: float
    not_recomputed: float


def human_rows(
    corpus: Corpus, split: str, detector: str, seed: int = 0, dilated_seconds: float = 0.0, **options
) -> Iterator[Detected]:
    """The human row of each role of a corpus that has words and sound.

    Args:
        corpus, split: whose held-out dialogues.
        detector: of `datasets.activity`.
        seed: of the draws.
        dilated_seconds: added on both sides of all that is detected, to show what a worse detector would do.
        options: of `protocol.Reference`.
    """
    heard, annotated = (detection.detected(corpus, split, name) for name in (detector, activity.ANNOTATIONS))
    heard = [[_dilated(dialogue, dilated_seconds) for dialogue in part] for part in heard]
    for role in reversed(corpus.roles):
        by_words, by_detector = (_reference(*each, role, seed=seed, **options) for each in (annotated, heard))
        found = cut_wholes(whole_dialogues(heard[1], role))
        yield Detected(
            role,
            annotated=_ttr(by_words, by_words.chunks, seed),
            recomputed=_ttr(by_detector, by_detector.chunks, seed),
            not_recomputed=_ttr(by_words, found, seed),
        )


def calibration(corpus: Corpus, split: str, detector: str) -> dict[str, float]:
    """How the detector differs from the annotated speech of held-out dialogues.

    Returns:
        Medians over the channels: onset_bias_ms, offset_bias_ms; means: matched_edges, frame_accuracy; of all the
        time: missed_share, false_alarm_share.
    """
    pairs = zip(*(detection.detected(corpus, split, each)[1] for each in (detector, activity.ANNOTATIONS)), strict=True)
    found, seconds = [], 0.0
    for heard, real in pairs:
        for channel in (0, 1):
            found.append(activity.calibrate(heard.speech[channel], real.speech[channel], real.duration_seconds))
            seconds += real.duration_seconds
    of = {name: np.array([getattr(each, name) for each in found]) for name in dataclasses.asdict(found[0])}
    return {
        "onset_bias_ms": float(np.nanmedian(of["onset_bias_ms"])),
        "offset_bias_ms": float(np.nanmedian(of["offset_bias_ms"])),
        "matched_edges": float(of["matched_edges"].mean()),
        "frame_accuracy": float(of["frame_accuracy"].mean()),
        "missed_share": float(of["missed_seconds"].sum() / seconds),
        "false_alarm_share": float(of["false_alarm_seconds"].sum() / seconds),
    }


def _dilated(dialogue: Dialogue, seconds: float) -> Dialogue:
    speech = [channel + np.array([-seconds, seconds]) for channel in dialogue.speech]
    return dataclasses.replace(
        dialogue, speech=tuple(bridge(channel.clip(0, dialogue.duration_seconds)) for channel in speech)
    )


def _reference(train: Sequence[Dialogue], held_out: Sequence[Dialogue], role: str, **options) -> protocol.Reference:
    wholes = [whole_dialogues(part, role) for part in (held_out, train)]
    return protocol.make_reference(*wholes, coordination.groups_of(train), role, **options)


def _ttr(reference: protocol.Reference, chunks, seed: int) -> float:
    return protocol.score(reference, chunks, np.random.default_rng(seed), among_humans=True)["ttr"]
