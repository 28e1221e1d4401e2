"""Closed averages of sines and cosines, against points of their own."""

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.mean_field.averages.quadrature import (
    expression_average,
    pair_expression_average,
)
from rmt_jacobian.mean_field.averages.waves import waves_in

e = sp.Symbol("e", real=True)
EXPRESSIONS = (
    sp.sin(e) ** 2,
    sp.cos(3 * e - 1) ** 3 * sp.sin(e / 2),
    (1 - 2 * sp.cos(e)) ** 2 + sp.sqrt(2),
    sp.sin(sp.Rational(1, 3) + 2 * e) * sp.cos(e),
)


def plain(function, mean, variance):
    """Return an average by the trapezoidal rule, which is exact for what is analytic."""
    z = np.linspace(-12, 12, 40_001)
    values = function(mean + np.sqrt(variance) * z) * np.exp(-z * z / 2)
    return float(np.sum(values) * (z[1] - z[0]) / np.sqrt(2 * np.pi))


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
@pytest.mark.parametrize("variance", [0.3, 20.0, 400.0])
def test_averages_are_those_of_a_fine_rule(expression, variance):
    function = sp.lambdify(e, expression, "numpy")
    waves = waves_in(expression, e)
    for mean in (0.0, 0.7):
        right = plain(function, mean, variance)
        assert waves.averages(mean, variance) == pytest.approx(right, abs=2e-11)
        assert expression_average(expression, e, mean, variance) == pytest.approx(right, abs=1e-9)


@pytest.mark.parametrize("correlation", [-0.4, 0.0, 0.8, 1.0])
def test_averages_over_two_networks(correlation):
    one, two = sp.sin(e), sp.cos(2 * e) + sp.sin(e)
    z, w = np.polynomial.hermite_e.hermegauss(200)
    w = w / w.sum()
    variance, mean = 10.0, 0.3
    first = mean + np.sqrt(variance) * z[:, None]
    second = mean + np.sqrt(variance) * (
        correlation * z[:, None] + np.sqrt(1 - correlation**2) * z[None, :]
    )
    values = np.sin(first) * (np.cos(2 * second) + np.sin(second))
    right = float(w @ values @ w)
    found = pair_expression_average(one, two, e, mean, variance, correlation)
    assert found == pytest.approx(right, abs=1e-9)


@pytest.mark.parametrize(
    "expression", [e * sp.sin(e), sp.sin(e**2), sp.tanh(sp.sin(e)), 1 / sp.cos(e), e]
)
def test_other_functions_are_none(expression):
    assert waves_in(expression, e) is None


def test_waves_that_cancel_are_left_to_panels():
    """The function is 1e-8 and less, the waves are 1: eight digits would be lost."""
    expression = (1 - sp.cos(e / 1000)) * sp.cos(3 * e)
    assert not waves_in(expression, e).serve(0.0, 4.0)
    assert waves_in(sp.cos(3 * e), e).serve(0.0, 4.0)
    tiny = (1 - sp.cos(e / 1000)) * sp.cos(3 * e) ** 2
    function = sp.lambdify(e, 2 * sp.sin(e / 2000) ** 2 * sp.cos(3 * e) ** 2, "numpy")
    right = plain(function, 0.2, 4.0)
    assert expression_average(tiny, e, 0.2, 4.0) == pytest.approx(right, rel=1e-8)
