"""A small corpus whose speakers do listen to each other, and an agent that listens too."""

import numpy as np
import pytest

from datasets import activity, corpora, hazard
from datasets.dialogue import Dialogue, Word, bridge, intervals_from_activity
from datasets.dialogue import activity as frames_of
from eval.agents import Agent, Response
from tests.conftest import noise_bursts

ROLES = ("giver", "follower")
DIALOGUE_SECONDS = 95.0


class Talk(corpora.Corpus):
    """Noise bursts where two hazard samplers speak: 12 test dialogues, 24 train and 2 validation, each of 95 s."""

    name = "talk"
    counts = {"train": 24, "validation": 2, "test": 12}

    def __init__(self, options: corpora.Options, has_words: bool = False, has_audio: bool = True):
        super().__init__(options)
        self._has_words, self._has_audio = has_words, has_audio

    def names(self, split=None):
        splits = self.counts if split is None else (split,)
        return [f"{split}-{i}" for split in splits for i in range(self.counts[split])]

    def load(self, name, audio=True):
        rng = np.random.default_rng([self.options.seed, *name.encode()])
        rate, n_frames = self.options.sample_rate or 8000, round(DIALOGUE_SECONDS * 50)
        gates = hazard.sample_dialogue(hazard.maptask_tables(), n_frames, rng, ROLES)
        speech = tuple(bridge(intervals_from_activity(gate)) for gate in gates)
        sounds = audio and self._has_audio
        sound = np.stack([noise_bursts(each, DIALOGUE_SECONDS, rate, rng) for each in speech]) if sounds else None
        words = (
            tuple(tuple(Word(*each, "um") for each in channel) for channel in speech) if self._has_words else ((), ())
        )
        return Dialogue(
            name=name,
            split=name.split("-")[0],
            duration_seconds=DIALOGUE_SECONDS,
            speech=speech,
            words=words,
            roles=ROLES,
            sample_rate=rate if sounds else None,
            audio=sound,
        )


class Sampler(Agent):
    """Hears the partner by the energy detector and speaks noise where the hazard tables say so."""

    def __init__(self, name="sampler", sample_rate=8000, fails_after=None):
        self.name, self.sample_rate, self.fingerprint = name, sample_rate, f"sampler {name}"
        self.answered, self._fails_after = 0, fails_after

    def respond_batch(self, prompt_own, prompt_partner, partner, role, seed, progress=None):
        if self._fails_after is not None and self.answered >= self._fails_after:
            raise KeyboardInterrupt
        self.answered += len(partner)
        answers = [
            self._answer(*channels, role, np.random.default_rng([seed, row]))
            for row, channels in enumerate(zip(prompt_own, prompt_partner, partner, strict=True))
        ]
        if progress:
            progress(partner.shape[1] * 50 // self.sample_rate)
        return answers

    def _answer(self, prompt_own, prompt_partner, partner, role, rng):
        heard = np.concatenate([prompt_partner, partner])
        n_frames, seconds = len(heard) * 50 // self.sample_rate, len(partner) / self.sample_rate
        n_prompt = len(prompt_own) * 50 // self.sample_rate
        prompt, frames = (
            frames_of(bridge(activity.detect(sound, self.sample_rate)), n)
            for sound, n in ((prompt_own, n_prompt), (heard, n_frames))
        )
        gate = hazard.sample_against(hazard.maptask_tables()[role], frames, rng, prompt)[n_prompt:]
        return Response(noise_bursts(intervals_from_activity(gate), seconds, self.sample_rate, rng), gate)


@pytest.fixture
def talk(tmp_path_factory):
    """Makes a `Talk`: talk(sample_rate=8000, has_words=False, has_audio=True)."""
    cache = tmp_path_factory.getbasetemp() / "talk-cache"

    def make(sample_rate=8000, **options):
        return Talk(corpora.Options(cache_dir=cache, sample_rate=sample_rate), **options)

    return make


@pytest.fixture
def sampler():
    """The agent class."""
    return Sampler
