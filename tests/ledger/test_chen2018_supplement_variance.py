"""Equations (14) to (24) of Chen et al. (2018): the supplement, up to the fixed point."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit

from rmt_jacobian.cells import compile_cell, minimalrnn, sigmoid
from rmt_jacobian.mean_field import (
    CorrelationMap,
    solve_site_law,
)
from rmt_jacobian.sampling import run_network
from tests.ledger.independent import (
    BIASED,
    FIGURE_1,
    LONG_MEMORY,
    average,
    preactivation_variance,
    stationary,
)
from tests.ledger.near import SIGMA_12, one_step, simulated
from tests.ledger.verdicts import agrees, differs, documented, parameters, solved

POINTS = [FIGURE_1, LONG_MEMORY, BIASED]


def test_equation_14():
    """v = W h + V z + b, row by row; the V z part through its conditional law."""
    point = BIASED
    scores = []
    for seed in range(20):
        (step,) = run_network(
            minimalrnn, parameters(point), width=300, steps=1, rng=np.random.default_rng(seed)
        )
        rest = step.gates[0] - point.bias_mean
        for i, row in enumerate(step.weights[0].matrix()):
            rest[i] -= sum(row * step.states[0])
        q = point.input_std**2 * np.mean(step.x**2) + point.bias_std**2
        scores.append([np.mean(rest**2) / q, np.mean(rest) / math.sqrt(q) + 1])
    agrees(scores, [1.0, 1.0])


def test_equation_15():
    values = [-40.0, -2.0, 0.3, 5.0]
    (slopes,) = compile_cell(minimalrnn).derivatives([1.0], [np.array(values)], 0.0).state.values()
    expected = [math.exp(v) / (1 + math.exp(v)) for v in values]
    np.testing.assert_allclose(slopes, expected, rtol=1e-14)
    assert [float(sigmoid(v)) for v in values] == pytest.approx(expected, rel=1e-14)


def test_equation_16():
    rng = np.random.default_rng(16)
    h, z, v = rng.standard_normal((3, 50))
    (new,) = compile_cell(minimalrnn).update([h], [v], z)
    expected = [
        math.tanh(b / 2) * (a - c) / 2 + (a + c) / 2 for a, b, c in zip(h, v, z, strict=True)
    ]
    np.testing.assert_allclose(new, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("point", POINTS)
def test_equation_17(point):
    Q, covariance = 0.3, 0.12
    group, R = parameters(point).only, point.input_variance
    ours = [group.preactivation_covariance(Q, R)]
    ours += [group.preactivation_covariance(covariance, R * SIGMA_12)]
    rows = [
        [np.mean(e[:, 0] ** 2), np.mean(e[:, 0] * e[:, 1])]
        for _, e in simulated(point, Q, covariance / Q, seed=17)
    ]
    agrees(rows, ours)
    normal = [np.mean(e[:, 0] ** 4) / ours[0] ** 2 for _, e in simulated(point, Q, 0.4, seed=170)]
    agrees(normal, 3.0)


def product_of_updates(mean_of_inputs):
    """h_a^t h_b^t of our update, and the four terms of its expansion with u_b^s, s = t and t-1."""
    rng = np.random.default_rng(18)
    h, v, z, older = rng.standard_normal((4, 2, 100_000))
    z = z + mean_of_inputs
    update = compile_cell(minimalrnn).update
    (a,), (b,) = (update([h[k]], [v[k]], z[k]) for k in (0, 1))
    u = expit(v)
    first = [u[0] * h[0] * u[1] * h[1], u[0] * h[0] * (1 - u[1]) * z[1]]
    last = (1 - u[0]) * z[0] * (1 - u[1]) * z[1]
    crossed = [(1 - u[0]) * z[0] * gate * h[1] for gate in (u[1], expit(older[1]))]
    return a * b, first, crossed, last


def test_equation_18():
    product, first, crossed, last = product_of_updates(0.7)
    np.testing.assert_allclose(product - crossed[0] - last, sum(first), atol=1e-13)


def test_equation_19():
    """With u_b^{t-1} the four terms do not add up."""
    product, first, (right, printed), last = product_of_updates(0.7)
    np.testing.assert_allclose(product - sum(first) - last, right, atol=1e-13)
    wrong = np.sqrt(np.mean((product - sum(first) - last - printed) ** 2))
    assert wrong > 0.05
    *_, (right, printed), _ = product_of_updates(0.0)
    for term in (right, printed):  # either is zero on average when inputs have mean zero
        agrees(term, 0.0)


def test_equation_20():
    """Exact if b is redrawn with W and V; not if a bias of positive variance stays."""
    for point in (BIASED, FIGURE_1):
        Q, _ = stationary(point)
        ours = CorrelationMap(solved(point), SIGMA_12)
        expected = [ours.law.state_variance, Q * ours.next(0.4)]
        start = [
            [np.mean(h[:, 0] ** 2), np.mean(h[:, 0] * h[:, 1])]
            for h, _ in simulated(point, Q, 0.4, seed=20)
        ]
        agrees(start, expected)
    kept = [
        np.mean(h**2)
        for h, _ in simulated(
            BIASED, stationary(BIASED)[0], 0.4, seed=21, steps=20, width=20_000, keep_bias=True
        )
    ]
    agrees(kept, 0.2814)
    differs(kept, solved(BIASED).state_variance)
    documented("Hypotheses", 0.2814, solved(BIASED).state_variance)


@pytest.mark.parametrize("point", POINTS)
def test_equation_21(point):
    start = 0.5
    root = math.sqrt(preactivation_variance(point, start))

    def integrand(f):
        return lambda z: (
            f(root * z + point.bias_mean) ** 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        )

    kept, written = (
        quad(integrand(f), -12, 12, limit=400, epsabs=1e-13)[0]
        for f in (expit, lambda e: expit(-e))
    )
    ours = one_step(point, start)[2]
    assert ours == pytest.approx(start * kept + point.input_variance * written, rel=1e-9)
    agrees([np.mean(h**2) for h, _ in simulated(point, start, 0.0, seed=210)], ours)


@pytest.mark.parametrize("point", POINTS)
def test_equation_22(point):
    ours = one_step(point, 0.5)[0]
    assert ours == parameters(point).only.preactivation_variance(0.5, point.input_variance)
    agrees([np.mean(e**2) for _, e in simulated(point, 0.5, 0.0, seed=22)], ours)


def test_equation_23():
    point, start = FIGURE_1, 0.5
    q = preactivation_variance(point, start)
    expected = (start + point.input_variance) * average(lambda e: expit(e) ** 2, 0.0, q)
    assert one_step(point, start)[2] == pytest.approx(expected, rel=1e-9)
    at_bias = point._replace(bias_mean=1.0)  # and only there
    both = average(lambda e: expit(e) ** 2, 1.0, q) * (start + point.input_variance)
    assert abs(one_step(at_bias, start)[2] - both) > 0.01


@pytest.mark.parametrize("point", POINTS)
def test_equation_24(point):
    def F(Q):
        q, mean = preactivation_variance(point, Q), point.bias_mean
        written = average(lambda e: expit(-e) ** 2, mean, q)
        lost = average(lambda e: 1 - expit(e) ** 2, mean, q)
        return written / lost - Q / point.input_variance

    found = solve_site_law(minimalrnn, parameters(point)).unwrap()
    Q = found.state_variance
    assert F(Q * (1 - 1e-8)) > 0 > F(Q * (1 + 1e-8))
    assert F(1e-9) > 0 > F(1e3)
    assert found.preactivation_variance == pytest.approx(preactivation_variance(point, Q))
