"""Percentages at the ends, between and beyond them, and the headline."""

import math

import pytest

from eval.audio import scale


def test_the_ends_are_0_and_100():
    for name, human, noise in (("frechet_speech", 5.0, 500.0), ("voiced_share", 0.05, 0.6), ("dnsmos_ovrl", 3.0, 1.1)):
        assert scale.percent(name, human, human, noise) == pytest.approx(100)
        assert scale.percent(name, noise, human, noise) == pytest.approx(0)


def test_distances_go_on_a_logarithm_and_the_rest_on_a_line():
    assert scale.percent("frechet_speech", 50.0, 5.0, 500.0) == pytest.approx(50)
    assert scale.percent("kernel_speech", 50.0, 5.0, 500.0) == pytest.approx(50)
    assert scale.percent("hnr", 3.0, 1.0, 5.0) == pytest.approx(50)
    assert scale.percent("dnsmos_sig", 2.0, 3.0, 1.0) == pytest.approx(50)


def test_beyond_the_ends():
    assert scale.clipped(scale.percent("frechet_mel", 1.0, 5.0, 500.0)) == 100
    assert scale.clipped(scale.percent("frechet_mel", 5000.0, 5.0, 500.0)) == 0
    assert math.isnan(scale.clipped(math.nan))


@pytest.mark.parametrize("human, noise", [(5.0, 5.2), (5.0, 3.0), (0.0, 4.0), (math.nan, 4.0)])
def test_ends_that_tell_nothing_give_nothing(human, noise):
    assert math.isnan(scale.percent("frechet_speech", 4.0, human, noise))


def test_a_gap_without_room_gives_nothing():
    assert math.isnan(scale.percent("voiced_share", 0.3, 0.5, 0.52))
    assert math.isnan(scale.percent("dnsmos_bak", 2.0, 2.0, 3.0))


def test_headline():
    percents = {"frechet_speech": 80.0, "frechet_mel": 40.0, "f0_distance": 100.0, "voiced_share": 20.0, "hnr": 0.0}
    assert scale.headline_parts(percents) == {"frechet_speech": 80, "frechet_mel": 40, "pitch": 60}
    assert scale.babble_quality(percents) == pytest.approx(60)
    assert scale.babble_quality(percents | {"frechet_speech": math.nan}) == pytest.approx(50)
    four = scale.headline_parts(percents | {"frechet_deep_speech": 20.0, "kernel_deep_speech": 0.0})
    assert four == {"frechet_speech": 80, "frechet_mel": 40, "frechet_deep_speech": 20, "pitch": 60}
    assert scale.babble_quality(percents | four) == pytest.approx(50)
    assert scale.headline_parts({"frechet_new": 10.0, "voiced_share": math.nan}) == {"frechet_new": 10.0}
    assert math.isnan(scale.babble_quality({"f0_distance": 100.0, "voiced_share": 100.0}))
