"""Does the order of the reference rows hold on other speakers? Every pair of quads held out, all others for training.

One number for each row and pair: the probability that a draw of ten minutes of humans has a higher TTR than one of the
row, which is the area under the curve (AUC) of telling the two apart by TTR. Humans with a lag of half a second or less
are listed too, and nothing is claimed of them: they are still much like humans.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from datasets.dialogue import Dialogue
from eval import coordination, protocol, rows
from eval.chunks import whole_dialogues

CLAIMED_ROWS = ("shifted", "replayed", "own_hazard", "timeout_200", "timeout_700", "delayed_1000")
OTHER_ROWS = ("delayed_500", "delayed_200")
LEAST_AUC = 0.97


def auc(higher: np.ndarray, lower: np.ndarray) -> float:
    """P(a value of `higher` exceeds one of `lower`), ties counted half: the Mann-Whitney statistic, [n], [m] values."""
    ordered = np.sort(lower)
    below, up_to = (np.searchsorted(ordered, higher, side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * len(lower)))


def auc_of_pairs(
    dialogues: Sequence[Dialogue], role: str, *, seed: int = 0, draws: int = 200, floor_draws: int = 500
) -> Iterator[tuple[tuple[int, int], dict[str, float]]]:
    """Each pair of quads, and the AUC of human draws against those of each row.

    Args:
        dialogues: of the whole corpus; `info` has the quad.
        role: such as "follower".
        seed, draws, floor_draws: of the protocol.
    """
    quads = sorted({dialogue.info["quad"] for dialogue in dialogues})
    for pair in itertools.combinations(quads, 2):
        yield pair, auc_of_rows(dialogues, pair, role, seed=seed, draws=draws, floor_draws=floor_draws)


def auc_of_rows(
    dialogues: Sequence[Dialogue],
    pair: tuple[int, int],
    role: str,
    *,
    seed: int = 0,
    draws: int = 200,
    floor_draws: int = 500,
) -> dict[str, float]:
    """AUC of human draws against those of each row, with these two quads held out; arguments as above."""
    held_out = [dialogue for dialogue in dialogues if dialogue.info["quad"] in pair]
    train = [dialogue for dialogue in dialogues if dialogue.info["quad"] not in pair]
    wholes, background = (whole_dialogues(part, role) for part in (held_out, train))
    reference = protocol.make_reference(
        wholes, background, coordination.groups_of(train), role, floor_draws=floor_draws, seed=seed
    )
    known = rows.Background(reference.tables, background)
    humans = _ttrs(reference, reference.chunks, draws, np.random.default_rng(seed), among_humans=True)
    found = {}
    for name in (*CLAIMED_ROWS, *OTHER_ROWS):
        rng = protocol.row_rng(seed, name)
        made = protocol.row_chunks(reference, wholes, rows.ROWS[name], known, rng)
        found[name] = auc(humans, _ttrs(reference, made, draws, rng))
    return found


def _ttrs(reference: protocol.Reference, chunks, draws: int, rng, among_humans: bool = False) -> np.ndarray:
    measure = protocol.Measure(reference, chunks, rng, among_humans)
    drawn = protocol.draw(chunks, reference.draw_chunks, draws, rng)
    return np.array([measure.draw(each)["ttr"] for each in drawn])
