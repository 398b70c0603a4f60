"""Prints the published figures of the protocol beside ours, counted on the Map Task annotations.

    python -m eval.reproduce --data_dir=<maptaskv2-1>
    python -m eval.reproduce --data_dir=<maptaskv2-1> --pairs               the order of the rows on any pair of quads
    python -m eval.reproduce --data_dir=<maptaskv2-1> --detector=silero     the human row on voiced Map Task, detected

The published figures are those of PROTOCOL sections 2 and 5: word timings of whole channels, without a prompt. A figure
that is itself the mean or percentile of random draws may also differ by two standard errors of that many draws.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from absl import flags

from datasets import dialogue as dialogue_lib
from datasets import turns
from datasets.corpora import Options, maptask, open_corpus
from datasets.errors import run_command
from eval import chunks as chunks_lib
from eval import coordination, distances, memorisation, pairs, protocol, rendered, rows, shape

ROLES = ("follower", "giver")
PUBLISHED_FLOOR_DRAWS, PUBLISHED_DRAWS = 200, 100
DILATED_SECONDS = 0.1

SECTION_2 = {
    "train": dict(
        speech_0=0.459, speech_1=0.199, nobody=0.371, only_0=0.430, only_1=0.170, both=0.029,
        ipu_per_min=37.3, ipu_mean=1.06, ipu_median=0.79, pause_per_min=14.3, pause_mean=0.77, pause_median=0.55,
        gap_per_min=17.0, gap_mean=0.66, gap_median=0.43, between_overlap_per_min=3.96, between_overlap_median=0.19,
        within_overlap_per_min=1.88, within_overlap_median=0.31, fto_n=12681, fto_mean=0.486, fto_median=0.314,
        fto_overlapping=0.189, fto_over_200ms=0.618, fto_over_1s=0.157, turn_mean=2.84, turn_median=1.81,
        backchannel_per_min=6.98,
    ),
    "test": dict(
        speech_0=0.506, speech_1=0.225, nobody=0.312, only_0=0.463, only_1=0.182, both=0.043,
        ipu_per_min=36.3, ipu_mean=1.21, ipu_median=0.93, pause_per_min=13.9, pause_mean=0.73, pause_median=0.51,
        gap_per_min=14.6, gap_mean=0.59, gap_median=0.36, between_overlap_per_min=5.50, between_overlap_median=0.24,
        within_overlap_per_min=2.25, within_overlap_median=0.34, fto_n=5335, fto_mean=0.344, fto_median=0.216,
        fto_overlapping=0.274, fto_over_200ms=0.518, fto_over_1s=0.110, turn_mean=2.96, turn_median=1.79,
        backchannel_per_min=5.66,
    ),
}  # fmt: skip
HALVES = {"halves by dialogue": (0.035, 0.073), "halves by quad": (0.064, 0.121), "ten chunks": (0.091, 0.166)}
TRAIN_AGAINST_TEST = 0.149
LLR_TRAIN, LLR_TEST = {"giver": 0.0915, "follower": 0.108}, {"giver": 0.081, "follower": 0.094}
DLLR, SELECTIVITY = {"follower": 0.255, "giver": 0.212}, {"follower": 0.57, "giver": 0.62}
SHIFTS_AND_HOLDS = (1816, 1567)
FLOORS = {
    "follower": (0.195, 0.122, 0.185, 0.358, 0.173, 0.174, 0.536, 0.316, 0.052),
    "giver": (0.169, 0.112, 0.194, 0.118, 0.168, 0.116, 0.258, 0.422, 0.058),
}
# Of each row LLR and TTR; None where nothing is published.
ROWS = {
    "follower": {
        "human": (0.096, 0.84), "other_dyads": (0.130, 0.93), "hazard": (0.136, 0.91), "shifted": (-0.150, 0),
        "replayed": (-0.135, 0), "own_hazard": (-0.154, 0), "timeout_200": (0.395, 0.26), "timeout_700": (0.162, 0.46),
        "delayed_200": (0.099, 0.82), "delayed_500": (0.065, 0.53), "delayed_1000": (-0.064, 0),
        "jittered": (0.048, 0.44), "silent": (-0.011, 0), "talks_in_silence": (-0.304, 0),
    },
    "giver": {"human": (None, 0.89), "hazard": (None, 0.82)},
}  # fmt: skip
MEMORISATION = {"mean": 0.45, "95th percentile": 0.57, "largest": 0.60}


@dataclasses.dataclass(frozen=True)
class Check:
    """A published figure and ours.

    Attributes:
        name: of the figure.
        published, ours: its values.
        tolerance: the largest difference that is allowed.
        rounding: half of the last published digit, which is always allowed.
    """

    name: str
    published: float
    ours: float
    tolerance: float
    rounding: float = 0.0

    @property
    def holds(self) -> bool:
        return abs(self.ours - self.published) <= self.tolerance + self.rounding + 1e-9

    def line(self) -> str:
        difference = self.ours - self.published
        share = f"{difference / self.published:+7.1%}" if self.published else " " * 7
        verdict = "" if self.holds else "  outside"
        return f"{self.name:42s} {self.published:10.4g} {self.ours:10.4g} {difference:+9.4f} {share}{verdict}"


def check_statistics(split: str, dialogues: Sequence[dialogue_lib.Dialogue]) -> Iterator[Check]:
    """The table of section 2, within 1 %."""
    ours = turns.statistics([turns.dialogue_events(dialogue) for dialogue in dialogues])
    for name, published in SECTION_2[split].items():
        yield Check(f"{split}: {name}", published, ours[name], 0.01 * published, _rounding(published))


def check_human_distances(
    train: Sequence[dialogue_lib.Dialogue], test: Sequence[dialogue_lib.Dialogue], rng: np.random.Generator
) -> Iterator[Check]:
    """How far humans are from humans: Wasserstein-1 of FTO, mean and 95th percentile."""
    everyone = [*train, *test]
    ftos = [_clipped_ftos(turns.dialogue_events(dialogue)) for dialogue in everyone]
    quads = np.array([dialogue.info["quad"] for dialogue in everyone])
    is_train = np.arange(len(everyone)) < len(train)
    by_dialogue = [rng.permutation(len(everyone)) % 2 == 0 for _ in range(500)]
    by_quad = [np.isin(quads, rng.choice(np.unique(quads), len(np.unique(quads)) // 2, False)) for _ in range(500)]
    pieces = chunks_lib.dialogue_chunks(everyone, "giver")
    piece_ftos = [_clipped_ftos(turns.events(each.own_ipus, each.partner_ipus, each.seconds)) for each in pieces]
    tens = [np.isin(np.arange(len(pieces)), drawn) for drawn in protocol.draw(pieces, 10, 500, rng)]
    found = {
        "halves by dialogue": [_between(ftos, half) for half in by_dialogue],
        "halves by quad": [_between(ftos, half) for half in by_quad],
        "ten chunks": [_between(piece_ftos, ten) for ten in tens],
    }
    for name, (mean, percentile) in HALVES.items():
        yield Check(f"W1 of FTO, {name}, mean", mean, np.mean(found[name]), 0.1 * mean, 0.0005)
        yield Check(f"W1 of FTO, {name}, 95th percentile", percentile, np.percentile(found[name], 95), 0.1 * percentile)
    yield Check("W1 of FTO, train against test", TRAIN_AGAINST_TEST, _between(ftos, is_train), 0.0015, 0.0005)


class RoleCheck:
    """Section 5 for one role."""

    def __init__(self, role, train, test):
        self._role = role
        self._wholes, self._train = (chunks_lib.whole_dialogues(each, role) for each in (test, train))
        groups = coordination.groups_of(train)
        self._reference = protocol.make_reference(self._wholes, self._train, groups, role)
        self._others = chunks_lib.dialogue_chunks(train, role)

    def check_llr(self) -> Iterator[Check]:
        """Human LLR of train by leaving one quad out, and of test, within 0.01 bits per second."""
        bits = coordination.llr_per_chunk(self._reference.tables, self._wholes)
        seconds = np.array([whole.seconds for whole in self._wholes])
        yield Check(self._named("human LLR, train"), LLR_TRAIN[self._role], self._reference.llr_human, 0.01)
        yield Check(self._named("human LLR, test"), LLR_TEST[self._role], bits @ seconds / seconds.sum(), 0.01)

    def check_floors(self, rng: np.random.Generator) -> Iterator[Check]:
        """Floors, within 5 % or two standard errors of the 200 draws that were published."""
        for name, published in zip(shape.DISTANCES, FLOORS[self._role], strict=True):
            found = self._reference.human_distances[name]
            again = np.percentile(rng.choice(found, (500, PUBLISHED_FLOOR_DRAWS)), protocol.FLOOR_PERCENTILE, axis=1)
            yield Check(
                self._named(f"floor of {name} (sd of 200 draws {again.std() / again.mean():.0%})"),
                published,
                self._reference.floors[name],
                max(0.05 * published, 2 * again.std()),
            )

    def check_selectivity(self) -> Iterator[Check]:
        found = coordination.selectivity(self._wholes, self._wholes)
        yield Check(self._named("selectivity, human"), SELECTIVITY[self._role], found.value, 0.005, 0.005)
        if self._role == "follower":
            yield Check(self._named("shifts"), SHIFTS_AND_HOLDS[0], found.shifts, 0.01 * SHIFTS_AND_HOLDS[0])
            yield Check(self._named("holds"), SHIFTS_AND_HOLDS[1], found.holds, 0.01 * SHIFTS_AND_HOLDS[1])

    def check_rows(self) -> Iterator[Check]:
        """LLR within 0.01 bits per second or two standard errors of one rendering and 100 draws, TTR within 0.05."""
        published = ROWS[self._role]
        names = [name for name in published if name in rows.ROWS]
        scores = protocol.reference_rows(self._reference, self._wholes, self._train, names=names)
        if "other_dyads" in published:
            scores["other_dyads"] = protocol.score(self._reference, self._others, np.random.default_rng(0))
        yield Check(self._named("dLLR, human"), DLLR[self._role], scores["human"]["dllr"], 0.01)
        for name, (llr, ttr) in published.items():
            found = scores[name]
            if llr is not None:
                noise = np.hypot(found["llr_sd"] / np.sqrt(PUBLISHED_DRAWS), self._rendering_sd(name))
                yield Check(self._named(f"LLR of {name}"), llr, found["llr"], max(0.01, 2 * noise))
            yield Check(self._named(f"TTR of {name} (sd {found['ttr_sd']:.2f})"), ttr, found["ttr"], 0.05, 0.005)

    def _rendering_sd(self, name: str) -> float:
        """How much the LLR of a row moves from one time that it is drawn to another."""
        if name not in rows.ROWS or name in rows.DETERMINED:
            return 0.0
        background, rng = rows.Background(self._reference.tables, self._train), np.random.default_rng(0)
        made = [protocol.row_chunks(self._reference, self._wholes, rows.ROWS[name], background, rng) for _ in range(8)]
        return float(np.std([coordination.llr_per_chunk(self._reference.tables, each).mean() for each in made], ddof=1))

    def _named(self, what: str) -> str:
        return f"{self._role}: {what}"


def check_memorisation(test: Sequence, train: Sequence) -> Iterator[Check]:
    """The best match of human chunks with the train dialogues."""
    found = memorisation.best_matches(
        chunks_lib.dialogue_chunks(test, "giver"), chunks_lib.whole_dialogues(train, "giver")
    )
    ours = {"mean": found.mean(), "95th percentile": np.percentile(found, 95), "largest": found.max()}
    for name, published in MEMORISATION.items():
        yield Check(f"memorisation probe, human, {name}", published, ours[name], 0.05 * published)


def checks(dialogues: Sequence[dialogue_lib.Dialogue]) -> Iterator[Check]:
    """Every published figure beside ours, counted on all of Map Task."""
    test = [dialogue for dialogue in dialogues if dialogue.split == "test"]
    train = [dialogue for dialogue in dialogues if dialogue.split != "test"]
    rng = np.random.default_rng(0)
    yield from check_statistics("train", train)
    yield from check_statistics("test", test)
    yield from check_human_distances(train, test, rng)
    for role in ROLES:
        of_role = RoleCheck(role, train, test)
        yield from of_role.check_llr()
        yield from of_role.check_selectivity()
        yield from of_role.check_floors(rng)
        yield from of_role.check_rows()
    yield from check_memorisation(test, train)


def main(data_dir: str | None) -> None:
    """The published figures."""
    dialogues = _dialogues(data_dir)
    print(f"{'':42s} {'published':>10s} {'ours':>10s} {'difference':>9s}")
    outside = []
    for check in checks(dialogues):
        print(check.line(), flush=True)
        outside += [] if check.holds else [check.name]
    print(f"{len(outside)} outside their tolerance" + (": " + "; ".join(outside) if outside else ""))


def main_pairs(data_dir: str | None) -> None:
    """AUC of human draws against the reference rows, each pair of quads held out."""
    dialogues, names = _dialogues(data_dir), (*pairs.CLAIMED_ROWS, *pairs.OTHER_ROWS)
    print(f"{'AUC of human draws, quads':32s} " + "".join(f"{name:>13s}" for name in names))
    found = []
    for role in ROLES:
        for pair, by_row in pairs.auc_of_pairs(dialogues, role):
            print(
                f"{f'{role} {pair[0]} and {pair[1]}':32s} " + "".join(f"{by_row[n]:13.3f}" for n in names), flush=True
            )
            found.append(by_row)
    print(f"{'worst':32s} " + "".join(f"{min(each[name] for each in found):13.3f}" for name in names))
    worst = min(each[name] for each in found for name in pairs.CLAIMED_ROWS)
    verdict = "holds" if worst >= pairs.LEAST_AUC else "does not hold"
    print(f"worst of {', '.join(pairs.CLAIMED_ROWS)}: {worst:.3f}; at least {pairs.LEAST_AUC} {verdict}")


def main_detector(data_dir: str | None, detector: str) -> None:
    """What a detector does to the human row of voiced Map Task."""
    corpus = open_corpus("maptask-voiced", data_dir=data_dir)
    bias = rendered.calibration(corpus, "test", detector)
    print(f"{detector} on maptask-voiced, test: " + ", ".join(f"{name} {value:.3g}" for name, value in bias.items()))
    print(f"\n{'TTR of the human row':44s}{'annotations':>12s} {'recomputed':>12s} {'not recomputed':>15s}")
    for what, dilated in ((detector, 0.0), (f"{detector}, 100 ms longer each side", DILATED_SECONDS)):
        for row in rendered.human_rows(corpus, "test", detector, dilated_seconds=dilated):
            figures = f"{row.annotated:12.2f} {row.recomputed:12.2f} {row.not_recomputed:15.2f}"
            print(f"{f'{row.role}, {what}':44s}{figures}", flush=True)


def _dialogues(data_dir: str | None) -> list[dialogue_lib.Dialogue]:
    corpus = maptask.MapTask(Options(data_dir=data_dir))
    return [corpus.load(name) for name in corpus.names()]


def _clipped_ftos(happened: turns.Events) -> np.ndarray:
    return happened.ftos().clip(*shape.CLIP_SECONDS["fto"])


def _between(ftos: Sequence[np.ndarray], chosen: np.ndarray) -> float:
    sides = [np.concatenate([ftos[i] for i in np.flatnonzero(side)]) for side in (chosen, ~chosen)]
    return distances.wasserstein(*sides)


def _rounding(published: float) -> float:
    """Half of the last digit in which a figure is written."""
    decimals = len(f"{published:g}".partition(".")[2])
    return 0.5 * 10.0**-decimals


def _command(argv: list[str]) -> None:
    values = flags.FLAGS
    if values.pairs:
        main_pairs(values.data_dir)
    elif values.detector:
        main_detector(values.data_dir, values.detector)
    else:
        main(values.data_dir)


if __name__ == "__main__":
    flags.DEFINE_string("data_dir", None, "The Map Task annotations (maptaskv2-1); default $MAPTASK_DIR.")
    flags.DEFINE_boolean("pairs", False, "Hold out every pair of quads in turn (ten minutes).")
    flags.DEFINE_string("detector", None, "Detect the speech of voiced Map Task: silero or energy.")
    run_command(_command)
