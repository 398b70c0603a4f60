"""How much dialogue does it take? The smallest difference of TTR that so many minutes can show.

    python -m eval.plan --minutes=30                        by dialogues sampled from the shipped tables: no data needed
    python -m eval.plan --minutes=30,60 --corpus=maptask --data_dir=maptaskv2-1       by the humans of a corpus

One and the same speaker is taken twice, so many minutes each time, and scored: 95 of 100 times the two TTR differ by
less than what is printed. A smaller difference between two systems says nothing. Humans differ more among themselves
than speakers sampled from one table, so the figures of a corpus are the larger ones: plan by those.
"""

import functools
from collections.abc import Sequence

import numpy as np
import tqdm
from absl import flags

from datasets import activity
from datasets import flags as corpus_flags
from datasets.errors import InputError, run_command
from eval import planning
from eval.chunks import CHUNK_SECONDS


def _define_flags() -> None:
    corpus_flags.define_corpus_flags(default=None)
    flags.DEFINE_list("minutes", ["10", "20", "30", "60"], "Of scored dialogue, of each system.")
    flags.DEFINE_string("split", "test", "Whose dialogues are the humans: test or validation.")
    flags.DEFINE_integer("seed", 0, "Of the sets that are drawn.")


def _minutes(values: Sequence[str]) -> list[float]:
    try:
        minutes = [float(value) for value in values]
    except ValueError as error:
        raise InputError(f"--minutes={','.join(values)}: numbers of minutes are wanted, such as 10,30") from error
    for value in minutes:
        planning.check_minutes(value, f"--minutes={value:g}")
    return minutes


def main(argv: list[str]) -> None:
    del argv
    values = flags.FLAGS
    minutes = _minutes(values.minutes)
    corpus = corpus_flags.corpus_from_flags() if values.corpus else None
    rng = np.random.default_rng(values.seed)
    if corpus is None:
        roles, source = ("follower", "giver"), "dialogues sampled from the shipped tables"
        make = functools.partial(planning.simulated_reference, rng=rng)
    else:
        detector = values.detector or activity.ANNOTATIONS
        roles, source = tuple(reversed(corpus.roles)), f"{corpus.name}, {values.split}, speech by {detector}"
        make = functools.partial(planning.corpus_reference, corpus, split=values.split, detector=detector)
    print(f"smallest difference of TTR that can be shown, 95 % ({source})\n")
    print(f"{'minutes':>8s} " + "".join(f"{role:>12s}" for role in roles))
    references = [make(role=role) for role in roles]
    for value in tqdm.tqdm(minutes, leave=False, unit="row"):
        n_chunks = int(value * 60 / CHUNK_SECONDS)
        shown = [planning.smallest_difference(each, n_chunks, rng) for each in references]
        tqdm.tqdm.write(f"{value:8g} " + "".join(f"{each:12.2f}" for each in shown))


if __name__ == "__main__":
    _define_flags()
    run_command(main)
