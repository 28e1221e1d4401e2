"""Moments of a chain against the recursion, the general engine and closed forms."""

from math import comb
from typing import Any

import numpy as np
import pytest

from rmt_jacobian.derive import PairedMoments
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.pencils import (
    GaussianWeights,
    OrthogonalWeights,
    ProductChain,
    SiteHistory,
    chain_moments,
    pencil_moments,
)
from tests.pencils import examples
from tests.pencils.chains import constant, gated
from tests.pencils.examples import ENSEMBLES, gates

named = pytest.mark.parametrize("name", ENSEMBLES)


@named
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_the_first_two_are_those_of_the_paired_recursion(name: str, steps: int, xp: Any) -> None:
    A, B = gates(20, steps)
    ensemble, moments = ENSEMBLES[name], PairedMoments.identity(A[0])
    for a, b in zip(A, B, strict=True):
        moments = moments.step(a, b, weight_variance=ensemble.variance, s_1=ensemble.s_1)
    chain = ProductChain(SiteHistory.of(xp.asarray(A), xp.asarray(B)), ensemble)
    expected = [1.0, moments.mean, moments.second_moment]
    assert chain_moments(chain, 2) == pytest.approx(expected, rel=1e-12)


@named
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_four_moments_are_those_of_the_general_engine(name: str, steps: int) -> None:
    chain = gated(name, steps)
    A, B = chain.sites.direct, chain.sites.gate
    pencil = examples.chain(A, B, [chain.ensemble] * steps, chain.sites.weights)
    assert chain_moments(chain, 4) == pytest.approx(pencil_moments(pencil, 0, 8)[::2], rel=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 5, 30])
def test_products_of_gaussians_have_fuss_catalan_moments(steps: int) -> None:
    found = chain_moments(constant(0.0, 1.0, GaussianWeights(1.0), steps=steps), 6)
    exact = [comb((steps + 1) * k, k) / (steps * k + 1) for k in range(7)]
    assert found == pytest.approx(exact, rel=1e-12)


def test_products_of_different_scales_multiply_their_s_transforms() -> None:
    # chi of J J^T for A = 0: S = prod_t S_{B_t W_t}, with S_{B W} = S_{W W^T} S_{B^2}.
    _, B = gates(6, 3)
    found = chain_moments(ProductChain(SiteHistory.of(0 * B, B), GaussianWeights(1.0)), 3)
    series = np.ones(1)
    for gate in B:
        powers = [np.mean(gate ** (2 * k)) for k in (1, 2, 3)]
        squares, _ = s_series(powers), None
        series = np.convolve(series, np.convolve(squares, [1, -1, 1]))[:3]
    assert s_series(found[1:]) == pytest.approx(series, rel=1e-10)


def s_series(m: list[float]) -> np.ndarray:
    """Return S(u) to order 2 from three moments, by inverting psi."""
    m_1, m_2, m_3 = m
    chi = np.array([1 / m_1, -m_2 / m_1**3, (2 * m_2**2 - m_1 * m_3) / m_1**5])
    return np.convolve(chi, [1, 1])[:3]


def test_a_diagonal_plus_a_rotation() -> None:
    # tau((a + b U)(a + b U)^T)^2 = (a^2 + b^2)^2 + 2 a^2 b^2 tau(U U^T), U free Haar.
    a, b = 0.7, 0.4
    found = chain_moments(constant(a, b, OrthogonalWeights(1.0)), 2)
    assert found == pytest.approx([1, a**2 + b**2, (a**2 + b**2) ** 2 + 2 * a**2 * b**2])


def test_the_order_is_not_negative() -> None:
    chain = constant(0.0, 1.0)
    assert chain_moments(chain, 0) == [1.0]
    with pytest.raises(ParameterError, match="order"):
        chain_moments(chain, -1)
