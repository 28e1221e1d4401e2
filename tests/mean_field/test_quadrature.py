"""Averages of expressions with kinks, jumps and steep places against quadrature in SciPy."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.special import ndtr

from rmt_jacobian.cells import relu
from rmt_jacobian.errors import ConvergenceError, HypothesisError, ParameterError
from rmt_jacobian.mean_field.averages.bends import nested_bends
from rmt_jacobian.mean_field.averages.quadrature import (
    expression_average,
    joint_average,
    pair_expression_average,
    pair_expression_slope,
)
from tests.mean_field.kinked import ACTIVATIONS, JUMPS, average, pair_average

e = sp.Symbol("e", real=True)
a, b, c = sp.symbols("a b c", real=True)
LAWS = [(0.0, 1.0), (0.7, 9.0), (-1.3, 0.04)]


@pytest.mark.parametrize(("mean", "variance"), LAWS)
@pytest.mark.parametrize("name", [*ACTIVATIONS, *JUMPS])
def test_one_variable(name, mean, variance):
    if name in ACTIVATIONS:
        phi, f, _, breaks = ACTIVATIONS[name]
    else:
        phi, f, jumps = JUMPS[name]
        breaks = [place for place, _ in jumps]
    for power in (1, 2, 4):
        found = expression_average(phi(e) ** power, e, mean, variance)
        expected = average(lambda t, n=power: f(t) ** n, mean, variance, breaks)
        size = average(lambda t, n=power: abs(f(t)) ** n, mean, variance, breaks)
        assert found == pytest.approx(expected, abs=1e-10 * size + 1e-13)


@pytest.mark.parametrize(
    ("expression", "width"),
    [
        (sp.sech(10**6 * (e - sp.Rational(1, 3))).rewrite(sp.cosh), math.pi / 1e6),
        (sp.exp(-(10**10) * (e - sp.Rational(1, 3)) ** 2), math.sqrt(math.pi) / 1e5),
        (1 / (1 + 10**12 * (e - sp.Rational(1, 3)) ** 2), math.pi / 1e6),
    ],
)
def test_peaks_far_narrower_than_the_nodes_are_apart(expression, width):
    found = expression_average(expression, e, 0.0, 1.0)
    exact = width * math.exp(-1 / 18) / math.sqrt(2 * math.pi)
    assert found == pytest.approx(exact, rel=1e-5)  # the tails of the last one are wide


def test_a_vanishing_variance_means_both_sides_of_a_kink():
    slope = relu(e).diff(e)
    assert expression_average(slope, e, 0.0, 0.0) == 0.5
    assert expression_average(slope, e, 0.0, 1e-20) == pytest.approx(0.5, rel=1e-14)
    assert expression_average(sp.tanh(e), e, 0.4, 0.0) == pytest.approx(math.tanh(0.4), rel=1e-15)


@pytest.mark.parametrize("expression", [1 / sp.Abs(e), sp.exp(e**2), sp.log(e)])
def test_averages_that_do_not_exist(expression):
    with pytest.raises(ConvergenceError):
        expression_average(expression, e, 0.0, 1.0)


@pytest.mark.parametrize("name", ["abs", "composed", "shifted hard", "steep"])
@pytest.mark.parametrize(
    ("mean", "variance", "c"), [(0.0, 1.0, 0.5), (0.7, 4.0, -0.8), (-0.3, 0.5, 0.99)]
)
def test_two_variables(name, mean, variance, c):
    phi, f, _, breaks = ACTIVATIONS[name]
    found = pair_expression_average(phi(e), phi(e), e, mean, variance, c)
    assert found == pytest.approx(pair_average(f, f, mean, variance, c, breaks), rel=1e-9)


@pytest.mark.parametrize("c", [-1.0, 0.0, 0.5, 1.0])
@pytest.mark.parametrize("variance", [0.0, 0.77])
def test_beside_a_constant_a_pair_is_one_variable(variance, c):
    composed, two = sp.tanh(sp.sin(e)), sp.Integer(2)
    alone = average(lambda t: math.tanh(math.sin(t)), 0.4, 0.77, []) if variance else None
    expected = 2 * (math.tanh(math.sin(0.4)) if alone is None else alone)
    for pair in ((two, composed), (composed, two)):
        assert pair_expression_average(*pair, e, 0.4, variance, c) == pytest.approx(expected)
    with pytest.raises(ParameterError, match="correlation"):
        pair_expression_average(two, composed, e, 0.4, variance, 1.5)


def test_slopes_of_what_saturates_keep_their_digits():
    """1 - tanh(4 e)^2 is mostly 0 in floating point, and what is left of it is the average."""
    mean, variance = -4.13, 0.2569
    slope = (1 - sp.tanh(4 * e) ** 2) * (1 + 9 * sp.Heaviside(e))
    expected = average(
        lambda t: (1 + 9 * (t > 0)) / math.cosh(4 * t) ** 2, mean, variance, [-2.07, 0.0]
    )
    assert expression_average(slope, e, mean, variance) == pytest.approx(expected, rel=1e-9, abs=0)


@pytest.mark.parametrize("c", [-1.0, -0.999999, -0.5, 0.0, 0.3, 0.9, 1 - 1e-7, 1 - 1e-12, 1.0])
def test_the_arc_cosine_kernels(c):
    """Cho and Saul (2009), orders 0 and 1."""
    q, angle = 2.0, math.acos(c)
    step = pair_expression_average(relu(e).diff(e), relu(e).diff(e), e, 0.0, q, c)
    assert step == pytest.approx((math.pi - angle) / (2 * math.pi), abs=1e-9)
    kink = pair_expression_average(relu(e), relu(e), e, 0.0, q, c)
    kernel = (math.sin(angle) + (math.pi - angle) * c) / (2 * math.pi)
    assert kink == pytest.approx(q * kernel, abs=1e-12)
    assert pair_expression_slope(relu(e), relu(e), e, 0.0, q, c) == pytest.approx(step, abs=1e-14)


@pytest.mark.parametrize("c", [-0.9, 0.0, 0.4, 0.99, 1 - 1e-8])
def test_the_slope_across_jumps(c):
    """P(e_1 > 0, e_2 > 0) = 1/4 + asin(c) / (2 pi), and sign = 2 step - 1."""
    found = pair_expression_slope(sp.sign(e), sp.sign(e), e, 0.0, 3.0, c)
    assert found == pytest.approx(2 / (math.pi * math.sqrt(1 - c * c)) / 3, rel=1e-7)


@pytest.mark.parametrize("name", JUMPS)
def test_the_slope_is_the_derivative(name):
    phi, f, jumps = JUMPS[name]
    breaks, mean, q, c, step = [place for place, _ in jumps], 0.2, 1.5, 0.6, 1e-3
    high, low = (pair_average(f, f, mean, q, c + s, breaks) for s in (step, -step))
    wide, far = (pair_average(f, f, mean, q, c + s, breaks) for s in (2 * step, -2 * step))
    by_difference = (8 * (high - low) - (wide - far)) / (12 * step) / q
    found = pair_expression_slope(phi(e), phi(e), e, mean, q, c)
    assert found == pytest.approx(by_difference, rel=1e-7)


def test_fully_correlated_jumps_have_no_finite_slope():
    for jump in (sp.Heaviside(e - 1), sp.sign(e)):
        assert pair_expression_slope(jump, jump, e, 0.3, 1.0, 1.0) == math.inf
    assert math.isfinite(pair_expression_slope(sp.Heaviside(e - 1), relu(e), e, 0.3, 1.0, 1.0))


def relu_average(mean, variance):
    std = math.sqrt(variance)
    z = mean / std
    return mean * ndtr(z) + std * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


MIXED = {a: (0.3, 1.0), b: (-0.2, 3.0), c: (0.1, 2.0)}


def test_functions_of_a_sum_are_functions_of_one_variable():
    assert joint_average(relu(a + 2 * b), MIXED) == pytest.approx(relu_average(-0.1, 13.0))
    assert joint_average(relu(a + b - c), MIXED) == pytest.approx(relu_average(0.0, 6.0))
    squared = joint_average(sp.tanh(10 * a - 20 * b + 1) ** 2, MIXED)
    expected = average(lambda t: math.tanh(t) ** 2, 8.0, 1300.0, [-3, -1, 0, 1, 3])
    assert squared == pytest.approx(expected, rel=1e-10)


def test_kinks_that_mix_variables():
    """E[max(a, b)] of Gaussians (Clark 1961), and a product of two kinks."""
    theta = math.sqrt(4.0)
    alpha = 0.5 / theta
    density = math.exp(-alpha * alpha / 2) / math.sqrt(2 * math.pi)
    expected = 0.3 * ndtr(alpha) - 0.2 * ndtr(-alpha) + theta * density
    assert joint_average(sp.Max(a, b), MIXED) == pytest.approx(expected, rel=1e-12)
    product = joint_average(relu(a) * relu(a + b), MIXED)
    expected = average(lambda t: max(t, 0) * relu_average(t - 0.2, 3.0), 0.3, 1.0, [0.0])
    assert product == pytest.approx(expected, rel=1e-10)
    crossed = joint_average(relu(a * b), MIXED)  # (E|ab| + E[ab]) / 2
    folded = [2 * relu_average(*MIXED[s]) - MIXED[s][0] for s in (a, b)]
    assert crossed == pytest.approx((folded[0] * folded[1] - 0.06) / 2, rel=1e-10)


def test_what_cannot_be_averaged_is_refused():
    with pytest.raises(HypothesisError, match="other than linearly"):
        joint_average(relu(sp.tanh(a * b) + sp.sin(a * b)), MIXED)


def test_large_variances_of_smooth_functions_of_two_variables():
    """Graded nodes lie near 0, but tanh(a b) turns elsewhere."""
    laws = {a: (5.0, 1.0), b: (3.0, 100.0)}
    x, w = np.polynomial.legendre.leggauss(400)
    half = 9.0
    nodes = 5.0 + half * x
    density = half * w * np.exp(-((nodes - 5.0) ** 2) / 2) / math.sqrt(2 * math.pi)
    expected = sum(
        weight * average(lambda t, p=p: math.tanh(p * (t - 7)), 3.0, 100.0, [7.0])
        for p, weight in zip(nodes, density, strict=True)
        if weight > 1e-13
    )
    assert joint_average(sp.tanh(a * (b - 7)), laws) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("variance", [0.02, 0.7, 30.0])
def test_bends_are_those_of_every_mean(variance):
    """Laws that are near share the bends that are found, whichever of them comes first."""
    kink = relu(sp.tanh(e) - sp.Rational(1, 2)) + relu(e**2 - 3)
    places, std = [-math.sqrt(3), math.atanh(0.5), math.sqrt(3)], math.sqrt(variance)
    for mean in (-4.1, 0.3, 1.9, 2.1, 40.0):
        found = expression_average(kink, e, mean, variance)
        expected = average(
            lambda t: max(math.tanh(t) - 0.5, 0) + max(t * t - 3, 0), mean, variance,
            [p for p in places if abs(p - mean) < 9 * std],
        )  # fmt: skip
        assert found == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_turns_behind_a_gate_that_is_closed_are_out_of_reach():
    """tanh(b e^a + 100 c) turns in b over a width of 100 e^-a, which overflows at a = -709."""
    a, b, c = sp.symbols("a b c", real=True)
    laws = {symbol: (0.0, 1.0) for symbol in (a, b, c)}
    _, middle, _ = nested_bends(sp.tanh(b * sp.exp(a) + 100 * c), laws)
    found = middle(np.array([0.0, -709.0]))
    assert found.scales[0].min() == pytest.approx(100, rel=1e-2)
    assert found.scales[1].min() == np.inf
