"""Stretches of speech with their words, as a Tacotron reads them."""

import numpy as np
import pytest

from datasets import corpora, prepare
from datasets.dialogue import Word
from datasets.errors import InputError
from datasets.pipeline import voice_of
from tests.zoo.worded import Worded
from zoo import utterances
from zoo.tacotron import text
from zoo.tacotron.spectra import Spectra
from zoo.tacotron.stretches import Stretches

RATE = 8000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    cache = tmp_path_factory.mktemp("utterances")
    return Worded(corpora.Options(cache_dir=cache, sample_rate=RATE), n=3)


@pytest.fixture(scope="module")
def split(corpus):
    return utterances.spoken(corpus, prepare.prepare(corpus, "train", progress=False), 9.0)


@pytest.fixture(scope="module")
def reading():
    return Stretches(Spectra(RATE, 12), reduction=3, batch_size=4, linear=True)


def test_breaths_end_where_a_speaker_is_silent_for_a_fifth_of_a_second():
    words = [Word(1.0, 1.3, "so"), Word(1.3, 1.5, "go"), Word(1.69, 1.9, "left"), Word(2.1, 2.4, "okay")]
    found = [([word.text for word in breath], *edges) for breath, *edges in utterances.breaths(words)]
    assert [each[0] for each in found] == [["so", "go", "left"], ["okay"]]
    np.testing.assert_allclose([each[1:] for each in found], [[0.9, 2.0], [2.0, 2.5]])
    # A word within another does not end the breath early.
    within = [Word(0.0, 2.0, "ehm"), Word(0.5, 0.6, "so"), Word(2.1, 2.3, "go")]
    assert len(list(utterances.breaths(within))) == 1


def test_every_word_is_in_one_stretch_and_its_sound_is_that_of_the_dialogue(corpus, split):
    assert split.too_long == 0
    for i, (_, record) in enumerate(split.records):
        loaded = corpus.load(record.name)
        for channel in (0, 1):
            own = [each for each in split.utterances if (each.dialogue, each.channel) == (i, channel)]
            assert " ".join(each.text for each in own) == " ".join(word.text for word in loaded.words[channel])
            for each in own:
                start = each.start_frame * RATE // 50
                wanted = loaded.audio[channel, start : start + each.n_frames * RATE // 50]
                found = utterances.sound(split, each)
                np.testing.assert_allclose(found[: len(wanted)], wanted, atol=1e-4)


def test_batches_hold_each_stretch_once_with_its_letters_spectra_and_voice(split, reading):
    seen = []
    for batch in reading.batches(split, seed=1, epoch=0):
        batch = {key: value.numpy() for key, value in batch.items()}
        assert batch["mel"].shape[::2] == (4, 12) and batch["linear"].shape[2] == reading.spectra.bins
        for row in range(4):
            letters = batch["text"][row][batch["text"][row] > 0].tolist()
            if not batch["mask"][row]:
                assert not letters and batch["n_frames"][row] == 0 and (batch["mel"][row] == 0).all()
                continue
            frames = batch["n_frames"][row]
            told = [
                each
                for each in split.utterances
                if text.letters(each.text) == letters
                and -1e-6 < frames / 80 - each.n_frames / 50 < 3 / 80
                and np.allclose(
                    reading.spectra.mel(_filled(split, each, frames)), batch["mel"][row, :frames], atol=1e-4
                )
            ]
            assert len(told) == 1 and frames % 3 == 0
            assert (batch["mel"][row, frames:] == 0).all() and batch["linear"][row, :frames].std() > 0.1
            speaker = split.records[told[0].dialogue][1].speakers[told[0].channel]
            assert batch["voice"][row] == voice_of(speaker)
            seen.append(told[0])
    assert sorted(map(split.utterances.index, seen)) == list(range(len(split.utterances)))


def _filled(split, utterance, frames):
    sound = utterances.sound(split, utterance)
    return np.pad(sound, (0, frames * RATE // 80 - len(sound)))


def test_an_epoch_is_a_function_of_seed_and_number_and_may_be_begun_later(split, reading):
    one, again = reading.plan(split, 1, 0), reading.plan(split, 1, 0)
    np.testing.assert_array_equal(one, again)
    assert any((np.array(one) != np.array(reading.plan(split, *other))).any() for other in ((1, 1), (2, 0)))
    whole = list(reading.batches(split, 1, 0))
    later = list(reading.batches(split, 1, 0, skip_batches=2))
    assert len(whole) == len(one) and len(later) == len(one) - 2
    for wanted, found in zip(whole[2:], later, strict=True):
        np.testing.assert_array_equal(found["mel"], wanted["mel"])


def test_long_stretches_are_left_out_and_counted(corpus, split):
    short = utterances.spoken(corpus, split, 1.0)
    assert 0 < len(short.utterances) < len(split.utterances)
    assert len(short.utterances) + short.too_long == len(split.utterances)
    with pytest.raises(InputError, match="--crop_seconds=0.1: all .* breath groups are longer"):
        utterances.spoken(corpus, split, 0.1)


def test_a_corpus_without_words_and_sound_at_another_rate_are_refused(bursts, split):
    silent = bursts(n=1)
    with pytest.raises(InputError, match="corpus bursts: knows no words, and these are learned here"):
        utterances.spoken(silent, prepare.prepare(silent, "train", progress=False), 5.0)
    other = Stretches(Spectra(16000, 12), reduction=3, batch_size=4, linear=False)
    with pytest.raises(InputError, match="holds sound at 8000 Hz, and the model is of 16000 Hz"):
        other.batches(split, 0, 0)
