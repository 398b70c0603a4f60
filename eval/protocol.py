"""The evaluation protocol: turn-timing realism, TTR = C x M, of one role beside its references.

    humans, train = whole_dialogues(held_out, "follower"), whole_dialogues(train_dialogues, "follower")
    reference = make_reference(humans, train, coordination.groups_of(train_dialogues), "follower")
    scores = score(reference, system_chunks, np.random.default_rng(0))
    beside = reference_rows(reference, humans, train)

A draw is ten 60 s chunks from ten different dialogues; everything is measured on a draw and averaged over many, because
distances between samples shrink with their size. Never pool more into one draw.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from datasets.errors import InputError
from eval import coordination, peers, rows, shape
from eval.chunks import Chunk, cut_chunk
from eval.reference import (
    BOTH,
    DRAW_CHUNKS,
    FLOOR_DRAWS,
    FLOOR_PERCENTILE,
    VERSION,
    Norm,
    Reference,
    check_enough,
    draw,
    make_reference,
    place_of,
)

__all__ = [
    "BOTH",
    "DRAW_CHUNKS",
    "FLOOR_DRAWS",
    "FLOOR_PERCENTILE",
    "VERSION",
    "Norm",
    "Reference",
    "check_enough",
    "draw",
    "make_reference",
]

DRAWS = 400
RENDERINGS = 4
INTERVAL_PERCENTILES = (2.5, 97.5)


def score(
    reference: Norm,
    chunks: Sequence[Chunk],
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
    among_humans: bool = False,
) -> dict[str, Any]:
    """Scores a system.

    Args:
        reference: the humans of the same role, detector and chunk length.
        chunks: of the system, with `own_ipus` its own and `partner_ipus` of whom it heard.
        rng: of the draws.
        draws: how many are averaged.
        among_humans: `chunks` are the reference's own, and each draw is compared with the others: the human row.

    Returns:
        Means over the draws: ttr, c, m, llr and dllr (bits/s), d_<distance>. Of the first five also <key>_sd over the
        draws, and <key>_low and <key>_high, the 95 % interval of a draw by bootstrap over dialogues. Of all chunks
        together: selectivity (NaN where the chunks are not those of the reference) with its numbers shifts and holds,
        fto_median (s), overlap_share, ipu_per_min, speech (share of time), n_fto, n_ipu, n_pause, n_backchannel,
        minutes, n_chunks, n_dialogues, and the peer_... of `eval.peers`. And per_dialogue, a list of rows of the same.
    """
    check_enough(chunks, reference.draw_chunks, "the system")
    measure = Measure(reference, chunks, rng, among_humans)
    drawn = [measure.draw(each) for each in draw(chunks, reference.draw_chunks, draws, rng)]
    again = [measure.draw(each) for each in draw(chunks, reference.draw_chunks, draws, rng, repeated=True)]
    result = {key: float(np.mean([each[key] for each in drawn])) for key in drawn[0]}
    for key in ("ttr", "c", "m", "llr", "dllr"):
        result[f"{key}_sd"] = float(np.std([each[key] for each in drawn]))
        low, high = np.percentile([each[key] for each in again], INTERVAL_PERCENTILES)
        result |= {f"{key}_low": float(low), f"{key}_high": float(high)}
    everything = np.arange(len(chunks))
    result |= measure.peers()
    result |= measure.totals(everything) | {"n_chunks": len(chunks), "n_dialogues": len({c.dialogue for c in chunks})}
    result["per_dialogue"] = [
        {"dialogue": name} | measure.totals(np.array([i for i in everything if chunks[i].dialogue == name]), True)
        for name in dict.fromkeys(chunk.dialogue for chunk in chunks)
    ]
    return result


class Measure:
    """A system beside a reference, counted once; arguments as those of `score`."""

    def __init__(self, reference: Norm, chunks: Sequence[Chunk], rng: np.random.Generator, among_humans: bool):
        if among_humans and [place_of(chunk) for chunk in chunks] != [place_of(chunk) for chunk in reference.chunks]:
            raise InputError("only the reference's own chunks can be scored among humans")
        self._reference, self._chunks, self._among_humans = reference, chunks, among_humans
        self._events = reference.table(chunks)
        self._comparison = shape.Comparison(self._events, reference.events)
        self._llr = reference.llr_of(chunks)
        self._dllr = reference.dllr_of(chunks, rng)
        self._real = None if reference.role == BOTH else reference.real(chunks)

    def draw(self, drawn: np.ndarray) -> dict[str, float]:
        """C, M, TTR and what they are made of, on one draw."""
        reference = self._reference
        humans = reference.times_of_others(drawn) if self._among_humans else reference.events.times()
        found = self._comparison.distance(self._events.times(drawn), humans)
        m = shape.shape_score(found, self._reference.floors)
        llr = self._mean(self._llr, drawn)
        c = float(np.clip(llr / self._reference.llr_human, 0, 1))
        return {"ttr": c * m, "c": c, "m": m, "llr": llr, "dllr": self._mean(self._dllr, drawn)} | {
            f"d_{name}": value for name, value in found.items()
        }

    def ttr_of_set(self, chosen: np.ndarray, draws: int, rng: np.random.Generator) -> float:
        """TTR of the chunks with the indices `chosen` [n]: the mean over draws of them."""
        size = self._reference.draw_chunks
        return float(np.mean([self.draw(rng.choice(chosen, size, replace=False))["ttr"] for _ in range(draws)]))

    def peers(self) -> dict[str, float]:
        """What other papers report, see `eval.peers`."""
        if self._reference.role == BOTH:
            return peers.joint_scores(self._chunks)
        return peers.peers_scores(self._chunks, None if self._among_humans else self._real)

    def totals(self, chosen: np.ndarray, with_llr: bool = False) -> dict[str, float]:
        """What is counted on many chunks at once."""
        sample = self._events.pool(chosen)
        ftos, counts = sample.durations["fto"], sample.counts()
        result = {
            "fto_median": float(np.median(ftos)) if len(ftos) else float("nan"),
            "overlap_share": float(np.mean(ftos < 0)) if len(ftos) else float("nan"),
            "ipu_per_min": counts["ipu"] / sample.minutes,
            "speech": sample.speech_seconds / (60 * sample.minutes),
            "minutes": sample.minutes,
            **{f"n_{kind}": count for kind, count in counts.items()},
            **self._selectivity(chosen),
        }
        if with_llr:
            result |= {"llr": self._mean(self._llr, chosen), "dllr": self._mean(self._dllr, chosen)}
        return result

    def _selectivity(self, chosen: np.ndarray) -> dict[str, float]:
        if self._real is None:
            return {"selectivity": float("nan"), "shifts": 0, "holds": 0}
        found = coordination.selectivity([self._real[i] for i in chosen], [self._chunks[i] for i in chosen])
        return {"selectivity": found.value, "shifts": found.shifts, "holds": found.holds}

    def _mean(self, per_second: np.ndarray, chosen: np.ndarray) -> float:
        seconds = np.array([self._chunks[i].seconds for i in chosen])
        return float(per_second[chosen] @ seconds / seconds.sum())


def against_original(reference: Reference, swapped: Sequence[Chunk]) -> list[Chunk]:
    """Chunks made while another partner was heard, beside the partner of their own place.

    Args:
        reference: with the real chunks.
        swapped: `dialogue` and `start_seconds` are those of the prompt; `own_ipus` is what the system then did.
    """
    real = reference.real(swapped)
    if real is None:
        raise InputError("partner swap: a chunk is not at a place of the reference")
    return [
        Chunk(own.dialogue, own.index, own.start_seconds, own.seconds, own.own_ipus, human.partner_ipus)
        for own, human in zip(swapped, real, strict=True)
    ]


def partner_swap(reference: Reference, chunks: Sequence[Chunk], swapped: Sequence[Chunk]) -> dict[str, float]:
    """What changed when another partner was heard.

    Args:
        reference: the humans.
        chunks, swapped: of one system in the same places, with the true and with another partner heard.

    Returns:
        swap_llr: bits/s of the swapped against the original partner, at most 0 for one that listened; swap_changed: the
        share of 20 ms frames in which the own activity differs.
    """
    if [place_of(chunk) for chunk in chunks] != [place_of(chunk) for chunk in swapped]:
        raise InputError("partner swap: the two lists are not of the same places")
    differ = [np.mean(a.activity()[0] != b.activity()[0]) for a, b in zip(chunks, swapped, strict=True)]
    llr = coordination.llr_per_chunk(reference.tables, against_original(reference, swapped))
    seconds = np.array([chunk.seconds for chunk in swapped])
    return {"swap_llr": float(llr @ seconds / seconds.sum()), "swap_changed": float(np.mean(differ))}


def row_chunks(
    reference: Reference,
    wholes: Sequence[Chunk],
    row: rows.Row,
    background: rows.Background,
    rng: np.random.Generator,
) -> list[Chunk]:
    """The chunks of a reference row, in the places of the reference.

    Args:
        reference: the humans.
        wholes: the whole dialogues its chunks were cut from, as the role lived them.
        row: one of `rows.ROWS`, or another.
        background: what the row may know.
        rng: of the row.
    """
    own = {whole.dialogue: row(whole, background, rng) for whole in wholes}
    partner = {whole.dialogue: whole.partner_ipus for whole in wholes}
    missing = {span.dialogue for span in reference.spans} - set(own)
    if missing:
        raise InputError(f"reference rows: no whole dialogue {', '.join(sorted(missing))}")
    return [cut_chunk(span, own[span.dialogue], partner[span.dialogue]) for span in reference.spans]


def reference_rows(
    reference: Reference,
    wholes: Sequence[Chunk],
    train: Sequence[Chunk] = (),
    *,
    names: Sequence[str] = ("human", "hazard", "shifted", "timeout_700"),
    seed: int = 0,
    draws: int = DRAWS,
) -> dict[str, dict[str, Any]]:
    """Scores the reference rows.

    Args:
        reference: the humans.
        wholes: the whole dialogues its chunks were cut from, as the role lived them.
        train: whole train dialogues of the same role, which the time-outs and "replayed" need.
        names: of `rows.ROWS`, in the order wanted.
        seed: of the rows and their draws; each row has its own stream.
        draws: how many are averaged.

    Returns:
        For each name what `score` returns. What is drawn by chance is drawn four times and pooled.
    """
    unknown = [name for name in names if name not in rows.ROWS]
    if unknown:
        raise InputError(f"no reference row {unknown[0]!r}; the choices are {', '.join(rows.ROWS)}")
    background, scores = rows.Background(reference.tables, train, reference.spans), {}
    for name in names:
        rng = row_rng(seed, name)
        is_human = name == "human"
        renderings = 1 if name in rows.DETERMINED else RENDERINGS
        made = [row_chunks(reference, wholes, rows.ROWS[name], background, rng) for _ in range(renderings)]
        made = reference.chunks if is_human else [chunk for each in made for chunk in each]
        scores[name] = score(reference, made, rng, draws=draws, among_humans=is_human)
    return scores


def row_rng(seed: int, name: str) -> np.random.Generator:
    """The chance of a reference row; what `reference_rows` draws first with it is the row's first rendering."""
    return np.random.default_rng([seed, *name.encode()])


def json_ready(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The scores with NaN as None: JSON has no NaN."""

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: clean(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [clean(each) for each in value]
        return None if isinstance(value, float) and np.isnan(value) else value

    return clean(scores)
