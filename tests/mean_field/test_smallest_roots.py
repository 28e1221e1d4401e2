"""Roots of determinants of polynomials against roots that are known."""

import numpy as np
import pytest

from rmt_jacobian.mean_field.populations.smallest_roots import smallest_roots


def product(factors: list[np.ndarray]) -> np.ndarray:
    """Return the coefficients of prod_i (1 - A_i z)."""
    whole = np.eye(len(factors[0]))[None]
    for A in factors:
        longer = np.concatenate([whole, np.zeros_like(whole[:1])])
        longer[1:] -= whole @ A
        whole = longer
    return whole


@pytest.mark.parametrize("K", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_roots_of_a_product_are_those_of_its_factors(K: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # at radii that grow by a tenth, so that the first is alone in its ring
    sizes = 0.8 / 1.1 ** np.arange(12 * K).reshape(12, K) * rng.choice([-1, 1], (12, K))
    factors = [np.triu(rng.normal(size=(K, K)), 1) + np.diag(row) for row in sizes]
    (root,) = smallest_roots(product(factors), 0.5)
    assert root == pytest.approx(1 / sizes[0, 0], rel=1e-9)


@pytest.mark.parametrize("angle", [0.3, 1.5, 3.0])
def test_both_of_a_pair_are_found(angle: float) -> None:
    turn = 0.9 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = smallest_roots(product([turn, 0.5 * np.eye(2)]), 0.5)
    assert sorted(np.angle(found)) == pytest.approx([-angle, angle], rel=1e-9)
    assert np.abs(found) == pytest.approx(1 / 0.9, rel=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_of_hundreds_near_one_circle_the_nearest_is_found(seed: int) -> None:
    # np.roots is exact enough for one row: noise has its roots within a percent of the circle.
    rng = np.random.default_rng(seed)
    coefficients = np.concatenate([[1.0], 0.1 * rng.normal(size=300)])
    nearest = np.abs(np.roots(coefficients[::-1])).min()
    found = smallest_roots(coefficients[:, None, None], 0.5)
    assert np.abs(found).min() == pytest.approx(nearest, rel=1e-9)


def test_nothing_is_found_where_there_is_none() -> None:
    assert smallest_roots(np.eye(2)[None], 1.0) is None
