"""Averages of a chain and their derivatives against dense matrices and differences."""

from typing import Any

import numpy as np
import pytest

import rmt_jacobian.pencils.chain.product_chain as chain_module
from rmt_jacobian.arrays import to_numpy
from rmt_jacobian.pencils import ProductChain, SiteHistory, solve, solve_chain
from tests.pencils import examples
from tests.pencils.chains import below_axis, constant, gated
from tests.pencils.examples import ENSEMBLES

named = pytest.mark.parametrize("name", ENSEMBLES)
S = np.array([0.3 + 0.2j, 1.1 + 0.05j])


def site_inverses(chain: ProductChain, s: complex, sigma: np.ndarray) -> np.ndarray:
    """Return G of every site as a dense matrix, shape (sites, 2T, 2T)."""
    A, B = chain.sites.direct, chain.sites.gate
    steps, sites = A.shape
    L = np.zeros((sites, 2 * steps, 2 * steps), dtype=complex)
    for t in range(steps):
        v, w = 2 * t, 2 * t + 1
        L[:, v, w] = L[:, w, v] = -A[t]
        L[:, v, v] -= sigma[v]
        L[:, w, w] -= B[t] ** 2 * sigma[w]
        if t + 1 < steps:
            L[:, w, w + 1] = L[:, w + 1, w] = 1
    L[:, 0, 0] += s
    L[:, -1, -1] += s
    return np.linalg.inv(L)


def measures(chain: ProductChain) -> np.ndarray:
    """Return c of every block and site: 1 at v and B^2 at w."""
    rows = [np.ones(chain.sites.count)] * chain.blocks
    rows[1::2] = list(chain.sites.gate**2)
    return np.array(rows)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_averages_are_those_of_the_inverse_matrices(steps: int, xp: Any) -> None:
    plain, chain = gated("gaussian", steps), gated("gaussian", steps, xp=xp)
    sigma = below_axis(2, 2 * steps)
    found = to_numpy(chain.averages(xp.asarray(S), xp.asarray(sigma)))
    for j in range(2):
        G = site_inverses(plain, S[j], sigma[j])
        diagonal = np.einsum("iaa,ai,i->a", G, measures(plain), plain.sites.weights)
        assert np.allclose(found[j], diagonal, rtol=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_responses_are_squares_of_the_inverse_matrices(steps: int, xp: Any) -> None:
    plain, chain = gated("gaussian", steps), gated("gaussian", steps, xp=xp)
    sigma, c, p = below_axis(2, 2 * steps), measures(plain), plain.sites.weights
    found = chain.responses(xp.asarray(S), xp.asarray(sigma))
    for j in range(2):
        G = site_inverses(plain, S[j], sigma[j])
        matrix = np.einsum("ai,bi,iab,i->ab", c, c, G**2, p)
        ends = np.einsum("ai,ia,i->a", c, G[:, :, 0] ** 2 + G[:, :, -1] ** 2, p)
        assert np.allclose(to_numpy(found.matrix)[j], matrix, rtol=1e-11)
        assert np.allclose(to_numpy(found.drift)[j], -ends, rtol=1e-11)
    averages = chain.averages(xp.asarray(S), xp.asarray(sigma))
    assert np.allclose(to_numpy(found.averages), to_numpy(averages), rtol=1e-13)


def test_portions_of_the_sites_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = (gated("orthogonal", 3, sites=150) for _ in range(2))
    sigma = below_axis(2, 6)
    expected, potential = whole.responses(S, sigma), whole.potential(S, sigma, 0.1 * sigma)
    monkeypatch.setattr(chain_module, "_SWEEP", 1)
    monkeypatch.setattr(chain_module, "_ROWS", 1)
    assert len(cut.parts(1)) == 3
    assert np.allclose(cut.responses(S, sigma).matrix, expected.matrix, rtol=1e-12)
    assert np.allclose(cut.averages(S, sigma), expected.averages, rtol=1e-12)
    assert np.allclose(cut.potential(S, sigma, 0.1 * sigma), potential, rtol=1e-12)


@named
def test_the_leading_order_is_that_of_large_s(name: str, xp: Any) -> None:
    chain = gated(name, 3, xp=xp)
    s = xp.asarray(np.array([1e5 + 0j, 1e5j]))
    leading = chain.leading(s)
    image = chain.self_energies(leading, chain.averages(s, leading))
    assert np.allclose(to_numpy(image), to_numpy(leading), rtol=1e-8)


@named
def test_the_potential_has_the_derivative_twice_g(name: str) -> None:
    chain, h = gated(name, 3), 1e-4
    s = np.array([0.3 + 0.2j, 0.9 + 0.05j, 1.5 + 0.4j, 0.2j, 9.0 + 0j])

    def potential(shift: complex) -> np.ndarray:
        found = solve_chain(chain, s + shift)
        assert np.all(found.converged)
        return chain.potential(s + shift, found.sigma, found.averages)

    slope = (potential(h) - potential(-h)) / (2 * h)
    assert np.allclose(slope, 2 * solve_chain(chain, s).cauchy, atol=1e-6)


@named
def test_the_potential_is_stationary(name: str) -> None:
    chain, s, h = gated(name, 3), np.array([0.4 + 0j]), 1e-4
    found = solve_chain(chain, s)
    other = found.sigma * (1 + h * below_axis(1, 6))
    exact = chain.potential(s, found.sigma, found.averages)
    assert abs(chain.potential(s, other, chain.averages(s, other)) - exact)[0] < 20 * h**2


@named
def test_the_potential_is_the_integral_of_the_logarithm(name: str) -> None:
    # F(s) = int log(s^2 - x^2), differences of which are integrals of the density.
    chain, (nodes, weights) = gated(name, 2), np.polynomial.legendre.leggauss(12)
    s = np.concatenate([[0.4, 0.6], 0.5 + 0.1 * nodes]) + 0j
    found = solve_chain(chain, s)
    assert np.all(found.converged)
    below = 1 - chain.potential(s, found.sigma, found.averages).imag / np.pi
    density = -2 / np.pi * found.cauchy.imag[2:]
    assert below[1] - below[0] == pytest.approx(0.1 * float(weights @ density), abs=1e-8)


@named
@pytest.mark.parametrize("steps", [1, 3])
def test_the_general_engine_agrees(name: str, steps: int) -> None:
    chain = gated(name, steps)
    z = np.array([0.05 + 0.1j, 0.4 + 0.3j, 1.2 + 0.02j, 2j])
    A, B = chain.sites.direct, chain.sites.gate
    pencil = examples.chain(A, B, [chain.ensemble] * steps, chain.sites.weights)
    assert np.allclose(solve_chain(chain, z).cauchy, solve(pencil, z).unwrap().g[:, 0], rtol=1e-7)


def test_rounding_does_not_move_sites_across_the_cut() -> None:
    # Far below the singular values that its few live sites have, a site is real to all digits.
    A = np.array([[1.0, 1e-3, 1e-12], [1.0, 1e-2, 1e-9]])
    chain = ProductChain(SiteHistory.of(A, 1e-8 * A), ENSEMBLES["gaussian"])
    s = np.array([1e-23, 1e-15, 1e-3, 0.5, 2.0]) + 0j
    found = solve_chain(chain, s)
    below = 1 - chain.potential(s, found.sigma, found.averages).imag / np.pi
    assert np.allclose(below, [0, 1 / 3, 2 / 3, 2 / 3, 1], atol=1e-9)


def test_derivatives_vanish_with_the_gates() -> None:
    chain = constant(0.5, 0.0, steps=2)
    at = chain.responses(S, below_axis(2, 4))
    assert np.all(at.averages[:, 1::2] == 0)
    assert np.all(at.matrix[:, 1::2, :] == 0)
