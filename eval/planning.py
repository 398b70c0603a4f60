"""How much dialogue it takes to tell two systems apart.

Two systems that are equally good do not get equal scores, for each is scored on dialogues of its own chance. Here one
and the same speaker is taken twice, so many minutes each time, and scored: what their two TTR differ by in 95 of 100
times is the smallest difference that says anything.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from datasets import dialogue as dialogue_lib
from datasets import hazard
from datasets.dialogue import cut
from datasets.errors import InputError
from eval import coordination, detection, protocol
from eval.chunks import CHUNK_SECONDS, Chunk, cut_wholes, whole_dialogues
from eval.reference import DRAW_SHOWS_TTR, Reference

SETS = 100
SET_DRAWS = 20
LATE_SECONDS = 0.5
SHOWN_PERCENTILE = 95
LEAST_MINUTES = protocol.DRAW_CHUNKS * CHUNK_SECONDS / 60

_SIMULATED_DIALOGUES, _SIMULATED_SECONDS = 60, 300.0


def smallest_difference(
    reference: Reference,
    n_chunks: int,
    rng: np.random.Generator,
    *,
    sets: int = SETS,
    set_draws: int = SET_DRAWS,
) -> float:
    """The smallest difference of TTR that two systems must show on `n_chunks` each, to differ by more than chance.

    The larger one of two speakers' is taken: the human, whose scores may all lie at the upper end, and the human who
    comes half a second late, whose scores lie in the middle, as those of most systems do.

    Args:
        reference: by which systems are scored.
        n_chunks: that each system answers, at least one draw.
        rng: of the sets.
        sets: how often a speaker is taken, by bootstrap over the dialogues; all pairs of them are compared.
        set_draws: of ten minutes each, over which the TTR of a set is averaged.

    Returns:
        The 95th percentile of the difference of two sets' TTR.
    """
    check_minutes(n_chunks * CHUNK_SECONDS / 60, "n_chunks")
    late = [
        dataclasses.replace(each, own_ipus=cut(each.own_ipus + LATE_SECONDS, 0, each.seconds))
        for each in reference.chunks
    ]
    return max(
        _difference_of_sets(reference, chunks, n_chunks, rng, sets, set_draws) for chunks in (reference.chunks, late)
    )


def _difference_of_sets(reference, chunks: Sequence[Chunk], n_chunks: int, rng, sets: int, set_draws: int) -> float:
    measure = protocol.Measure(reference, chunks, rng, among_humans=True)
    set_draws = 1 if n_chunks == reference.draw_chunks else set_draws
    found = [measure.ttr_of_set(_some_chunks(chunks, n_chunks, rng), set_draws, rng) for _ in range(sets)]
    first, second = np.triu_indices(sets, 1)
    return float(np.percentile(np.abs(np.subtract(*np.array(found)[[first, second]])), SHOWN_PERCENTILE))


def check_minutes(minutes: float, what: str) -> None:
    """Raises `InputError` for less than one draw: nothing can be said of it."""
    if not minutes >= LEAST_MINUTES:
        raise InputError(
            f"{what}: {60 * minutes:g} s of dialogue are too short: nothing is scored on less than"
            f" {LEAST_MINUTES:g} minutes (ten chunks of 60 s from ten dialogues), and those show no difference of TTR"
            f" below {DRAW_SHOWS_TTR:g}"
        )


def simulated_reference(role: str, rng: np.random.Generator) -> Reference:
    """Speakers sampled from the shipped Map Task tables in place of humans: five hours.

    They are more alike than humans are, so what they need is the least.
    """
    tables, own = hazard.maptask_tables(), dialogue_lib.role_index(role)
    wholes = []
    for number in range(_SIMULATED_DIALOGUES):
        gates = hazard.sample_dialogue(tables, dialogue_lib.seconds_to_frames(_SIMULATED_SECONDS), rng)
        ipus = [dialogue_lib.bridge(dialogue_lib.intervals_from_activity(gate)) for gate in gates]
        wholes.append(Chunk(f"simulated-{number}", 0, 0.0, _SIMULATED_SECONDS, ipus[own], ipus[1 - own]))
    return Reference(cut_wholes(wholes), tables[dialogue_lib.ROLE_PAIRS[0][own]], role, detector="simulated")


def corpus_reference(corpus, role: str, split: str, detector: str) -> Reference:
    """The humans of a corpus."""
    train, held_out = detection.detected(corpus, split, detector)
    wholes = [whole_dialogues(part, role) for part in (held_out, train)]
    return protocol.make_reference(*wholes, coordination.groups_of(train), role, detector=detector)


def _some_chunks(chunks: Sequence[Chunk], n: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of `n` chunks: dialogues drawn with repetition, one chunk of each, as a bootstrap by dialogue does."""
    return protocol.draw(chunks, n, 1, rng, repeated=True)[0]
