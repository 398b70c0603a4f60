"""Turn timing in one place: the pure functions that the protocol is made of, for those who use them by themselves.

    from eval import timing

    happened = timing.events(ipus_a, ipus_b, duration_seconds)
    timing.statistics([happened])
    timing.wasserstein(happened.ftos(owner=1), human_ftos)

What happens on the floor is counted in `datasets.turns`, IPUs and 50 Hz activity in `datasets.dialogue`, the hazard
tables in `datasets.hazard`; each part of the score has a module of its own beside this one. All of them take arrays of
seconds or of 50 Hz activity and return numbers.
"""

from datasets.dialogue import activity, bridge, intervals_from_activity, validate_intervals
from datasets.hazard import Tables, fit_tables, llr, log2_likelihood, sample_against, sample_dialogue
from datasets.turns import (
    BOTH,
    FIRST,
    NOBODY,
    SECOND,
    Events,
    Owned,
    dialogue_events,
    events,
    shifts_and_holds,
    statistics,
)
from eval.coordination import dllr_per_chunk, llr_per_chunk, onset_hazard, selectivity
from eval.distances import jensen_shannon, kolmogorov_smirnov, log_rate_ratio, wasserstein
from eval.memorisation import best_matches
from eval.peers import peers_scores
from eval.prediction import prediction_scores
from eval.shape import shape_score

__all__ = [
    "BOTH",
    "FIRST",
    "NOBODY",
    "SECOND",
    "Events",
    "Owned",
    "Tables",
    "activity",
    "best_matches",
    "bridge",
    "dialogue_events",
    "dllr_per_chunk",
    "events",
    "fit_tables",
    "intervals_from_activity",
    "jensen_shannon",
    "kolmogorov_smirnov",
    "llr",
    "llr_per_chunk",
    "log2_likelihood",
    "log_rate_ratio",
    "onset_hazard",
    "peers_scores",
    "prediction_scores",
    "sample_against",
    "sample_dialogue",
    "selectivity",
    "shape_score",
    "shifts_and_holds",
    "statistics",
    "validate_intervals",
    "wasserstein",
]
