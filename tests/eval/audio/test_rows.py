"""Audio tables: rows of sound, malformed ones among them."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from datasets.errors import InputError
from eval.audio import columns, fingerprint, rows
from eval.audio.features import Clip
from tests.conftest import ROOT

RATE, SECONDS = 16000, 12.0
SPEECH = np.array([[0.0, SECONDS]])


def voice(seed, rate=RATE):
    """A buzz whose f0 wanders and whose loudness and colour change with the syllables: float32 [samples]."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(SECONDS * rate)) / rate
    f0 = 120 * 2 ** (np.interp(t, np.linspace(0, SECONDS, 41), rng.normal(0, 2, 41)) / 12)
    phase, result = 2 * np.pi * np.cumsum(f0) / rate, np.zeros(len(t))
    for k in range(1, 24):
        colour = np.interp(t, np.linspace(0, SECONDS, 81), rng.uniform(0, 1, 81) ** 3)
        result += colour * np.cos(k * phase) / k
    return (0.1 * result + 1e-4 * rng.standard_normal(len(t))).astype(np.float32)


def clips(sounds, rate=RATE):
    return [Clip(f"d{i}", SPEECH, SECONDS, rate, lambda x=x: x) for i, x in enumerate(sounds)]


HUMAN = clips([voice(seed) for seed in range(6)])
GROUPS = {clip.dialogue: clip.dialogue for clip in HUMAN}
ALONE = {"human": "clean"}


def scores(found):
    return {row.name: row.scores for row in found.rows}


def test_reference_rows_stand_beside_a_model(light, tmp_path):
    other = clips([voice(seed) for seed in range(10, 16)])
    found = rows.audio_table({"model": other}, HUMAN, GROUPS, tmp_path, draws=10)
    assert [(row.name, row.kind) for row in found.rows][:2] == [("model", "model"), ("human", "human")]
    assert [row.name for row in found.rows][1:] == list(rows.REFERENCE_ROWS)
    quality = {name: each["babble_quality"] for name, each in scores(found).items()}
    assert quality["human"] == pytest.approx(100) and quality["gated noise"] == pytest.approx(0)
    assert quality["model"] > 70 and quality["mu-law copy"] > 50
    assert scores(found)["model"]["headline"] == "frechet_mel, frechet_deep_speech, pitch"
    assert found.reference["sample_rate"] == RATE and found.reference["clips"] == 6
    assert "babble quality is the mean of frechet_mel, frechet_deep_speech, pitch" in found.text()


def malformed():
    silent, loud = np.zeros(round(SECONDS * RATE), np.float32), np.clip(30 * voice(0), -1, 1)
    broken = voice(1)
    broken[1000] = np.nan
    return {
        "silent": clips([silent] * 6),
        "quiet": [dataclasses.replace(clip, speech=np.zeros((0, 2))) for clip in HUMAN],
        "clipped": clips([loud] * 6),
        "one sample": clips([np.zeros(1, np.float32)] * 6),
        "8 kHz": clips([voice(seed, 8000) for seed in range(6)], 8000),
        "stereo": clips([np.stack([voice(0), voice(1)])] * 6),
        "not finite": clips([voice(0), broken] * 3),
        "fine": clips([voice(seed) for seed in range(20, 26)]),
    }


@pytest.mark.slow
def test_each_malformed_row_is_a_line_and_the_others_still_come(light, tmp_path):
    found = rows.audio_table(malformed(), HUMAN, GROUPS, tmp_path, references=ALONE, draws=5)
    lines = {note.split(":")[0]: note for note in found.notes}
    for name in ("silent", "quiet", "one sample"):
        assert lines[name] == f"{name}: no speech was found in it, so its sound has no scores"
    assert lines["clipped"].startswith("clipped: clipped: ") and "of the samples" in lines["clipped"]
    assert "has 8000 Hz and real speech here 16000 Hz" in lines["8 kHz"]
    assert "one channel [samples] is meant and its shape is (2, 192000)" in lines["stereo"]
    assert "d1, own channel: has samples that are not finite" in lines["not finite"]
    assert sum(note.split(":")[0] in malformed() for note in found.notes) == 7
    assert scores(found)["fine"]["babble_quality"] > 70 and scores(found)["clipped"]["babble_quality"] > 0
    assert scores(found)["stereo"] == {"guards": "", "headline": ""}
    assert {*malformed(), "human"} == set(scores(found))


def test_replay_is_flagged(light, tmp_path):
    index = fingerprint.Index(np.concatenate([fingerprint.bits(voice(seed), RATE) for seed in (30, 31)]))
    models = {"parrot": clips([voice(30)] * 6), "speaker": clips([voice(seed) for seed in range(40, 46)])}
    found = rows.audio_table(models, HUMAN, GROUPS, tmp_path, references=ALONE, training=index, draws=5)
    assert scores(found)["parrot"]["replayed"] == 1 and scores(found)["speaker"]["replayed"] == 0
    assert any(note.startswith("parrot: replay: 100%") for note in found.notes)


def test_what_is_missing_is_shown_by_dashes_and_a_line(light, tmp_path):
    found = rows.audio_table({}, HUMAN, GROUPS, tmp_path, references=ALONE, draws=2)
    assert [column.key for column in columns.columns() if column.always] == [
        "frechet_speech", "kernel_speech", "phone_rate", "phone_entropy", "dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak"
    ]  # fmt: skip
    assert "OVRL" in found.text() and "dnsmos: left out, no-such-package not installed; pip install" in found.text()


def test_real_speech_must_have_one_rate(light, tmp_path):
    with pytest.raises(InputError, match="one sample rate"):
        rows.audio_table({}, [HUMAN[0], *clips([voice(0, 8000)], 8000)], GROUPS, tmp_path)
    with pytest.raises(InputError, match="none"):
        rows.audio_table({}, [], GROUPS, tmp_path)


@pytest.mark.slow
def test_no_tensorflow_is_imported(tmp_path):
    code = (
        "import sys, pathlib, numpy as np, eval.compare, eval.damage\n"
        "from eval.audio import rows\n"
        "from tests.eval.audio.test_rows import GROUPS, HUMAN\n"
        "human = HUMAN[:3]\n"
        f"found = rows.audio_table({{'m': human}}, human, GROUPS, pathlib.Path({str(tmp_path)!r}), draws=2,\n"
        "    references={'human': 'clean'})\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'tensorflow', 'keras', 'zoo'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
