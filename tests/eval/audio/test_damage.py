"""Known damage in order, by `eval.damage`: on real recordings and on the synthetic voices."""

import itertools
import pathlib

import numpy as np
import pytest
import soundfile

from datasets import corpora
from datasets.errors import InputError
from eval import damage
from eval.audio import extras, features, rows

CLIP_SECONDS = 12.0
# What the headline is asked for, without the proxies that take long and do not go into it.
NEEDED = dict.fromkeys(("clean", *damage.STEPS, "shuffled 60 ms", "reversed", "gated noise"))


@pytest.fixture
def headline_only(monkeypatch):
    if extras.missing("speech"):
        pytest.skip(f"needs the extra audio: {extras.missing('speech')}")
    for proxy in ("phones", "dnsmos"):
        monkeypatch.setitem(extras.PACKAGES, proxy, {"no_such_module": "no-such-package"})
    monkeypatch.setattr(features, "_FEWEST_FOR_WORKERS", 10**6)
    monkeypatch.setattr(damage, "DAMAGES", NEEDED)


def assert_in_order(clips, groups, tmp_path):
    found = damage.try_damage(clips, groups, tmp_path)
    quality = {row.name: row.scores["babble_quality"] for row in found.rows}
    steps = [quality[name] for name in damage.STEPS]
    assert all(a > b for a, b in itertools.pairwise(steps)), quality
    assert quality["clean"] > max(quality["shuffled 60 ms"], quality["reversed"]), quality
    assert {"frechet_speech", "pitch"} <= set(found.rows[0].scores["headline"].split(", "))


@pytest.mark.slow
def test_headline_orders_damage_of_real_recordings(real_audio_dir, tmp_path, headline_only):
    clips = []
    for name in ("trn03", "trn05", "trn06", "trn09", "dev00", "sample"):
        audio, rate = soundfile.read(real_audio_dir / "ami" / f"{name}.wav", dtype="float32")
        clips.append(damage._clip(name, audio[: round(CLIP_SECONDS * rate)], rate, "silero"))
    assert_in_order(clips, {clip.dialogue: clip.dialogue for clip in clips}, tmp_path)


@pytest.mark.slow
def test_headline_orders_damage_of_the_voices(tmp_path, headline_only, monkeypatch):
    pytest.importorskip("espeakng_loader", reason="needs the extra voices")
    monkeypatch.setattr(damage, "CLIP_SECONDS", 40.0)
    corpus = corpora.open_corpus("simulated", hours=0.35, cache_dir=tmp_path)
    clips, groups = damage.corpus_clips(corpus, "test", 2, corpus.detector)
    assert_in_order(clips, groups, tmp_path)


def row(name, **scores):
    return rows.as_row(name, "reference", {"speech_seconds": 9.0, "flags": [], "headline": [], **scores}, [])


def table(percents):
    found = [
        row(name, babble_quality=p, frechet_mel=float(100 - p), frechet_mel_percent=p, hnr_gap=5.0, hnr_percent=p)
        for name, p in percents.items()
    ]
    return rows.AudioTable(found, [], {"clips": 1, "dialogues": 2, "speech_seconds": 9.0, "sample_rate": 8000})


def test_orders_say_what_is_in_order():
    percents = dict(zip(damage.STEPS, (100.0, 80.0, 50.0, 20.0, 0.0), strict=True))
    percents |= dict.fromkeys(damage.OTHERS, 70.0)
    found = {order.key: order for order in damage.orders(table(percents))}
    assert list(found) == ["babble_quality", "frechet_mel", "hnr"]
    assert found["babble_quality"].noises and found["frechet_mel"].noises and not found["hnr"].noises
    assert found["babble_quality"].change == dict.fromkeys(damage.OTHERS, -30.0)
    assert "babble quality" in damage.render_orders(table(percents))
    percents["noise 20 dB"] = 40.0
    assert not damage.orders(table(percents))[0].noises


def test_folders_are_read_at_the_rate_of_most(tmp_path, capsys):
    with pytest.raises(InputError, match="no recordings there"):
        damage.folder_clips(tmp_path, "energy")
    rng = np.random.default_rng(0)
    for name, rate in (("a", 16000), ("b", 16000), ("c", 8000), ("d", 24000)):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * rng.standard_normal(2 * rate), rate)
    clips, groups = damage.folder_clips(tmp_path, "energy")
    assert [pathlib.Path(clip.dialogue).stem for clip in clips] == ["a", "b", "d"] and set(groups) == {
        clip.dialogue for clip in clips
    }
    assert {clip.sample_rate for clip in clips} == {16000} and len(clips[2].read()) == 32000
    assert "c.wav: left out, 8000 Hz where most have 16000 Hz" in capsys.readouterr().out
