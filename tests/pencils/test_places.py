"""Pencils in which one W stands at several places, against drawn matrices and the other engines."""

from collections.abc import Sequence

import numpy as np
import pytest

from rmt_jacobian.cells import StepDerivatives, minimalrnn
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.pencils import (
    BiInvariant,
    BlockHistory,
    GaussianWeights,
    OrthogonalWeights,
    Pencil,
    RandomEntry,
    SharedChain,
    TransformWeights,
    log_potential,
    pencil_moments,
    solve,
    solve_chain,
)
from tests.pencils.examples import ENSEMBLES, MATRICES, chain, gates

HAAR_BY_TRANSFORM = TransformWeights(lambda u: 1 + 0 * u)


def tied(A: np.ndarray, B: np.ndarray, law: BiInvariant) -> Pencil:
    """The product of the steps A_t + B_t W with one W, symmetrised."""
    fresh = chain(A, B, [law] * len(A))
    steps = range(len(A))
    entry = RandomEntry(tuple(2 * t + 1 for t in steps), tuple(2 * t for t in steps), law, B)
    return Pencil(fresh.constant, fresh.slope, [entry])


def by_chain(A: np.ndarray, B: np.ndarray, law: BiInvariant, s: np.ndarray) -> np.ndarray:
    ones = np.ones(A.shape[1])
    steps = [StepDerivatives({(0, 0): a}, {(0, 0): b}, {(0, 0): ones}, {})
             for a, b in zip(A, B, strict=True)]  # fmt: skip
    history = BlockHistory.of(steps, minimalrnn)
    return solve_chain(SharedChain.of(history, [law]), s).cauchy


@pytest.mark.parametrize(
    "law",
    [GaussianWeights(1.3), OrthogonalWeights(0.9), TransformWeights(lambda u: 1 / (1 + u) ** 2)],
    ids=["gaussian", "orthogonal", "product"],
)
def test_steps_that_share_w_have_the_law_of_the_chain(law: BiInvariant) -> None:
    A, B = gates(12, 3)
    s = np.array([0.4 + 0.3j, 1.1 + 0.1j, 2.0 + 0.5j])
    found = solve(tied(A, B, law), s).unwrap()
    np.testing.assert_allclose(found.g[:, 0], by_chain(A, B, law, s), rtol=1e-8)
    fresh = solve(chain(A, B, [law] * 3), s).unwrap()
    assert np.max(np.abs(fresh.g[:, 0] - found.g[:, 0])) > 1e-3


def test_on_the_real_axis_the_density_is_that_of_the_chain() -> None:
    A, B = gates(12, 2)
    law = GaussianWeights(1.0)
    s = np.linspace(0.3, 1.5, 7) + 0j
    found = solve(tied(A, B, law), s).unwrap()
    np.testing.assert_allclose(found.g[:, 0], by_chain(A, B, law, s), rtol=1e-6, atol=1e-9)
    assert np.all(found.g[:, 0].imag < 0)
    outside = solve(tied(A, B, law), [30.0]).unwrap()
    assert abs(outside.g[0, 0].imag) < 1e-12


@pytest.mark.parametrize("seed", [1, 2])
def test_one_place_each_is_todays_engine(seed: int) -> None:
    """The matrix engine, reached by an entry at two places that are one."""
    rng = np.random.default_rng(seed)
    sites = 8
    C = rng.normal(size=(sites, 4, 4))
    C = C + C.swapaxes(1, 2)
    law = [GaussianWeights(1.2), OrthogonalWeights(0.8)][seed - 1]
    B = rng.normal(size=sites)
    other = RandomEntry(0, 2, GaussianWeights(0.5))
    alone = Pencil(C, [1, 1, 0.5, 0.7], [RandomEntry(0, 1, law, B), other])
    both = Pencil(
        C, [1, 1, 0.5, 0.7],
        [RandomEntry((0, 0), (1, 1), law, np.stack([0.4 * B, 0.6 * B])), other],
    )  # fmt: skip
    z = np.array([0.2 + 0.5j, 1.5 + 0.05j])
    first, second = solve(alone, z).unwrap(), solve(both, z).unwrap()
    np.testing.assert_allclose(second.g, first.g, rtol=1e-8)
    np.testing.assert_allclose(second.sigma[0][:, 0, 0, 0], first.sigma[:, 0, 0], rtol=1e-8)
    np.testing.assert_allclose(log_potential(both, second), log_potential(alone, first), atol=1e-8)


def dense(
    C: np.ndarray, slope: Sequence[float], terms: list[tuple[int, int, np.ndarray]], z: complex
) -> np.ndarray:
    """Return the averages of the diagonal blocks of the inverse of a drawn pencil."""
    N, n = len(C), C.shape[1]
    L = np.zeros((n, N, n, N), dtype=complex)
    sites = np.arange(N)
    for a in range(n):
        for b in range(n):
            L[a, sites, b, sites] = C[:, a, b] + (z * slope[a] if a == b else 0)
    for row, column, BW in terms:
        L[row, :, column, :] -= BW
        L[column, :, row, :] -= BW.T
    G = np.linalg.inv(L.reshape(n * N, n * N)).reshape(n, N, n, N)
    return np.array([np.trace(G[b, :, b, :]) / N for b in range(n)])


@pytest.mark.parametrize("name", ["gaussian", "orthogonal", "product"])
def test_any_pencil_against_drawn_matrices(name: str) -> None:
    """W at three places, two in a row and two in a column, beside another W at one."""
    rng = np.random.default_rng(5)
    base, copies, n = 20, 10, 4
    C = rng.normal(size=(base, n, n))
    C, B = C + C.swapaxes(1, 2), rng.normal(size=(3, base))
    places, slope = [(0, 1), (0, 2), (3, 1)], [1.0, 0.6, 0.8, 1.2]
    z = np.array([0.3 + 0.4j, -1.0 + 0.3j])
    entries = [
        RandomEntry((0, 0, 3), (1, 2, 1), ENSEMBLES[name], B),
        RandomEntry(2, 3, GaussianWeights(0.7)),
    ]
    found = solve(Pencil(C, slope, entries), z).unwrap().g
    rows = []
    for each in rng.spawn(12):
        W = MATRICES[name](base * copies, each)
        X = 0.7 * MATRICES["gaussian"](base * copies, each)
        b = np.tile(B, copies)
        terms = [(r, c, b[k][:, None] * W) for k, (r, c) in enumerate(places)]
        wide = np.tile(C, (copies, 1, 1))
        rows.append([dense(wide, slope, [*terms, (2, 3, X)], point) for point in z])
    mean, error = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / np.sqrt(len(rows))
    bias = 0.2 / (base * copies * 0.3)  # of order 1 / (N Im z)
    assert np.all(np.abs(found - mean) < 4.5 * error + bias)
    independent = [RandomEntry(r, c, ENSEMBLES[name], B[k]) for k, (r, c) in enumerate(places)]
    fresh = solve(Pencil(C, slope, [*independent, entries[1]]), z).unwrap().g
    assert np.max(np.abs(fresh - mean) - 4.5 * error) > bias


def test_an_s_transform_is_the_ensemble_that_it_describes() -> None:
    A, B = gates(8, 2)
    z = [0.7 + 0.2j]
    one, other = (solve(tied(A, B, law), z).unwrap().g for law in
                  (OrthogonalWeights(1.0), HAAR_BY_TRANSFORM))  # fmt: skip
    np.testing.assert_allclose(one, other, rtol=1e-9)


def test_the_derivative_of_the_potential_is_the_average() -> None:
    A, B = gates(8, 2)
    pencil = tied(A, B, OrthogonalWeights(1.1))
    h = 1e-5
    z = np.array([0.8 - h, 0.8, 0.8 + h]) + 0.2j
    found = solve(pencil, z).unwrap()
    F = log_potential(pencil, found)
    expected = np.real(found.g[1] @ np.diag(pencil.slope))
    assert (F[2] - F[0]) / (2 * h) == pytest.approx(expected, abs=1e-6)


def test_every_point_may_have_a_constant_of_its_own(xp) -> None:
    A, B = gates(8, 2)
    pencil = tied(A, B, GaussianWeights(1.0))
    shifted = np.stack([pencil.constant, pencil.constant + 0.3 * np.eye(4)])
    entry = RandomEntry((1, 3), (0, 2), GaussianWeights(1.0), xp.asarray(B))
    z = np.array([0.5 + 0.3j, 0.5 + 0.3j])
    both = solve(Pencil(xp.asarray(shifted), pencil.slope, [entry]), z).unwrap()
    for j in range(2):
        alone = solve(Pencil(shifted[j], pencil.slope, pencil.entries), z[:1]).unwrap()
        np.testing.assert_allclose(np.asarray(both.g)[j], alone.g[0], rtol=1e-9)


def test_what_cannot_be_solved_is_refused() -> None:
    A, B = gates(4, 2)
    law = GaussianWeights(1.0)
    pencil = tied(A, B, law)
    with pytest.raises(ParameterError, match="leave start out"):
        solve(pencil, [1j], start=np.zeros((1, 2)))
    with pytest.raises(ParameterError, match="at one place"):
        pencil_moments(pencil, 0, 2)
    with pytest.raises(ParameterError, match="real"):
        Pencil(pencil.constant + 0j, pencil.slope, pencil.entries)
    with pytest.raises(ParameterError, match="2 rows and 1 columns"):
        Pencil(pencil.constant, pencil.slope, [RandomEntry((1, 3), (0,), law)])
    with pytest.raises(ParameterError, match=r"shape \(2, 4\)"):
        Pencil(pencil.constant, pencil.slope, [RandomEntry((1, 3), (0, 2), law, B[0])])
    nothing = np.stack([B[0], 0 * B[1]])
    with pytest.raises(ParameterError, match="leave that place out"):
        Pencil(pencil.constant, pencil.slope, [RandomEntry((1, 3), (0, 2), law, nothing)])
    with pytest.raises(ParameterError, match="two of the blocks"):
        Pencil(pencil.constant, pencil.slope, [RandomEntry((1, 3), (0, 3), law, B)])
