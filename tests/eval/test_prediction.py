import numpy as np
import pytest
from sklearn import metrics

from datasets import turns
from datasets.errors import InputError
from eval import prediction
from eval.chunks import Chunk
from tests.eval.simulated_chunks import in_chunks, simulated_wholes

CHUNKS = in_chunks(simulated_wholes(6))


def events(chunk):
    return turns.events(chunk.own_ipus, chunk.partner_ipus, chunk.seconds)


def oracle(chunk):
    """P = 1 in front of what really happens."""
    takes, backchannels = np.zeros(3000), np.zeros(3000)
    shifts, _ = turns.shifts_and_holds(events(chunk))
    for kept in turns.shifts_and_holds(events(chunk)):
        for (start, end), owner in zip(kept.intervals, kept.owner, strict=True):
            takes[int(start * 50) : int(np.ceil(end * 50))] = owner == 0
    for start in events(chunk).backchannels(0)[:, 0]:
        backchannels[max(int(start * 50) - 25, 0) : int(start * 50)] = 1
    return {"takes_floor": takes, "backchannel": backchannels, "speaks": chunk.activity()[0].astype(float)}


def test_one_who_knows_is_perfect():
    found = prediction.prediction_scores([oracle(chunk) for chunk in CHUNKS], CHUNKS)
    assert found["shift_hold_accuracy"] == 1 and found["backchannel_accuracy"] == 1
    assert found["frame_bits"] == pytest.approx(0, abs=1e-5)


def test_one_who_knows_nothing_is_at_chance():
    always = [{"takes_floor": np.full(3000, 0.2), "backchannel": np.zeros(3000)} for _ in CHUNKS]
    assert prediction.prediction_scores(always, CHUNKS) == {"shift_hold_accuracy": 0.5, "backchannel_accuracy": 0.5}


def test_accuracy_and_bits_equal_those_of_sklearn():
    rng = np.random.default_rng(0)
    real, guess, p = rng.random(500) < 0.2, rng.random(500) < 0.4, rng.random(500)
    assert prediction.balanced_accuracy(real, guess) == pytest.approx(metrics.balanced_accuracy_score(real, guess))
    assert prediction.frame_bits(p, real) == pytest.approx(metrics.log_loss(real, p) / np.log(2))
    assert np.isnan(prediction.balanced_accuracy(np.ones(3, bool), np.ones(3, bool)))


def test_shifts_are_looked_at_from_50_to_250_ms_into_the_silence():
    chunk = Chunk("d", 0, 0.0, 60.0, np.array([[6.0, 8.0]]), np.array([[1.0, 5.0]]))
    for frame, expected in ((252, False), (253, True), (262, True), (263, False)):
        probability = np.zeros(3000)
        probability[frame] = 100.0  # Enough for the mean of ten frames.
        real, predicted = prediction.shift_hold(probability, events(chunk))
        assert list(real) == [True] and list(predicted) == [expected]


def test_what_one_chunk_lacks_is_not_scored():
    both = [{"takes_floor": np.zeros(3000)}, {"takes_floor": np.zeros(3000), "speaks": np.full(3000, 0.5)}]
    assert set(prediction.prediction_scores(both, CHUNKS[:2])) == {"shift_hold_accuracy"}


@pytest.mark.parametrize(
    "text, said",
    [
        ("takes_floor\n0.5\n", "1 lines of 1 columns; wanted is one a frame of 20 ms, 3"),
        ("takes\n0.5\n0.5\n0.5\n", "its columns are takes; they may be takes_floor"),
        ("speaks\n0.5\n1.5\n0\n", "did you write logits"),
        ("speaks\n0.5\nnan\n0\n", "between 0 and 1"),
        ("speaks\n0.5\nhigh\n0\n", "not a table of probabilities"),
        ("", "its columns are none"),
    ],
)
def test_malformed_tables_are_refused(tmp_path, text, said):
    path = tmp_path / "x.probabilities.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        prediction.read_probabilities(path, 3)


def test_a_table_is_read_by_its_columns(tmp_path):
    path = tmp_path / "x.probabilities.csv"
    path.write_text("speaks, takes_floor\n0.5,1\n0,0.25\n")
    found = prediction.read_probabilities(path, 2)
    np.testing.assert_array_equal(found["takes_floor"], [1, 0.25])
    np.testing.assert_array_equal(found["speaks"], [0.5, 0])
