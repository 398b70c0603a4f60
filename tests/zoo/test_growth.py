import json

import numpy as np
import pytest

from tests.zoo import commands, test_samplernn, test_wavenet
from zoo import growth, registry
from zoo.speed import Stream


def test_exponents_are_those_of_powers():
    sizes = [1, 2, 4, 8]
    for power in (0.0, 0.5, 1.0, 2.0):
        row = growth.figures("layers", sizes, [3.0 * size**power for size in sizes])
        assert row["exponent"] == pytest.approx(power)
    # The slope that numpy's solver finds, of what is no power.
    took = [1.0, 1.5, 2.9, 5.0]
    design = np.stack([np.log(sizes), np.ones(4)], axis=1)
    wanted = np.linalg.lstsq(design, np.log(took), rcond=None)[0][0]
    assert growth.figures("layers", sizes, took)["exponent"] == pytest.approx(wanted)


def test_a_dialogue_that_slows_down_shows():
    def speak(frames):
        spoken.append(frames)
        return np.full(frames, 0.01 * len(spoken))

    spoken = []
    (what, sizes, took), (then, _, later) = growth._dialogue(Stream("wavenet", "tiny", "fused", speak, 1000, 20), 10)
    assert spoken == [1, *[10] * 16] and (what, then) == ("seconds spoken", "dialogue so far, seconds")
    # The first call is not counted; the n-th stretch takes n + 1 hundredths of a second a frame.
    assert sizes == [0.2, 0.4, 0.8, 1.6, 3.2]
    assert took == pytest.approx([0.1 * sum(range(2, n + 2)) for n in (1, 2, 4, 8, 16)])
    assert later == pytest.approx([0.01 * (n + 1) for n in (1, 2, 4, 8, 16)])


@pytest.mark.parametrize(
    ("name", "sizes", "field", "layers"),
    [
        ("wavenet", {**test_wavenet.SIZES, "dilations": (1, 2, 4, 8, 16, 32)}, "dilations", [2, 4, 6]),
        ("samplernn", test_samplernn.SIZES, "layers", [1, 2, 3]),
        ("tacotron", {"postnet_layers": 3}, "postnet_layers", [3, 6, 9]),
    ],
)
def test_layers_of_the_sound_are_fewer_or_more(name, sizes, field, layers):
    _, config = registry.find(name, "tiny", {key: value for key, value in sizes.items()})
    for depth, wanted in zip((1, 2, 3), layers, strict=True):
        found, n = growth.with_depth(config, depth)
        value = getattr(found, field)
        assert n == wanted == (len(value) if isinstance(value, tuple) else value)


@pytest.mark.slow
def test_the_command_shows_growth_of_every_kind(tmp_path):
    flags = ["--growth", "--models=samplernn", "--engines=fused", "--seconds=0.1", "--rounds=1", "--json=growth.json"]
    done = commands.run(tmp_path, "zoo.benchmark", *flags)
    assert done.status == 0, done.stderr
    rows = json.loads((tmp_path / "growth.json").read_text())["growth"]["rows"]
    kinds = ["seconds spoken", "dialogue so far, seconds", "layers", "channels at once", "channels, time of the CPU"]
    assert [row["growth"] for row in rows] == kinds and all(kind in done.stdout for kind in kinds)
    by_kind = dict(zip(kinds, rows, strict=True))
    assert by_kind["layers"]["sizes"] == [1, 2, 3] and by_kind["channels at once"]["sizes"] == [1, 2, 4, 8]
    assert 0.5 < by_kind["seconds spoken"]["exponent"] < 1.5
    assert abs(by_kind["dialogue so far, seconds"]["exponent"]) < 0.5
    assert by_kind["channels, time of the CPU"]["exponent"] > 0.5


def test_growth_has_channels_of_its_own(tmp_path):
    done = commands.run(tmp_path, "zoo.benchmark", "--growth", "--streams=2")
    assert done.status == 2 and "--growth: of speaking" in done.stderr
