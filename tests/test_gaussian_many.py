"""Averages at many means against closed forms."""

import numpy as np
from scipy.stats import norm

from rmt_jacobian.gaussian_many import averages_at
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
