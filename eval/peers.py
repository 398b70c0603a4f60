"""What other papers report, counted on the same events, for readers who know those numbers better than TTR.

- dGSLM (Nguyen et al. 2022, section 4): IPUs, pauses, gaps and overlaps of both speakers, how many and how many seconds
  of each a minute. Overlap is all time in which both speak, as there.
- Full-Duplex-Bench (Lin et al. 2025): takeover rate and latency. There the user's turns end where the script says so;
  here the partner's turn can end wherever the partner falls silent or is overlapped: the takeover rate is the share of
  these after which the floor is the agent's, and not the partner's again. Latency is the floor-transfer offset with its
  sign: an answer that begins before the partner's end counts as early, not as missing and not as zero.
- SyncLLM (Veluri et al. 2024, section 5): Pearson correlation of the mean durations of an agent's IPUs, pauses and
  floor transfers with those of the real speaker in the same chunks. Chunks without such an event on either side are
  left out.
"""

from collections.abc import Sequence

import numpy as np

from datasets import turns
from eval.chunks import Chunk

FEWEST_PAIRS = 3


def peers_scores(chunks: Sequence[Chunk], real: Sequence[Chunk] | None = None) -> dict[str, float]:
    """All of them, by name.

    Args:
        chunks: of a system; speaker 0 is its own.
        real: what the human did in the same places, where that is known.

    Returns:
        peer_<kind>_per_min and peer_<kind>_s_per_min of ipu, pause, gap, overlap; peer_takeover_rate; peer_latency_mean
        and peer_latency_median (s); peer_corr_ipu, peer_corr_pause and peer_corr_fto where `real` is given. NaN for the
        mean of nothing.
    """
    happened = _events(chunks)
    result = dgslm(happened) | takeover(happened)
    if real is not None:
        result |= correlations(happened, _events(real))
    return {f"peer_{name}": value for name, value in result.items()}


def joint_scores(chunks: Sequence[Chunk]) -> dict[str, float]:
    """Those that belong to no one speaker: dGSLM's."""
    return {f"peer_{name}": value for name, value in dgslm(_events(chunks)).items()}


def dgslm(happened: Sequence[turns.Events]) -> dict[str, float]:
    """Events, and seconds of them, a minute."""
    minutes = sum(each.duration_seconds for each in happened) / 60
    seconds = {
        "ipu": [each.ipu_seconds() for each in happened],
        "pause": [each.pauses.durations() for each in happened],
        "gap": [each.gaps.durations() for each in happened],
        "overlap": [_overlaps(each) for each in happened],
    }
    flat = {kind: np.concatenate(values) for kind, values in seconds.items()}
    return {f"{kind}_per_min": len(values) / minutes for kind, values in flat.items()} | {
        f"{kind}_s_per_min": float(values.sum() / minutes) for kind, values in flat.items()
    }


def takeover(happened: Sequence[turns.Events], agent: int = 0) -> dict[str, float]:
    """How often the floor was taken when the partner's turn could end, and how soon, in seconds."""
    latencies = np.concatenate([each.ftos(agent) for each in happened])
    kept = sum(len(each.pauses.durations(1 - agent)) for each in happened)
    possible = len(latencies) + kept
    return {
        "takeover_rate": len(latencies) / possible if possible else np.nan,
        "latency_mean": float(latencies.mean()) if len(latencies) else np.nan,
        "latency_median": float(np.median(latencies)) if len(latencies) else np.nan,
    }


def correlations(happened: Sequence[turns.Events], real: Sequence[turns.Events]) -> dict[str, float]:
    """Pearson's r over the chunks, of the mean durations of speaker 0; NaN for fewer than 3 chunks or no variance."""
    result = {}
    for kind in ("ipu", "pause", "fto"):
        pairs = [(_mean(kind, one), _mean(kind, other)) for one, other in zip(happened, real, strict=True)]
        values = np.array([pair for pair in pairs if None not in pair], float).reshape(-1, 2).T
        varies = values.shape[1] >= FEWEST_PAIRS and np.all(values.std(axis=1) > 0)
        result[f"corr_{kind}"] = float(np.corrcoef(values)[0, 1]) if varies else np.nan
    return result


def _events(chunks: Sequence[Chunk]) -> list[turns.Events]:
    return [turns.events(chunk.own_ipus, chunk.partner_ipus, chunk.seconds) for chunk in chunks]


def _overlaps(happened: turns.Events) -> np.ndarray:
    lengths = np.diff(happened.floor_starts, append=happened.duration_seconds)
    return lengths[happened.floor_states == turns.BOTH]


def _mean(kind: str, happened: turns.Events) -> float | None:
    values = {
        "ipu": lambda: happened.ipu_seconds(0),
        "pause": lambda: happened.pauses.durations(0),
        "fto": lambda: happened.ftos(0),
    }[kind]()
    return float(values.mean()) if len(values) else None
