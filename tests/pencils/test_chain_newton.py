"""Newton's method and the certificate: right solutions pass, wrong ones do not."""

from typing import Any

import numpy as np
import pytest

from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.pencils import (
    GaussianWeights,
    OrthogonalWeights,
    ProductChain,
    SiteHistory,
    solve_chain,
)
from rmt_jacobian.pencils.chain.newton import _Inverse, drift, newton
from tests.pencils.chains import below_axis, constant, gated
from tests.pencils.examples import ENSEMBLES

named = pytest.mark.parametrize("name", ENSEMBLES)


def quarter_circle(s: np.ndarray) -> np.ndarray:
    return (s - np.sqrt(s - 2) * np.sqrt(s + 2)) / 2


def test_one_step_of_gaussian_weights() -> None:
    s = np.array([0.1, 1.0, 1.99, 2.1, 5.0, 1j, 0.5 + 0.1j])
    found = newton(constant(0.0, 1.5), 1.5 * s, -1j * np.ones((7, 2)))
    assert np.all(found.converged)
    assert np.allclose(1.5 * found.cauchy, quarter_circle(s), rtol=1e-9)
    assert np.array_equal(found.inside, (s.imag > 0) | (s.real < 2))


@named
def test_solutions_solve_the_equation_in_any_namespace(name: str, xp: Any) -> None:
    chain, s = gated(name, 3, xp=xp), xp.asarray(np.array([0.4 + 0.1j, 1.5 + 0.5j]))
    found = solve_chain(chain, s)
    assert bool(xp.all(found.converged))
    image = to_numpy(chain.self_energies(found.sigma, found.averages))
    assert np.allclose(image, to_numpy(found.sigma), rtol=1e-9)
    assert np.all(to_numpy(found.sigma).imag < 0)
    assert np.all(to_numpy(found.residual) < 1e-8)


@named
@pytest.mark.parametrize("seed", range(5))
def test_solutions_do_not_depend_on_the_start(name: str, seed: int) -> None:
    chain, s = gated(name, 2), np.array([0.3 + 0j, 0.7 + 0.2j, 3.0 + 0j])
    expected = solve_chain(chain, s)
    again = newton(chain, s, expected.sigma * np.exp(0.3 * below_axis(3, 4, seed).real))
    found = again.converged
    assert np.all(expected.converged)
    assert np.any(found)
    assert np.allclose(again.sigma[found], expected.sigma[found], rtol=1e-8)


def test_the_other_real_solution_is_refused() -> None:
    s = np.array([2.5, 4.0]) + 0j
    other = (s + np.sqrt(s * s - 4)) / 2  # of Sigma = 1 / (s - Sigma)
    found = newton(constant(0.0, 1.0), s, np.stack([other, other], axis=1))
    assert np.all(found.residual < 1e-12)
    assert not np.any(found.converged)
    assert np.all(np.isnan(found.cauchy))


def test_too_few_sweeps_are_no_solution() -> None:
    chain, s = gated("gaussian", 2), np.array([0.5 + 0j])
    found = newton(chain, s, np.full((1, 4), -5j), max_sweeps=2)
    assert not found.converged[0]
    assert found.sweeps == 2


@named
def test_drift_is_the_derivative_of_the_solution(name: str) -> None:
    chain, s, h = gated(name, 2), np.array([0.3 + 0j, 0.9 + 0.3j, 4.0 + 0j]), 1e-5
    found = solve_chain(chain, s)
    above, below = (solve_chain(chain, s + k * h) for k in (1, -1))
    sigma_slope, slope = drift(chain, found)
    assert np.allclose(sigma_slope, (above.sigma - below.sigma) / (2 * h), rtol=1e-5, atol=1e-7)
    assert np.allclose(slope, (above.cauchy - below.cauchy) / (2 * h), rtol=1e-5, atol=1e-7)


def test_weights_that_vanish_leave_diagonals() -> None:
    chain = constant(0.5, 1.0, GaussianWeights(0.0), steps=2)
    found = newton(chain, np.array([0.5 + 0.1j]), np.zeros((1, 4)) + 0j)
    z = 0.5 + 0.1j
    assert found.converged[0]
    assert found.cauchy[0] == pytest.approx(z / (z * z - 0.25**2))


def test_updates_of_an_inverse_learn_every_step() -> None:
    """Broyden: the inverse takes the last change of the function to the step that made it."""
    rng = np.random.default_rng(7)

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)

    everywhere = np.ones(2, dtype=bool)
    inverse = _Inverse(5 * np.eye(3) + drawn(2, 3, 3), np.ones((2, 3)), everywhere)
    true, other = inverse.slope + drawn(2, 3, 3) / 4, drawn(2, 3)
    for _ in range(3):
        moved, before = drawn(2, 3), inverse
        change = (true @ moved[:, :, None])[:, :, 0]
        inverse = before.learnt(everywhere, moved, before.times(change))
        assert np.allclose(inverse.times(change), moved, rtol=1e-9)
        assert np.allclose(inverse.latest(before.times(other)), inverse.times(other), rtol=1e-9)
    forgotten = inverse.learnt(~everywhere, moved, moved)
    assert np.allclose(forgotten.times(other), inverse.times(other), rtol=1e-12)


def test_a_singular_derivative_spoils_its_own_point_only() -> None:
    slope = np.stack([2 * np.eye(2), np.zeros((2, 2))]) + 0j
    inverse = _Inverse(slope, np.ones((2, 2)), np.ones(2, dtype=bool))
    step = inverse.times(np.ones((2, 2)) + 0j)
    assert np.allclose(step[0], 0.5)
    assert np.all(np.isnan(step[1]))


def test_points_that_take_long_do_not_change_the_others() -> None:
    chain, s = gated("orthogonal", 2), np.array([0.3, 0.5, 0.8, 5.0]) + 0j
    right = solve_chain(chain, s).sigma
    start = right * np.array([1.0, 1.0, 1.0, 1e4])[:, None]
    together = newton(chain, s, start)
    assert np.all(together.converged[:3])
    for j in range(4):
        alone = newton(chain, s[j : j + 1], start[j : j + 1])
        assert alone.converged[0] == together.converged[j]
        if alone.converged[0]:
            assert np.allclose(alone.sigma[0], together.sigma[j], rtol=1e-8)


def test_orthogonal_weights_on_the_first_states_are_certified() -> None:
    """The first W of B W_2 B W_1 has a real self-energy in the middle of the support."""
    B = np.array([[0.5, 1.0, 1.5]] * 2)
    chain = ProductChain(SiteHistory.of(0 * B, B), OrthogonalWeights(1.0))
    s = np.array([0.5, 0.9]) + 0j
    found, above = solve_chain(chain, s), solve_chain(chain, s + 1e-7j)
    assert np.all(found.converged & found.inside)
    assert np.allclose(found.sigma[:, 1], 1 / s, rtol=1e-12)
    assert np.allclose(found.cauchy, above.cauchy, rtol=1e-5)
