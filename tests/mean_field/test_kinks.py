"""Fields of networks whose activations have kinks, jumps or steep places, against SciPy."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import brentq

from rmt_jacobian.cells import Cell, Parameters, Preactivation, relu, vanilla_cell
from rmt_jacobian.derive import exact_second_moment
from rmt_jacobian.mean_field import (
    CorrelationMap,
    critical_weights,
    order_chaos_line,
    site_law,
    stable_correlation,
    timescale,
    trajectory,
    variance_slope,
)
from rmt_jacobian.mean_field.averages.fresh import FreshVariables
from rmt_jacobian.sampling import sample_singular_values
from rmt_jacobian.singular_values import singular_value_law
from tests.mean_field.kinked import ACTIVATIONS, JUMPS, average, pair_average
from tests.mean_field.two_routes import by_sites

QUARTER = {"weight_std": 1.0, "input_std": 0.5, "bias_mean": 0.0, "input_variance": 0.5}
POINT = {"weight_std": 0.8, "input_std": 0.7, "bias_mean": 0.2, "input_variance": 0.9}


def test_relu_in_closed_form():
    """E relu^2 = q/2 and E relu'^2 = 1/2: q* = q*/2 + 1/8."""
    relu = vanilla_cell("relu")
    law = site_law(relu, Parameters.of(relu, QUARTER))
    assert law.preactivation_variance == pytest.approx(0.25, rel=1e-14)
    assert law.chi1 == pytest.approx(0.5, rel=1e-14)
    assert timescale(variance_slope(law)) == pytest.approx(1 / math.log(2), rel=1e-12)
    # E[B^4] + (1 - 1/2 + 1/2) E[B^2]^2 with Gaussian W: 1/2 + 1/4.
    assert exact_second_moment(relu).evaluate(law, steps=1) == pytest.approx(0.75, rel=1e-13)


def test_relu_keeps_angles_as_the_arc_cosine_kernel_says():
    relu = vanilla_cell("relu")
    chaos = CorrelationMap(site_law(relu, Parameters.of(relu, QUARTER)), 0.3)

    def image(C):
        c = (C * 0.125 + 0.3 * 0.125) / 0.25
        return (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi

    expected = brentq(lambda C: image(C) - C, 0.0, 0.99, xtol=1e-14)
    assert stable_correlation(chaos).unwrap() == pytest.approx(expected, rel=1e-11)


def fixed_variance(f, breaks, p):
    def excess(q):
        state = average(lambda t: f(t) ** 2, p["bias_mean"], q, breaks)
        return p["weight_std"] ** 2 * state + p["input_std"] ** 2 * p["input_variance"] - q

    return brentq(excess, 1e-3, 60.0, xtol=1e-13)


@pytest.mark.parametrize("name", [*ACTIVATIONS, "step", "stairs"])
def test_fields(name):
    if name in ACTIVATIONS:
        phi, f, slope, breaks = ACTIVATIONS[name]
    else:
        (phi, f, jumps), slope = JUMPS[name], None
        breaks = [place for place, _ in jumps]
    values = dict(POINT, weight_std=0.03) if name == "steep" else POINT
    cell = vanilla_cell(phi)
    p = Parameters.of(cell, values)
    law = site_law(cell, p)
    mean, q = values["bias_mean"], law.preactivation_variance
    gain = values["weight_std"] ** 2

    def image(variance):
        return average(lambda t: f(t) ** 2, mean, variance, breaks)

    from_input = values["input_std"] ** 2 * values["input_variance"]
    assert q == pytest.approx(gain * image(q) + from_input, rel=1e-9)
    step = 1e-3 * q
    far = (image(q + 2 * step) - image(q - 2 * step)) / (4 * step)
    by_difference = (4 * (image(q + step) - image(q - step)) / (2 * step) - far) / 3
    assert variance_slope(law) == pytest.approx(gain * by_difference, rel=1e-6, abs=1e-9)
    if slope is not None:
        chi1 = gain * average(lambda t: slope(t) ** 2, mean, q, breaks)
        assert law.chi1 == pytest.approx(chi1, rel=1e-9)
        fourth = average(lambda t: slope(t) ** 4, mean, q, breaks)
        second = exact_second_moment(cell).evaluate(law, weights="orthogonal", steps=1)
        assert second == pytest.approx(gain**2 * fourth, rel=1e-9)


@pytest.mark.parametrize("name", ["abs", "relu6", "composed", "shifted hard"])
def test_correlations(name):
    phi, f, slope, breaks = ACTIVATIONS[name]
    cell = vanilla_cell(phi)
    law = site_law(cell, Parameters.of(cell, POINT))
    q, mean, Q = law.preactivation_variance, POINT["bias_mean"], law.state_variance
    from_input = POINT["input_std"] ** 2 * POINT["input_variance"] * 0.4
    C = stable_correlation(CorrelationMap(law, 0.4)).unwrap()
    c = (POINT["weight_std"] ** 2 * Q * C + from_input) / q
    assert pair_average(f, f, mean, q, c, breaks) == pytest.approx(C * Q, rel=1e-9)
    chi = POINT["weight_std"] ** 2 * pair_average(slope, slope, mean, q, c, breaks)
    assert CorrelationMap(law, 0.4).slope(C) == pytest.approx(chi, rel=1e-8)
    path = trajectory(
        cell, Parameters.of(cell, POINT), [0.4], start_variance=Q, start_correlation=C
    )
    assert path.state_correlation[0] == pytest.approx(C, rel=1e-9)
    assert path.state_variance[0] == pytest.approx(Q, rel=1e-9)


def test_the_sign_network_forgets_its_start():
    """C' = (2/pi) asin(c): the slope is infinite at C = 1, which is never stable."""
    cell = vanilla_cell(sp.sign)
    quiet = Parameters.of(cell, dict(QUARTER, input_std=0.0))
    chaos = CorrelationMap(site_law(cell, quiet), 1.0)
    assert chaos.next(0.6) == pytest.approx(2 / math.pi * math.asin(0.6), rel=1e-12)
    assert chaos.slope(0.6) == pytest.approx(2 / math.pi / 0.8, rel=1e-11)
    assert chaos.slope(1.0) == math.inf
    assert stable_correlation(chaos).unwrap() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("q", [0.3, 1.0, 7.0])
def test_the_critical_relu_network_is_that_of_he(q):
    relu = vanilla_cell("relu")
    found = critical_weights(relu, preactivation_variance=q, bias_mean=0.0, input_variance=0.5)
    assert found.parameters.only.weight_std == pytest.approx(math.sqrt(2), rel=1e-13)
    assert found.parameters.only.input_std == 0.0
    assert found.state_variance == pytest.approx(q / 2, rel=1e-13)
    law = site_law(relu, found.parameters, start_variance=found.state_variance)
    assert law.preactivation_variance == pytest.approx(q, rel=1e-12)


@pytest.mark.parametrize("name", ["relu6", "shifted hard", "elu"])
def test_critical_points(name):
    phi, f, slope, breaks = ACTIVATIONS[name]
    cell = vanilla_cell(phi)
    mean, q = -0.4, 1.0
    found = critical_weights(cell, preactivation_variance=q, bias_mean=mean, input_variance=0.5)
    gain = 1 / average(lambda t: slope(t) ** 2, mean, q, breaks)
    rest = q - gain * average(lambda t: f(t) ** 2, mean, q, breaks)
    assert found.parameters.only.weight_std**2 == pytest.approx(gain, rel=1e-9)
    assert found.parameters.only.input_std**2 * 0.5 == pytest.approx(rest, abs=1e-9)


def test_the_order_chaos_line_of_hard_tanh():
    hard = vanilla_cell("hard-tanh")
    (found,) = order_chaos_line(
        hard, Parameters.of(hard, POINT), solve_for="weight_std", search=[0.8, 3.0]
    )
    p = dict(POINT, weight_std=found)
    q = fixed_variance(lambda t: min(max(t, -1.0), 1.0), [-1.0, 1.0], p)
    inside = average(lambda t: float(-1 < t < 1), 0.2, q, [-1.0, 1.0])
    assert found**2 * inside == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("name", ["abs", "composed", "shifted hard"])
@pytest.mark.parametrize("inputs", ["gaussian", "tanh"])
def test_the_averages_of_any_cell(name, inputs):
    """Fresh variables and pairs of them; the input has a kink of its own, at 0.3."""
    phi, f, _, breaks = ACTIVATIONS[name]
    h, x, e = sp.symbols("h x e", real=True)
    cell = Cell("any", (h,), x, (Preactivation("candidate", e, h),), (phi(e),))
    p = replace(Parameters.of(cell, POINT), input_kind=inputs)
    fresh = FreshVariables(cell, p, (1.7,))
    gain = p.inputs.gain
    kink, place = (
        (lambda z: abs(gain * z - 0.3), 0.3 / gain)
        if inputs == "gaussian"
        else (lambda z: abs(math.tanh(gain * z) - 0.3), math.atanh(0.3) / gain)
    )
    state, source = (
        average(g, *law) for g, law in ((f, (0.2, 1.7, breaks)), (kink, (0, 1, [place])))
    )
    found = fresh.average(phi(e) * sp.Abs(x - sp.Rational(3, 10)))
    assert found == pytest.approx(state * source, rel=1e-9)
    pairs = FreshVariables(cell, p, (1.7,), (0.6,), 0.0)
    both = pairs.product(phi(e) * sp.Abs(x - sp.Rational(3, 10)), phi(e))
    covariance = pair_average(f, f, 0.2, 1.7, 0.6, breaks)
    assert both == pytest.approx(covariance * source, rel=1e-9)


def test_averages_are_monotone_in_a_kink():
    """A kink that moves across the nodes of a rule without steps."""
    places = np.linspace(-1.5, 1.5, 61)
    values = []
    for place in places:
        cell = vanilla_cell(lambda e, k=place: sp.Max(e - float(k), 0))
        law = site_law(cell, Parameters.of(cell, dict(QUARTER, weight_std=0.0)))
        values.append(law.weight_gain)
    assert all(a > b for a, b in pairwise(values))
    assert np.max(np.abs(np.diff(values, 3))) < 2e-3


def test_a_variance_map_that_falls():
    """It falls by no more than q^(-1/2): E[f^2 (z^2 - 1)] >= -E[f^2], and its slope is negative."""
    cell = vanilla_cell(lambda e: sp.exp(-(e**4)))
    values = {"weight_std": 3.0, "input_std": 0.0, "bias_mean": 0.0, "input_variance": 0.0}
    law = site_law(cell, Parameters.of(cell, values))
    Q = law.state_variance

    def image(state):
        return average(lambda t: math.exp(-2 * t**4), 0.0, 9 * state)

    assert image(Q) == pytest.approx(Q, rel=1e-9)
    slope = (image(1.001 * Q) - image(0.999 * Q)) / (0.002 * Q)
    assert -0.5 < slope < -0.1
    assert variance_slope(law) == pytest.approx(slope, rel=1e-5)
    assert timescale(variance_slope(law)) == pytest.approx(-1 / math.log(-slope), rel=1e-5)


@pytest.mark.parametrize("source", [sp.Symbol("s", real=True), sp.tanh(sp.Symbol("s", real=True))])
def test_what_dies_out_meets_its_kink_from_both_sides(source):
    """A small state sees relu' = 1 on one side, so that E[J J^T] = 1/4 + .64 (1/2) / 4."""
    s, e, x = sp.symbols("s e x", real=True)
    cell = Cell("dying", (s,), x, (Preactivation("g", e, source),), (s / 2 + relu(e) / 2,))
    silent = {"weight_std": 0.8, "input_std": 0, "bias_mean": 0, "bias_std": 0}
    parameters = Parameters.of(cell, silent | {"input_variance": 0.5})
    found = by_sites(cell, parameters)
    assert found.preactivation_variances["g"] == 0.0
    assert found.chi1 == pytest.approx(0.33, rel=1e-3)
    law = singular_value_law(cell, parameters, weights="gaussian", steps=1)
    assert law.squares().moment(1) == pytest.approx(0.33, rel=1e-3)
    values = sample_singular_values(cell, parameters, weights="gaussian", steps=1, width=200,
                                    samples=4, seed=0)  # fmt: skip
    # Half of the sites let W pass: the mean of 800 squares that vary by a third of themselves.
    assert np.mean(values**2) == pytest.approx(0.33, rel=0.06)
