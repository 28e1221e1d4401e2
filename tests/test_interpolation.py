"""Interpolation at many places, against the function itself."""

import numpy as np
import pytest
from scipy.special import expit, ndtr

from rmt_jacobian.interpolation import interpolated

RNG = np.random.default_rng(0)


class Counted:
    """A function, and at how many places it was asked for."""

    def __init__(self, function) -> None:
        self.function, self.calls = function, 0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.calls += len(x)
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "most"),
    [
        (lambda x: np.ones(len(x)), 30),
        (expit, 500),
        (lambda x: ndtr(40 * (x - 1.3)), 6000),  # whose tail keeps its digits
        (lambda x: np.exp(-(x**2)) * np.sin(3 * x), 800),
        (np.abs, 2000),  # a kink: halved until few places are left
    ],
)
@pytest.mark.parametrize("tolerance", [1e-6, 1e-12])
def test_many_places_in_any_order(function, most: int, tolerance: float) -> None:
    places = 2 * RNG.standard_normal(20_000)
    counted = Counted(function)
    found = interpolated(counted, places, tolerance=tolerance)
    assert np.abs(found - function(places)).max() < 30 * tolerance * np.abs(function(places)).max()
    assert counted.calls < most


@pytest.mark.parametrize("count", [0, 1, 2, 25])
def test_few_places_are_evaluated_themselves(count: int) -> None:
    places = RNG.standard_normal(count)
    assert np.array_equal(interpolated(np.sin, places, tolerance=1e-3), np.sin(places))


def test_equal_places() -> None:
    assert np.array_equal(interpolated(np.cos, np.full(99, 0.3), tolerance=1e-9),
                          np.cos(np.full(99, 0.3)))  # fmt: skip


def test_small_values_keep_their_digits() -> None:
    places = np.linspace(-6, 6, 20_000)
    found = interpolated(lambda x: np.exp(-8 * x), places, tolerance=1e-12)
    assert found == pytest.approx(np.exp(-8 * places), rel=1e-9)
