"""Slow modes, binary gates and zero spectra against sampled Jacobians and direct quadrature."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.special import expit
from scipy.stats import norm

from rmt_jacobian.cells import Parameters, gru, gru_reset_after, lstm, sigmoid
from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.mean_field import (
    binary_open_share,
    fixed_points,
    gru_binary_update,
    gru_open_gain,
    gru_zero_growth,
    gru_zero_spectrum,
    lstm_binary_forget,
    lstm_zero_spectrum,
    marginal_exponent,
    open_share,
    slow_share,
)
from rmt_jacobian.mean_field.at_rest.frozen import FrozenVariables
from rmt_jacobian.mean_field.at_rest.site_at_rest import BEYOND_ONE
from tests.mean_field.tied import gru_jacobian, lstm_jacobian, normal_average, weight


def gru_point(a_z, a_r, a_h, **others):
    stds = {"update.weight_std": a_z, "reset.weight_std": a_r, "candidate.weight_std": a_h}
    parameters = Parameters.of(gru, {**stds, "input_std": 0.0, "input_variance": 1.0, **others})
    return fixed_points(gru, parameters)[-1]


def drawn(point, width, rng):
    means = [group.bias_mean for _, group in point.parameters.groups]
    spread = np.sqrt(np.array(point.variances))[:, None]
    return np.array(means)[:, None] + spread * rng.normal(size=(len(means), width))


def test_radius_without_an_update_gate():
    point = gru_point(0.0, 2.0, 3.0, **{"update.bias_mean": 0.7})
    kept, radius = expit(0.7), math.sqrt(gru_open_gain(point))
    assert point.spectral_radius == pytest.approx(kept + (1 - kept) * radius, rel=1e-10)


def test_radius_grows_as_the_root_of_the_reset_gain():
    # rho_0^2 = a_h^2 E[phi'^2] (1/2 + a_r sqrt(C_h) / (6 sqrt(2 pi))) for a_r >> 1.
    radii = [gru_point(0.0, a_r, 3.0).spectral_radius for a_r in (1e4, 4e4)]
    assert (radii[1] - 0.5) / (radii[0] - 0.5) == pytest.approx(2, rel=0.01)
    point = gru_point(0.0, 1e4, 3.0)
    slope = normal_average(lambda e: np.cosh(e) ** -4, point.variances[2])
    reset = 0.5 + 1e4 * math.sqrt(point.moments[0]) / (6 * math.sqrt(2 * math.pi))
    assert gru_open_gain(point) == pytest.approx(9 * slope * reset, rel=1e-3)


def boundary(distance, point, gain):
    """S(1 + distance) of the reference: its second average vanishes at a fixed point."""
    mean, variance = point.parameters["update"].bias_mean, point.variances[0]
    step, std = math.log(1 / distance), math.sqrt(variance)
    e = np.concatenate([np.linspace(mean - 12 * std, step - 40, 200_001)[:-1],
                        np.linspace(step - 40, step + 40, 200_001)])  # fmt: skip
    open_part = 1 / (1 + distance * (1 + np.exp(e)))  # (1 - z) / (lambda - z)
    return gain * np.trapezoid(open_part**2 * norm.pdf(e, mean, std), e) - 1


@pytest.mark.parametrize(("a_z", "beta"), [(10.0, 0.0), (60.0, 0.0), (60.0, 0.2), (60.0, -0.1)])
def test_the_edge_solves_the_equation_of_the_reference(a_z, beta):
    point = gru_point(a_z, 1.0, 3.0, **{"update.bias_mean": beta * a_z})
    distance = point.edge_beyond_memory()
    assert 0 < distance < 0.01
    assert boundary(distance, point, gru_open_gain(point)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("beta", [0.0, 0.2, -0.1])
def test_marginal_stability(beta):
    """The radius falls to 1 at the rate of Theorem 7."""
    gains = (200.0, 400.0)
    points = [gru_point(a_z, 1.0, 3.0, **{"update.bias_mean": beta * a_z}) for a_z in gains]
    logs = [math.log(point.edge_beyond_memory()) for point in points]
    C_h, gain = points[0].moments[0], gru_open_gain(points[0])
    rate = -(logs[1] - logs[0]) / (gains[1] - gains[0]) / math.sqrt(C_h)
    c = marginal_exponent(gain, C_h, beta)
    assert rate == pytest.approx(c, rel=1e-3)
    assert math.erf((c - beta / math.sqrt(C_h)) / math.sqrt(2)) == pytest.approx(2 / gain - 1)


def test_beyond_marginal_stability_the_radius_stays():
    point = gru_point(2000.0, 10.0, 5.0)
    gain, C_h = gru_open_gain(point), point.moments[0]
    assert gain > 2
    with pytest.raises(HypothesisError, match="1/alpha = 2"):
        marginal_exponent(gain, C_h)
    assert point.spectral_radius == pytest.approx(math.sqrt(gain / 2), rel=5e-3)
    # A bias that closes most gates makes it marginal after all.
    assert marginal_exponent(gain, C_h, 2.0) > 0
    with pytest.raises(HypothesisError, match="within 1"):
        marginal_exponent(0.9, 0.5)


@pytest.mark.parametrize("mean", [0.0, 5.0])
def test_slow_share_is_that_of_the_gates(mean):
    point = gru_point(30.0, 1.0, 3.0, **{"update.bias_mean": mean})
    q = point.variances[0]
    for r in (1e-2, 1e-4, 1e-8):
        exact = norm.sf(math.log((1 - r) / r), mean, math.sqrt(q))
        assert slow_share(point, r, "update") == pytest.approx(exact, rel=5e-3)
    expected = math.erfc(mean / math.sqrt(2 * q)) / 2
    assert open_share(point, "update") == pytest.approx(expected, rel=1e-12)
    beta, C_h = mean / 30.0, point.moments[0]
    assert binary_open_share(beta, C_h) == pytest.approx(expected, rel=1e-12)
    assert slow_share(point, 1.0, "update") == pytest.approx(1 - expected, rel=1e-12)


@pytest.mark.parametrize("kind", ["gaussian", "orthogonal"])
def test_slow_modes_of_a_sampled_gru(kind):
    point, rng, width = gru_point(100.0, 1.0, 3.0), np.random.default_rng(0), 400
    gates = drawn(point, width, rng)
    eigenvalues = np.linalg.eigvals(gru_jacobian(gates, (100.0, 1.0, 3.0), kind, rng))
    for r in (1e-3, 1e-6, 1e-10):
        found = np.mean(np.abs(eigenvalues - 1) < r)
        # The drawn gates are binomial; a factor of order 1 in r is log(2) / (a_z sqrt(C_h)).
        allowed = 3 * math.sqrt(0.25 / width) + 0.4 * math.log(2) / (100 * 0.616)
        assert found == pytest.approx(slow_share(point, r, "update"), abs=allowed)


def test_slow_modes_of_a_sampled_lstm():
    stds = {"forget.weight_std": 100.0, "candidate.weight_std": 3.0, "weight_std": 1.0}
    parameters = Parameters.of(lstm, {**stds, "input_std": 0.0, "input_variance": 1.0})
    C_h = lstm_binary_forget(parameters)[0].state_variance  # that of a_f = 100 is 2 % less
    rng, width = np.random.default_rng(1), 300
    scale = np.sqrt(C_h) * np.array([100.0, 1.0, 1.0, 0.0])
    gates = scale[:, None] * rng.normal(size=(4, width))
    gates[3] = 3 * np.sqrt(C_h) * rng.normal(size=width)
    eigenvalues = np.linalg.eigvals(lstm_jacobian(gates, (100.0, 1.0, 1.0, 3.0), "gaussian", rng))
    for r in (1e-2, 1e-5, 1e-9):
        found = np.sum(np.abs(eigenvalues - 1) < r) / width  # of the cell states
        expected = math.erfc(-math.log(r) / (100 * math.sqrt(2 * C_h))) / 2
        allowed = 3 * math.sqrt(0.25 / width) + 0.4 * math.log(2) / (100 * math.sqrt(C_h))
        assert found == pytest.approx(expected, abs=allowed)


@pytest.mark.parametrize("kind", ["gaussian", "orthogonal"])
def test_binary_update_gates(kind):
    beta = 0.3
    point = gru_point(1.0, 3.0, 3.0)
    limit = gru_binary_update(point, beta)
    rng, width, radii = np.random.default_rng(2), 600, []
    share = norm.cdf(-beta / math.sqrt(point.moments[0]))
    assert limit.mass == pytest.approx(share)
    for _ in range(3):
        gates = drawn(point, width, rng)
        gates[0] = np.where(np.arange(width) < share * width, -1e3, 1e3)
        eigenvalues = np.linalg.eigvals(gru_jacobian(gates, (1.0, 3.0, 3.0), kind, rng))
        at_one = np.abs(eigenvalues - 1) < 1e-9
        assert np.mean(at_one) == pytest.approx(limit.atoms[0][1], abs=2 / width)
        radii.append(np.max(np.abs(eigenvalues[~at_one])))
    assert limit.atoms[0][0] == 1.0
    assert np.mean(radii) == pytest.approx(limit.radius, rel=0.06)  # of some 190 open sites


def test_binary_forget_gates():
    stds = {"candidate.weight_std": 4.0, "output.weight_std": 5.0, "weight_std": 2.0}
    parameters = Parameters.of(lstm, {**stds, "input_std": 0.0, "input_variance": 1.0})
    (found,) = lstm_binary_forget(parameters, 0.2)
    rng, C_h = np.random.default_rng(3), found.state_variance
    i, o = (expit(std * math.sqrt(C_h) * rng.normal(size=1_000_000)) for std in (2.0, 5.0))
    y = 4.0 * math.sqrt(C_h) * rng.normal(size=1_000_000)
    f = 100 * math.sqrt(C_h) * (0.2 / math.sqrt(C_h) + rng.normal(size=1_000_000)) > 0
    h = o * np.where(f, np.sign(y), np.tanh(i * np.tanh(y)))
    assert np.mean(h**2) == pytest.approx(C_h, abs=4 * np.std(h**2) / 1000)
    assert found.open_share == pytest.approx(norm.cdf(-0.2 / math.sqrt(C_h)))

    width, radii, masses = 500, [], []
    for _ in range(3):
        gates = np.array([0, 2, 5, 4])[:, None] * math.sqrt(C_h) * rng.normal(size=(4, width))
        gates[0] = np.where(np.arange(width) < found.open_share * width, -60.0, 60.0)
        eigenvalues = np.linalg.eigvals(lstm_jacobian(gates, (0, 2, 5, 4), "gaussian", rng))
        at_one, at_zero = np.abs(eigenvalues - 1) < 1e-6, np.abs(eigenvalues) < 1e-6
        masses.append((np.mean(at_one), np.mean(at_zero)))
        radii.append(np.max(np.abs(eigenvalues[~at_one])))
    expected = [mass for _, mass in found.spectrum.atoms]
    assert np.mean(masses, axis=0) == pytest.approx(expected, abs=3 / width)
    assert np.mean(radii) == pytest.approx(found.spectrum.radius, rel=0.04)


@pytest.mark.slow
@pytest.mark.thorough
def test_edge_of_the_lstm_grows_with_the_forget_gain():
    """C_h goes to the limit of binary gates, the outermost eigenvalues do not."""
    parameters = Parameters.of(lstm, input_std=0)
    limit = lstm_binary_forget(parameters)[0]
    assert limit.spectrum.spectral_radius == 1.0
    low, high = (
        fixed_points(lstm, parameters.with_values({"forget.weight_std": gain}))[-1]
        for gain in (300.0, 1200.0)
    )
    assert high.moments[0] == pytest.approx(limit.state_variance, rel=0.002)
    # The root of a_f times a function of lambda that falls to a constant.
    assert 1.5 < high.spectral_radius / low.spectral_radius < 2.1

    rng, width, gain = np.random.default_rng(6), 700, 300.0
    gates = drawn(low, width, rng)
    largest = np.max(
        np.abs(np.linalg.eigvals(lstm_jacobian(gates, (gain, 1, 1, 3), "gaussian", rng)))
    )
    assert largest > 1.3


@pytest.mark.parametrize("kind", ["gaussian", "orthogonal"])
def test_zero_spectra_of_sampled_jacobians(kind):
    width, rng = 500, np.random.default_rng(4)
    biases = {"update.bias_mean": 0.5, "reset.bias_mean": -0.3}
    parameters = Parameters.of(
        gru, {"weight_std": 2.0, "input_std": 0.0, "input_variance": 1.0, **biases}
    )
    spectrum = gru_zero_spectrum(parameters)
    gates = np.outer([0.5, -0.3, 0.0], np.ones(width))
    eigenvalues = np.linalg.eigvals(gru_jacobian(gates, (2.0, 2.0, 2.0), kind, rng))
    distance = np.abs(eigenvalues - spectrum.centre)
    assert np.max(distance) == pytest.approx(spectrum.radius, rel=0.06)
    second_moment = 1.0 if kind == "orthogonal" else 0.5  # of a ring, and of a uniform disk
    assert np.mean(distance**2) / spectrum.radius**2 == pytest.approx(second_moment, rel=0.06)
    (zero, *_) = fixed_points(gru, parameters)
    assert zero.spectral_radius == pytest.approx(spectrum.spectral_radius)
    assert zero.stable is spectrum.stable

    biases = {"forget.bias_mean": 1.0, "input.bias_mean": -0.5, "output.bias_mean": 0.3}
    parameters = Parameters.of(
        lstm, {"weight_std": 2.0, "input_std": 0.0, "input_variance": 1.0, **biases}
    )
    spectrum = lstm_zero_spectrum(parameters)
    gates = np.outer([1.0, -0.5, 0.3, 0.0], np.ones(width))
    eigenvalues = np.linalg.eigvals(lstm_jacobian(gates, (2.0,) * 4, kind, rng))
    at_zero = np.abs(eigenvalues) < 1e-9
    assert np.mean(at_zero) == 0.5 == spectrum.atoms[0][1]
    distance = np.abs(eigenvalues[~at_zero] - spectrum.centre)
    assert np.max(distance) == pytest.approx(spectrum.radius, rel=0.06)
    assert fixed_points(lstm, parameters)[0].spectral_radius == pytest.approx(
        spectrum.spectral_radius
    )


@pytest.mark.parametrize("kind", ["gaussian", "orthogonal"])
def test_growth_at_zero(kind):
    """C20 (121)-(122): powers of one Jacobian, tied weights."""
    width, rng = 400, np.random.default_rng(5)
    parameters = Parameters.of(
        gru, {"weight_std": 3.0, "input_std": 0.0, "input_variance": 1.0, "reset.bias_mean": 0.4}
    )
    J = 0.5 * np.eye(width) + 0.5 * expit(0.4) * weight(kind, 3.0, width, rng)
    power = np.eye(width)
    for steps in range(1, 5):
        power = J @ power
        sampled = np.sum(power**2) / width
        assert gru_zero_growth(parameters, steps) == pytest.approx(sampled, rel=0.1)
    assert gru_zero_growth(parameters, 0) == 1
    radius = 0.5 * expit(0.4) * 3
    assert gru_zero_growth(parameters, 2) == pytest.approx(
        0.5**4 + 4 * 0.5**2 * radius**2 + radius**4
    )


def test_what_has_no_answer():
    driven = Parameters.of(gru, weight_std=1.0, input_std=1.0, input_variance=1.0)
    with pytest.raises(HypothesisError, match="no zero fixed point"):
        gru_zero_spectrum(driven)
    with pytest.raises(HypothesisError, match="candidate has"):
        gru_zero_growth(
            Parameters.of(gru, input_std=0).with_values({"candidate.bias_mean": 1.0}), 2
        )
    with pytest.raises(ParameterError, match="steps"):
        gru_zero_growth(Parameters.of(gru, input_std=0), -1)
    zero, point = fixed_points(gru, Parameters.of(gru, input_std=0))
    with pytest.raises(HypothesisError, match="same at all sites"):
        open_share(zero, "update")
    with pytest.raises(HypothesisError, match="zero fixed point"):
        gru_binary_update(zero)
    with pytest.raises(ParameterError, match="no gate 'forget'"):
        slow_share(point, 0.1, "forget")
    with pytest.raises(ParameterError, match="distance"):
        slow_share(point, 0.0, "update")
    after = fixed_points(gru_reset_after, Parameters.of(gru_reset_after, input_std=0))[-1]
    with pytest.raises(HypothesisError, match="resets before"):
        gru_open_gain(after)


@pytest.mark.parametrize(("beyond", "depth"), [(1e-300, 26.5), (1e-3, 2 * math.log(1e3))])
def test_rules_go_as_deep_as_a_slow_gate_magnifies(beyond: float, depth: float) -> None:
    """1 / (delta + sigma(-e)) is at most 1 / delta, and about e^26.5 at 13 standard deviations."""
    update, _, candidate = gru.gates
    parameters = Parameters.of(gru, input_std=0).with_values(**{"update.bias_mean": -0.5})
    frozen = FrozenVariables(gru, parameters, (4.0, 1.0, 1.0), {BEYOND_ONE: beyond})
    slow = sp.tanh(candidate) ** 2 / (BEYOND_ONE + sigmoid(-update)) ** 2
    assert frozen._depth(slow) == pytest.approx(depth)
