import numpy as np
import pytest

from zoo import reliability

ROWS, FRAMES = 40, 500


def _counted(bend: float = 1.0) -> np.ndarray:
    """Gates that toggle at known hazards, counted with these times `bend`."""
    rng = np.random.default_rng(0)
    hazard = rng.choice([0.01, 0.05, 0.2], (ROWS, FRAMES)).astype(np.float32)
    toggled = (rng.random((ROWS, FRAMES)) < hazard).astype(np.float32)
    before = rng.integers(0, 2, (ROWS, FRAMES)).astype(np.float32)
    role = np.arange(ROWS, dtype=np.int32) % 2
    weight = (np.arange(FRAMES) >= 10).astype(np.float32) * np.ones((ROWS, 1), np.float32)
    return reliability.counts(bend * hazard, toggled, before, role, weight).numpy().astype(np.float64)


def test_counts_are_those_of_numpy():
    rng = np.random.default_rng(1)
    hazard = rng.uniform(1e-5, 1, (3, 50)).astype(np.float32)
    toggled, before, weight = (rng.integers(0, 2, (3, 50)).astype(np.float32) for _ in range(3))
    role = np.array([0, 1, 1], np.int32)
    wanted = np.zeros((2, 2, len(reliability.EDGES) + 1, 3))
    for row in range(3):
        for t in range(50):
            at = int((reliability.EDGES.astype(np.float32) < hazard[row, t]).sum())
            values = np.array([1.0, hazard[row, t], toggled[row, t]]) * weight[row, t]
            wanted[role[row], int(before[row, t]), at] += values
    np.testing.assert_allclose(reliability.counts(hazard, toggled, before, role, weight), wanted, rtol=1e-4)


def test_hazards_that_say_what_they_are_lie_on_the_diagonal():
    counted = _counted()
    assert counted[..., 0].sum() == ROWS * (FRAMES - 10)
    for points in reliability.rates(counted):
        assert len(points) == 3
        np.testing.assert_allclose(points[:, 1], points[:, 0], rtol=0.35)
    figures = reliability.figures(counted)
    assert set(figures) == {
        f"toggles_expected_over_observed_{name}" for name in ("giver", "follower", "silent", "speaking")
    }
    assert all(value == pytest.approx(1.0, abs=0.1) for value in figures.values())


def test_hazards_twice_too_high_lie_below_it():
    figures = reliability.figures(_counted(bend=2.0))
    assert all(value == pytest.approx(2.0, abs=0.2) for value in figures.values())
    for points in reliability.rates(_counted(bend=2.0)):
        np.testing.assert_allclose(points[:, 1], points[:, 0] / 2, rtol=0.35)


def test_nothing_counted_says_nothing():
    nothing = np.zeros((2, 2, len(reliability.EDGES) + 1, 3))
    assert reliability.figures(nothing) == {} and all(len(points) == 0 for points in reliability.rates(nothing))


def test_the_picture_shows_where_the_points_are():
    one, two = (reliability.picture(_counted(bend)) for bend in (1.0, 3.0))
    assert one.dtype == np.uint8 and one.ndim == 3 and one.shape[-1] == 3
    assert one.shape == two.shape and (one != two).any()
