"""Spectra of Can, Krishnamurthy and Schwab (2020): boundaries, limits of strong gates, growth."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import erf, erfc, expit
from scipy.stats import norm

from rmt_jacobian.cells import Parameters, gru, lstm
from rmt_jacobian.eigenvalues import eigenvalue_law
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.mean_field import (
    Sites,
    fixed_points,
    gru_binary_update,
    gru_open_gain,
    gru_zero_growth,
    gru_zero_spectrum,
    lstm_binary_forget,
    lstm_zero_spectrum,
    marginal_exponent,
    slow_share,
)
from tests.ledger.gated import (
    average,
    dense_weights,
    gru_jacobian,
    lstm_jacobian,
    nonzero_state_variances,
    open_gain,
)
from tests.ledger.independent import slope_of_sigmoid
from tests.ledger.test_can2020_fixed_points import gru_parameters
from tests.ledger.verdicts import documented


def test_zero_fixed_point_of_the_gru():
    rng, N = np.random.default_rng(1), 500
    b_z, b_r, a_h = 0.4, -0.3, 2.2
    point = gru_parameters(1.0, 2.0, a_h).with_values(
        {"update.bias_mean": b_z, "reset.bias_mean": b_r}
    )
    disk = gru_zero_spectrum(point)
    gates = [np.full(N, b_z), np.full(N, b_r), np.zeros(N)]
    lam = np.linalg.eigvals(
        gru_jacobian(np.zeros(N), gates, dense_weights(N, (1.0, 2.0, a_h), rng))
    )
    from_centre = np.abs(lam - disk.centre) / disk.radius
    assert np.max(from_centre) == pytest.approx(1, abs=0.06)
    for share in (0.3, 0.5, 0.8):  # uniform in the disk
        assert np.mean(from_centre < share) == pytest.approx(share**2, abs=0.02)
    assert disk.stable == (np.max(np.abs(lam)) < 1)
    weaker = gru_zero_spectrum(point.with_values({"candidate.weight_std": 4 * a_h}))
    assert disk.stable
    assert not weaker.stable


def test_zero_fixed_point_of_the_lstm():
    rng, N = np.random.default_rng(2), 400
    b_f, b_i, b_o, a_h = 0.5, 0.2, -0.4, 2.5
    biases = {"forget.bias_mean": b_f, "input.bias_mean": b_i, "output.bias_mean": b_o}
    point = Parameters.of(lstm, input_std=0).with_values({**biases, "candidate.weight_std": a_h})
    spectrum = lstm_zero_spectrum(point)
    gates = [np.full(N, b) for b in (b_f, b_i, b_o, 0.0)]
    W = dense_weights(N, (1.0, 1.0, 1.0, a_h), rng)
    lam = np.linalg.eigvals(lstm_jacobian(np.zeros(N), gates, W))
    at_zero = np.abs(lam) < 1e-8
    assert np.mean(at_zero) == spectrum.atoms[0][1] == 0.5
    from_centre = np.abs(lam[~at_zero] - spectrum.centre) / spectrum.radius
    assert np.max(from_centre) == pytest.approx(1, abs=0.06)
    assert np.mean(from_centre < 0.5) == pytest.approx(0.25, abs=0.025)


def gru_boundary(lam, point):
    """S(lambda) at a fixed point: E[(h - phi)^2] vanishes there."""
    q_z, q_r, q_y = point.variances
    _, a_r, a_h = (group.weight_std for _, group in point.parameters.groups)
    C_h = average(lambda e: np.tanh(e) ** 2, 0.0, q_y)
    reset = average(lambda e: expit(e) ** 2, 0.0, q_r)
    slope = average(lambda e: slope_of_sigmoid(e) ** 2, 0.0, q_r)
    rho = a_h**2 * average(lambda e: np.cosh(e) ** -4.0, 0.0, q_y) * (reset + a_r**2 * slope * C_h)
    return rho * average(lambda e: expit(-e) ** 2 / np.abs(lam - expit(e)) ** 2, 0.0, q_z) - 1


def test_boundary_of_the_gru():
    """The curve of the law against S(lambda) = 0 by quadrature, and off the fixed points too."""
    point = fixed_points(gru, gru_parameters(2.0, 3.0, 3.0))[1]
    (curve,) = eigenvalue_law(point.sites(8192)).boundary(24)
    for lam in curve[::3]:
        assert gru_boundary(lam, point) == pytest.approx(0, abs=0.02)
    assert gru_boundary(1.05 * curve[np.argmax(curve.real)], point) < -0.02

    # With h and phi(y) apart the second average counts; sites with independent factors.
    rng, N = np.random.default_rng(3), 20_000
    h, (e_z, e_r, e_y) = 0.6 * rng.standard_normal(N), rng.standard_normal((3, N)) * [[2], [3], [1]]
    a_z, a_r, a_h = 2.0, 3.0, 3.0
    sites = Sites.of(gru, gru_parameters(a_z, a_r, a_h), [h], [e_z, e_r, e_y], np.zeros(N))
    z, r, f = expit(e_z), expit(e_r), np.tanh(e_y)
    rho = (
        a_h**2
        * np.mean((1 - f**2) ** 2)
        * (np.mean(r**2) + a_r**2 * np.mean(slope_of_sigmoid(e_r) ** 2) * np.mean(h**2))
    )
    (curve,) = eigenvalue_law(sites).boundary(16)
    for lam in curve[::2]:
        far = np.abs(lam - z) ** 2
        first = rho * np.mean((1 - z) ** 2 / far)
        second = a_z**2 * np.mean(slope_of_sigmoid(e_z) ** 2 * (h - f) ** 2 / far)
        assert first + second == pytest.approx(1, abs=0.03)
        assert second > 0.04


def test_boundary_of_the_lstm():
    """S(lambda) on sites of a fixed point, and the eigenvalues of a matrix within the curve."""
    parameters = Parameters.of(lstm, input_std=0).with_values(
        {"forget.weight_std": 3.0, "output.weight_std": 4.0}
    )
    point = fixed_points(lstm, parameters)[1]
    C_h = point.moments[0]
    rng, N = np.random.default_rng(4), 200_000
    stds = [group.weight_std for _, group in parameters.groups]
    e_f, e_i, e_o, e_y = (std * math.sqrt(C_h) * rng.standard_normal(N) for std in stds)
    f, i, o, y = expit(e_f), expit(e_i), expit(e_o), np.tanh(e_y)
    c = i * y / (1 - f)
    assert np.mean((o * np.tanh(c)) ** 2) == pytest.approx(C_h, rel=0.01)
    q = stds[2] ** 2 * (slope_of_sigmoid(e_o) * np.tanh(c)) ** 2
    p = (
        o**2
        * np.cosh(c) ** -4.0
        * (
            stds[0] ** 2 * c**2 * slope_of_sigmoid(e_f) ** 2
            + stds[1] ** 2 * slope_of_sigmoid(e_i) ** 2 * y**2
            + stds[3] ** 2 * i**2 * (1 - y**2) ** 2
        )
    )
    (curve,) = eigenvalue_law(point.sites(8192)).boundary(24)
    for lam in curve[::3]:
        S = np.mean(q) / np.abs(lam) ** 2 + np.mean(p / np.abs(lam - f) ** 2) - 1
        assert pytest.approx(0, abs=0.06) == S
    few = slice(0, 300)
    J = lstm_jacobian(c[few], [e[few] for e in (e_f, e_i, e_o, e_y)], dense_weights(300, stds, rng))
    lam = np.linalg.eigvals(J)
    # As a law of N units: two eigenvalues for each, of which some 99 % are inside.
    assert len(lam) / 300 == 2
    inside = [np.mean(q) / abs(x) ** 2 + np.mean(p / np.abs(x - f) ** 2) > 0.9 for x in lam]
    assert np.mean(inside) > 0.98


def test_equation_19():
    """Update gates 0 or 1."""
    (C_h,) = nonzero_state_variances(3.0, 4.0)
    limit = gru_binary_update(fixed_points(gru, gru_parameters(1.0, 4.0, 3.0))[1], 0.1)
    alpha = erfc(0.1 / math.sqrt(2 * C_h)) / 2
    ((place, mass),) = limit.atoms
    assert (place, limit.centre) == (1.0, 0.0)
    assert [mass, limit.mass] == pytest.approx([1 - alpha, alpha], rel=1e-6)
    assert limit.radius == pytest.approx(math.sqrt(open_gain(C_h, 3.0, 4.0) * alpha), rel=1e-6)
    rng, N, radii = np.random.default_rng(5), 900, []
    for _ in range(2):
        e_r = 4.0 * math.sqrt(C_h) * rng.standard_normal(N)
        C_y = C_h * average(lambda e: expit(e) ** 2, 0.0, 16 * C_h)
        e_y = 3.0 * math.sqrt(C_y) * rng.standard_normal(N)
        e_z = np.where(np.arange(N) < alpha * N, -1e3, 1e3)
        J = gru_jacobian(np.tanh(e_y), [e_z, e_r, e_y], dense_weights(N, (1.0, 4.0, 3.0), rng))
        lam = np.linalg.eigvals(J)
        at_one = np.abs(lam - 1) < 1e-9
        assert np.mean(at_one) == pytest.approx(1 - alpha, abs=2 / N)
        # The edge of some 400 open sites, in units of that of their own averages.
        is_open, r, h = e_z < 0, expit(e_r), np.tanh(e_y)
        gain = (
            9
            * np.mean((1 - h[is_open] ** 2) ** 2)
            * (np.mean(r[is_open] ** 2) + 16 * np.mean((h * slope_of_sigmoid(e_r)) ** 2))
        )
        radii.append(np.abs(lam[~at_one]) / math.sqrt(gain * alpha))
    # A handful of eigenvalues, and no growing share, is outside; the last is off by 10 % at 400.
    assert 0 < np.mean(np.concatenate(radii) > 1) < 0.02
    assert np.mean(np.concatenate(radii) > 0.9) > 0.02


def test_equation_34():
    """Forget gates 0 or 1: atoms at 1 and 0, and the other half in a disk."""
    (limit,) = lstm_binary_forget(Parameters.of(lstm, input_std=0))
    assert limit.open_share == 0.5
    assert dict(limit.spectrum.atoms) == pytest.approx({1.0: 0.25, 0.0: 0.25})
    C_h, rng, N = limit.state_variance, np.random.default_rng(6), 700
    scale = math.sqrt(C_h)
    f = np.repeat([0.0, 1.0], N // 2)
    e_i, e_o = scale * rng.standard_normal((2, N))
    e_y = 3 * scale * rng.standard_normal(N)
    c = np.where(f > 0, 300 * np.sign(e_y), expit(e_i) * np.tanh(e_y))
    assert np.mean((expit(e_o) * np.tanh(c)) ** 2) == pytest.approx(C_h, rel=0.1)
    gates = [np.where(f > 0, 1e3, -1e3), e_i, e_o, e_y]
    lam = np.linalg.eigvals(lstm_jacobian(c, gates, dense_weights(N, (1.0, 1.0, 1.0, 3.0), rng)))
    at_one, at_zero = np.abs(lam - 1) < 1e-6, np.abs(lam) < 1e-6
    assert np.mean(at_one) == pytest.approx(0.25, abs=2 / N)
    assert np.mean(at_zero) == pytest.approx(0.25, abs=2 / N)
    assert np.max(np.abs(lam[~at_one])) == pytest.approx(limit.spectrum.radius, rel=0.06)


def dense_growth(width, steps, a_h, b_z, b_r, rng):
    W = a_h / math.sqrt(width) * rng.standard_normal((width, width))
    J = expit(b_z) * np.eye(width) + expit(-b_z) * expit(b_r) * W
    power, found = np.eye(width), []
    for _ in range(steps):
        power = J @ power
        found.append(np.sum(power**2) / width)
    return np.array(found)


def grown(steps=6, b_z=0.3, b_r=-0.5, a_h=2.5):
    point = gru_parameters(1.0, 1.0, a_h).with_values(
        {"update.bias_mean": b_z, "reset.bias_mean": b_r}
    )
    found = [gru_zero_growth(point, n) for n in range(1, steps + 1)]
    rows = [
        dense_growth(500, steps, a_h, b_z, b_r, rng) for rng in np.random.default_rng(8).spawn(6)
    ]
    return found, np.mean(rows, axis=0), expit(b_z), expit(-b_z) * expit(b_r) * a_h, expit(b_r)


def test_equation_121():
    """One factor sigma(b_r) is right, a second one is not."""
    found, sampled, c, radius, gate = grown()
    assert found == pytest.approx(sampled, rel=0.03)

    def summed(rho, n):
        return sum(math.comb(n, k) ** 2 * c ** (2 * (n - k)) * rho ** (2 * k) for k in range(n + 1))

    assert found == pytest.approx([summed(radius, n) for n in range(1, 7)], rel=1e-12)
    assert summed(gate * radius, 6) < 0.4 * sampled[5]
    documented("(121)", summed(gate * radius, 6), found[5], level="###")


def test_equation_122():
    """The mean of |c + rho e^(i t)|^(2n) over a circle: Legendre's integral for the function."""
    found, _, c, rho, _ = grown()
    for n, value in enumerate(found, start=1):
        integral, _ = quad(lambda t, n=n: abs((c + rho * np.exp(1j * t)) ** n) ** 2, 0, 2 * math.pi)
        assert value == pytest.approx(integral / (2 * math.pi), rel=1e-9)


def edge_by_quadrature(a_z, C_h, gain, beta=0.0):
    """The d > 0 with rho_0^2 E[(1 - z)^2 / (1 + d - z)^2] = 1."""
    std, mean = a_z * math.sqrt(C_h), beta * a_z

    def excess(log_d):
        e = np.linspace(-log_d - 45, -log_d + 45, 20_001)
        part = 1 / (1 + np.exp(log_d) * (1 + np.exp(e))) ** 2
        return (
            gain * (norm.cdf(e[0], mean, std) + np.trapezoid(part * norm.pdf(e, mean, std), e)) - 1
        )

    return brentq(excess, -600.0, 0.0)


def test_theorem_7():
    """log(radius - 1) between two strong update gates, by our own root of S."""
    (C_h,) = nonzero_state_variances(3.0, 2.0)
    gain = open_gain(C_h, 3.0, 2.0)
    point = fixed_points(gru, gru_parameters(300.0, 2.0, 3.0))[1]
    low, high = (edge_by_quadrature(a_z, C_h, gain) for a_z in (300.0, 600.0))
    assert math.log(point.edge_beyond_memory()) == pytest.approx(low, rel=1e-4)
    c = marginal_exponent(gru_open_gain(point), point.moments[0])
    assert (low - high) / 300 / math.sqrt(C_h) == pytest.approx(c, rel=2e-3)
    assert erf(c / math.sqrt(2)) == pytest.approx(2 / gain - 1, rel=1e-6)
    with pytest.raises(HypothesisError, match="1/alpha = 2"):
        marginal_exponent(2.1, C_h)


def test_figure_1e():
    """The radius where z = sigma(b_z) everywhere, and its growth as the root of a_r."""
    b_z, kept = 0.7, expit(0.7)
    radii = {}
    for a_r in (2.0, 1e3, 4e3):
        point = fixed_points(gru, gru_parameters(0.0, a_r, 3.0).with_values(
            {"update.bias_mean": b_z}))[1]  # fmt: skip
        radii[a_r] = point.spectral_radius
    (C_h,) = nonzero_state_variances(3.0, 2.0)
    rho = math.sqrt(open_gain(C_h, 3.0, 2.0))
    assert radii[2.0] == pytest.approx(kept + (1 - kept) * rho, rel=1e-6)
    assert (radii[4e3] - kept) / (radii[1e3] - kept) == pytest.approx(2, rel=0.03)


def test_figure_1f():
    """Eigenvalues near 1 of a matrix at drawn sites, a_z = 60."""
    a_z, N, rng = 60.0, 500, np.random.default_rng(9)
    (C_h,) = nonzero_state_variances(3.0, 1.0)
    point = fixed_points(gru, gru_parameters(a_z, 1.0, 3.0))[1]
    C_y = C_h * average(lambda e: expit(e) ** 2, 0.0, C_h)
    # Quantiles of the update gate, so that its noise does not hide the law.
    e_z = a_z * math.sqrt(C_h) * norm.ppf((np.arange(N) + 0.5) / N)
    e_r, e_y = math.sqrt(C_h) * rng.standard_normal(N), 3 * math.sqrt(C_y) * rng.standard_normal(N)
    J = gru_jacobian(np.tanh(e_y), [e_z, e_r, e_y], dense_weights(N, (a_z, 1.0, 3.0), rng))
    lam = np.linalg.eigvals(J)
    for r in (1e-2, 1e-5, 1e-9):
        expected = erfc(-math.log(r) / (a_z * math.sqrt(2 * C_h))) / 2
        assert slow_share(point, r, "update") == pytest.approx(expected, rel=1e-6)
        assert np.mean(np.abs(lam - 1) < r) == pytest.approx(expected, abs=0.015)
