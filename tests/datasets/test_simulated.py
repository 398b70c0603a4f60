"""Simulated dialogues: scripts only, no sound needed."""

import numpy as np
import pytest

from datasets import corpora, hazard
from datasets import dialogue as dialogue_lib
from datasets.corpora import espeak, grammar, simulated, voices
from datasets.errors import InputError


def corpus(**options):
    return simulated.Simulated(corpora.Options(**options))


def test_default_is_two_hours_with_ten_test_dialogues():
    two_hours = corpus()
    counts = [len(two_hours.names(split)) for split in dialogue_lib.SPLITS]
    assert counts == [26, 4, 10]
    assert len(two_hours.names()) * simulated.DIALOGUE_SECONDS == 7200


def test_every_split_is_there_from_nine_minutes_on():
    assert [len(corpus(hours=0.15).names(split)) for split in dialogue_lib.SPLITS] == [1, 1, 1]


def test_no_speaker_is_in_two_splits():
    everything = corpus(hours=3)
    speakers = {
        split: {speaker for name in everything.names(split) for speaker in everything.script(name).speakers}
        for split in dialogue_lib.SPLITS
    }
    assert not speakers["train"] & speakers["test"] | speakers["validation"] & (speakers["train"] | speakers["test"])
    assert len(speakers["train"]) > 12


@pytest.mark.skipif(not espeak.available(), reason="the key names the version of espeak-ng")
def test_a_longer_corpus_begins_with_the_shorter_one():
    short, long = corpus(hours=0.2), corpus(hours=1)
    assert long.names()[: len(short.names())] == short.names()
    assert short.folder() == long.folder()
    assert short.key() != long.key()
    assert short.script("sim0002").words == long.script("sim0002").words


def test_the_seed_decides():
    assert corpus().script("sim0000").words == corpus().script("sim0000").words
    assert corpus().script("sim0000").words != corpus(seed=1).script("sim0000").words
    assert corpus().script("sim0000").words != corpus().script("sim0003").words


def test_ipus_equal_the_sampled_gate():
    dialogue = corpus().script("sim0005")
    rng = voices.generator("simulated", "sim0005", 0)
    gates = hazard.sample_dialogue(hazard.maptask_tables(), dialogue.n_frames, rng)
    for channel in (0, 1):
        bridged = dialogue_lib.bridge(dialogue_lib.intervals_from_activity(gates[channel]))
        np.testing.assert_allclose(dialogue.ipus(channel), bridged, atol=1e-9)
        # The tables were counted on bridged speech, so bridging changes next to nothing.
        assert (dialogue.ipu_activity(channel) != gates[channel]).mean() < 0.002
        spoken = np.array([(word.start, word.end) for word in dialogue.words[channel]])
        np.testing.assert_allclose(dialogue_lib.bridge(spoken, 0), dialogue.speech[channel], atol=1e-9)


def test_timing_resembles_map_task():
    everything = corpus(hours=3)
    dialogues = [everything.script(name) for name in everything.names()]
    minutes = sum(dialogue.duration_seconds for dialogue in dialogues) / 60
    ipus = [np.concatenate([dialogue.ipus(channel) for dialogue in dialogues]) for channel in (0, 1)]
    lengths = [np.diff(channel)[:, 0] for channel in ipus]
    # PROTOCOL section 2, train.
    assert lengths[0].sum() / minutes / 60 == pytest.approx(0.459, abs=0.03)
    assert lengths[1].sum() / minutes / 60 == pytest.approx(0.199, abs=0.03)
    assert sum(map(len, lengths)) / minutes == pytest.approx(37.3, rel=0.08)
    assert np.median(np.concatenate(lengths)) == pytest.approx(0.79, abs=0.08)
    pairs = [(dialogue.ipu_activity(0), dialogue.ipu_activity(1)) for dialogue in dialogues]
    heard = np.mean([hazard.llr(hazard.maptask_tables()["follower"], b, a) for a, b in pairs])
    deaf = np.mean([hazard.llr(hazard.maptask_tables()["follower"], np.roll(b, len(b) // 2), a) for a, b in pairs])
    assert heard > 0.05 > 0 > deaf


@pytest.mark.parametrize("hours", [0, -1, float("nan"), float("inf")])
def test_hours_must_be_above_zero(hours):
    with pytest.raises(InputError, match=f"--hours={hours}"):
        corpus(hours=hours)


def test_unknown_names_and_splits_are_refused():
    with pytest.raises(InputError, match="sim0040: not among sim0000 to sim0039"):
        corpus().script("sim0040")
    with pytest.raises(InputError, match="'dev'.*train, validation, test"):
        corpus().names("dev")


@pytest.mark.parametrize("role", ["giver", "follower"])
@pytest.mark.parametrize("seconds", [0.02, 0.2, 0.5, 0.9, 2.0, 8.0])
def test_a_breath_is_filled_at_a_natural_rate(role, seconds):
    talk = grammar.Talk(np.random.default_rng(0))
    breaths = [talk.breath(role, 3.0, 3.0 + seconds) for _ in range(40)]
    for words in breaths:
        assert words[0].start == 3.0
        assert words[-1].end == 3.0 + seconds
        assert all(a.end == b.start and a.end > a.start for a, b in zip(words, words[1:], strict=False))
        assert all(word.text.isascii() and word.text.strip("-").replace("-", "").isalpha() for word in words)
    if seconds >= 2:
        per_word = seconds * len(breaths) / sum(map(len, breaths))
        assert 0.17 < per_word < 0.30  # Map Task: .22 s
    if seconds < 0.4:
        assert max(map(len, breaths)) <= 2


def test_talk_goes_along_the_route():
    talk = grammar.Talk(np.random.default_rng(1))
    text = " ".join(word.text for i in range(60) for word in talk.breath("giver", i, i + 3.0))
    assert sum(landmark in text for landmark in grammar.LANDMARKS) > 15


def test_timing_of_another_table(tmp_path):
    talkers = [np.tile(np.repeat([True, False], length), 5000 // (2 * length)) for length in (10, 25)]
    tables = {"A": hazard.fit_tables([talkers]), "B": hazard.fit_tables([talkers[::-1]])}
    hazard.save_tables(tmp_path / "t.json", tables, {"corpus": "clockwork"})
    ours = corpora.open_corpus("simulated", hours=0.1, tables=tmp_path / "t.json")
    script = ours.script("sim0000")
    assert ours.roles == script.roles == ("A", "B")
    own = np.diff(script.speech[1])
    assert 0.4 < np.median(own) < 0.6
    np.testing.assert_array_equal(corpus().script("sim0000").speech[0], corpus(tables=None).script("sim0000").speech[0])
    assert ours.key() != corpora.open_corpus("simulated", hours=0.1).key()
    with pytest.raises(InputError, match="--tables=.*: corpus maptask has no use for it; those that have: simulated"):
        corpora.open_corpus("maptask", tables=tmp_path / "t.json")


def test_a_table_of_no_pair_is_refused(tmp_path):
    table = hazard.maptask_tables()["giver"]
    for roles in (("giver",), ("giver", "B"), ("giver", "follower", "A")):
        hazard.save_tables(tmp_path / "t.json", dict.fromkeys(roles, table), {})
        with pytest.raises(InputError, match="is of .*, which is no pair of roles"):
            corpus(tables=tmp_path / "t.json")
