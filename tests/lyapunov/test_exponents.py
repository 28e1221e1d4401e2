"""The wave of infinitely many steps against Newman's law, finite products and samples."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from rmt_jacobian.cells import Parameters, minimalrnn, vanilla, vanilla_cell
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.lyapunov import LongChain, LyapunovExponents, lyapunov_exponents
from rmt_jacobian.lyapunov.blocks import block_exponents
from rmt_jacobian.lyapunov.exponents import wave_exponents
from rmt_jacobian.mean_field import free_step_exponents, site_law, untied_state
from rmt_jacobian.pencils import (
    GaussianWeights,
    LongBlockChain,
    OrthogonalWeights,
    SiteHistory,
    drawn_sites,
    ensemble,
)
from rmt_jacobian.sampling import sample_lyapunov
from rmt_jacobian.singular_values import singular_value_law
from tests.in_turn import in_turn
from tests.mean_field.kinked import average

QUANTILES = np.array([0.004, 0.05, 0.3, 0.5, 0.8, 0.95, 0.996])


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("weight_std", [None, 2.5])
def test_free_steps_have_the_law_of_newman(weights, weight_std):
    changed = {} if weight_std is None else {"weight_std": weight_std}
    p = Parameters.of(vanilla, {**dict(vanilla.typical_parameters), **changed})
    law = site_law(vanilla, p)
    random = ensemble(weights, p.only.weight_std)
    found = wave_exponents(law, random, QUANTILES, draws=2**18, seed=0)
    expected = free_step_exponents(vanilla, p, weights, QUANTILES)
    assert np.all(np.abs(found.exponents - expected) < 4 * found.errors + 1e-7)
    assert np.all(found.errors < 0.05)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_cells_without_memory_have_no_sampling_error(weights):
    """Newman's equations of tanh networks by adaptive quadrature and a root finder."""
    values = {"weight_std": 1.6, "input_std": 0.7, "bias_mean": 0.3, "input_variance": 0.9}
    p = Parameters.of(vanilla, values)

    def state(q):
        return average(lambda t: math.tanh(t) ** 2, 0.3, q)

    q = brentq(lambda q: 1.6**2 * state(q) + 0.7**2 * 0.9 - q, 0.1, 5.0, xtol=1e-14)

    def share(v):
        return average(lambda t: 1 / (1 + math.cosh(t) ** 4 / v), 0.3, q)

    x = np.array([0.1, 0.5, 0.9])
    v = [brentq(lambda log_v, x=x: share(math.exp(log_v)) - x, -8, 16, xtol=1e-13) for x in x]
    log_s = np.array(v) + np.log((1 - x) / x) - 2 * math.log(1.6)  # of B^2, with orthogonal W
    if weights == "gaussian":
        log_s -= np.log(1 - x)
    found = lyapunov_exponents(vanilla, p, weights=weights, quantiles=x)
    assert found.exponents == pytest.approx(-log_s / 2, rel=1e-8)
    assert not found.errors.any()


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_relu_has_two_slopes(weights):
    """B^2 is 0 or 1, each at half of the sites: x = v / (2 (1 + v)), and half are dead."""
    relu = vanilla_cell("relu")
    values = {"weight_std": 1.2, "input_std": 0.5, "bias_mean": 0.0, "input_variance": 0.5}
    x = np.array([0.0, 0.1, 0.3, 0.49, 0.5001, 0.8])
    found = lyapunov_exponents(relu, Parameters.of(relu, values), weights=weights, quantiles=x)
    alive = x[:4]
    # S of B^2 is v (1 - x) / x with v = 2 x / (1 - 2 x).
    log_s = np.log(2 * (1 - alive) / (1 - 2 * alive)) - 2 * math.log(1.2)
    if weights == "gaussian":
        log_s -= np.log(1 - alive)
    assert found.exponents[:4] == pytest.approx(-log_s / 2, abs=1e-11)
    assert np.isneginf(found.exponents[4:]).all()


def test_ensembles_that_state_their_own_scale_have_the_law_too():
    p = Parameters.of(vanilla, {"weight_std": 1.6, "input_std": 0.7, "bias_mean": 0.3,
                                "input_variance": 0.9})  # fmt: skip
    own = lyapunov_exponents(vanilla, p, weights=OrthogonalWeights(2.4), quantiles=QUANTILES)
    named = lyapunov_exponents(vanilla, p, weights={"candidate": "orthogonal"}, quantiles=QUANTILES)
    assert own.exponents == pytest.approx(named.exponents + math.log(1.5), rel=1e-12)


def test_linear_steps_are_exact():
    gate = np.ones((64, 8))
    chain = LongChain(SiteHistory.of(0 * gate, gate), GaussianWeights(1.0), 16)
    for x in (0.01, 0.5, 0.99):
        exponent, error = chain.wave(x, np.array([0.0, 0.0])).exponent(np.zeros(8))
        assert exponent == pytest.approx(np.log(1 - x) / 2, abs=1e-10)
        assert error < 1e-12


def test_constant_gates_follow_from_the_law_of_one_site():
    # A = a, B = 1: k, r and b are numbers, and the wave solves two algebraic equations.
    a, x, gate = 0.7, 0.4, np.ones((400, 4))
    chain = LongChain(SiteHistory.of(a * gate, gate), GaussianWeights(1.0), 150)
    wave = chain.wave(x, np.array([0.0, -1.0]))
    mu, y = np.exp(wave.unknowns[0]), 1 / (1 + np.exp(-wave.unknowns[1]))
    kappa = np.roots([y, mu - a * a - y, -mu]).max()
    assert kappa == pytest.approx(a * a * kappa / (mu + y * kappa) + 1)
    rho = np.roots([mu, mu - a * a - y, -y]).max()
    assert kappa * rho / (1 + kappa * rho) == pytest.approx(x, rel=1e-6)
    assert rho / (1 + kappa * rho) == pytest.approx(y, rel=1e-6)


@pytest.mark.parametrize(
    "weights", ["gaussian", pytest.param("orthogonal", marks=pytest.mark.thorough)]
)
def test_gated_exponents_are_those_of_sampled_networks(weights):
    p, width = Parameters.of(minimalrnn), 96
    sampled = sample_lyapunov(minimalrnn, p, weights=weights, steps=300, width=width, samples=4)
    places = np.array([2, 12, 30, 48, 70, 86])
    found = lyapunov_exponents(
        minimalrnn, p, weights=weights, quantiles=sampled.quantiles[places], draws=2**18
    )
    error = np.hypot(sampled.standard_error[places], found.errors)
    # The exponents of N sites differ from the limit by O(1/N), measured 1.5/N in the bulk.
    assert np.all(np.abs(sampled.mean[places] - found.exponents) < 4 * error + 3 / width)


def test_finite_products_approach_the_wave():
    p = Parameters.of(minimalrnn)
    x = np.array([0.2, 0.5, 0.8])
    limit = lyapunov_exponents(
        minimalrnn, p, weights="gaussian", quantiles=x, draws=2**18
    ).exponents
    gaps = []
    for steps in (2, 8):
        law = singular_value_law(
            minimalrnn, p, weights="gaussian", steps=steps, sites=512, replicates=0, tolerance=1e-3
        )
        gaps.append(np.abs(np.log(law.ppf(1 - x)) / steps - limit))
    assert np.all(gaps[1] < 0.15)
    assert np.all(gaps[1] < 0.6 * gaps[0])


def test_many_quantiles_are_interpolated():
    p, x = Parameters.of(minimalrnn), (np.arange(64) + 0.5) / 64
    found = lyapunov_exponents(minimalrnn, p, weights="gaussian", quantiles=x, draws=2**16)
    places = [1, 20, 61]
    direct = lyapunov_exponents(minimalrnn, p, weights="gaussian", quantiles=x[places], draws=2**16)
    assert found.exponents[places] == pytest.approx(direct.exponents, abs=1e-3)
    assert np.all(np.diff(found.exponents) < 0)


def test_exponents_sum_to_the_logarithmic_determinant_of_one_step():
    # For Gaussian W, (2/N) log |det J| = E log(A^2 + b y) - y with E[b / (A^2 + b y)] = 1,
    # b = sigma_w^2 B^2: the least value of the potential of one step at s = 0.
    p, x = Parameters.of(minimalrnn), (np.arange(512) + 0.5) / 512
    sites = drawn_sites(site_law(minimalrnn, p), 1, 2**18, 5)
    direct, gate = sites.direct[0] ** 2, (p.only.weight_std * sites.gate[0]) ** 2
    y = brentq(lambda y: np.mean(gate / (direct + gate * y)) - 1, 1e-6, 1.0)
    expected = (np.mean(np.log(direct + gate * y)) - y) / 2
    found = lyapunov_exponents(minimalrnn, p, weights="gaussian", quantiles=x, draws=2**18)
    assert found.exponents.mean() == pytest.approx(expected, abs=0.02)


def test_largest_exponent_is_that_of_the_mean_growth():
    p = Parameters.of(minimalrnn)
    found = lyapunov_exponents(
        minimalrnn, p, weights="orthogonal", quantiles=[[0.0, 1e-5]], draws=2**17
    )
    largest = np.log(site_law(minimalrnn, p).chi1) / 2
    assert found.exponents.shape == (1, 2)
    assert found.exponents[0, 0] == largest
    assert found.exponents[0, 1] == pytest.approx(largest, abs=2e-4)
    assert found.errors[0, 0] == 0


@pytest.mark.parametrize("x", [-0.1, 1.0, np.nan])
def test_quantiles_out_of_range_are_refused(x):
    with pytest.raises(ParameterError, match="quantiles"):
        lyapunov_exponents(
            minimalrnn, Parameters.of(minimalrnn), weights="gaussian", quantiles=[0.5, x]
        )


def test_no_weights_and_long_memory_are_refused():
    for weight_std, error in ((0.0, ParameterError), (1e-3, ConvergenceError)):
        p = Parameters.of(
            minimalrnn, {**dict(minimalrnn.typical_parameters), "weight_std": weight_std}
        )
        with pytest.raises(error):
            lyapunov_exponents(minimalrnn, p, weights="gaussian", quantiles=[0.5])


# 5 are solved one by one, 60 are interpolated.
@pytest.mark.parametrize(("solver", "count"), in_turn(["blocks", "one state"], [5, 60]))
def test_an_exponent_that_is_not_found_costs_itself_alone(monkeypatch, solver, count):
    chain = {"one state": LongChain, "blocks": LongBlockChain}[solver]
    p = Parameters.of(minimalrnn)
    x = np.linspace(0.1, 0.9, count)

    def found():
        if solver == "one state":
            return wave_exponents(site_law(minimalrnn, p), GaussianWeights(p.only.weight_std), x,
                                  draws=2**12, seed=0)  # fmt: skip
        values = block_exponents(untied_state(minimalrnn, p), "gaussian", x, draws=2**12)
        return LyapunovExponents(x, *values)

    whole, solve = found(), chain.wave

    def blocked(self, at, *rest):
        if 0.45 < at < 0.55:
            raise ConvergenceError("blocked there")
        return solve(self, at, *rest)

    monkeypatch.setattr(chain, "wave", blocked)
    part = found()
    lost = np.isnan(part.exponents)
    assert whole.missing == ""
    assert part.missing == "blocked there"
    assert lost[(x > 0.45) & (x < 0.55)].all()
    assert not lost[(x < 0.35) | (x > 0.65)].any()
    np.testing.assert_allclose(part.exponents[~lost], whole.exponents[~lost], atol=0.03)
    monkeypatch.setattr(chain, "wave", lambda *_: blocked(None, 0.5))
    with pytest.raises(ConvergenceError, match="blocked there"):
        found()
