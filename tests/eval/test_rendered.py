"""A detector's bias does no harm where floors and tables are its own, and does where they are not."""

import numpy as np
import pytest

from eval import rendered


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The human row of the follower by the energy detector, as it is and made 100 ms longer on each side."""
    from datasets import corpora
    from tests.eval.conftest import Talk

    cache = tmp_path_factory.mktemp("rendered")
    corpus = Talk(corpora.Options(cache_dir=cache, sample_rate=8000))
    options = dict(floor_draws=60)
    return corpus, [
        next(rendered.human_rows(corpus, "test", "energy", dilated_seconds=seconds, **options))
        for seconds in (0.0, 0.1)
    ]


def test_recomputed_floors_and_tables_take_the_bias_away(found):
    _, (plain, dilated) = found
    assert plain.role == dilated.role == "follower" and plain.annotated == dilated.annotated
    assert plain.recomputed == pytest.approx(plain.annotated, abs=0.1)
    assert dilated.recomputed == pytest.approx(plain.annotated, abs=0.1)
    assert dilated.not_recomputed < dilated.recomputed - 0.1


def test_calibration_is_that_of_the_channels(found):
    corpus, _ = found
    bias = rendered.calibration(corpus, "test", "energy")
    assert abs(bias["onset_bias_ms"]) < 20 and abs(bias["offset_bias_ms"]) < 20
    assert bias["frame_accuracy"] > 0.98 and bias["matched_edges"] > 0.98
    assert 0 <= bias["missed_share"] < 0.02 and 0 <= bias["false_alarm_share"] < 0.02
    perfect = rendered.calibration(corpus, "test", "annotations")
    assert (
        perfect["frame_accuracy"] == 1 and perfect["onset_bias_ms"] == 0 and np.isfinite(list(perfect.values())).all()
    )
