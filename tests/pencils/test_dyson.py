"""The solver against closed forms, sampled matrices and what every solution must satisfy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

import rmt_jacobian.pencils.self_energy as self_energy
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.pencils import (
    GaussianWeights,
    OrthogonalWeights,
    Pencil,
    RandomEntry,
    log_potential,
    solve,
)
from rmt_jacobian.pencils.anderson import anderson
from rmt_jacobian.pencils.self_energy import DysonEquation
from tests.pencils.examples import (
    ENSEMBLES,
    MATRICES,
    chain,
    gates,
    hermitized,
    one_step,
    plain,
    random_pencil,
)

named = pytest.mark.parametrize("name", ENSEMBLES)
X = np.array([-3.1, -1.7, -0.4, 0.0, 0.3, 1.2, 1.9, 2.4, 5.0])
HEIGHTS = [3.0, 1.0, 0.1, 1e-3, 1e-7]


def quarter_circle(z: np.ndarray) -> np.ndarray:
    return (z - np.sqrt(z - 2) * np.sqrt(z + 2)) / 2


@pytest.mark.parametrize("height", [*HEIGHTS, 0.0])
def test_gaussian_weights_have_the_quarter_circle(height: float) -> None:
    z = X + 1j * height
    solution = solve(plain(GaussianWeights(1.0)), z).unwrap()
    assert np.allclose(solution.g, quarter_circle(z)[:, None], rtol=1e-9)


@pytest.mark.parametrize("height", [*HEIGHTS, 0.0])
def test_orthogonal_weights_have_one_singular_value(height: float) -> None:
    # On the way down the R-transform would change its branch at height 1.5.
    z = X[X != 0] + 1j * height
    solution = solve(plain(OrthogonalWeights(1.5)), z).unwrap()
    assert np.allclose(solution.g, (z / (z * z - 2.25))[:, None], rtol=1e-9)


def test_orthogonal_weights_through_the_branch_point() -> None:
    z = 1j * np.array([4, 1.5 + 1e-9, 1.5, 1.5 - 1e-9, 0.3, 1e-4])
    solution = solve(plain(OrthogonalWeights(1.5)), z).unwrap()
    assert np.allclose(solution.g, (z / (z * z - 2.25))[:, None], rtol=1e-9)


@pytest.mark.parametrize("height", [1.0, 1e-3, 0.0])
def test_products_of_two_gaussians_solve_a_cubic(height: float) -> None:
    # b = z G(z) of the symmetrised law: b^3 = z^2 (b - 1); the root with Im G < 0.
    z = np.array([0.2, 1.0, 2.5]) + 1j * height  # inside the support
    solution = solve(plain(ENSEMBLES["product"]), z).unwrap()
    for point, found in zip(z, solution.g[:, 0], strict=True):
        roots = np.roots([1, 0, -(point**2), point**2]) / point
        inside = roots[np.imag(roots) < -1e-12]
        assert np.min(np.abs(inside - found)) < 1e-8
        assert found.imag < 0


@pytest.mark.parametrize("height", [1.0, 1e-3, 0.0])
def test_a_deformed_semicircle_solves_a_cubic(height: float) -> None:
    # Equal diagonals +-d in both blocks: g = < 1 / (z - d - g) >, inside the support.
    d = 0.7
    constant = np.array([d, -d])[:, None, None] * np.eye(2)
    z = np.array([0.1, 0.8, -1.4]) + 1j * height
    pencil = Pencil(constant, [1, 1], [RandomEntry(0, 1, GaussianWeights(1.0))])
    for point, found in zip(z, solve(pencil, z).unwrap().g[:, 0], strict=True):
        roots = np.roots([1, -2 * point, point**2 - d**2 + 1, -point])
        right = roots[np.argmin(roots.imag)]
        assert abs(found - right) < 1e-8


def sampled(matrix, z: np.ndarray, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return tau G of a symmetrised matrix over samples, and its standard error."""
    rng, values = np.random.default_rng(seed), []
    for _ in range(samples):
        s = np.linalg.svd(matrix(rng), compute_uv=False)[:, None]
        values.append(np.mean(z / (z * z - s * s), axis=0))
    return np.mean(values, axis=0), np.std(values, axis=0, ddof=1) / np.sqrt(samples)


AT = np.array([0.1, 0.6, 1.2, 2.0]) + 0.1j
SITES, COPIES, SAMPLES = 32, 8, 12


def assert_sampled(found: np.ndarray, expected: np.ndarray, error: np.ndarray) -> None:
    # Four and a half standard errors, and a bias of order 1 / (N Im z).
    assert np.all(np.abs(found - expected) < 4.5 * error + 1 / (SITES * COPIES * 0.1) * 0.2)


@named
def test_one_step_against_sampled_matrices(name: str) -> None:
    (A,), (B,) = gates(SITES, 1)
    a, b = np.tile(A, COPIES), np.tile(B, COPIES)
    mean, error = sampled(
        lambda rng: np.diag(a) + b[:, None] * MATRICES[name](len(a), rng), AT, SAMPLES, 1
    )
    solution = solve(one_step(A, B, ENSEMBLES[name]), AT).unwrap()
    assert_sampled(solution.g[:, 0], mean, error)
    assert np.allclose(solution.g[:, 0], solution.g[:, 1], rtol=1e-9)  # J J^T and J^T J


def test_two_steps_of_different_ensembles_against_sampled_matrices() -> None:
    A, B = gates(SITES, 2)
    a, b = np.tile(A, COPIES), np.tile(B, COPIES)

    def product(rng: np.random.Generator) -> np.ndarray:
        first = np.diag(a[0]) + b[0][:, None] * MATRICES["gaussian"](SITES * COPIES, rng)
        second = np.diag(a[1]) + b[1][:, None] * MATRICES["orthogonal"](SITES * COPIES, rng)
        return second @ first

    mean, error = sampled(product, AT, SAMPLES, 2)
    pencil = chain(A, B, [ENSEMBLES["gaussian"], ENSEMBLES["orthogonal"]])
    assert_sampled(solve(pencil, AT).unwrap().g[:, 0], mean, error)


def two_entries() -> Pencil:
    """J = A + B W + W', two ensembles at the same blocks, with unequal weights of the sites."""
    (A,), (B,) = gates(3, 1)
    constant = -A[:, None, None] * (1 - np.eye(2))
    entries = [
        RandomEntry(1, 0, OrthogonalWeights(1.2), B),
        RandomEntry(1, 0, GaussianWeights(0.5)),
    ]
    return Pencil(constant, [1, 1], entries, np.array([0.5, 0.25, 0.25]))


def test_two_matrices_in_one_place_against_sampled_matrices() -> None:
    (A,), (B,) = gates(3, 1)
    a, b = (np.repeat(values, np.array([2, 1, 1]) * 64) for values in (A, B))

    def matrix(rng: np.random.Generator) -> np.ndarray:
        orthogonal = 1.2 * MATRICES["orthogonal"](len(a), rng)
        return np.diag(a) + b[:, None] * orthogonal + 0.5 * MATRICES["gaussian"](len(a), rng)

    mean, error = sampled(matrix, AT, SAMPLES, 3)
    assert_sampled(solve(two_entries(), AT).unwrap().g[:, 0], mean, error)


@pytest.mark.parametrize(
    "pencil", [two_entries(), chain(*gates(4, 2), list(ENSEMBLES.values())[1:])]
)
def test_the_potential_has_the_derivative_g(pencil: Pencil) -> None:
    h = 1e-3
    z = np.array([0.4 + 0.3j, 1.1 + 1j, 0.2j, -2 + 0.05j, 9 + 0j])
    total = solve(pencil, z).unwrap().g @ np.diag(pencil.slope)

    def slope(step: complex) -> np.ndarray:
        values = [log_potential(pencil, solve(pencil, z + k * step)) for k in (-2, -1, 1, 2)]
        return np.array([1, -8, 8, -1]) @ values / (12 * h)

    assert np.allclose(slope(h), np.real(total), atol=1e-6)
    above = np.imag(z) > 0
    vertical = np.array([1, -8, 8, -1]) @ [
        log_potential(pencil, solve(pencil, z[above] + 1j * k * h)) for k in (-2, -1, 1, 2)
    ]
    assert np.allclose(vertical / (12 * h), -np.imag(total)[above], atol=1e-6)


def test_the_potential_against_sampled_determinants() -> None:
    (A,), (B,) = gates(3, 1)
    a, b = (np.repeat(values, np.array([2, 1, 1]) * 32) for values in (A, B))
    rng, eta, values = np.random.default_rng(4), 0.3, []
    for _ in range(16):
        J = np.diag(a) + b[:, None] * 1.2 * MATRICES["orthogonal"](len(a), rng)
        J += 0.5 * MATRICES["gaussian"](len(a), rng)
        values.append(np.mean(np.log(np.linalg.svd(J, compute_uv=False) ** 2 + eta**2)))
    expected = log_potential(two_entries(), solve(two_entries(), 1j * eta))[0]
    error = np.std(values, ddof=1) / 4
    assert abs(np.mean(values) - expected) < 4.5 * error + 1 / len(a)


@named
def test_the_density_has_mass_one(name: str) -> None:
    (A,), (B,) = gates(16, 1)
    x = np.linspace(-8, 8, 1601)
    solution = solve(one_step(A, B, ENSEMBLES[name]), x + 0.02j).unwrap()
    # The Cauchy law of width 0.02 has a mass of about 2 eta / (8 pi) outside.
    assert -np.trapezoid(solution.g[:, 0].imag, x) / np.pi == pytest.approx(1, abs=4e-3)


@given(st.integers(0, 10**6))
@settings(max_examples=20)
@example(163_827)
def test_random_pencils(seed: int) -> None:
    pencil, x = random_pencil(seed), np.linspace(-5, 5, 9)
    above = solve(pencil, x + 1e-7j).unwrap()
    assert np.all(above.g.imag <= 1e-12)
    assert np.all(above.sigma.imag <= 1e-12)
    assert np.max(above.residual) <= 1e-10
    row, column = pencil.slots[0], pencil.slots[1]
    if pencil.entries[0].coefficient is None:
        assert np.allclose(above.u[:, 0], above.sigma[:, 0, 0] * above.g[:, row], rtol=1e-7)
    assert np.allclose(above.u[:, 0], above.sigma[:, 0, 1] * above.g[:, column], rtol=1e-7)
    on = solve(pencil, x)
    # Where the axis is not at an edge or an atom the limit from above is taken.
    regular = on.converged & (np.max(abs(on.g), axis=1) < 50)
    assert np.sum(regular) >= 7
    assert np.allclose(on.g[regular], above.g[regular], atol=2e-4)
    # So far that the constants of the pencil, thousands for some, are nothing beside it.
    far = solve(pencil, 1e9j * np.array([1, 2])).unwrap()
    sloped = np.diag(pencil.slope) > 0
    heights = np.array([[1e9j], [2e9j]])
    assert np.allclose((far.g * heights)[:, sloped], 1 / np.diag(pencil.slope)[sloped], atol=1e-3)


def test_the_wrong_real_solution_is_refused() -> None:
    # At z = 3 the equation g = 1 / (3 - g) has two real roots; the larger one grows with z.
    start = (3 + np.sqrt(5)) / 2 * np.ones((1, 2))
    solution = solve(plain(GaussianWeights(1.0)), 3.0, start).unwrap()
    assert solution.g[0, 0] == pytest.approx((3 - np.sqrt(5)) / 2, rel=1e-12)


def test_edges_are_solved_to_the_root_of_the_rounding() -> None:
    solution = solve(plain(GaussianWeights(1.0)), [2.0, -2.0]).unwrap()
    assert np.allclose(solution.g[:, 0], [1, -1], atol=1e-6)


def test_the_centre_of_a_chiral_pencil_is_the_limit_from_above() -> None:
    # At z = 0 the two self-energies can be scaled against each other.
    start = -1j * np.array([[2.0, 0.5]])
    solution = solve(plain(GaussianWeights(1.0)), 0.0, start).unwrap()
    assert np.allclose(solution.sigma, -1j, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_units_do_not_matter(scale: float) -> None:
    A, B = gates(6, 1)
    z = X + 0.01j
    found = solve(chain(scale * A, B, [GaussianWeights(scale)]), scale * z).unwrap()
    moved = solve(chain(scale * A, scale * B, [GaussianWeights(1.0)]), scale * z).unwrap()
    expected = solve(chain(A, B, [GaussianWeights(1.0)]), z).unwrap()
    assert np.allclose(scale * found.g, expected.g, rtol=1e-8)
    assert np.allclose(scale * moved.g, expected.g, rtol=1e-8)


@named
def test_accelerated_fixed_point_iteration(name: str) -> None:
    pencil = chain(*gates(6, 2), [ENSEMBLES[name]] * 2)
    z = X + 0.05j
    equation, points = DysonEquation(pencil, z), np.arange(len(z))
    start = np.tile(-1j * pencil.scales, (len(z), 1))
    found = anderson(equation, z, start, points, tolerance=1e-10)
    assert np.all(equation.residual(z, found, points).norm <= 1e-10)
    assert np.allclose(found.reshape(-1, 2, 2), solve(pencil, z).unwrap().sigma, rtol=1e-7)


def test_the_newton_matrix_is_the_derivative() -> None:
    pencil, z = two_entries(), np.array([0.3 + 0.2j])
    equation, points = DysonEquation(pencil, z), np.arange(1)
    sigma = np.array([[0.1 - 0.5j, -0.2 - 0.3j, 0.4 - 0.2j, -1j]])
    matrix = equation.residual(z, sigma, points).matrix[0]
    for a, move in enumerate(1e-5 * np.eye(4)):
        up, down = (equation.residual(z, sigma + s * move, points).value for s in (1, -1))
        assert np.allclose(matrix[:, a], (up - down)[0] / 2e-5, atol=1e-8)


AT_LAMBDA = np.array([-1.5, -0.3, 0.5 + 0.1j, 0.8 + 0.2j, 2.5])


@named
def test_eigenvalue_pencils_on_the_axis_are_the_limit_from_above(name: str) -> None:
    # At eta = 0 the solutions inside the support form a family, and outside g vanishes.
    (A,), (B,) = gates(16, 1)
    pencil = hermitized(A, B, ENSEMBLES[name], AT_LAMBDA)
    zeros = np.zeros((1, 2))  # a solution of the equation, but not the limit inside
    on, above = solve(pencil, 0.0, zeros).unwrap(), solve(pencil, 1e-5j).unwrap()
    assert np.allclose(on.g, above.g, atol=1e-3)
    assert np.allclose(on.g[:, 0], on.g[:, 1], atol=1e-7)
    assert np.all(on.g[2:4, 0].imag < -0.1)
    assert np.allclose(on.g[[0, 1, 4]], 0, atol=1e-12)


def test_states_can_be_blocks_of_their_own() -> None:
    # lambda s = A s + B e, e = W y, y = s: the same eigenvalues, with eta at the state alone.
    (A,), (B,) = gates(16, 1)
    law = ENSEMBLES["gaussian"]
    P = np.tile(np.eye(3, dtype=complex), (len(AT_LAMBDA), 16, 1, 1))
    P[..., 0, 0] = AT_LAMBDA[:, None] - A
    P[..., 0, 1], P[..., 2, 0] = -B, -1
    constant = np.zeros((len(AT_LAMBDA), 16, 6, 6), dtype=complex)
    constant[..., :3, 3:], constant[..., 3:, :3] = P, P.conj().swapaxes(-1, -2)
    pencil = Pencil(constant, [1, 0, 0, 1, 0, 0], [RandomEntry(1, 5, law)])
    for eta in (0.1, 1e-4, 0.0):
        small = solve(hermitized(A, B, law, AT_LAMBDA), 1j * eta).unwrap()
        assert np.allclose(solve(pencil, 1j * eta).unwrap().g[:, [0, 3]], small.g, atol=1e-6)


def test_atoms_are_not_solved() -> None:
    solution = solve(plain(OrthogonalWeights(1.0)), [0.5, 1.0])
    assert solution.converged.tolist() == [True, False]
    assert np.isnan(solution.g[1]).all()
    assert np.isnan(solution.sigma[1]).all()
    assert np.isnan(log_potential(plain(OrthogonalWeights(1.0)), solution)[1])
    with pytest.raises(ConvergenceError, match=r"1 of 2 points .* z = 1\+0j; raise Im z"):
        solution.unwrap()


def test_a_good_start_saves_work() -> None:
    pencil = chain(*gates(16, 1), [ENSEMBLES["gaussian"]])
    first = solve(pencil, X + 0.01j)
    again = solve(pencil, X + 0.0101j, first.sigma)
    assert np.max(again.iterations) <= 6
    assert np.allclose(again.g, solve(pencil, X + 0.0101j).g, rtol=1e-8)


def test_random_entries_of_size_zero_do_nothing() -> None:
    (A,), (B,) = gates(4, 1)
    solution = solve(one_step(A, B, GaussianWeights(0.0)), 1j + X).unwrap()
    z = (1j + X)[:, None]
    assert np.allclose(solution.g[:, 0], np.mean(z / (z * z - A**2), axis=1), rtol=1e-12)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pencil = chain(*gates(7, 2), [ENSEMBLES["gaussian"], ENSEMBLES["orthogonal"]])
    whole = solve(pencil, X + 0.1j).unwrap()
    monkeypatch.setattr(self_energy, "_CHUNK_BYTES", 16 * 16 * 3)
    assert np.allclose(solve(pencil, X + 0.1j).unwrap().g, whole.g, rtol=1e-12)


def test_a_full_slope() -> None:
    # L = z S + C is congruent to z - X with the eigenvectors of S: here W is plain.
    slope = np.array([[1, 0.5j], [-0.5j, 1]])
    pencil = Pencil(np.zeros((1, 2, 2)), slope, [RandomEntry(0, 1, GaussianWeights(1.0))])
    g = solve(pencil, 1j).unwrap().g[0]
    sigma = g[1]
    assert np.linalg.inv(1j * slope - sigma * np.eye(2))[0, 0] == pytest.approx(g[0], rel=1e-9)


@pytest.mark.parametrize("name", ["gaussian", "product"])
def test_every_namespace(name: str, xp: Any) -> None:
    (A,), (B,) = gates(5, 1)
    host = one_step(A, B, ENSEMBLES[name])
    entry = RandomEntry(1, 0, ENSEMBLES[name], xp.asarray(B))
    weights = xp.asarray(np.full(5, 0.2))
    for constant in (host.constant, np.repeat(host.constant[None], len(X), axis=0)):
        there = Pencil(xp.asarray(constant), host.slope, [entry], weights)
        solution, expected = solve(there, xp.asarray(X + 0.1j)), solve(host, X + 0.1j)
        assert type(solution.g) is type(there.constant)
        assert bool(xp.all(solution.converged))
        for field in ("z", "g", "sigma", "u"):
            found = np.asarray(getattr(solution, field))
            assert np.allclose(found, getattr(expected, field), rtol=1e-10)
        found = np.asarray(log_potential(there, solution.unwrap()))
        assert np.allclose(found, log_potential(host, expected), rtol=1e-10)


def test_errors_name_the_remedy() -> None:
    pencil = plain(GaussianWeights(1.0))
    with pytest.raises(ParameterError, match="Im z >= 0"):
        solve(pencil, -1j)
    with pytest.raises(ParameterError, match="finite"):
        solve(pencil, np.nan)
    with pytest.raises(ParameterError, match=r"\(points,\)"):
        solve(pencil, np.ones((2, 2)))
    with pytest.raises(ParameterError, match="start must have shape"):
        solve(pencil, 1j, np.zeros((3, 3)))
    batch = hermitized(np.ones(2), np.ones(2), GaussianWeights(1.0), AT_LAMBDA)
    with pytest.raises(ParameterError, match=r"\(5,\) like the constant"):
        solve(batch, [1j, 2j])
