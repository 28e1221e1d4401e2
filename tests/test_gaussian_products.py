"""Averages on products of rules against closed forms."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.special import ndtr
from scipy.stats import norm

from rmt_jacobian.cells import relu, sigmoid
from rmt_jacobian.gaussian_panels import Bends
from rmt_jacobian.gaussian_products import Axis, product_average
from rmt_jacobian.mean_field.averages.quadrature import joint_average


def test_a_kink_beside_smooth_variables():
    kink = Bends.at([(0.5, np.inf)])
    axes = (Axis(1.0, 2.0, kink), Axis(-3.0, 0.5), Axis(0.0, 0.0))
    found = product_average(lambda x, y, z: np.maximum(x - 0.5, 0) * np.exp(y) + z, axes)
    std = math.sqrt(2.0)
    ramp = 0.5 * ndtr(0.5 / std) + std * norm.pdf(0.5 / std)
    assert found.value == pytest.approx(ramp * math.exp(-3.0 + 0.25), rel=1e-11)
    assert abs(found.value / (ramp * math.exp(-2.75)) - 1) <= found.error / found.size + 1e-13


def test_nodes_are_added_along_the_axis_that_needs_them():
    asked = []

    def function(x, y):
        asked.append((x.size, y.size))
        return np.cos(18 * x) * (1 + y * y)

    found = product_average(function, (Axis(0.0, 1.0), Axis(0.0, 1.0)))
    assert found.value == pytest.approx(2 * math.exp(-162.0), abs=1e-9)
    assert asked[1][0] > 1.9 * asked[0][0]
    assert asked[1][1] == asked[0][1]


def test_an_error_that_is_too_large_is_seen():
    found = product_average(lambda x, y: 1.0 * (x > 0.1234) + 0 * y, (Axis(0.0, 1.0),) * 2)
    assert found.error > 1e-9 * found.size


def test_too_many_nodes_are_no_answer():
    assert product_average(lambda *x: sum(x), (Axis(0.0, 1.0),) * 8) is None


def test_expressions_whose_kink_lies_along_one_variable():
    a, b, c = sp.symbols("a b c", real=True)
    laws = {a: (4.0, 1.3), b: (-15.0, 0.4), c: (-6.0, 0.3)}
    expression = sp.tanh(a / 4 + sp.erf(b + c)) * relu(a - sp.Rational(1, 2)) * sigmoid(b)
    rng = np.random.default_rng(3)
    x, y, z = (m + math.sqrt(v) * rng.standard_normal(2_000_000) for m, v in laws.values())
    drawn = np.tanh(x / 4 - 1) * np.maximum(x - 0.5, 0) / (1 + np.exp(-y))  # erf(b + c) is -1
    error = drawn.std() / math.sqrt(len(z))
    assert abs(joint_average(expression, laws) - drawn.mean()) < 4 * error
    assert error < 2e-3 * abs(drawn).mean()
