"""Averages by panels against closed forms, and their estimates of the error."""

import math

import numpy as np
import pytest
from scipy.special import ndtr

from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.gaussian_nested import Level, nested_average
from rmt_jacobian.gaussian_panels import Bends, panel_average

LAWS = [(0.0, 1.0), (0.7, 9.0), (-1.3, 0.04), (2.0, 1e4)]


@pytest.mark.parametrize(("mean", "variance"), LAWS)
@pytest.mark.parametrize("known", [True, False])
def test_a_kink_and_a_jump(mean, variance, known):
    place, std = 0.3, math.sqrt(variance)
    bends = Bends.at([(place, math.inf)]) if known else None
    z = (mean - place) / std
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    jump = panel_average(lambda e: 1.0 * (e > place), mean, variance, bends)
    kink = panel_average(lambda e: np.maximum(e - place, 0), mean, variance, bends)
    for found, exact in ((jump, ndtr(z)), (kink, std * (z * ndtr(z) + density))):
        assert abs(found.value - exact) <= 1e-12 * exact + found.error
        assert found.error <= 1e-9 * exact


@pytest.mark.parametrize("scale", [1e-1, 1e-3, 1e-5, 1e-7])
def test_a_narrow_peak_that_is_announced_is_not_missed(scale):
    centre = 1 / 3
    found = panel_average(
        lambda e: np.exp(-(((e - centre) / scale) ** 2) / 2), 0.2, 2.0, Bends.at([(centre, scale)])
    )
    total = 2.0 + scale**2  # a Gaussian of width scale times one of variance 2
    exact = scale / math.sqrt(total) * math.exp(-((centre - 0.2) ** 2) / (2 * total))
    assert found.value == pytest.approx(exact, rel=1e-15 / scale + 1e-11)


@pytest.mark.parametrize("frequency", [1.0, 30.0, 1000.0])
def test_oscillations(frequency):
    found = panel_average(lambda e: np.sin(frequency * e) ** 2, 0.3, 1.0)
    damping = math.exp(-2 * frequency**2)
    assert found.value == pytest.approx((1 - damping * math.cos(0.6 * frequency)) / 2, abs=1e-11)


def test_a_root_and_moments_that_grow():
    root = panel_average(lambda e: np.abs(e) ** -0.5, 0.0, 1.0, Bends.at([(0.0, math.inf)]))
    exact = 2**-0.25 * math.gamma(0.25) / math.sqrt(math.pi)
    assert root.value == pytest.approx(exact, rel=1e-11)
    grown = panel_average(np.exp, 0.0, 100.0)  # log-normal: its mass lies 10 deviations out
    assert grown.value == pytest.approx(math.exp(50), rel=1e-10)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda e: 1 / np.abs(e), "may be infinite"),
        (lambda e: np.exp(e * e / 2), "37 standard deviations"),
        (lambda e: np.log(np.minimum(e, -1)), "not finite"),
    ],
)
def test_averages_that_do_not_exist_are_refused(function, words):
    with np.errstate(all="ignore"), pytest.raises(ConvergenceError, match=words):
        panel_average(function, 0.0, 1.0, Bends.at([(0.0, math.inf)]))


def test_bad_laws_are_refused():
    for law in ((0.0, -1.0), (math.nan, 1.0), (0.0, math.inf)):
        with pytest.raises(ParameterError, match="variance >= 0"):
            panel_average(np.cos, *law)


def test_the_estimate_bounds_the_error():
    """Kinks that are not announced: random places, error against the closed form."""
    rng = np.random.default_rng(0)
    for place in rng.normal(size=30):
        found = panel_average(lambda e, k=place: np.abs(e - k) ** 1.5, place, 1.0)
        exact = 2**0.75 * math.gamma(1.25) / math.sqrt(math.pi)
        assert abs(found.value - exact) <= found.error + 1e-14
        assert found.error <= 1e-9


def test_two_variables_with_a_kink_across_them():
    def kink(x):
        return Bends(-x[:, None] / 2, np.full((len(x), 1), np.inf))

    levels = [Level(lambda: (0.3, 1.0), Bends.none), Level(lambda x: (-0.2, math.sqrt(3)), kink)]
    found = nested_average(lambda x, y: np.maximum(x + 2 * y, 0), levels)
    mean, std = 0.3 - 0.4, math.sqrt(13)
    density = math.exp(-((mean / std) ** 2) / 2) / math.sqrt(2 * math.pi)
    assert found.value == pytest.approx(mean * ndtr(mean / std) + std * density, rel=1e-12)


def test_wide_inner_panels_are_refused():
    levels = [
        Level(lambda: (0.0, 1.0), Bends.none),
        Level(lambda x: (0.0, 1.0), lambda x: Bends.none()),
    ]
    with pytest.raises(ConvergenceError, match="inner panels"):
        nested_average(lambda x, y: np.abs(y - 0.3) + 0 * x, levels)


def test_a_spread_far_below_the_mean():
    found = panel_average(lambda e: np.maximum(e - 20, 0), 20.0, 1e-8, Bends.at([(20.0, math.inf)]))
    assert found.value == pytest.approx(1e-4 / math.sqrt(2 * math.pi), rel=1e-10)
