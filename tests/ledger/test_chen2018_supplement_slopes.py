"""Equations (25) to (40) of Chen et al. (2018): the supplement, near the fixed point."""

import math
from functools import partial

import numpy as np
import pytest
from scipy.special import expit

from rmt_jacobian.cells import minimalrnn
from rmt_jacobian.derive import (
    printed_correlation_slope,
    printed_variance_slope,
    printed_variance_slope_31,
)
from rmt_jacobian.gaussian import bivariate_rule
from rmt_jacobian.mean_field import CorrelationMap, variance_slope
from tests.ledger.independent import (
    BIASED,
    FIGURE_1,
    LONG_MEMORY,
    average,
    difference_quotient,
    next_covariance,
    next_variance,
    pair_average,
    pair_covariance,
    preactivation_variance,
    slope_of_sigmoid,
    stationary,
)
from tests.ledger.near import SIGMA_12, one_step, simulated
from tests.ledger.verdicts import agrees, differs, documented, parameters, solved
from tests.mean_field.two_routes import by_map

POINTS = [FIGURE_1, LONG_MEMORY, BIASED]


def standard(f):
    """The integral of f(z) over the standard normal law."""
    return average(f, 0.0, 1.0)


def zeta(point):
    """sqrt(q*), and the map z -> sqrt(q*) z + mu_b."""
    root = math.sqrt(stationary(point)[1])
    return root, lambda z: root * z + point.bias_mean


def map_slope(point):
    """The slope of Q^{t-1} -> Q^t at Q*, by differences."""
    return difference_quotient(partial(next_variance, point), stationary(point)[0], 2e-3)


def perturbed(point, size):
    """eps^{t-1}, eps^t and q^t when Q^{t-1} = Q* + eps^{t-1}; by the package."""
    Q, _ = stationary(point)
    q, _, after, _ = one_step(point, Q + size)
    return size, after - Q, q


def test_equation_25():
    point = FIGURE_1
    Q, q_star = stationary(point)
    before, after, q = perturbed(point, 0.2)
    right, printed = (q_star + point.weight_std**2 * eps for eps in (before, after))
    assert q == pytest.approx(right, rel=1e-9)
    rows = [np.mean(e**2) for _, e in simulated(point, Q + before, 0.0, seed=25)]
    agrees(rows, q)
    differs(rows, printed)
    documented("(25)", printed, right)


def remainders(point, f, first_order):
    """What f(q^t) leaves over its first order in eps^{t-1}, and in eps^t, at two sizes."""
    sizes = (1e-3, 5e-4)
    runs = [perturbed(point, size) for size in sizes]
    _, q_star = stationary(point)
    at_fixed_point = f(q_star)
    return [[abs(f(q) - at_fixed_point - first_order * eps[k]) for *eps, q in runs] for k in (0, 1)]


def check_second_order(right, printed):
    """Halving eps quarters the remainder if the first order is right, and else halves it."""
    assert right[0] / right[1] == pytest.approx(4, rel=0.02)
    assert printed[0] / printed[1] == pytest.approx(2, rel=0.02)
    assert printed[1] > 50 * right[1]


def test_equation_26():
    point = FIGURE_1
    root, _ = zeta(point)
    check_second_order(*remainders(point, math.sqrt, point.weight_std**2 / (2 * root)))


def test_equation_27():
    point, z = LONG_MEMORY, -1.3
    root, at = zeta(point)
    first = point.weight_std**2 * z * slope_of_sigmoid(at(z)) / (2 * root)
    check_second_order(
        *remainders(point, lambda q: expit(math.sqrt(q) * z + point.bias_mean), first)
    )


@pytest.mark.parametrize("point", POINTS)
def test_equation_28(point):
    """The map near Q*, the Gaussian spelled out with q* + sigma_w^2 eps^{t-1}."""
    Q, q_star = stationary(point)
    for eps in (-0.05, 0.1):
        root = math.sqrt(q_star + point.weight_std**2 * eps)
        kept = standard(lambda z, r=root: expit(r * z + point.bias_mean) ** 2)
        written = standard(lambda z, r=root: (1 - expit(r * z + point.bias_mean)) ** 2)
        expected = (Q + eps) * kept + point.input_variance * written
        assert one_step(point, Q + eps)[2] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("point", POINTS)
def test_equation_29(point):
    """Order zero, and the part of the first order that does not pass through q."""
    Q, _ = stationary(point)
    _, at = zeta(point)
    kept = standard(lambda z: expit(at(z)) ** 2)
    written = standard(lambda z: (1 - expit(at(z))) ** 2)
    law = solved(point)
    assert law.state_variance == pytest.approx(Q * kept + point.input_variance * written)
    assert law.direct_gain == pytest.approx(kept, rel=1e-9)


def through_q(point):
    """sigma_w^2 dQ^t / dq^t at the fixed point, by differences."""
    Q, q_star = stationary(point)

    def mapped(q):
        kept, written = (
            average(lambda e, s=sign: expit(s * e) ** 2, point.bias_mean, q) for sign in (1, -1)
        )
        return Q * kept + point.input_variance * written

    return point.weight_std**2 * difference_quotient(mapped, q_star, 1e-2)


def bent(point, power):
    """The integrals of (30) with sqrt(q*)^power in front of the second one."""
    Q, _ = stationary(point)
    root, at = zeta(point)
    up = standard(lambda z: z * expit(at(z)) * slope_of_sigmoid(at(z)))
    down = standard(lambda z: z * (1 - expit(at(z))) * slope_of_sigmoid(at(z)))
    squared = point.weight_std**2
    return Q / root * squared * up - point.input_variance * root**power * squared * down


@pytest.mark.parametrize("point", [LONG_MEMORY, BIASED, FIGURE_1])
def test_equation_30(point):
    law, right = solved(point), through_q(point)
    assert variance_slope(law) - law.direct_gain == pytest.approx(right, rel=1e-6)
    assert bent(point, -1) == pytest.approx(right, rel=1e-6)
    assert abs(bent(point, 1) - right) > 0.2
    if point == FIGURE_1:
        documented("(30)", bent(point, 1), right)


@pytest.mark.parametrize("point", [LONG_MEMORY, BIASED, FIGURE_1])
def test_equation_31(point):
    law, right = solved(point), map_slope(point)
    assert variance_slope(law) == pytest.approx(right, rel=1e-7)
    printed = printed_variance_slope_31(law)
    assert printed == pytest.approx(law.direct_gain + bent(point, 1), rel=1e-9)
    assert abs(printed - right) > 0.2
    if point == FIGURE_1:
        documented("(31)", printed, right)


def slope_by(point, derivative, with_z=True):
    """The integral of (32) to (34), and of (36) without z."""
    Q, _ = stationary(point)
    root, at = zeta(point)
    R = point.input_variance
    factor = point.weight_std**2 / root

    def integrand(z):
        u = expit(at(z))
        bracket = ((Q + R) * u - R) * derivative(at(z))
        return u**2 + factor * bracket * (z if with_z else 1.0)

    return standard(integrand)


def logistic_product(e):
    return expit(e) * (1 - expit(e))


def complex_slope(e, step=1e-30):
    """sigma'(e) by a complex step, exact to rounding."""
    return (1 / (1 + np.exp(-(e + 1j * step)))).imag / step


def check_slope(point, value):
    right = map_slope(point)
    assert value == pytest.approx(right, rel=1e-7)
    assert variance_slope(solved(point)) == pytest.approx(right, rel=1e-7)


@pytest.mark.parametrize("point", POINTS)
def test_equation_32(point):
    check_slope(point, slope_by(point, complex_slope))


@pytest.mark.parametrize("point", POINTS)
def test_equation_33(point):
    e = np.linspace(-8, 8, 33)
    np.testing.assert_allclose(logistic_product(e), complex_slope(e), rtol=1e-12)
    check_slope(point, slope_by(point, logistic_product))


@pytest.mark.parametrize("point", POINTS)
def test_equation_34(point):
    """The line repeats (33); here from the ratio of successive deviations."""
    Q, _ = stationary(point)
    size = 1e-5
    up, down = ((next_variance(point, Q + s * size) - Q) / (s * size) for s in (1, -1))
    assert slope_by(point, logistic_product) == pytest.approx((up + down) / 2, rel=1e-6)
    assert variance_slope(solved(point)) == pytest.approx((up + down) / 2, rel=1e-6)


@pytest.mark.parametrize("point", POINTS)
def test_equation_35(point):
    """|q^t - q*| from step 24 to step 30, after a start far away."""
    Q_star, q_star = stationary(point)
    Q, gaps = Q_star + 0.3, []
    for _ in range(30):
        Q = next_variance(point, Q)
        gaps.append(abs(preactivation_variance(point, Q) - q_star))
    scale = by_map(minimalrnn, parameters(point)).variance_timescale
    assert math.log(gaps[23] / gaps[29]) == pytest.approx(6 / scale, rel=1e-3)


@pytest.mark.parametrize("point", [LONG_MEMORY, BIASED, FIGURE_1])
def test_equation_36(point):
    law, right = solved(point), map_slope(point)
    assert variance_slope(law) == pytest.approx(right, rel=1e-7)
    printed = slope_by(point, slope_of_sigmoid, with_z=False)
    assert printed_variance_slope(law) == pytest.approx(printed, rel=1e-9)
    assert abs(printed - right) > 0.05
    if point == FIGURE_1:
        documented("(36)", printed, right, -1 / math.log(printed), -1 / math.log(right))


@pytest.mark.parametrize("point", POINTS)
def test_equation_37(point):
    Q, _ = stationary(point)
    ours = CorrelationMap(solved(point), SIGMA_12)
    expected = next_covariance(point, Q * 0.4, SIGMA_12) / Q
    assert ours.next(0.4) == pytest.approx(expected, rel=1e-9)
    rows = [np.mean(h[:, 0] * h[:, 1]) for h, _ in simulated(point, Q, 0.4, seed=37)]
    agrees(rows, Q * ours.next(0.4))


@pytest.mark.parametrize("point", POINTS)
def test_equation_38(point):
    Q, q = stationary(point)
    ours = CorrelationMap(solved(point), SIGMA_12).preactivation_correlation(0.4)
    rows = [np.mean(e[:, 0] * e[:, 1]) for _, e in simulated(point, Q, 0.4, seed=38)]
    agrees(rows, q * ours)


@pytest.mark.parametrize("c", [-0.7, 0.0, 0.3, 0.95])
def test_equation_39(c):
    """Mixed moments of the two variables, by Isserlis' theorem."""
    mean, q = 0.8, 3.0
    rule = bivariate_rule(mean, q, c)
    first, second = rule.first - mean, rule.second - mean
    assert rule.average(first * second) == pytest.approx(q * c, abs=1e-12)
    assert rule.average(second**2) == pytest.approx(q)
    assert rule.average(first**2 * second**2) == pytest.approx(q**2 * (1 + 2 * c**2))
    assert rule.average(first * second**3) == pytest.approx(3 * q**2 * c, abs=1e-12)
    assert rule.average(np.cos(rule.first - 2 * rule.second)) == pytest.approx(
        math.cos(mean) * math.exp(-q * (5 - 4 * c) / 2), abs=1e-12
    )


@pytest.mark.parametrize("point", [LONG_MEMORY, BIASED, FIGURE_1])
def test_equation_40(point):
    """Without its undefined J_-, and with what this must be."""
    Q, q = stationary(point)
    C = 0.4
    covariance = partial(next_covariance, point, sigma_12=SIGMA_12)
    right = difference_quotient(covariance, Q * C, 1e-3)
    ours = CorrelationMap(solved(point), SIGMA_12)
    assert ours.slope(C) == pytest.approx(right, rel=1e-8)
    c = pair_covariance(point, Q * C, SIGMA_12) / q
    both = pair_average(expit, expit, point.bias_mean, q, c)
    slopes = pair_average(slope_of_sigmoid, slope_of_sigmoid, point.bias_mean, q, c)
    squares = point.weight_std**2 - point.input_std**2
    J = (squares * point.input_variance * SIGMA_12 - point.bias_std**2) / q
    assert both + q * (c + J) * slopes == pytest.approx(right, rel=1e-8)
    without = both + q * c * slopes
    assert abs(without - right) > 1e-4  # J_- is nearly zero at the point with a bias
    if point == FIGURE_1:
        assert printed_correlation_slope(ours, C) == pytest.approx(right, rel=1e-8)
        documented("(40)", without, right, J)
