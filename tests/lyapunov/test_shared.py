"""Lyapunov laws of networks that keep their weights."""

import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from tqdm import tqdm

from rmt_jacobian.cells import Parameters, vanilla
from rmt_jacobian.eigenvalues import eigenvalue_law
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.lyapunov import lyapunov_law
from rmt_jacobian.lyapunov.shared import _Walk, ring_of
from rmt_jacobian.mean_field import stationary
from rmt_jacobian.mean_field.tied.circle import lagged
from rmt_jacobian.mean_field.tied.periodic import periodic_paths, wrapped
from rmt_jacobian.pencils.ensembles import GaussianWeights
from rmt_jacobian.sampling import sample_lyapunov


@pytest.fixture(scope="module")
def chaos():
    """The leaky network of Clark (2026), g = 3 and delta = 1/2."""
    return stationary("leaky", {"weight_std": 3, "leak": 0.5, "input_std": 0}, dynamics="tied")


@pytest.fixture(scope="module")
def chaotic_law(chaos):
    return lyapunov_law(chaos, weights="gaussian", draws=2**14)


def test_leaky_chaos_is_that_of_clark(chaotic_law):
    # Table of Clark (2026), per unit of time, which is two steps.
    times = np.array([-2.2863, -1.5363, -1.0863, -0.4863, 0.0, 0.1297])
    cdf = np.array([0.0961, 0.2805, 0.6523, 0.8403, 0.9562, 0.9835])
    noise = np.interp(times / 2, chaotic_law.exponents[::-1], chaotic_law.standard_errors[::-1])
    allowed = 4 * noise * chaotic_law.pdf(times / 2) + 0.001  # a ring of 60 steps
    assert np.all(np.abs(chaotic_law.cdf(times / 2) - cdf) < allowed)
    # 546 sites leave 3 % of the dimension and 7 % of the entropy open, 2,048 sites 1 %.
    assert chaotic_law.largest == pytest.approx(0.2161 / 2, abs=0.004)
    assert chaotic_law.dimension() == pytest.approx(0.0893, rel=0.06)
    assert chaotic_law.entropy_rate() == pytest.approx(0.00229, rel=0.1)


def test_fresh_weights_would_be_far_off(chaotic_law):
    fresh = lyapunov_law("leaky", {"weight_std": 3, "leak": 0.5, "input_std": 0},
                         weights="gaussian")  # fmt: skip
    assert fresh.dimension() > 2 * chaotic_law.dimension()


def test_a_network_at_rest_has_the_moduli_of_its_eigenvalues():
    law = stationary("gru", {"weight_std": 2, "input_std": 0.5, "bias_std": 0.3},
                     dynamics="at_rest")  # fmt: skip
    found = lyapunov_law(law, weights="gaussian")
    radial = eigenvalue_law(law, weights="gaussian")
    # The density of the eigenvalues, integrated over rings, counts them another way.
    radii = np.exp(found.ppf([0.2, 0.5, 0.8]))
    nodes, shares = np.polynomial.legendre.leggauss(24)
    angles = np.exp(1j * np.pi * (np.arange(256) + 0.5) / 256)
    for inner, outer in pairwise(radii):
        r = inner + (outer - inner) * (nodes + 1) / 2
        density = radial.density(r[:, None] * angles)
        mass = np.sum(shares * r * density.mean(axis=1)) * np.pi * (outer - inner)
        assert mass == pytest.approx(0.3, abs=0.003)
    assert found.largest == pytest.approx(math.log(law.spectral_radius), abs=1e-9)


@pytest.mark.parametrize(
    ("cell", "values", "weights"),
    [
        ("minimalrnn", {}, "gaussian"),
        pytest.param("minimalrnn", {}, "orthogonal", marks=pytest.mark.thorough),
        pytest.param("gru", {"input_std": 0.6}, "gaussian", marks=pytest.mark.thorough),
        pytest.param("gru", {"input_std": 0.6}, "orthogonal", marks=pytest.mark.thorough),
        pytest.param("lstm", {"input_std": 0.7}, "gaussian", marks=pytest.mark.thorough),
        pytest.param("lstm", {"input_std": 0.7}, "orthogonal", marks=pytest.mark.thorough),
    ],
)
def test_laws_are_those_of_sampled_networks(cell, values, weights):
    state = stationary(cell, values, dynamics="tied")
    law = lyapunov_law(state, weights=weights, draws=2**12)
    sampled = sample_lyapunov(cell, values, weights=weights, width=128, steps=600, samples=2,
                              tied=True, seed=1)  # fmt: skip
    exponents = np.sort(sampled.exponents.ravel())
    empirical = (np.arange(exponents.size) + 0.5) / exponents.size
    assert np.max(np.abs(law.cdf(exponents) - empirical)) < 0.05


def test_vanilla_networks_have_the_law_of_fresh_weights():
    values = {"weight_std": 1.5, "input_std": 0.5}
    shared = lyapunov_law(stationary("vanilla", values, dynamics="tied"), weights="gaussian",
                          draws=2**13)  # fmt: skip
    fresh = lyapunov_law("vanilla", values, weights="gaussian")
    x = fresh.ppf(np.linspace(0.05, 0.95, 19))
    np.testing.assert_allclose(shared.cdf(x), fresh.cdf(x), atol=0.015)


def test_periodic_paths_have_the_covariances_of_the_steady_state(chaos):
    path = periodic_paths(chaos.steady, 64, count=2048, seed=3)
    e = np.array([sites.gates[0] for sites in path])
    lags = np.array([np.mean(e * np.roll(e, -lag, axis=0)) for lag in range(9)])
    np.testing.assert_allclose(lags, chaos.steady.preactivation_covariances[0, :9], rtol=0.03)
    np.testing.assert_allclose(path[-1].next_states[0], path[0].states[0], atol=1e-8)


def test_wrapped_spectra_are_those_of_the_copies():
    P, T = 64, 16
    C = 2 + 0.5 ** np.arange(P // 2 + 1)
    whole = np.concatenate([C, C[-2:0:-1]])
    found = lagged(wrapped(np.fft.rfft(whole).real, P, T), T)
    copies = [sum(0.5 ** abs(lag + n * T) for n in (-2, -1, 0, 1, 2)) for lag in range(T // 2 + 1)]
    np.testing.assert_allclose(found, 2 + np.array(copies), atol=1e-6)


def test_other_scales_and_no_weights_are_refused(chaos):
    with pytest.raises(ParameterError, match="states a scale of its own"):
        lyapunov_law(chaos, weights=GaussianWeights(2.0))
    with pytest.raises(ParameterError, match="too few"):
        lyapunov_law(chaos, weights="gaussian", draws=100)
    silent = stationary("minimalrnn", {"weight_std": 0.0, "input_std": 1.0}, dynamics="tied")
    with pytest.raises(ParameterError, match="without weights"):
        ring_of(silent, "gaussian", steps=32, sites=32, seed=0)


def test_a_cell_without_memory_needs_one_lap():
    law = stationary(vanilla, Parameters.of(vanilla, weight_std=1.2, input_std=0.3),
                     dynamics="tied")  # fmt: skip
    path = periodic_paths(law.steady, 8, count=64)
    np.testing.assert_allclose(path[-1].next_states[0], path[0].states[0], atol=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_walk_stops_before_shares_beyond_the_end(sign):
    """A solution goes on beyond an end of the spectrum, with a share that is none."""

    def state(exponent, unknowns=None):
        value = SimpleNamespace(
            exponent=exponent, above=0.5 - 1.5 * exponent, unknowns=np.array([exponent])
        )
        return SimpleNamespace(converged=True, value=value, remedy="")

    walk = _Walk(SimpleNamespace(state=state), tqdm(disable=True))
    found = (walk.to_the_top if sign > 0 else walk.to_the_bottom)(state(0.0).value)
    shares = [each.above for each in found]
    assert all(0 < share < 1 for share in shares)
    left = shares[-1] if sign > 0 else 1 - shares[-1]
    assert left < 0.004
