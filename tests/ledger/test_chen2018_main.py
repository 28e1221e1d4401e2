"""Equations (1) to (9) of Chen et al. (2018): mean field of the vanilla and the minimal network."""

import math
from functools import partial

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.optimize import brentq
from scipy.special import expit

from rmt_jacobian.cells import minimalrnn, vanilla
from rmt_jacobian.derive import printed_correlation_slope
from rmt_jacobian.gaussian import bivariate_rule
from rmt_jacobian.mean_field import CorrelationMap, stable_correlation, trajectory
from rmt_jacobian.sampling import run_network
from tests.ledger.independent import (
    BIASED,
    FIGURE_1,
    LONG_MEMORY,
    VANILLA,
    VANILLA_BIASED,
    Point,
    average,
    difference_quotient,
    draw_inputs,
    next_covariance,
    pair_average,
    pair_covariance,
    preactivation_variance,
    run_pair,
    slope_of_sigmoid,
    stationary,
    vanilla_next_correlation,
    vanilla_stationary,
)
from tests.ledger.verdicts import agrees, differs, documented, parameters, solved
from tests.mean_field.two_routes import by_map

SIGMA_12 = 0.5
START = (0.3, 0.4)  # variance and correlation of the first states
CELLS = {"vanilla": vanilla, "minimalrnn": minimalrnn}


def started(width, rng):
    variance, correlation = START
    return draw_inputs(Point(1, 1, 0, 0, variance), correlation, width, rng)


def sampled_covariances(cell, point, steps, *, seed, networks=16, width=20_000):
    """Rows (q_11, q_12, Q_11, Q_12) after some steps, one for each simulated pair."""
    rows = []
    for rng in np.random.default_rng(seed).spawn(networks):
        h, e = run_pair(point, SIGMA_12, steps, width, rng, cell=cell, start=started(width, rng))
        e = e - point.bias_mean
        rows.append([np.mean(a[:, 0] * a[:, j]) for a in (e, h) for j in (0, 1)])
    return np.array(rows)


def our_covariances(cell, point, steps):
    """(q_11, q_12, Q_11, Q_12) after some steps from START, by the package."""
    path = trajectory(
        CELLS[cell],
        parameters(point, CELLS[cell]),
        [SIGMA_12] * steps,
        start_variance=START[0],
        start_correlation=START[1],
    )
    q, Q = path.preactivation_variance[-1], path.state_variance[-1]
    c, C = path.preactivation_correlation[-1], path.state_correlation[-1]
    return np.array([q, q * c, Q, Q * C])


def quadrature_covariances(cell, point, steps, *, shared_bias):
    """The same by our own sums; the bias enters q_12 if it is shared."""
    Q, covariance, R = START[0], START[0] * START[1], point.input_variance
    q = q_12 = 0.0
    for _ in range(steps):
        q = preactivation_variance(point, Q)
        q_12 = pair_covariance(point, covariance, SIGMA_12)
        q_12 -= 0.0 if shared_bias else point.bias_std**2
        at = (point.bias_mean, q, q_12 / q)
        if cell == "vanilla":
            Q = average(lambda e: np.tanh(e) ** 2, *at[:2])
            covariance = pair_average(np.tanh, np.tanh, *at)
            continue
        kept, written = pair_average(expit, expit, *at), pair_average(rest, rest, *at)
        Q = Q * average(lambda e: expit(e) ** 2, *at[:2]) + R * average(
            lambda e: rest(e) ** 2, *at[:2]
        )
        covariance = covariance * kept + R * SIGMA_12 * written
    return np.array([q, q_12, Q, covariance])


def rest(e):
    return expit(-e)


def dense_steps(cell, point, **options):
    return list(
        run_network(
            CELLS[cell], parameters(point, CELLS[cell]), rng=np.random.default_rng(3), **options
        )
    )


def check_preactivation(cell):
    """e = W h + mu_b without inputs and bias noise, and e = V x + b without weights."""
    point = Point(1.3, 0.0, 0.7, 0.0, 0.5)
    for step in dense_steps(cell, point, width=40, steps=3):
        W = step.weights[0].matrix()
        np.testing.assert_allclose(step.gates[0], W @ step.states[0] + 0.7, rtol=1e-12)
    inputs_only = Point(0.0, 2.0, 0.7, 1.5, 0.5)
    scores = []
    for step in dense_steps(cell, inputs_only, width=400, steps=20):
        q = 4 * np.mean(step.x**2) + 1.5**2
        scores.append(np.mean((step.gates[0] - 0.7) ** 2) / q)
    agrees(scores, 1.0)


def test_equation_1():
    check_preactivation("vanilla")
    first, second = dense_steps("vanilla", VANILLA_BIASED, width=40, steps=2)
    np.testing.assert_allclose(second.states[0], np.tanh(first.gates[0]), rtol=1e-12)


def test_equation_2():
    right = quadrature_covariances("vanilla", VANILLA_BIASED, 3, shared_bias=True)
    printed = quadrature_covariances("vanilla", VANILLA_BIASED, 3, shared_bias=False)
    ours = our_covariances("vanilla", VANILLA_BIASED, 3)
    np.testing.assert_allclose(ours, right, rtol=1e-9)
    rows = sampled_covariances("vanilla", VANILLA_BIASED, 3, seed=2)
    agrees(rows, ours)
    differs(rows[:, 1], printed[1])
    documented("(2)", printed[1], right[1])


def test_equation_3():
    mean, q = 0.3, np.array([[2.0, 0.5], [0.5, 2.0]])
    inverse = np.linalg.inv(q)

    def moment(factor, exponent):
        """Integrate factor(x, y) against the measure with this number in the exponent."""

        def density(y, x):
            d = np.array([x - mean, y - mean])
            norm = 2 * math.pi * math.sqrt(np.linalg.det(q))
            return factor(d) * math.exp(-exponent * d @ inverse @ d) / norm

        return dblquad(density, mean - 12, mean + 12, mean - 12, mean + 12, epsabs=1e-7)[0]

    rule = bivariate_rule(mean, 2.0, 0.25)
    mass = rule.average(np.ones_like(rule.first))
    covariance = rule.average((rule.first - mean) * (rule.second - mean))
    assert moment(lambda d: 1.0, 0.5) == pytest.approx(mass, abs=1e-6)
    assert moment(lambda d: d[0] * d[1], 0.5) == pytest.approx(covariance, abs=1e-6)
    printed_mass = moment(lambda d: 1.0, 1.0)
    printed_covariance = moment(lambda d: d[0] * d[1], 1.0) / printed_mass
    assert abs(printed_mass - mass) > 0.4
    assert abs(printed_covariance - q[0, 1]) > 0.2
    documented("(3)", printed_mass, printed_covariance, q[0, 1])


def vanilla_fixed_point(point, sigma_12):
    c = sigma_12
    for _ in range(400):
        c = vanilla_next_correlation(point, c, sigma_12)
    return c


@pytest.mark.parametrize("point", [VANILLA, VANILLA_BIASED])
def test_equation_4(point):
    Q, q = vanilla_stationary(point)
    law = solved(point, vanilla)
    for c in (0.2, 0.8):
        slope = difference_quotient(partial(vanilla_next_correlation, point, sigma_12=SIGMA_12), c)
        C = (c * q - pair_covariance(point, 0.0, SIGMA_12)) / (point.weight_std**2 * Q)
        assert CorrelationMap(law, SIGMA_12).slope(C) == pytest.approx(slope, rel=1e-8)


def test_equation_5():
    check_preactivation("minimalrnn")
    first, second = dense_steps("minimalrnn", BIASED, width=40, steps=2)
    u = 1 / (1 + np.exp(-first.gates[0]))
    np.testing.assert_allclose(second.states[0], u * first.states[0] + (1 - u) * first.x)


def test_equation_6():
    right = quadrature_covariances("minimalrnn", BIASED, 3, shared_bias=True)
    printed = quadrature_covariances("minimalrnn", BIASED, 3, shared_bias=False)
    ours = our_covariances("minimalrnn", BIASED, 3)
    rows = sampled_covariances("minimalrnn", BIASED, 3, seed=6)
    np.testing.assert_allclose(ours, right, rtol=1e-9)
    agrees(rows[:, :2], ours[:2])
    differs(rows[:, 1], printed[1])
    documented("(6)", printed[1], right[1])


def test_equation_7():
    """The products are entrywise: as products of matrices they give another Q."""
    q, q_12, *_ = quadrature_covariances("minimalrnn", FIGURE_1, 1, shared_bias=True)
    at = (FIGURE_1.bias_mean, q, q_12 / q)

    def matrix(f):
        one, both = average(lambda e: f(e) ** 2, *at[:2]), pair_average(f, f, *at)
        return np.array([[one, both], [both, one]])

    kept, written = matrix(expit), matrix(rest)
    Q = START[0] * np.array([[1, START[1]], [START[1], 1]])
    R = FIGURE_1.input_variance * np.array([[1, SIGMA_12], [SIGMA_12, 1]])
    entrywise, product = Q * kept + R * written, Q @ kept + R @ written
    ours = our_covariances("minimalrnn", FIGURE_1, 1)[2:]
    np.testing.assert_allclose(ours, entrywise[0], rtol=1e-9)
    rows = sampled_covariances("minimalrnn", FIGURE_1, 1, seed=7)[:, 2:]
    agrees(rows, ours)
    differs(rows, product[0])
    agrees(
        sampled_covariances("minimalrnn", BIASED, 4, seed=8)[:, 2:],
        our_covariances("minimalrnn", BIASED, 4)[2:],
    )
    documented("(7)", *product[0], *entrywise[0])


def correlation_by_equation_8(point, c, sigma_12, extra):
    """c^t from c^{t-1} as printed; ``extra`` is the term that the bias adds."""
    _, q = stationary(point)
    rho = point.input_variance * sigma_12 / q
    squares = point.weight_std**2, point.input_std**2
    both = pair_average(expit, expit, point.bias_mean, q, c)
    one = average(expit, point.bias_mean, q)
    value = (c + (squares[0] - squares[1]) * rho) * both - 2 * squares[0] * rho * one
    return value + squares[0] * rho + squares[1] * rho + extra * point.bias_std**2 / q * (1 - both)


def iterated_correlation(point, c, sigma_12):
    """c^t from c^{t-1} through the covariance of the states."""
    _, q = stationary(point)
    covariance = (c * q - pair_covariance(point, 0.0, sigma_12)) / point.weight_std**2
    return pair_covariance(point, next_covariance(point, covariance, sigma_12), sigma_12) / q


def our_correlation(point, c, sigma_12):
    Q, q = stationary(point)
    ours = CorrelationMap(solved(point), sigma_12)
    C = (c * q - pair_covariance(point, 0.0, sigma_12)) / (point.weight_std**2 * Q)
    return ours.preactivation_correlation(ours.next(C)), ours, C


def test_equation_8():
    for point in (FIGURE_1, LONG_MEMORY, BIASED):
        right = iterated_correlation(point, 0.6, SIGMA_12)
        assert our_correlation(point, 0.6, SIGMA_12)[0] == pytest.approx(right, rel=1e-9)
        corrected = correlation_by_equation_8(point, 0.6, SIGMA_12, extra=1)
        assert corrected == pytest.approx(right, rel=1e-9)
        printed = correlation_by_equation_8(point, 0.6, SIGMA_12, extra=0)
        if point.bias_std == 0:
            assert printed == pytest.approx(right, rel=1e-9)
    assert abs(printed - right) > 0.1
    documented("(8)", printed, right)


def test_equation_9():
    for point in (FIGURE_1, LONG_MEMORY, BIASED):
        right = difference_quotient(partial(iterated_correlation, point, sigma_12=SIGMA_12), 0.6)
        _, ours, C = our_correlation(point, 0.6, SIGMA_12)
        assert ours.slope(C) == pytest.approx(right, rel=1e-8)
        _, q = stationary(point)
        both = pair_average(expit, expit, point.bias_mean, q, 0.6)
        slopes = pair_average(slope_of_sigmoid, slope_of_sigmoid, point.bias_mean, q, 0.6)
        weights = point.weight_std**2 - point.input_std**2
        printed = both + (q * 0.6 + weights * point.input_variance * SIGMA_12) * slopes
        assert printed_correlation_slope(ours, C) == pytest.approx(printed, rel=1e-9)
        assert printed - point.bias_std**2 * slopes == pytest.approx(right, rel=1e-8)
        if point.bias_std == 0:
            assert printed == pytest.approx(right, rel=1e-8)
    assert abs(printed - right) > 0.04
    documented("(9)", printed, right)

    # At c = 1 with equal inputs (9) ought to be chi_1 of (13).
    kept = average(lambda e: expit(e) ** 2, point.bias_mean, q)
    slopes = average(lambda e: slope_of_sigmoid(e) ** 2, point.bias_mean, q)
    printed = kept + (q + weights * point.input_variance) * slopes
    ours = CorrelationMap(solved(point), 1.0)
    assert printed_correlation_slope(ours, 1.0) == pytest.approx(printed, rel=1e-9)
    assert ours.slope(1.0) == pytest.approx(printed - point.bias_std**2 * slopes, rel=1e-9)
    documented("(9)", printed, ours.slope(1.0))


def test_text_3_1a():
    """Equal states and inputs of correlation Sigma_12."""
    point = VANILLA_BIASED
    Q, q = vanilla_stationary(point)
    scores = []
    for rng in np.random.default_rng(31).spawn(16):
        start = np.repeat(math.sqrt(Q) * rng.standard_normal((40_000, 1)), 2, axis=1)
        _, e = run_pair(point, SIGMA_12, 1, 40_000, rng, cell="vanilla", start=start)
        scores.append(np.mean(np.prod(e - point.bias_mean, axis=1)) / q)
    expected = 1 - point.input_std**2 * point.input_variance * (1 - SIGMA_12) / q
    ours = CorrelationMap(solved(point, vanilla), SIGMA_12).preactivation_correlation(1.0)
    assert ours == pytest.approx(expected, rel=1e-9)
    agrees(scores, ours)
    assert ours < 1


def test_text_3_1b():
    """c* depends on Sigma_12, and chi at c* therefore does, too."""
    law = solved(VANILLA, vanilla)
    slopes = []
    for sigma_12 in (0.0, 0.9):
        c = vanilla_fixed_point(VANILLA, sigma_12)
        following = partial(vanilla_next_correlation, VANILLA, sigma_12=sigma_12)
        right = difference_quotient(following, c)
        ours = CorrelationMap(law, sigma_12)
        assert ours.slope(stable_correlation(ours).unwrap()) == pytest.approx(right, rel=1e-7)
        slopes.append(right)
    assert abs(slopes[0] - slopes[1]) > 0.05
    documented("Text 3.1b", *slopes)


def test_text_3_2_1():
    """As mu_b grows, chi at c* tends to 1 whatever Sigma_12 is."""
    for sigma_12 in (0.0, 0.5, 0.9):
        missing = []
        for bias_mean in (4.0, 8.0, 16.0):
            point = FIGURE_1._replace(bias_mean=bias_mean)
            Q, _ = stationary(point)
            following = partial(next_covariance, point, sigma_12=sigma_12)
            fixed = brentq(lambda k, f=following: f(k) - k, -Q, Q * (1 - 1e-6), xtol=1e-15)
            slope = difference_quotient(following, fixed, step=1e-3 * (Q - fixed))
            ours = by_map(minimalrnn, parameters(point), input_correlation=sigma_12)
            assert 1 - ours.chi == pytest.approx(1 - slope, rel=1e-4)
            missing.append(1 - slope)
        assert missing[0] > 5 * missing[1] > 25 * missing[2] > 0
