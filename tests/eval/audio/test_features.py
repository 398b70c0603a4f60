"""What is measured of a clip, and that it is measured once."""

import numpy as np
import pytest

from datasets.errors import InputError
from eval.audio import extras, features
from eval.audio.features import Clip, Job

SPEECH = np.array([[0.2, 1.4], [1.6, 3.0]])


def clip(audio, rate=8000, name="d"):
    return Clip(name, SPEECH, len(audio) / rate, rate, lambda: audio)


def test_everything_is_measured(buzz):
    found = features.measure(buzz(140, 3.2, 8000), 8000, SPEECH, "clean", 0, 8000)
    assert found["seconds"] == pytest.approx(2.6) and found["blocks"].shape == (2, 50)
    assert found["embedding/mel"].shape[1] == 64 and np.nanmedian(found["f0"]) == pytest.approx(140, rel=0.01)
    for name in ("embedding/speech", "phones", "dnsmos"):
        package = name.removeprefix("embedding/")
        assert (name in found) == (not extras.missing(package))
    assert "blocks" not in features.measure(buzz(140, 3.2, 8000), 8000, SPEECH, "reversed", 0, 8000)


def test_the_rate_is_the_one_that_was_asked_for(buzz, light):
    once, again = (features.measure(buzz(140, 3.2, rate), rate, SPEECH, "clean", 0, 8000) for rate in (8000, 24000))
    np.testing.assert_allclose(once["embedding/mel"][:, :24].mean(0), again["embedding/mel"][:, :24].mean(0), atol=0.1)


def test_silence_has_nothing_but_its_length(light):
    for speech in (SPEECH, np.zeros((0, 2))):
        assert features.measure(np.zeros(32000, np.float32), 8000, speech, "gated noise", 0, 8000) == {"seconds": 0}


def test_clipping_is_looked_for_before_the_rate_changes(buzz, light):
    loud = np.clip(40 * buzz(140, 3.2, 16000), -1, 1)
    found = features.measure(loud, 16000, SPEECH, "clean", 0, 8000)
    assert found["guards"][features.GUARDS.index("clipped_share")] > 0.05


def test_a_second_run_measures_nothing(buzz, light, tmp_path, monkeypatch):
    jobs = [Job(clip(buzz(f0, 3.2, 8000)), damage, 8000) for f0 in (100, 200) for damage in ("clean", "reversed")][:3]
    done = []
    first = features.measure_all(jobs, tmp_path, lambda: done.append(1))
    monkeypatch.setattr(features, "measure", None)
    again = features.measure_all(jobs, tmp_path, lambda: done.append(1))
    assert len(done) == 6
    for one, other in zip(first, again, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_a_damaged_file_is_measured_again(buzz, light, tmp_path):
    job = Job(clip(buzz(100, 3.2, 8000)), "clean", 8000)
    features.measure_all([job], tmp_path, int)
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[:100])
    assert "f0" in features.measure_all([job], tmp_path, int)[0]


def test_keys_differ_where_anything_does(buzz, monkeypatch):
    audio = buzz(100, 3.2, 8000)
    jobs = [
        Job(clip(audio), "clean", 8000),
        Job(clip(audio * 0.5), "clean", 8000),
        Job(clip(audio), "reversed", 8000),
        Job(clip(audio), "clean", 16000),
        Job(clip(audio), "clean", 8000, seed=1),
        Job(Clip("d", SPEECH + 0.02, 3.2, 8000, lambda: audio), "clean", 8000),
    ]
    keys = [features.key(job) for job in jobs]
    assert len(set(keys)) == len(keys) and features.key(Job(clip(audio, name="other"), "clean", 8000)) == keys[0]
    monkeypatch.setattr(features, "VERSION", -1)
    assert features.key(jobs[0]) != keys[0]


def test_sound_that_cannot_be_measured_is_named():
    with pytest.raises(InputError, match="q4ec1, own channel: .* not finite"):
        _ = clip(np.full(100, np.nan, np.float32), name="q4ec1").digest


@pytest.mark.slow
def test_processes_measure_the_same(buzz, tmp_path, monkeypatch):
    jobs = [Job(clip(buzz(f0, 3.2, 8000)), "clean", 8000) for f0 in (90, 120, 150, 180)]
    monkeypatch.setattr(features.os, "sched_getaffinity", lambda _: {0, 1})
    parallel = features.measure_all(jobs, tmp_path / "two", int)
    monkeypatch.setattr(features.os, "sched_getaffinity", lambda _: {0})
    for one, other in zip(parallel, features.measure_all(jobs, tmp_path / "one", int), strict=True):
        for name in other:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-4, atol=1e-3)
