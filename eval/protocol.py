"""The evaluation protocol: turn-timing realism, TTR = C x M, of one role beside its references.

    humans, train = whole_dialogues(held_out, "follower"), whole_dialogues(train_dialogues, "follower")
    reference = make_reference(humans, train, coordination.groups_of(train_dialogues), "follower")
    scores = score(reference, system_chunks, np.random.default_rng(0))
    beside = reference_rows(reference, humans, train)

A draw is ten 60 s chunks from ten different dialogues; everything is measured on a draw and averaged over many, because
distances between samples shrink with their size. Never pool more into one draw.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from datasets import hazard
from datasets.errors import InputError
from eval import coordination, rows, shape
from eval.chunks import CHUNK_SECONDS, Chunk, Span, cut_chunk, spans_of

VERSION = 1
DRAW_CHUNKS = 10
DRAWS = 400
RENDERINGS = 4
FLOOR_DRAWS = 2000
FLOOR_PERCENTILE = 95
INTERVAL_PERCENTILES = (2.5, 97.5)


class Reference:
    """Humans of the held-out dialogues in one role, and how far humans are from humans.

    Attributes:
        chunks: the real chunks; `own` is the role.
        tables: the hazard tables of the role, fitted on train dialogues with the same detector.
        role: such as "follower".
        llr_human: bits per second that count as C = 1.
        detector: which activity the chunks are of; never compare numbers of different ones.
        prompt_seconds: of both real channels, which a system heard before each chunk.
        draw_chunks: chunks of a draw.
        human_distances: of each name [floor_draws], between a draw of humans and all other human chunks.
        floors: the 95th percentile of each of them.
        events: the events of the chunks.
        llr: bits per second of each chunk, [n].
    """

    def __init__(
        self,
        chunks: Sequence[Chunk],
        tables: hazard.Tables,
        role: str,
        *,
        llr_human: float | None = None,
        detector: str = "annotations",
        prompt_seconds: float = 0.0,
        draw_chunks: int = DRAW_CHUNKS,
        floor_draws: int = FLOOR_DRAWS,
        seed: int = 0,
    ):
        """See the class.

        Args:
            chunks, tables, role, detector, prompt_seconds, draw_chunks: see there.
            llr_human: of train, by leaving one group of speakers out; None takes the mean of `chunks` themselves.
            floor_draws: of humans against humans. 200 of them leave a floor uncertain by 3-10 %.
            seed: of those draws.

        Raises:
            InputError: without `draw_chunks` chunks from as many dialogues, and one more to compare them with.
        """
        self.chunks, self.tables, self.role, self.detector = list(chunks), tables, role, detector
        self.prompt_seconds = prompt_seconds
        self.draw_chunks, self.floor_draws, self.seed = draw_chunks, floor_draws, seed
        check_enough(self.chunks, draw_chunks, f"the human {role}")
        if len(self.chunks) == draw_chunks:
            raise InputError(
                f"the human {role}: all {draw_chunks} chunks are one draw, and none is left to compare with"
            )
        self.events = shape.EventTable(self.chunks)
        self.llr = coordination.llr_per_chunk(tables, self.chunks)
        self.llr_human = float(self.llr.mean()) if llr_human is None else float(llr_human)
        if self.llr_human <= 0:
            raise InputError(
                f"the human {role}: LLR is {self.llr_human:.3f} bits/s, so timing here tells of no partner; were the"
                " tables counted on like dialogues, with the same detector?"
            )
        self.human_distances = self._human_distances(np.random.default_rng(seed))
        self.floors = {
            name: float(np.percentile(found, FLOOR_PERCENTILE)) for name, found in self.human_distances.items()
        }
        self._place = {_key(chunk): i for i, chunk in enumerate(self.chunks)}

    @property
    def spans(self) -> list[Span]:
        """Where the chunks lie."""
        return [
            Span(chunk.dialogue, chunk.index, chunk.start_seconds, chunk.seconds, self.prompt_seconds)
            for chunk in self.chunks
        ]

    def real(self, chunks: Sequence[Chunk]) -> list[Chunk] | None:
        """What the human did in the places of `chunks`, or None if one is not of the reference."""
        places = [self._place.get(_key(chunk)) for chunk in chunks]
        return None if None in places else [self.chunks[place] for place in places]

    def describe(self) -> dict[str, Any]:
        """What a score file carries, as JSON values."""
        return {
            "protocol": VERSION,
            "role": self.role,
            "detector": self.detector,
            "prompt_seconds": self.prompt_seconds,
            "draw_chunks": self.draw_chunks,
            "floor_draws": self.floor_draws,
            "seed": self.seed,
            "llr_human": self.llr_human,
            "floors": dict(self.floors),
            "chunks": [[chunk.dialogue, chunk.start_seconds, chunk.seconds] for chunk in self.chunks],
        }

    def times_of_others(self, drawn: np.ndarray) -> np.ndarray:
        """How often each chunk is taken where all but the drawn ones are: int [n]."""
        left = np.ones(len(self.chunks), int)
        left[drawn] = 0
        return left

    def _human_distances(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        draws = draw(self.chunks, self.draw_chunks, self.floor_draws, rng)
        among = shape.Comparison(self.events, self.events)
        found = [among.distance(self.events.times(drawn), self.times_of_others(drawn)) for drawn in draws]
        return {name: np.array([each[name] for each in found]) for name in shape.DISTANCES}


def make_reference(
    wholes: Sequence[Chunk],
    train: Sequence[Chunk],
    groups: Sequence[Hashable],
    role: str,
    *,
    prompt_seconds: float = 0.0,
    chunk_seconds: float = CHUNK_SECONDS,
    **options,
) -> Reference:
    """A reference with tables fitted on train dialogues, and human LLR by leaving one group of them out.

    Args:
        wholes, train: whole held-out and train dialogues as the role lived them, by one and the same detector.
        groups: of `train`, see `coordination.leave_one_out_llr`.
        role: such as "follower".
        prompt_seconds, chunk_seconds: of the chunk list.
        options: further arguments of `Reference`.
    """
    spans, by_name = spans_of(wholes, prompt_seconds, chunk_seconds), {whole.dialogue: whole for whole in wholes}
    chunks = [cut_chunk(span, by_name[span.dialogue].own_ipus, by_name[span.dialogue].partner_ipus) for span in spans]
    tables = hazard.fit_tables([whole.activity() for whole in train])
    llr_human = coordination.leave_one_out_llr(train, groups)
    return Reference(chunks, tables, role, llr_human=llr_human, prompt_seconds=prompt_seconds, **options)


def draw(
    chunks: Sequence[Chunk], size: int, n: int, rng: np.random.Generator, repeated: bool = False
) -> list[np.ndarray]:
    """`n` draws of `size` indices into `chunks`, each of different dialogues and one chunk of each.

    With `repeated` a dialogue may come again: the bootstrap by dialogue.
    """
    by_dialogue: dict[str, list[int]] = {}
    for i, chunk in enumerate(chunks):
        by_dialogue.setdefault(chunk.dialogue, []).append(i)
    places = list(by_dialogue.values())
    draws = []
    for _ in range(n):
        chosen = rng.choice(len(places), size, replace=repeated)
        draws.append(np.array([places[i][rng.integers(len(places[i]))] for i in chosen]))
    return draws


def check_enough(chunks: Sequence[Chunk], draw_chunks: int, what: str) -> None:
    """Raises `InputError` unless one draw can be made."""
    dialogues = len({chunk.dialogue for chunk in chunks})
    if dialogues < draw_chunks:
        raise InputError(
            f"{what}: a draw is {draw_chunks} chunks from {draw_chunks} different dialogues, and there are"
            f" {len(chunks)} chunks from {dialogues}; take more dialogues, or say so with a smaller draw_chunks"
        )


def score(
    reference: Reference,
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
        minutes, n_chunks, n_dialogues. And per_dialogue, a list of rows of the same.
    """
    check_enough(chunks, reference.draw_chunks, "the system")
    measure = _Measure(reference, chunks, rng, among_humans)
    drawn = [measure.draw(each) for each in draw(chunks, reference.draw_chunks, draws, rng)]
    again = [measure.draw(each) for each in draw(chunks, reference.draw_chunks, draws, rng, repeated=True)]
    result = {key: float(np.mean([each[key] for each in drawn])) for key in drawn[0]}
    for key in ("ttr", "c", "m", "llr", "dllr"):
        result[f"{key}_sd"] = float(np.std([each[key] for each in drawn]))
        low, high = np.percentile([each[key] for each in again], INTERVAL_PERCENTILES)
        result |= {f"{key}_low": float(low), f"{key}_high": float(high)}
    everything = np.arange(len(chunks))
    result |= measure.totals(everything) | {"n_chunks": len(chunks), "n_dialogues": len({c.dialogue for c in chunks})}
    result["per_dialogue"] = [
        {"dialogue": name} | measure.totals(np.array([i for i in everything if chunks[i].dialogue == name]), True)
        for name in dict.fromkeys(chunk.dialogue for chunk in chunks)
    ]
    return result


class _Measure:
    """A system beside a reference, counted once."""

    def __init__(self, reference: Reference, chunks: Sequence[Chunk], rng: np.random.Generator, among_humans: bool):
        if among_humans and [_key(chunk) for chunk in chunks] != [_key(chunk) for chunk in reference.chunks]:
            raise InputError("only the reference's own chunks can be scored among humans")
        self._reference, self._chunks, self._among_humans = reference, chunks, among_humans
        self._events = shape.EventTable(chunks)
        self._comparison = shape.Comparison(self._events, reference.events)
        self._llr = coordination.llr_per_chunk(reference.tables, chunks)
        self._dllr = coordination.dllr_per_chunk(reference.tables, chunks, rng)
        self._real = reference.real(chunks)

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
    if [_key(chunk) for chunk in chunks] != [_key(chunk) for chunk in swapped]:
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


def _key(chunk: Chunk) -> tuple[str, float]:
    return chunk.dialogue, round(chunk.start_seconds, 6)
