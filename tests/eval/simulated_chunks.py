"""Dialogues of two hazard samplers, as intervals only: what the tests of the protocol are made of."""

import numpy as np

from datasets import hazard
from datasets.dialogue import bridge, intervals_from_activity
from eval.chunks import Chunk, cut_chunk, spans_of


def simulated_wholes(count, seconds=180.0, seed=0, role="follower", prefix="d"):
    """Whole dialogues as `role` lived them."""
    wholes, own = [], ("giver", "follower").index(role)
    for i in range(count):
        frames = hazard.sample_dialogue(hazard.maptask_tables(), round(seconds * 50), np.random.default_rng([seed, i]))
        ipus = [bridge(intervals_from_activity(channel)) for channel in frames]
        wholes.append(Chunk(f"{prefix}{i}", 0, 0.0, seconds, ipus[own], ipus[1 - own]))
    return wholes


def in_chunks(wholes, prompt_seconds=0.0):
    by_name = {whole.dialogue: whole for whole in wholes}
    spans = spans_of(wholes, prompt_seconds)
    return [cut_chunk(span, by_name[span.dialogue].own_ipus, by_name[span.dialogue].partner_ipus) for span in spans]
