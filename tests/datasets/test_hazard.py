import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datasets import corpora, hazard
from datasets.errors import InputError

frames = hnp.arrays(bool, st.integers(2, 300))


def slow_age_seconds(activity):
    ages, age = [], 0
    for t, state in enumerate(activity):
        age = 1 if t == 0 or state != activity[t - 1] else age + 1
        ages.append(age / 50)
    return ages


def slow_bin(seconds):
    return sum(seconds >= edge for edge in hazard.AGE_EDGES_SECONDS)


def slow_counts(pairs):
    toggles, seen = np.zeros((2, 13, 2, 13), int), np.zeros((2, 13, 2, 13), int)
    for own, partner in pairs:
        own_ages, partner_ages = slow_age_seconds(own), slow_age_seconds(partner)
        for t in range(1, len(own)):
            cell = int(own[t - 1]), slow_bin(own_ages[t - 1]), int(partner[t - 1]), slow_bin(partner_ages[t - 1])
            seen[cell] += 1
            toggles[cell] += own[t] != own[t - 1]
    return toggles, seen


def random_activity(rng, n, mean_frames=25):
    return np.repeat(np.arange(n) % 2 == 1, rng.geometric(1 / mean_frames, n))[:n]


def random_pairs(seed=0, count=6, n=2000):
    rng = np.random.default_rng(seed)
    return [(random_activity(rng, n), random_activity(rng, n, 60)) for _ in range(count)]


@pytest.fixture(scope="module")
def tables():
    return hazard.fit_tables(random_pairs())


@given(frames)
def test_ages_equal_the_plain_count(activity):
    np.testing.assert_array_equal(hazard.ages(activity), [slow_bin(age) for age in slow_age_seconds(activity)])


def test_ages_reach_every_bin():
    assert list(np.unique(hazard.ages(np.zeros(600, bool)))) == list(range(13))
    assert hazard.ages(np.zeros(600, bool))[-1] == 12


def test_ages_of_many_are_those_of_each():
    stacked = np.stack([pair[0] for pair in random_pairs()])
    np.testing.assert_array_equal(hazard.ages(stacked), [hazard.ages(each) for each in stacked])


def test_counts_equal_the_plain_count():
    pairs = random_pairs(count=2, n=700)
    counted = hazard.fit_tables(pairs)
    toggles, seen = slow_counts(pairs)
    np.testing.assert_array_equal(counted.toggles, toggles)
    np.testing.assert_array_equal(counted.frames, seen)


def test_probabilities_are_the_smoothed_shares(tables):
    own_toggles, own_frames = tables.toggles.sum((2, 3)), tables.frames.sum((2, 3))
    overall = own_toggles.sum() / own_frames.sum()
    own = (own_toggles[1, 4] + 5 * overall) / (own_frames[1, 4] + 5)
    assert tables.own[1, 4] == pytest.approx(own)
    cell = 1, 4, 0, 7
    assert tables.joint[cell] == pytest.approx((tables.toggles[cell] + 50 * own) / (tables.frames[cell] + 50))
    assert tables.joint.min() >= 1e-5 and tables.joint.max() <= 0.999


def test_tables_add_up():
    pairs = random_pairs()
    parts = hazard.fit_tables(pairs[:2]), hazard.fit_tables(pairs[2:])
    np.testing.assert_array_equal((parts[0] + parts[1]).joint, hazard.fit_tables(pairs).joint)
    np.testing.assert_array_equal((hazard.fit_tables(pairs) - parts[1]).joint, parts[0].joint)


def test_likelihood_equals_the_plain_sum(tables):
    own, partner = random_pairs(seed=1, count=1, n=500)[0]
    own_ages, partner_ages = slow_age_seconds(own), slow_age_seconds(partner)
    joint = alone = 0.0
    for t in range(1, len(own)):
        state, age = int(own[t - 1]), slow_bin(own_ages[t - 1])
        h2 = tables.joint[state, age, int(partner[t - 1]), slow_bin(partner_ages[t - 1])]
        h1 = tables.own[state, age]
        toggled = own[t] != own[t - 1]
        joint += math.log2(h2 if toggled else 1 - h2)
        alone += math.log2(h1 if toggled else 1 - h1)
    ours = hazard.log2_likelihood(tables, own, partner)
    assert ours == (pytest.approx(joint), pytest.approx(alone))
    assert hazard.llr(tables, own, partner) == pytest.approx((joint - alone) / 10)


def test_likelihood_of_many_is_that_of_each(tables):
    pairs = random_pairs(seed=2)
    own, partner = (np.stack(channel) for channel in zip(*pairs, strict=True))
    np.testing.assert_allclose(hazard.llr(tables, own, partner), [hazard.llr(tables, *pair) for pair in pairs])


def test_channels_of_different_length_are_refused(tables):
    with pytest.raises(InputError, match="differ in length"):
        hazard.llr(tables, np.zeros(10, bool), np.zeros(11, bool))


def test_sampling_against_a_partner_gives_the_table_back():
    tables = hazard.maptask_tables()["follower"]
    rng = np.random.default_rng(0)
    partner = hazard.sample_alone(hazard.maptask_tables()["giver"], 400_000, rng)
    own = hazard.sample_against(tables, partner, rng)
    again = hazard.fit_tables([(own, partner)])
    often = again.frames > 2000
    expected = tables.joint[often] * again.frames[often]
    deviation = (again.toggles[often] - expected) / np.sqrt(expected)
    assert often.sum() > 30
    assert np.abs(deviation).max() < 5 and deviation.std() < 1.4
    assert hazard.llr(tables, own, partner) > 0.05


def test_sampling_alone_ignores_the_partner():
    tables, rng = hazard.maptask_tables(), np.random.default_rng(0)
    partner = hazard.sample_alone(tables["giver"], 100_000, rng)
    own = hazard.sample_alone(tables["follower"], 100_000, rng)
    assert hazard.llr(tables["follower"], own, partner) < 0


def test_sampling_never_looks_ahead(tables):
    partner = random_pairs()[0][1]
    changed = partner.copy()
    changed[1000:] = ~changed[1000:]
    first, second = (hazard.sample_against(tables, p, np.random.default_rng(5)) for p in (partner, changed))
    # Frame t is decided by frames up to t - 1.
    np.testing.assert_array_equal(first[:1001], second[:1001])
    assert (first != second).any()


def test_sampling_is_a_function_of_the_seed(tables):
    partner = random_pairs()[0][1]
    a, b, c = (hazard.sample_against(tables, partner, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_a_prompt_stays_and_its_age_counts(tables):
    partner, prompt = random_pairs()[0][1], np.zeros(900, bool)
    own = hazard.sample_against(tables, partner, np.random.default_rng(0), prompt)
    assert len(own) == len(partner) and not own[:900].any()
    assert len(hazard.sample_against(tables, partner[:5], np.random.default_rng(0), prompt)) == 5


def test_a_prompt_goes_on_as_the_whole_would(tables):
    partner = random_pairs()[0][1]
    own = hazard.sample_against(tables, partner, np.random.default_rng(3))
    again = hazard.sample_against(tables, partner, np.random.default_rng(3), own[:700])
    np.testing.assert_array_equal(own, again)


def test_sample_dialogue_has_both_speakers_hearing_each_other():
    tables = hazard.maptask_tables()
    both = hazard.sample_dialogue(tables, 200_000, np.random.default_rng(0))
    assert both.shape == (2, 200_000) and both.dtype == bool
    for channel, role in enumerate(("giver", "follower")):
        assert hazard.llr(tables[role], both[channel], both[1 - channel]) > 0.05
    # The share of speech in Map Task is .46 and .20.
    np.testing.assert_allclose(both.mean(axis=1), [0.46, 0.20], atol=0.04)


def test_sample_dialogue_of_swapped_roles_swaps_the_channels():
    tables = hazard.maptask_tables()
    both = hazard.sample_dialogue(tables, 100_000, np.random.default_rng(0), roles=("follower", "giver"))
    assert both[0].mean() < both[1].mean()


def test_no_frames_are_no_frames():
    tables = hazard.maptask_tables()
    assert hazard.sample_dialogue(tables, 0, np.random.default_rng(0)).shape == (2, 0)
    assert hazard.sample_alone(tables["giver"], 0, np.random.default_rng(0)).shape == (0,)


def test_tables_are_read_as_they_were_written(tables, tmp_path):
    hazard.save_tables(tmp_path / "t.json", {"a": tables}, {"corpus": "ours"})
    loaded, provenance = hazard.load_tables(tmp_path / "t.json")
    np.testing.assert_array_equal(loaded["a"].joint, tables.joint)
    assert provenance == {"corpus": "ours"}


@pytest.mark.parametrize("content", ["{}", "[]", "not json", '{"age_edges_seconds": [1], "roles": {}}'])
def test_another_file_is_no_table(tmp_path, content):
    path = tmp_path / "t.json"
    path.write_text(content)
    with pytest.raises(InputError, match="not a hazard table"):
        hazard.load_tables(path)


def test_a_table_with_a_row_missing_is_refused(tables, tmp_path):
    path = tmp_path / "t.json"
    hazard.save_tables(path, {"a": tables}, {})
    content = json.loads(path.read_text())
    content["roles"]["a"]["frames"].pop()
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="not a hazard table"):
        hazard.load_tables(path)


@pytest.mark.parametrize("change", [lambda rows: "-1" + rows[0][1:], lambda rows: "9" * 30 + rows[0][1:]])
def test_counts_that_cannot_be_are_refused(tables, tmp_path, change):
    path = tmp_path / "t.json"
    hazard.save_tables(path, {"a": tables}, {})
    content = json.loads(path.read_text())
    rows = content["roles"]["a"]["toggles"]
    rows[0] = change(rows)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="t.json: not a hazard table"):
        hazard.load_tables(path)
    with pytest.raises(InputError, match="none.json: no such file"):
        hazard.load_tables(tmp_path / "none.json")


def test_any_corpus_is_counted_without_its_test(bursts, tmp_path):
    corpus = bursts(n=3)
    whole, load = [], corpus.load

    def broken(name, audio=True):
        if name == "train1":
            raise InputError("train1: broken")
        whole.append(name)
        return load(name, audio)

    corpus.load = broken
    assert hazard.count_corpus(corpus, tmp_path / "t.json") == ["train1: broken"]
    assert sorted(whole) == ["train0", "train2", "validation0", "validation1", "validation2"]
    tables, provenance = hazard.load_tables(tmp_path / "t.json")
    expected = hazard.fit_dialogues(map(load, whole))
    for role in ("giver", "follower"):
        np.testing.assert_array_equal(tables[role].frames, expected[role].frames)
    assert provenance["dialogues"] == 5 and provenance["corpus"]["corpus"] == "bursts"


def test_the_shipped_table_is_the_recount(maptask_dir, tmp_path):
    hazard.count_corpus(corpora.open_corpus("maptask", data_dir=maptask_dir), tmp_path / "maptask.json")
    assert (tmp_path / "maptask.json").read_bytes() == hazard.SHIPPED_TABLES.read_bytes()
