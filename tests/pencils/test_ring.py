"""The ring of steps that share their weights, against determinants of drawn matrices and others."""

import math

import array_api_strict
import numpy as np
import pytest
from scipy.optimize import brentq

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.cells import StepDerivatives, gru, lstm, minimalrnn, vanilla
from rmt_jacobian.pencils.blocks.history import BlockHistory
from rmt_jacobian.pencils.ensembles import GaussianWeights, OrthogonalWeights, TransformWeights
from rmt_jacobian.pencils.shared.ring import Ring
from rmt_jacobian.pencils.shared.ring_sites import RingSites, fourier_basis


def drawn_steps(cell, steps, sites, seed):
    """Return diagonals whose law is the same at all steps: a part of them stays."""
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
            values = low + (high - low) * (mean + 3 * rng.uniform(size=(*shape, sites))) / 4
            if low != 0.2:  # W that multiply the same source have the same derivatives of it
                values = values[[cell.sources.index(source) for source in cell.sources]]
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


def ring_of(cell, steps, kind, scale=1.5, eta=1e-4):
    history = BlockHistory.of(steps, cell)
    return Ring(RingSites.of(history), (kind(scale),) * history.gates, eta)


def test_fourier_basis_of_odd_and_even_lengths():
    for steps in (1, 2, 5, 8):
        basis, frequencies = fourier_basis(steps)
        np.testing.assert_allclose(basis @ basis.T, np.eye(steps), atol=1e-12)
        shift = np.roll(np.eye(steps), 1, axis=0)
        moved = basis @ (shift + shift.T) @ basis.T  # what is symmetric and circulant is diagonal
        np.testing.assert_allclose(
            moved, np.diag(2 * np.cos(2 * np.pi * frequencies / steps)), atol=1e-12
        )


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        (minimalrnn, GaussianWeights),
        (lstm, OrthogonalWeights),
        *(
            pytest.param(*each, marks=pytest.mark.thorough)
            for each in [
                (minimalrnn, OrthogonalWeights),
                (gru, GaussianWeights),
                (gru, OrthogonalWeights),
                (lstm, GaussianWeights),
            ]
        ),
    ],
)
def test_share_above_is_that_of_determinants_of_drawn_networks(cell, kind):
    T, N, d = 4, 100, len(cell.states)
    low, high = (-0.6, 0.0) if kind is GaussianWeights else (0.1, 0.25)
    nodes, weights = np.polynomial.legendre.leggauss(2)
    places = (low + high) / 2 + (high - low) / 2 * nodes
    gaps = []
    for rng in np.random.default_rng(1).spawn(6):
        steps = drawn_steps(cell, T, N, rng)
        ring = ring_of(cell, steps, kind, scale=3.0)  # theory on the very sites of the network
        found = sum(w * ring.state(x).unwrap().above for x, w in zip(places, weights, strict=True))
        matrices = [drawn_weights(kind(3.0), N, rng) for _ in ring.ensembles]
        first, last = (
            np.linalg.slogdet(ring_matrix(steps, d, matrices, math.exp(-end)))[1] / (T * d * N)
            for end in (low, high)
        )
        gaps.append(found / 2 - (first - last) / (high - low))
        assert 0.05 < found / 2 < 0.95
    error = np.std(gaps, ddof=1) / math.sqrt(len(gaps))
    assert abs(np.mean(gaps)) < 4 * error + 1 / N


@pytest.mark.parametrize("kind", [GaussianWeights, OrthogonalWeights])
def test_share_above_is_the_slope_of_the_potential(kind):
    steps = drawn_steps(gru, 6, 64, seed=3)
    ring = ring_of(gru, steps, kind, eta=1e-7)
    steps_at_sites = [[one_site(step, i) for i in range(64)] for step in steps]

    def potential(exponent):
        found, z = ring.state(exponent).unwrap(), math.exp(-exponent)
        spread, cost = np.exp(found.unknowns.reshape(2, 3, -1))
        sites = zip(*steps_at_sites, strict=True)
        value = np.mean([site_potential(site, spread, cost, z) for site in sites])
        own, multiplicity = spread * cost, np.array([1, 2, 2, 1])
        left = own / 1.5**2 if kind is GaussianWeights else np.log1p(own / 1.5**2)
        return (value - np.sum(left * multiplicity) / 2) / 6

    step = 1e-3
    slope = (potential(0.1 + step) - potential(0.1 - step)) / (2 * step)
    assert ring.state(0.1).unwrap().above == pytest.approx(-slope, abs=1e-5)


def one_site(step, i):
    """Return the matrices A, B, Y_s and Y_e of a GRU at one site."""

    def dense(table, shape):
        found = np.zeros(shape)
        for key, values in table.items():
            found[key] = np.broadcast_to(values, (64,))[i]
        return found

    return (dense(step.state, (1, 1)), dense(step.gate, (1, 3)), dense(step.source_state, (3, 1)),
            dense(step.source_gate, (3, 3)))  # fmt: skip


def site_potential(site, spread, cost, z):
    """Return log |det D| + log det (1 + M M^T) / 2 with complex modes, of one site."""
    T = len(site)
    D, T_matrix = np.eye(T, dtype=complex), np.zeros((3, T, 3, T), dtype=complex)
    for t, (A, *_) in enumerate(site):
        D[t, (t - 1) % T] -= z * A[0, 0]
    back = np.linalg.inv(D)
    for t, (_, _, Ys, Ye) in enumerate(site):
        T_matrix[:, t, :, t] += Ye
        for u, (_, B, _, _) in enumerate(site):
            T_matrix[:, t, :, u] += z * np.outer(Ys[:, 0], B[0]) * back[(t - 1) % T, u]
    modes = np.exp(-2j * np.pi * np.outer(np.arange(T), np.arange(T)) / T) / math.sqrt(T)
    T_matrix = np.einsum("at,ktmu,bu->kamb", modes, T_matrix, modes.conj())
    folded = np.minimum(np.arange(T), T - np.arange(T))
    p, q = np.sqrt(spread[:, folded]), np.sqrt(cost[:, folded])
    M = (q[:, :, None, None] * T_matrix * p).reshape(3 * T, 3 * T)
    whole = np.eye(3 * T) + M @ M.conj().T
    return np.linalg.slogdet(D)[1] + np.linalg.slogdet(whole)[1] / 2


def test_errors_are_those_of_other_sites():
    rings = [ring_of(minimalrnn, drawn_steps(minimalrnn, 6, 256, seed), GaussianWeights)
             for seed in range(12)]  # fmt: skip
    states = [ring.state(0.05).unwrap() for ring in rings]
    scatter = np.std([state.above for state in states], ddof=1)
    before = [ring.state(0.04).unwrap() for ring in rings]
    speeds = [(a.unknowns - b.unknowns) / 0.01 for a, b in zip(states, before, strict=True)]
    said = np.mean([state.error(v) for state, v in zip(states, speeds, strict=True)])
    assert 0.6 < said / scatter < 1.6


def test_vanilla_networks_do_not_tell_shared_weights_from_fresh_ones():
    rng = np.random.default_rng(5)
    steps = [StepDerivatives({}, {(0, 0): rng.uniform(size=512)}, {(0, 0): 1.0}, {})
             for _ in range(6)]  # fmt: skip
    ring = Ring(RingSites.of(BlockHistory.of(steps, vanilla)), (GaussianWeights(2.0),))
    x = np.concatenate([step.gate[0, 0] for step in steps])
    for exponent in (-0.5, 0.0):
        found = ring.state(exponent).unwrap()
        mu = math.exp(2 * exponent)
        y = newman(x, mu)
        share = np.mean(4 * y * x**2 / (mu + 4 * y * x**2))
        assert found.above == pytest.approx(share, abs=0.01)


def newman(x, mu):
    """Return y with 1 = 4 < x^2 / (mu + 4 y x^2) >."""
    return brentq(lambda y: np.mean(4 * x**2 / (mu + 4 * y * x**2)) - 1, 0.0, 1.0)


def test_orthogonal_weights_by_their_transform():
    steps = drawn_steps(minimalrnn, 4, 64, seed=6)
    known = ring_of(minimalrnn, steps, OrthogonalWeights, scale=3.0).state(0.2).unwrap()
    sites = RingSites.of(BlockHistory.of(steps, minimalrnn))
    given = Ring(sites, (TransformWeights(lambda u: 1 / 9 + 0 * u),)).state(0.2).unwrap()
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
