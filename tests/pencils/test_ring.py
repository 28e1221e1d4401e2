"""The ring of steps that share their weights, against determinants of drawn matrices and others."""

import math

import array_api_strict
import numpy as np
import pytest

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.cells import StepDerivatives, gru, lstm, minimalrnn, vanilla
from rmt_jacobian.pencils.blocks.history import BlockHistory
from rmt_jacobian.pencils.ensembles import GaussianWeights, OrthogonalWeights, TransformWeights
from rmt_jacobian.pencils.shared.ring import Ring
from rmt_jacobian.pencils.shared.ring_sites import RingSites, fourier_basis


def drawn_steps(cell, steps, sites, seed):
    """Return diagonals that remember, stationary on a ring: a part that stays and one that does not."""
    rng = np.random.default_rng(seed)
    d, K = len(cell.states), len(cell.gates)
    tables = [
        (cell.state_derivatives, (d, d), (0.2, 0.7)),
        (cell.gate_derivatives, (d, K), (0.2, 1.0)),
        (cell.source_state_derivatives, (K, d), (0.5, 1.0)),
        (cell.source_gate_derivatives, (K, K), (-0.3, 0.3)),
    ]
    stays = [rng.uniform(size=(*shape, sites)) for _, shape, _ in tables]
    found = []
    for _ in range(steps):
        entries = []
        for (table, shape, (low, high)), mean in zip(tables, stays, strict=True):
            values = low + (high - low) * (mean + rng.uniform(size=(*shape, sites))) / 2
            entries.append(
                {
                    (i, j): values[i, j]
                    for i in range(shape[0])
                    for j in range(shape[1])
                    if table[i][j] != 0
                }
            )
        found.append(StepDerivatives(*entries))
    return found


def ring_matrix(steps, d, weights, scale):
    """Return e^(-lambda) J P - 1 of a network with N neurons, block by block."""
    N = len(weights[0])
    size = d * N
    whole = -np.eye(size * len(steps))
    for t, step in enumerate(steps):
        before = (t - 1) % len(steps)
        whole[t * size : (t + 1) * size, before * size : (before + 1) * size] += scale * jacobian(
            step, d, weights, N
        )
    return whole


def jacobian(step, d, weights, N):
    """Return the Jacobian of one step by the chain rule, with dense matrices."""

    def diagonal(values):
        return np.diag(np.broadcast_to(np.asarray(values, dtype=float), (N,)))

    moved = []
    for k, W in enumerate(weights):
        source = np.zeros((N, d * N))
        for (row, i), values in step.source_state.items():
            if row == k:
                source[:, i * N : (i + 1) * N] += diagonal(values)
        for (row, m), values in step.source_gate.items():
            if row == k:
                source += diagonal(values) @ moved[m]
        moved.append(W @ source)
    found = np.zeros((d * N, d * N))
    for (i, j), values in step.state.items():
        found[i * N : (i + 1) * N, j * N : (j + 1) * N] += diagonal(values)
    for (i, k), values in step.gate.items():
        found[i * N : (i + 1) * N] += diagonal(values) @ moved[k]
    return found


def drawn_weights(ensemble, N, rng):
    if isinstance(ensemble, GaussianWeights):
        return ensemble.weight_std / math.sqrt(N) * rng.standard_normal((N, N))
    q, r = np.linalg.qr(rng.standard_normal((N, N)))
    return ensemble.weight_std * q * np.sign(np.diag(r))


def ring_of(cell, steps, kind, scale=1.5):
    history = BlockHistory.of(steps, cell)
    return Ring(RingSites.of(history), (kind(scale),) * history.gates)


def test_fourier_basis_of_odd_and_even_lengths():
    for steps in (1, 2, 5, 8):
        basis, frequencies = fourier_basis(steps)
        np.testing.assert_allclose(basis @ basis.T, np.eye(steps), atol=1e-12)
        shift = np.roll(np.eye(steps), 1, axis=0)
        moved = basis @ (shift + shift.T) @ basis.T  # what is symmetric and circulant is diagonal
        np.testing.assert_allclose(
            moved, np.diag(2 * np.cos(2 * np.pi * frequencies / steps)), atol=1e-12
        )


@pytest.mark.parametrize("kind", [GaussianWeights, OrthogonalWeights])
@pytest.mark.parametrize("cell", [minimalrnn, gru, lstm], ids=lambda cell: cell.name)
def test_share_above_is_that_of_determinants_of_drawn_networks(cell, kind):
    T, N, d = 4, 260, len(cell.states)
    ring = ring_of(cell, drawn_steps(cell, T, 1024, seed=0), kind)
    rng = np.random.default_rng(1)
    steps = drawn_steps(cell, T, N, seed=2)
    weights = [drawn_weights(kind(1.5), N, rng) for _ in ring.ensembles]
    for exponent in (0.3, -0.2):
        L = ring_matrix(steps, d, weights, math.exp(-exponent))
        sampled = 1 + np.trace(np.linalg.inv(L)) / len(L)
        found = ring.state(exponent).unwrap()
        assert 0.02 < found.above < 0.98
        assert found.above == pytest.approx(sampled, abs=0.03)


@pytest.mark.parametrize("kind", [GaussianWeights, OrthogonalWeights])
def test_share_above_is_the_slope_of_the_potential(kind):
    ring = ring_of(gru, drawn_steps(gru, 6, 128, seed=3), kind)

    def potential(exponent):
        found = ring.state(exponent).unwrap()
        sites, x = ring.sites.transfers(math.exp(-exponent)), found.unknowns.reshape(2, -1)
        rows = ring._mode
        p, q = np.exp(x[:, rows] / 2)
        M = q[:, None] * sites.matrices * p
        one = np.eye(len(p))
        value = np.mean(np.linalg.slogdet(one + np.swapaxes(M, 1, 2) @ M)[1]) / 2
        product, variance = (p * q) ** 2, 1.5**2
        left = product / variance if kind is GaussianWeights else np.log1p(product / variance)
        kept = np.mean(np.linalg.slogdet(ring_memory(ring.sites, math.exp(-exponent)))[1])
        return (value - left.sum() / 2 + kept) / 6

    step = 1e-3
    slope = (potential(0.1 + step) - potential(0.1 - step)) / (2 * step)
    assert ring.state(0.1).unwrap().above == pytest.approx(-slope, abs=1e-6)


def ring_memory(sites, scale):
    """Return 1 - z A P at every site, of a cell with one state."""
    T = sites.steps
    whole = np.zeros((sites.count, T, T)) + np.eye(T)
    for t in range(T):
        whole[:, t, (t - 1) % T] -= scale * sites.state[:, t, 0, 0]
    return whole


def test_errors_are_those_of_other_sites():
    rings = [ring_of(minimalrnn, drawn_steps(minimalrnn, 6, 256, seed), GaussianWeights)
             for seed in range(12)]  # fmt: skip
    states = [ring.state(0.05).unwrap() for ring in rings]
    scatter = np.std([state.above for state in states], ddof=1)
    said = np.mean([state.error for state in states])
    assert 0.6 < said / scatter < 1.6


def test_speed_is_that_of_the_solutions():
    ring = ring_of(gru, drawn_steps(gru, 4, 64, seed=4), GaussianWeights)
    here = ring.state(0.0).unwrap()
    left, right = (ring.state(x, here.unknowns).unwrap() for x in (-1e-4, 1e-4))
    change = (right.unknowns - left.unknowns) / 2e-4
    # The same factor for all p and 1 / it for all q changes nothing.
    gauge = np.repeat([1.0, -1.0], ring.modes)
    change -= gauge * (change @ gauge) / len(gauge)
    speed = here.speed - gauge * (here.speed @ gauge) / len(gauge)
    np.testing.assert_allclose(speed, change, rtol=1e-4, atol=1e-5)


def test_vanilla_networks_do_not_tell_shared_weights_from_fresh_ones():
    rng = np.random.default_rng(5)
    steps = [StepDerivatives({}, {(0, 0): rng.uniform(size=512)}, {(0, 0): 1.0}, {})
             for _ in range(6)]  # fmt: skip
    ring = Ring(RingSites.of(BlockHistory.of(steps, vanilla)), (GaussianWeights(2.0),))
    x = np.concatenate([step.gate[0, 0] for step in steps])
    for exponent in (-0.5, 0.0):
        found = ring.state(exponent).unwrap()
        mu, y = math.exp(2 * exponent), found.above
        # Newman: 1 = sigma^2 < B^2 / (mu + sigma^2 y B^2 ...) > for Gaussian W.
        spread = np.mean(4 * x**2 / (mu + 4 * y_scale(x, mu) * x**2))
        assert spread == pytest.approx(1.0, abs=0.01)
        assert y == pytest.approx(np.mean(4 * y_scale(x, mu) * x**2
                                          / (mu + 4 * y_scale(x, mu) * x**2)), abs=0.01)  # fmt: skip


def y_scale(x, mu):
    """Return y with 1 = 4 < x^2 / (mu + 4 y x^2) >."""
    from scipy.optimize import brentq

    return brentq(lambda y: np.mean(4 * x**2 / (mu + 4 * y * x**2)) - 1, 0.0, 1.0)


def test_orthogonal_weights_by_their_transform():
    steps = drawn_steps(minimalrnn, 4, 64, seed=6)
    known = ring_of(minimalrnn, steps, OrthogonalWeights).state(0.1).unwrap()
    sites = RingSites.of(BlockHistory.of(steps, minimalrnn))
    given = Ring(sites, (TransformWeights(lambda u: 1 / 1.5**2 + 0 * u),)).state(0.1).unwrap()
    assert given.above == pytest.approx(known.above, abs=1e-8)


def test_any_namespace_gives_the_same_numbers():
    steps = drawn_steps(gru, 4, 32, seed=7)
    history = BlockHistory.of(steps, gru)
    ensembles = (GaussianWeights(1.5),) * 3
    own, other = (
        Ring(RingSites.of(each), ensembles).state(0.0).unwrap()
        for each in (history, history.on(array_api_strict))
    )
    assert other.above == pytest.approx(own.above, abs=1e-10)
    assert isinstance(to_numpy(other.unknowns), np.ndarray)
