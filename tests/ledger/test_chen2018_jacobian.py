"""Equations (10) to (13) and Algorithm 1 of Chen et al. (2018): Jacobians and initialisation."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit

from rmt_jacobian.cells import Parameters, array_function, minimalrnn, vanilla
from rmt_jacobian.derive import (
    diagonal_valued_recursion,
    exact_mean,
    exact_second_moment,
    exact_variance,
    jacobian_polynomial,
    one_step_moment,
    one_step_variance,
    printed_second_moment,
    s_transform_moment,
)
from rmt_jacobian.errors import InfeasibleError
from rmt_jacobian.freeprob import boxtimes_power_moments, s_coefficients_of_weights
from rmt_jacobian.mean_field import (
    critical_weights,
    feasible_preactivation_variances,
    order_chaos_line,
    site_law,
    stationary as tied_state,
)
from tests.ledger.independent import (
    BIASED,
    FIGURE_1,
    LONG_MEMORY,
    average,
    next_variance,
    sample_products,
    slope_of_sigmoid,
    stationary,
    stationary_states,
)
from tests.ledger.verdicts import agrees, differs, documented, parameters, solved

POINTS = [FIGURE_1, LONG_MEMORY, BIASED]


def products(point, steps, *, weights="gaussian", seed, networks=16, width=50_000):
    """Rows (m_1, m_2), one for each simulated network."""
    children = np.random.default_rng(seed).spawn(networks)
    return np.array([sample_products(point, steps, width, weights, rng) for rng in children])


def parts(point):
    """mu_1, mu_2, sigma_1^2 and sigma_2^2 as printed, by our own sums."""
    Q, q = stationary(point)
    R, squared = point.input_variance, point.weight_std**2
    mu_1 = average(lambda e: expit(e) ** 2, point.bias_mean, q)
    mu_2 = squared * (Q + R) * average(lambda e: slope_of_sigmoid(e) ** 2, point.bias_mean, q)
    variance_1 = average(lambda e: expit(e) ** 4, point.bias_mean, q) - mu_1**2
    fourth = average(lambda e: slope_of_sigmoid(e) ** 4, point.bias_mean, q)
    return mu_1, mu_2, variance_1, squared**2 * (Q**2 + R**2) * fourth - mu_2**2


def printed_12(point, s_1, steps):
    mu_1, mu_2, variance_1, variance_2 = parts(point)
    chi = mu_1 + mu_2
    bracket = 2 * (mu_1 - s_1) * mu_2 + variance_1 + variance_2
    return chi ** (2 * steps) * (1 + steps * bracket / chi**2)


def test_equation_10():
    """D h^t / D h^{t-1} has the gates of step t; as printed they would be one step late."""
    rng = np.random.default_rng(10)
    N, point = 40, FIGURE_1
    scale = np.array([point.weight_std, point.input_std])[:, None, None] / math.sqrt(N)
    matrices = [scale * rng.standard_normal((2, N, N)) for _ in range(2)]
    inputs = [math.sqrt(point.input_variance) * rng.standard_normal(N) for _ in range(2)]

    def step(t, h):
        (W, V), x = matrices[t], inputs[t]
        e = W @ h + V @ x
        return expit(e) * h + expit(-e) * x, e

    before = 0.6 * rng.standard_normal(N)
    now, e_now = step(0, before)
    _, e_next = step(1, now)
    width = 1e-5
    moved = [(step(1, now + width * d)[0] - step(1, now - width * d)[0]) for d in np.eye(N)]
    right = np.stack(moved, axis=1) / (2 * width)

    letters = dict(jacobian_polynomial(minimalrnn).letters)
    symbols = (minimalrnn.gates[0], minimalrnn.states[0], minimalrnn.input)

    def jacobian(e, h, x, W):
        A, B = (array_function(symbols, letter)(e, h, x) for letter in letters.values())
        return np.diag(A) + B[:, None] * W

    np.testing.assert_allclose(jacobian(e_next, now, inputs[1], matrices[1][0]), right, atol=1e-8)
    late = jacobian(e_now, before, inputs[0], matrices[0][0])
    distance = np.linalg.norm(late - right) / np.linalg.norm(right)
    assert distance > 1


@pytest.mark.parametrize("point", POINTS)
def test_equation_11(point):
    rows = products(point, 1, seed=11)
    law = solved(point)
    agrees(rows[:, 0], law.chi1)
    assert one_step_moment(minimalrnn, 1).evaluate(law) == pytest.approx(law.chi1, rel=1e-12)


@pytest.mark.parametrize(
    "weights", ["gaussian", pytest.param("orthogonal", marks=pytest.mark.thorough)]
)
def test_text_3_2_2a(weights):
    """m_1 = chi_1^T for both ensembles."""
    for point in (FIGURE_1, BIASED):
        rows = products(point, 8, weights=weights, seed=322, networks=12)
        agrees(rows[:, 0], exact_mean(minimalrnn).evaluate(parameters(point), steps=8))


def haar(N, rng):
    q, r = np.linalg.qr(rng.standard_normal((N, N)))
    return q * np.sign(r.diagonal())


def moments(J, orders=(1, 2)):
    eigenvalues = np.linalg.eigvalsh(J @ J.T)
    return [np.mean(eigenvalues**k) for k in orders]


def test_text_3_2_2b():
    """s_1 from sampled W W^T, m_2 = m_1^2 (1 - s_1); Haar W W^T is the identity."""
    N = 300
    ratios = []
    for rng in np.random.default_rng(12).spawn(12):
        m_1, m_2 = moments(rng.standard_normal((N, N)) / math.sqrt(N))
        ratios.append(1 - m_2 / m_1**2 + 1 / N)  # the exact mean is (2 + 1/N) for m_2
    agrees(ratios, float(s_coefficients_of_weights("gaussian", 1)[0]))
    m_1, m_2 = moments(haar(N, np.random.default_rng(1)))
    assert float(s_coefficients_of_weights("orthogonal", 1)[0]) == pytest.approx(
        1 - m_2 / m_1**2, abs=1e-12
    )


def test_text_3_1c():
    """Singular values of W^T and of a product of T different W, both Gaussian."""
    N, T = 400, 3
    expected = [float(m) for m in boxtimes_power_moments((1, 2, 5), T)]
    tied, untied = [], []
    for rng in np.random.default_rng(13).spawn(8):
        one, *others = rng.standard_normal((T, N, N)) / math.sqrt(N)
        tied.append(moments(np.linalg.matrix_power(one, T), (1, 2, 3)))
        untied.append(moments(np.linalg.multi_dot([one, *others]), (1, 2, 3)))
    for rows in (tied, untied):
        agrees(rows, expected)


def growth_with_one_matrix(point, rng, N=1000, vectors=16, between=(10, 40)):
    """Growth a step of the mean square of changes along one network that keeps its W, V and b."""
    w, v, mu, b, R = point
    W = w / math.sqrt(N) * rng.standard_normal((N, N))
    V = v / math.sqrt(N) * rng.standard_normal((N, N))
    bias = mu + b * rng.standard_normal((N, 1))
    h, changes, sizes = np.zeros((N, 1)), None, {}
    for t in range(-60, between[1]):
        x = math.sqrt(R) * rng.standard_normal((N, 1))
        u = expit(W @ h + V @ x + bias)
        if t == 0:
            changes = rng.standard_normal((N, vectors))
        if t >= 0:
            changes = u * changes + u * (1 - u) * (h - x) * (W @ changes)
            sizes[t + 1] = np.mean(changes**2)
        h = u * h + (1 - u) * x
    first, last = between
    return (sizes[last] / sizes[first]) ** (1 / (last - first))


def test_text_3_1d():
    """At the critical point of Figure 1 real networks let gradients explode."""
    fresh = solved(FIGURE_1).chi1
    rates = [growth_with_one_matrix(FIGURE_1, rng) for rng in np.random.default_rng(31).spawn(12)]
    law = tied_state(minimalrnn, parameters(FIGURE_1), dynamics="tied")
    squares = law.growth(40, sites=2**15).mean_squares
    theory = (squares[40] / squares[10]) ** (1 / 30)
    agrees(rates, theory)
    differs(rates, fresh, errors=6.0)
    assert fresh < 1 < theory
    documented("Text 3.1d", fresh)


def test_equation_12():
    """As printed, read as a second moment or as a variance, against sampled networks."""
    for weights, s_1 in (("gaussian", -1), ("orthogonal", 0)):
        law = solved(FIGURE_1)
        printed = printed_12(FIGURE_1, s_1, 1)
        ours = exact_second_moment(minimalrnn).evaluate(law, weights=weights, steps=1)
        assert printed_second_moment(law, weights=weights, steps=1) == pytest.approx(printed)
        m_2 = products(FIGURE_1, 1, weights=weights, seed=120)[:, 1]
        agrees(m_2, ours)
        differs(m_2, printed)
        differs(m_2 - law.chi1**2, printed)
        documented("(12)", printed, ours, ours - law.chi1**2)


def test_equation_12a():
    """Without weights J = D_u, the variance is that of u^2, and the printed form E[u^4]."""
    point = FIGURE_1._replace(weight_std=0.0, input_std=4.0)
    printed = printed_12(point, 0, 1)
    _, q = stationary(point)
    fourth, second = (average(lambda e, k=k: expit(e) ** k, 0.0, q) for k in (4, 2))
    right = fourth - second**2
    ours = one_step_variance(minimalrnn).evaluate(parameters(point))
    assert ours == pytest.approx(right, rel=1e-9)
    assert printed == pytest.approx(fourth, rel=1e-9)
    assert printed > 2 * right
    documented("(12)", printed, right)


def test_equation_12b():
    """Gaussian minus orthogonal W at one step, on the same sites: mu_2^2, and not 2 mu_2."""
    point, N = FIGURE_1, 400
    _, q = stationary(point)
    ratios, halves = [], []
    for rng in np.random.default_rng(122).spawn(12):
        e = math.sqrt(q) * rng.standard_normal(N)
        h = stationary_states(point, N, rng)
        x = math.sqrt(point.input_variance) * rng.standard_normal(N)
        A, B = np.diag(expit(e)), point.weight_std * slope_of_sigmoid(e) * (h - x)
        gaussian = rng.standard_normal((N, N)) / math.sqrt(N)
        spreads = [moments(A + B[:, None] * W)[1] for W in (gaussian, haar(N, rng))]
        mu_2 = np.mean(B**2)
        ratios.append((spreads[0] - spreads[1]) / mu_2**2)
        halves.append(2 / mu_2)
    agrees(ratios, 1.0)
    assert abs(np.mean(ratios) - np.mean(halves)) > 10 * np.std(ratios) / math.sqrt(12)
    variance = one_step_variance(minimalrnn)
    ours = [variance.evaluate(solved(point), weights=w) for w in ("gaussian", "orthogonal")]
    mu_2 = parts(point)[1]
    assert ours[0] - ours[1] == pytest.approx(mu_2**2, rel=1e-9)
    documented("(12)", 2 * mu_2, mu_2**2)


def test_equation_12c():
    """2 sigma_w^2 E[A^2 B^2], and not 2 mu_1 mu_2."""
    point = LONG_MEMORY
    Q, q = stationary(point)
    mu_1, mu_2, *_ = parts(point)
    joint = average(lambda e: (expit(e) * slope_of_sigmoid(e)) ** 2, point.bias_mean, q)
    right = 2 * point.weight_std**2 * (Q + point.input_variance) * joint
    law = solved(point)
    ours, apart = (
        one_step_variance(minimalrnn, independent=flag).evaluate(law) for flag in (False, True)
    )
    assert ours - apart == pytest.approx(right - 2 * mu_1 * mu_2, rel=1e-9)
    m_2 = products(point, 1, seed=123, networks=32)[:, 1]
    agrees(m_2, ours + law.chi1**2)
    differs(m_2, apart + law.chi1**2)
    documented("(12)", 2 * mu_1 * mu_2, right)


def test_equation_12d():
    """The corrected variance of one step, times T, is not that of T gated steps."""
    gates = FIGURE_1._replace(weight_std=0.0, input_std=4.0)  # J is a product of diagonals
    _, q = stationary(gates)
    fourth, second = (average(lambda e, k=k: expit(e) ** k, 0.0, q) for k in (4, 2))
    recursion = diagonal_valued_recursion(minimalrnn)
    law = solved(gates)
    assert recursion.evaluate(law, steps=20) == pytest.approx(fourth**20, rel=1e-8, abs=0)
    free = s_transform_moment(minimalrnn, 2).evaluate(law, steps=20)
    assert free == pytest.approx(second**40 * (1 + 20 * (fourth / second**2 - 1)), rel=1e-8, abs=0)
    assert fourth**20 > 100 * free

    law = solved(LONG_MEMORY)
    for weights, s_1 in (("gaussian", -1), ("orthogonal", 0)):
        ours, free = (
            derivation.evaluate(law, weights=weights, steps=20)
            for derivation in (exact_second_moment(minimalrnn), s_transform_moment(minimalrnn, 2))
        )
        m_2 = products(LONG_MEMORY, 20, weights=weights, seed=124, networks=12)[:, 1]
        agrees(m_2, ours)
        differs(m_2, free, errors=7)
        differs(m_2, printed_12(LONG_MEMORY, s_1, 20))
        documented("(12)", printed_12(LONG_MEMORY, s_1, 20), free, ours)
        variance = exact_variance(minimalrnn).evaluate(law, weights=weights, steps=20)
        assert variance == pytest.approx(ours - law.chi1**40, rel=1e-9)


@pytest.mark.parametrize("point", POINTS)
def test_equation_13a(point):
    """chi_1, mu_1, mu_2 and sigma_1^2, with the adaptive quadrature of scipy."""
    law = solved(point)
    Q, q = stationary(point)

    def integral(f):
        std = math.sqrt(q)

        def integrand(z):
            return f(point.bias_mean + std * z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

        return quad(integrand, -12, 12, limit=400, epsabs=1e-13)[0]

    mu_1 = integral(lambda e: expit(e) ** 2)
    mu_2 = point.weight_std**2 * (Q + point.input_variance)
    mu_2 *= integral(lambda e: slope_of_sigmoid(e) ** 2)
    assert law.direct_gain == pytest.approx(mu_1, rel=1e-9)
    assert point.weight_std**2 * law.weight_gain == pytest.approx(mu_2, rel=1e-9)
    assert law.chi1 == pytest.approx(mu_1 + mu_2, rel=1e-9)
    variance_1 = integral(lambda e: expit(e) ** 4) - mu_1**2
    ours = law.average(minimalrnn.state_derivatives[0][0] ** 4) - law.direct_gain**2
    assert ours == pytest.approx(variance_1, rel=1e-9)


def test_equation_13b():
    """sigma_2^2 needs E[(h - x)^4], which is not Q^2 + R^2."""
    point = FIGURE_1
    Q, _ = stationary(point)
    R = point.input_variance
    law = solved(point)
    h, x = minimalrnn.states[0], minimalrnn.input
    ours = law.average((h - x) ** 4)
    rows = []
    for rng in np.random.default_rng(132).spawn(16):
        states = stationary_states(point, 100_000, rng)
        rows.append(np.mean((states - math.sqrt(R) * rng.standard_normal(100_000)) ** 4))
    agrees(rows, ours)
    differs(rows, Q**2 + R**2)
    variance = law.average((minimalrnn.gate_derivatives[0][0]) ** 4) * point.weight_std**4
    variance -= parts(point)[1] ** 2
    ratio = (variance + parts(point)[1] ** 2) / (parts(point)[3] + parts(point)[1] ** 2)
    assert ratio == pytest.approx(ours / (Q**2 + R**2), rel=1e-9)
    documented("(13)", Q**2 + R**2, ours, parts(point)[3], variance)


@pytest.mark.parametrize("q", [0.01, 0.02])
def test_text_3_2_2c(q):
    """The spread of phi'^2 is of second order in q; sites are drawn, and paired with 1 - x^2."""
    e = math.sqrt(q) * np.random.default_rng(324).standard_normal((16, 100_000))
    slopes = (1 - np.tanh(e) ** 2) ** 2
    rows = np.mean(slopes**2, axis=1) / np.mean(slopes, axis=1) ** 2 - 1
    # tanh reads its variance q from the inputs alone when sigma_w is nearly zero.
    given = Parameters.of(vanilla, weight_std=1e-6, input_std=math.sqrt(q), input_variance=1.0)
    law = site_law(vanilla, given)
    for weights, s_1 in (("gaussian", -1), ("orthogonal", 0)):
        ours = one_step_variance(vanilla).evaluate(law, weights=weights) / law.chi1**2
        agrees(rows - s_1, ours)
    assert rows.mean() == pytest.approx(8 * q**2, rel=20 * q)
    documented("Text 3.2.2c", ours)


def fourth_moment_of_states(point):
    """E[h^4] from the fourth power of the update, x being normal."""
    Q, q = stationary(point)
    R = point.input_variance
    kept, mixed, written = (
        average(lambda e, k=k: expit(e) ** k * expit(-e) ** (4 - k), point.bias_mean, q)
        for k in (4, 2, 0)
    )
    return (6 * mixed * Q * R + written * 3 * R**2) / (1 - kept)


@pytest.mark.parametrize("s_1", [-1, 0])
def test_text_3_2_2d(s_1):
    coefficients = []
    for bias_mean in (4.0, 8.0, 16.0):
        point = FIGURE_1._replace(bias_mean=bias_mean)
        Q, q = stationary(point)
        R, squared = point.input_variance, point.weight_std**2
        mu_1, mu_2, variance_1, _ = parts(point)
        fourth = fourth_moment_of_states(point) + 6 * Q * R + 3 * R**2
        fourth *= average(lambda e: slope_of_sigmoid(e) ** 4, bias_mean, q)
        joint = average(lambda e: (expit(e) * slope_of_sigmoid(e)) ** 2, bias_mean, q)
        variance = variance_1 + squared**2 * fourth - mu_2**2
        variance += 2 * squared * (Q + R) * joint - s_1 * mu_2**2
        weights = "gaussian" if s_1 else "orthogonal"
        ours = one_step_variance(minimalrnn).evaluate(solved(point), weights=weights)
        assert ours == pytest.approx(variance, rel=1e-8, abs=1e-15)  # a difference from 1
        coefficients.append(variance / (mu_1 + mu_2) ** 2)
    assert coefficients[0] > 5 * coefficients[1] > 25 * coefficients[2] > 0


def test_figure_1():
    """chi_1 changes sign of its distance from 1 close to mu_b = 0."""
    ours = order_chaos_line(
        minimalrnn, parameters(FIGURE_1), solve_for="bias_mean", search=[-1.0, 1.0]
    )
    assert len(ours) == 1
    assert abs(ours[0]) < 0.02
    for shift, sign in ((-0.05, -1), (0.05, 1)):
        point = FIGURE_1._replace(bias_mean=ours[0] + shift)
        assert sign * (sum(parts(point)[:2]) - 1) > 1e-3


def algorithm_1(q, bias_mean, R):
    """Lines 1 to 7 as printed."""
    kept = average(lambda e: expit(e) ** 2, bias_mean, q)
    written = average(lambda e: expit(-e) ** 2, bias_mean, q)
    Q = R * written / (1 - kept)
    squared = (1 - kept) / (Q + R) / average(lambda e: slope_of_sigmoid(e) ** 2, bias_mean, q)
    return squared, (q - Q * squared) / R, Q


def test_algorithm_1():
    q, bias_mean, R = 20.0, 4.0, 0.46
    found = critical_weights(
        minimalrnn, preactivation_variance=q, bias_mean=bias_mean, input_variance=R
    )
    group = found.parameters.only
    ours = group.weight_std**2, group.input_std**2, found.state_variance
    assert ours == pytest.approx(algorithm_1(q, bias_mean, R), rel=1e-9)
    assert ours[:2] == pytest.approx((37.04, 23.03), abs=5e-3)
    assert group.bias_std == 0
    point = LONG_MEMORY._replace(weight_std=group.weight_std, input_std=group.input_std)
    assert stationary(point) == pytest.approx((found.state_variance, q), rel=1e-9)
    assert next_variance(point, found.state_variance) == pytest.approx(found.state_variance)
    agrees(products(point, 1, seed=1)[:, 0], 1.0)


INFEASIBLE = [(1, 0), (1, 2), (1, 5), (4, 0), (10, 0), (0.1, 2)]


@pytest.mark.parametrize(("q", "bias_mean"), INFEASIBLE)
def test_algorithm_1_domain(q, bias_mean):
    _, input_weight_variance, _ = algorithm_1(q, bias_mean, 0.46)
    assert input_weight_variance < -0.1
    with pytest.raises(InfeasibleError, match="input_std"):
        critical_weights(
            minimalrnn, preactivation_variance=q, bias_mean=bias_mean, input_variance=0.46
        )
    intervals = feasible_preactivation_variances(
        minimalrnn, bias_mean=bias_mean, input_variance=0.46
    )
    for edge in (left for left, _ in intervals if left > 1e-3):
        assert algorithm_1(1.01 * edge, bias_mean, 0.46)[1] > 0
        with pytest.raises(InfeasibleError) as refusal:
            critical_weights(
                minimalrnn,
                preactivation_variance=0.99 * edge,
                bias_mean=bias_mean,
                input_variance=0.46,
            )
        # Below an interval either sigma_v^2 is negative, or the variance leaves its fixed point.
        negative = algorithm_1(0.99 * edge, bias_mean, 0.46)[1] < 0
        assert negative == ("input_std" in str(refusal.value))
    documented("Algorithm 1", input_weight_variance)
