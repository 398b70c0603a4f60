"""Answers made elsewhere, from the prompts that are written to the table that scores them."""

import json

import numpy as np
import pytest
import soundfile

from datasets import audio
from datasets.errors import InputError
from eval import compare, comparison, prompts, recordings
from eval.chunks import Span
from eval.comparison import Settings
from eval.recordings import Recordings

FAST = {"draws": 5, "floor_draws": 20, "plan_sets": 5, "roles": ("follower",)}
SPAN = Span("test-0", 0, 30.0, 60.0, 30.0)
NOTHING = np.zeros((0, 2))


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """Prompts, answered by the sampler: (folder, corpus)."""
    from datasets import corpora
    from tests.eval.conftest import Sampler, Talk

    folder = tmp_path_factory.mktemp("answered")
    corpus = Talk(corpora.Options(cache_dir=folder / "cache", sample_rate=8000))
    prompts.write_prompts(corpus, "test", ("follower",), folder / "mine")
    for side in ("follower", "follower-swapped"):
        for path in sorted((folder / "mine" / side).glob("*.prompt.wav")):
            prompt, rate = audio.read_wav(path)
            stem = path.name.removesuffix(".prompt.wav")
            partner, _ = audio.read_wav(path.with_name(f"{stem}.partner.wav"), channels=1)
            said = Sampler().respond(*prompt, partner[0], "follower", seed=int(stem.split("-")[1]))
            audio.write_wav(path.with_name(f"{stem}.own.wav"), said.audio, rate)
    return folder / "mine", corpus


def test_prompts_are_the_real_channels_up_to_where_the_answer_begins(answered):
    folder, corpus = answered
    real = corpus.load("test-3").audio
    prompt, rate = audio.read_wav(folder / "follower" / "test-3-00.prompt.wav", channels=2)
    partner, _ = audio.read_wav(folder / "follower" / "test-3-00.partner.wav", channels=1)
    assert rate == 8000
    np.testing.assert_allclose(prompt, real[::-1, : 30 * 8000], atol=1 / 32768)
    np.testing.assert_allclose(partner[0], real[0, 30 * 8000 : 90 * 8000], atol=1 / 32768)
    swapped, _ = audio.read_wav(folder / "follower-swapped" / "test-3-00.partner.wav")
    np.testing.assert_allclose(swapped[0], corpus.load("test-4").audio[0, 30 * 8000 : 90 * 8000], atol=1 / 32768)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [chunk["name"] for chunk in manifest["chunks"]] == [f"test-{i}-00" for i in range(12)]
    assert manifest["protocol"] == 1 and manifest["corpus"] == "talk"


def test_answers_are_scored_as_those_of_an_agent(answered, tmp_path, capsys):
    folder, corpus = answered
    scores = compare.compare(corpus, [Recordings(folder)], Settings(tmp_path, **FAST))
    row = scores["roles"]["follower"]["rows"][0]
    assert row["name"] == "mine" and row["kind"] == "model" and row["scores"]["llr"] > 0 >= row["scores"]["swap_llr"]
    assert row["scores"]["rank"] >= 1 and row["scores"]["peer_takeover_rate"] > 0.2
    page = (tmp_path / "report.html").read_text()
    assert "As other papers count, as follower" in page and page.count('class="voice ') == 6
    assert "are ties" in capsys.readouterr().out


def test_the_own_channel_may_come_with_the_partners(answered, tmp_path):
    folder, _ = answered
    own, rate = audio.read_wav(folder / "follower" / "test-0-00.own.wav")
    partner, _ = audio.read_wav(folder / "follower" / "test-0-00.partner.wav")
    said = Recordings(folder).said("follower", [SPAN], [NOTHING], "energy")[0]
    real = recordings.activity.detect(partner[0], rate)
    (tmp_path / "follower").mkdir()
    audio.write_wav(tmp_path / "follower" / "test-0-00.wav", np.concatenate([own, partner]), rate)
    again = Recordings(tmp_path).said("follower", [SPAN], [real], "energy")[0]
    np.testing.assert_array_equal(said.speech, again.speech)
    audio.write_wav(tmp_path / "follower" / "test-0-00.wav", np.concatenate([partner, own]), rate)
    with pytest.raises(InputError, match="left channel is the partner's"):
        Recordings(tmp_path).said("follower", [SPAN], [real], "energy")


RTTM = "SPEAKER x 1 {start:.3f} {length:.3f} <NA> <NA> me <NA> <NA>\n"


@pytest.mark.parametrize(
    "suffix, text",
    [
        (".rttm", RTTM.format(start=1, length=2) + RTTM.format(start=10.5, length=0.5)),
        (".csv", "start,end,channel\n1,3,left\n10.5,11,left\n20,30,right\n"),
        (".txt", "1.0\t3.0\tleft\n10.5\t11.0\tleft\n"),
    ],
)
def test_intervals_are_an_answer_too(tmp_path, suffix, text):
    (tmp_path / "follower").mkdir()
    (tmp_path / "follower" / f"test-0-00{suffix}").write_text(text)
    said = Recordings(tmp_path).said("follower", [SPAN], [NOTHING], "annotations")[0]
    np.testing.assert_allclose(said.speech, [[1, 3], [10.5, 11]])
    assert said.sound is None
    with pytest.raises(InputError, match="are intervals, and what silero found .* --detector=annotations"):
        Recordings(tmp_path).said("follower", [SPAN], [NOTHING], "silero")


def test_an_empty_file_is_a_minute_of_silence(tmp_path):
    (tmp_path / "follower").mkdir()
    (tmp_path / "follower" / "test-0-00.rttm").touch()
    assert not len(Recordings(tmp_path).said("follower", [SPAN], [NOTHING], "annotations")[0].speech)


def test_intervals_are_compared_with_the_corpus_own(talk, tmp_path):
    corpus = talk(has_audio=False)
    prompts.write_prompts(corpus, "test", ("follower",), tmp_path / "human", for_predictors=True)
    for path in (tmp_path / "human" / "follower").glob("*.both.rttm"):
        path.with_name(path.name.replace(".both", "")).write_text(path.read_text())
    settings = Settings(tmp_path / "out", detector="annotations", **FAST)
    table = comparison.compare_sound(corpus, [Recordings(tmp_path / "human")], settings)["follower"]
    rows = {row.name: row for row in table.rows}
    assert rows["human"].scores["llr"] > 0 and "swap_llr" not in rows["human"].scores
    ours = next(row for row in table.rows if row.kind == "model")
    assert ours.scores["n_ipu"] == pytest.approx(
        next(r for r in table.rows if r.kind == "human").scores["n_ipu"], abs=3
    )
    assert ours.scores["peer_corr_ipu"] > 0.999 and ours.excerpt is None


@pytest.mark.parametrize(
    "seconds, said", [(59.0, "lasts 59.00 s and its chunk 60 s"), (90.0, "prompt does not belong")]
)
def test_another_length_is_refused(tmp_path, seconds, said):
    (tmp_path / "follower").mkdir()
    soundfile.write(tmp_path / "follower" / "test-0-00.own.wav", np.zeros(round(8000 * seconds)), 8000)
    with pytest.raises(InputError, match=said):
        Recordings(tmp_path).said("follower", [SPAN], [NOTHING], "energy")


def test_what_is_missing_is_named(answered, tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        Recordings(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no answers in it; wanted are folders giver/, follower/"):
        Recordings(tmp_path).roles(("giver", "follower"))
    other = Span("test-77", 0, 30.0, 60.0, 30.0)
    with pytest.raises(InputError, match="1 of 2 chunks are not there, such as test-77-00.own.wav"):
        Recordings(answered[0]).said("follower", [SPAN, other], [NOTHING] * 2, "energy")
    with pytest.raises(InputError, match="is sound, and --detector=annotations detects nothing"):
        Recordings(answered[0]).said("follower", [SPAN], [NOTHING], "annotations")


def test_the_manifest_must_be_of_the_same_comparison(answered):
    agent = Recordings(answered[0])
    agent.check_manifest(recordings.expected_manifest("talk", "test", 30.0))
    with pytest.raises(InputError, match="was made for corpus talk, and this comparison has maptask"):
        agent.check_manifest(recordings.expected_manifest("maptask", "test", 30.0))
    with pytest.raises(InputError, match="was made for prompt_seconds 30.0"):
        agent.check_manifest(recordings.expected_manifest("talk", "test", 0.0))


def test_a_predictor_alone_is_scored_without_a_ttr(talk, tmp_path):
    corpus = talk(has_audio=False)
    (tmp_path / "vap" / "follower").mkdir(parents=True)
    for i in range(12):
        lines = "\n".join(["takes_floor,speaks"] + ["0.4,0.25"] * 3000)
        (tmp_path / "vap" / "follower" / f"test-{i}-00.probabilities.csv").write_text(lines)
    settings = Settings(tmp_path / "out", detector="annotations", **FAST)
    table = compare.compare(corpus, [Recordings(tmp_path / "vap")], settings)["roles"]["follower"]
    row = table["rows"][0]["scores"]
    assert row["shift_hold_accuracy"] == 0.5 and "ttr" not in row and "rank" not in row and 0.3 < row["frame_bits"] < 2
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert 'class="card human"' in page and 'class="card model"' not in page and 'class="voice' not in page
