import math

import pytest

from datasets.errors import InputError
from tests.zoo import subjects
from zoo import memory


@pytest.fixture(scope="module")
def model():
    return subjects.tiny("hazard", order=4)


def test_bytes_of_a_state_counted_by_hand(model):
    frames, prosody = 2 * 40, 5 + 12 * 4 + 4 + 4
    assert memory.state_bytes(model) == 4 * (
        frames + prosody + 6 + len(("time", "role", "voice", "gate", "own_age")) + 3
    )


def test_what_is_free_is_told_and_more_is_refused(model, monkeypatch):
    assert 2**20 < memory.free_bytes() < 2**50
    needed = 3 * memory.state_bytes(model) + 4 * 10 * 2000
    monkeypatch.setattr(memory, "free_bytes", lambda: 5.0 * needed)
    memory.check(model, 5, seconds=10.0)
    with pytest.raises(
        InputError, match=r"6 channels of 10 s would .* fewer channels .* or a shorter time \(--seconds"
    ):
        memory.check(model, 6, seconds=10.0)
    monkeypatch.setattr(memory, "free_bytes", lambda: 2.0**31)
    with pytest.raises(
        InputError, match=r"^9999999 channels would take about \d+\.\d GiB .* 2.0 GiB are free.*batch\)$"
    ):
        memory.check(model, 9_999_999)


@pytest.mark.parametrize(("says", "free"), [("4096\n", 3096), ("max\n", math.inf), (None, math.inf)])
def test_the_bound_of_a_control_group_counts(tmp_path, monkeypatch, says, free):
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    (tmp_path / "memory.current").write_text("1000\n")
    if says:
        (tmp_path / "memory.max").write_text(says)
    machine = memory.free_bytes()
    assert machine == free if free < math.inf else machine > 2**20
