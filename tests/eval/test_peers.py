import dataclasses

import numpy as np
import pytest
import scipy.stats

from datasets import turns
from eval import peers
from eval.chunks import Chunk
from tests.eval.simulated_chunks import in_chunks, simulated_wholes

CHUNKS = in_chunks(simulated_wholes(6))
SMALL = Chunk(
    "d", 0, 0.0, 60.0, np.array([[0, 1], [2, 3], [5, 6]], float), np.array([[3.5, 5.2], [5.4, 5.6], [7, 8], [9, 10]])
)


def test_a_small_dialogue():
    found = peers.peers_scores([SMALL])
    # Pauses at 1 and 8 s, gaps at 3 and 6 s, overlaps at 5 and 5.4 s; the agent takes the floor at 5 s only.
    assert (found["peer_ipu_per_min"], found["peer_pause_per_min"], found["peer_gap_per_min"]) == (7, 2, 2)
    assert found["peer_overlap_per_min"] == 2 and found["peer_overlap_s_per_min"] == pytest.approx(0.4)
    assert found["peer_pause_s_per_min"] == pytest.approx(2) and found["peer_gap_s_per_min"] == pytest.approx(1.5)
    assert found["peer_takeover_rate"] == pytest.approx(1 / 2)
    assert found["peer_latency_mean"] == found["peer_latency_median"] == pytest.approx(-0.2)


def test_latency_keeps_its_sign():
    early = dataclasses.replace(SMALL, own_ipus=np.array([[5.0, 6.5]]))
    late = dataclasses.replace(SMALL, own_ipus=np.array([[5.9, 6.5]]))
    assert peers.peers_scores([early])["peer_latency_mean"] < 0 < peers.peers_scores([late])["peer_latency_mean"]


def test_correlation_with_oneself_is_one_and_equals_scipys():
    found = peers.peers_scores(CHUNKS, CHUNKS)
    assert [found[f"peer_corr_{kind}"] for kind in ("ipu", "pause", "fto")] == pytest.approx([1, 1, 1])
    others = CHUNKS[5:] + CHUNKS[:5]
    means = [
        [turns.events(c.own_ipus, c.partner_ipus, c.seconds).ipu_seconds(0).mean() for c in side]
        for side in (CHUNKS, others)
    ]
    assert peers.peers_scores(CHUNKS, others)["peer_corr_ipu"] == pytest.approx(scipy.stats.pearsonr(*means)[0])


def test_nothing_said_is_counted_and_not_averaged():
    silent = [dataclasses.replace(chunk, own_ipus=np.zeros((0, 2))) for chunk in CHUNKS]
    found = peers.peers_scores(silent, CHUNKS)
    assert found["peer_takeover_rate"] == 0 and found["peer_gap_per_min"] == 0
    assert np.isnan(found["peer_latency_mean"]) and np.isnan(found["peer_corr_ipu"])


def test_joint_counts_do_not_depend_on_the_side():
    mirrored = [dataclasses.replace(c, own_ipus=c.partner_ipus, partner_ipus=c.own_ipus) for c in CHUNKS]
    assert peers.joint_scores(CHUNKS) == pytest.approx(peers.joint_scores(mirrored))
