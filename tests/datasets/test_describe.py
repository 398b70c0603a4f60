import json

import numpy as np
import pytest

from datasets import activity, describe, dialogue, hazard
from datasets.errors import InputError

RATE = 8000


def _sampled(seconds=400, seed=0):
    """Speech of two who take turns as people do, float64 [n, 2] of each."""
    rng = np.random.default_rng(seed)
    gates = hazard.sample_dialogue(hazard.maptask_tables(), dialogue.seconds_to_frames(seconds), rng)
    return [dialogue.intervals_from_activity(gate) for gate in gates]


def _spoken(first, second, seconds=400, audio=None):
    return dialogue.Dialogue(
        name="talk", split="train", duration_seconds=seconds, speech=(first, second), audio=audio, sample_rate=RATE
    )


def _sound(speech, seconds, rng):
    """Noise at -20 dBFS where there is speech, at -70 elsewhere."""
    n_frames = dialogue.seconds_to_frames(seconds)
    gates = np.stack([dialogue.activity(intervals, n_frames) for intervals in speech])
    level = np.repeat(np.where(gates, 0.1, 10**-3.5), RATE // 50, axis=1)
    return (level * rng.standard_normal(level.shape)).astype(np.float32)


def test_people_who_take_turns_raise_no_suspicion():
    found = describe.measure(_spoken(*_sampled()))
    assert found.suspicions() == [] and found.sound is None
    assert abs(found.asymmetry_seconds) < 0.4 and 0.1 < found.overlap_ratio < 0.7


@pytest.mark.parametrize("late_seconds", [-0.6, 0.6])
def test_a_channel_that_is_late_is_named(late_seconds):
    first, second = _sampled()
    second = second[(second[:, 0] > 1) & (second[:, 1] < 399)] + late_seconds
    found = describe.measure(_spoken(first, second))
    assert found.lag_seconds == pytest.approx(late_seconds, abs=0.15)
    wanted = f"channel {int(late_seconds > 0)} seems {abs(found.lag_seconds):.1f} s late"
    assert found.suspicions()[0] == f"channels misaligned? {wanted}"


def test_channels_of_two_dialogues_are_named():
    found = describe.measure(_spoken(_sampled(seed=0)[0], _sampled(seed=1)[1]))
    assert found.overlap_ratio == pytest.approx(1, abs=0.25)
    assert any("channels of one dialogue?" in suspicion for suspicion in found.suspicions())


def test_a_mute_channel_is_named():
    found = describe.measure(_spoken(_sampled()[0], np.zeros((0, 2))))
    assert found.suspicions() == ["channel 1 has no speech"]
    assert np.isnan([found.overlap_ratio, found.asymmetry_seconds, found.lag_seconds]).all()


@pytest.mark.parametrize("gain_db", [-10.0, -25.0])
def test_bleed_is_the_gain_of_what_is_heard_in_the_other_channel(gain_db):
    speech, rng = _sampled(60), np.random.default_rng(0)
    audio = _sound(speech, 60, rng)
    late = 40  # 5 ms of air between the speakers.
    audio[1, late:] += 10 ** (gain_db / 20) * audio[0, :-late]
    found = describe.measure(_spoken(*speech, 60, audio)).sound
    assert found.bleed_db[0] == pytest.approx(gain_db, abs=0.5)
    assert found.bleed_db[1] < -35


def test_level_clipping_and_agreement_of_the_sound():
    speech, rng = _sampled(60), np.random.default_rng(0)
    audio = _sound(speech, 60, rng)
    found = describe.measure(_spoken(*speech, 60, audio)).sound
    assert found.speech_db == pytest.approx((-20, -20), abs=0.3) and found.clipped == (0, 0)
    assert found.agreement > 0.97
    loud = np.clip(20 * audio, -1, 1)
    clipped = describe.measure(_spoken(*speech, 60, loud))
    assert (
        clipped.sound.clipped[0] == pytest.approx(np.mean(np.abs(loud[0]) >= 0.999)) and clipped.sound.clipped[0] > 0.01
    )
    assert any("channel 0 is clipped" in suspicion for suspicion in clipped.suspicions())
    shifted = describe.measure(_spoken(*speech, 60, np.roll(audio, 5 * RATE, axis=1)))
    assert any("annotation and sound agree" in suspicion for suspicion in shifted.suspicions())


def test_the_energy_detector_is_the_oracle_of_agreement():
    speech, rng = _sampled(30), np.random.default_rng(0)
    audio = _sound(speech, 30, rng)
    heard = tuple(activity.detect(channel, RATE) for channel in audio)
    assert describe.measure(_spoken(*heard, 30, audio)).sound.agreement == 1.0


def test_a_corpus_is_described_by_split_and_written(bursts, tmp_path):
    corpus = bursts(n=2)
    load = corpus.load

    def load_but_one(name, audio=True):
        if name == "test1":
            raise InputError("test1.wav: has zero length")
        return load(name, audio)

    corpus.load = load_but_one
    found = describe.describe(corpus, progress=False)
    seconds = sum(load(name).duration_seconds for name in corpus.names() if name != "test1")
    assert sum(recording.seconds for recording in found.recordings) == pytest.approx(seconds)
    assert list(found.statistics) == ["train", "validation", "test"] and found.statistics["test"]["dialogues"] == 1
    said = "\n".join(describe.lines(found))
    assert "bursts: 5 dialogues, 0.01 h" in said and "8000 Hz" in said and "test1.wav: has zero length" in said
    describe.write(found, tmp_path)
    written = json.loads((tmp_path / "describe.json").read_text())
    assert len(written["recordings"]) == 5 and written["skipped"] == {"test1": "test1.wav: has zero length"}
    assert (tmp_path / "describe.png").read_bytes()[:4] == b"\x89PNG"


def test_the_two_misaligned_dialogues_of_map_task_are_named(maptask_dir):
    from datasets.corpora import open_corpus

    found = describe.describe(open_corpus("maptask", data_dir=maptask_dir), audio=False, progress=False)
    assert len(found.recordings) == 128
    assert [recording.name for recording in found.recordings if recording.suspicions()] == ["q3ec2", "q8nc2"]
    assert found.statistics["test"]["fto_median"] == pytest.approx(0.216, rel=0.01)


def test_an_empty_corpus_is_one_line(bursts):
    with pytest.raises(InputError, match="nothing to describe"):
        describe.describe(bursts(n=0), progress=False)
