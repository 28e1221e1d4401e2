"""Averages at many means against closed forms."""

import mpmath
import numpy as np
import pytest
from scipy.stats import norm

from rmt_jacobian.gaussian_many import PairOfFunctions, averages_at
from rmt_jacobian.gaussian_panels import Bends

KINK = Bends.at([(0.0, np.inf)])


def ramp(e):
    return np.maximum(e, 0.0)


def mean_of_ramp(mean, std):
    return mean * norm.cdf(mean / std) + std * norm.pdf(mean / std)


def test_averages_keep_their_digits_where_the_kink_is_far():
    means = np.array([-20.0, -9.0, 0.3, 4.0])
    found = averages_at(ramp, means, 1.0, KINK)
    t = -means[:2]  # by Laplace's continued fraction, as the closed form cancels
    ratio = np.zeros(2)
    for k in range(400, 0, -1):
        ratio = k / (t + ratio)
    tail = norm.pdf(t) * ratio / (t + ratio)
    np.testing.assert_allclose(found.values[:2], tail, rtol=1e-11)
    np.testing.assert_allclose(found.values[2:], mean_of_ramp(means[2:], 1.0), rtol=1e-13)
    assert np.all(found.errors <= 1e-11 * found.sizes)


def test_a_value_that_is_not_finite_spoils_the_means_that_see_it():
    def ends(e):
        return np.where(e > 30.0, np.inf, e)

    found = averages_at(ends, np.array([1.0, 29.0]), 1.0, Bends.at([(30.0, 0.0)]))
    assert abs(found.values[0] - 1.0) < 1e-13
    assert found.errors[0] < 1e-12
    assert np.isinf(found.errors[1])


def step(e):
    return 1.0 * (e > 0)


@pytest.mark.parametrize("correlation", [-0.9, -0.3, 0.0, 0.5, 0.99])
def test_pairs_of_steps_are_the_probability_of_a_quadrant(correlation):
    std = 1.5
    means = np.linspace(-2.0, 3.0, 11)
    pair = PairOfFunctions(step, step, (KINK, KINK), (-2.0, 3.0), std, correlation)
    found = pair.averages(means)
    rest = mpmath.sqrt(1 - mpmath.mpf(correlation) ** 2)
    known = [
        float(
            mpmath.quad(
                lambda z, m=m: mpmath.npdf(z) * mpmath.ncdf((m / std + correlation * z) / rest),
                [-m / std, -m / std + 1, -m / std + 3, 15],
            )
        )
        for m in means
    ]
    np.testing.assert_allclose(found.values, known, rtol=1e-10)
    assert np.all(found.errors <= 1e-9 * found.sizes)


def legendre(ends):
    """Nodes and weights of 24 points between neighbours of ``ends``."""
    nodes, weights = np.polynomial.legendre.leggauss(24)
    halves = np.diff(ends)[:, None] / 2
    centres = (ends[1:] + ends[:-1])[:, None] / 2
    return (centres + halves * nodes).ravel(), (halves * weights).ravel()


def average_by_legendre(mean, std, correlation):
    """E[relu(e_1) tanh(e_2)]: panels over e_1 from the kink on, and over e_2 given e_1."""
    e, weights = legendre(np.array([0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0]))
    z, inner = legendre(np.linspace(-9.0, 9.0, 19))
    own = std * np.sqrt((1 - correlation) * (1 + correlation))
    centres = mean + correlation * (e - mean)
    averages = np.tanh(centres[:, None] + own * z) @ (inner * norm.pdf(z))
    return float(weights @ (e * norm.pdf(e, mean, std) * averages))


@pytest.mark.parametrize(
    ("mean", "correlation"), [(0.4, -0.6), (-1.5, 0.999), (-3.0, 0.3), (1.0, -0.9999)]
)
def test_pairs_of_a_ramp_and_a_saturating_function(mean, correlation):
    pair = PairOfFunctions(
        ramp, np.tanh, (KINK, Bends.at([(0.0, 1.0)])), (-3.0, 1.0), 0.8, correlation
    )
    found = pair.averages(np.array([mean]))
    known = average_by_legendre(mean, 0.8, correlation)
    assert found.values[0] == pytest.approx(known, rel=1e-10, abs=0)
    assert found.errors[0] <= 1e-9 * found.sizes[0]


def test_pairs_whose_average_comes_from_the_tail_say_so():
    pair = PairOfFunctions(ramp, ramp, (KINK, KINK), (-7.0, 1.0), 1.0, -0.5)
    found = pair.averages(np.array([-7.0, 1.0]))
    assert not found.errors[0] <= 1e-6 * found.sizes[0]
    assert found.errors[1] <= 1e-10 * found.sizes[1]
    assert pair.largest == pytest.approx(found.sizes[1], rel=1e-3)
