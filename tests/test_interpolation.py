"""Interpolation at many places, against the function itself."""

import numpy as np
import pytest
from scipy.special import expit, ndtr

from rmt_jacobian.interpolation import Interpolant, interpolated

RNG = np.random.default_rng(0)


class Counted:
    """A function, and at how many places it was asked for."""

    def __init__(self, function) -> None:
        self.function, self.calls = function, 0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.calls += len(x)
        return self.function(x), np.zeros(len(x))


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
    assert np.array_equal(interpolated(Counted(np.sin), places, tolerance=1e-3), np.sin(places))


def test_equal_places() -> None:
    assert np.array_equal(interpolated(Counted(np.cos), np.full(99, 0.3), tolerance=1e-9),
                          np.cos(np.full(99, 0.3)))  # fmt: skip


def test_small_values_keep_their_digits() -> None:
    places = np.linspace(-6, 6, 20_000)
    found = interpolated(Counted(lambda x: np.exp(-8 * x)), places, tolerance=1e-12)
    assert found == pytest.approx(np.exp(-8 * places), rel=1e-9)


def test_what_is_noise_beside_its_size_is_not_resolved() -> None:
    """E[sin(x + 50 z)] is 0 but for the rounding of an average of size 0.6."""
    noise, calls = np.random.default_rng(1), []

    def average(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        calls.append(len(x))
        return 1e-16 * noise.standard_normal(len(x)), np.full(len(x), 0.6)

    found = interpolated(average, np.linspace(-3, 3, 5000), tolerance=1e-12)
    assert np.abs(found).max() < 1e-14
    assert sum(calls) == 25


def test_an_interpolant_is_as_good_as_the_values_are() -> None:
    noise, calls = np.random.default_rng(2), []

    def average(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        calls.append(len(x))
        return np.cos(x) + 1e-6 * noise.uniform(-1, 1, len(x)), np.full(len(x), 1e-6)

    found = Interpolant.of(average, -3.0, 3.0, tolerance=1e-13)
    x = np.linspace(-3, 3, 333)
    values, doubts = found.with_errors(x)
    assert np.all(np.abs(values - np.cos(x)) <= 4 * doubts)
    assert doubts.max() < 1e-5
    assert sum(calls) < 200


@pytest.mark.parametrize(
    ("function", "low", "high"),
    [
        (expit, -30.0, 30.0),
        (lambda x: ndtr(40 * (x - 1.3)), -1.0, 3.0),
        (lambda x: np.exp(-(x**2)) * np.sin(3 * x), -5.0, 6.0),
        (np.ones_like, 2.0, 2.0),
    ],
)
def test_interpolant_is_as_good_as_it_says(function, low: float, high: float) -> None:
    found = Interpolant.of(lambda x: (function(x), 0 * x), low, high, tolerance=1e-13)
    x = RNG.uniform(low, high, (50, 40))
    values, errors = found.with_errors(x)
    assert values.shape == x.shape
    assert np.array_equal(values, found(x))
    rounding = 2e-13 * np.abs(function(x))  # of places, where the function is steep
    assert np.all(np.abs(values - function(x)) <= errors + rounding)
    assert np.all(errors <= 1e-11 * np.abs(function(x)).max())


def test_interpolant_keeps_the_errors_of_its_function() -> None:
    found = Interpolant.of(lambda x: (x, np.where(x < 0, 0.1, 0.0)), -1.0, 1.0, tolerance=1e-9)
    assert found.with_errors(np.array([-0.5]))[1][0] >= 0.1


def test_interpolant_ends_where_the_function_is_noise() -> None:
    noise = np.random.default_rng(1)
    calls = []

    def noisy(x):
        calls.append(len(x))
        return np.exp(x) * (1 + 1e-11 * noise.standard_normal(len(x))), 0 * x

    found = Interpolant.of(noisy, 0.0, 1.0, tolerance=1e-14)
    assert sum(calls) < 1000
    assert found(np.array([0.3]))[0] == pytest.approx(np.exp(0.3), rel=1e-10)
