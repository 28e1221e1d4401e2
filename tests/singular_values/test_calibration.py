"""Weights that make two moments exact, and no other change."""

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, minimalrnn
from rmt_jacobian.mean_field import site_law
from rmt_jacobian.pencils import (
    GaussianWeights,
    OrthogonalWeights,
    ProductChain,
    SiteHistory,
    chain_moments,
    low_discrepancy_sites,
)
from rmt_jacobian.pencils.blocks.chain_moments import moment_influences
from rmt_jacobian.singular_values import SingularValueLaw, calibrated, exact_moments

LAW = site_law(minimalrnn, Parameters.of(minimalrnn))
STD = LAW.parameters.only.weight_std


@pytest.mark.parametrize("ensemble", [GaussianWeights(STD), OrthogonalWeights(STD)])
@pytest.mark.parametrize("steps", [1, 5])
def test_two_moments_become_exact(ensemble, steps: int) -> None:
    chain = ProductChain(low_discrepancy_sites(LAW, steps, 512), ensemble)
    exact = exact_moments(LAW, steps, ensemble.s_1)
    found = calibrated(chain, *exact)
    tilted = found.chain
    assert found.reached
    assert found.drawn is chain
    assert chain_moments(tilted, 2)[1:] == pytest.approx(exact, rel=1e-10)
    drawn = np.array(chain_moments(chain, 2)[1:])
    assert found.missed == pytest.approx(drawn / exact - 1, rel=1e-9)
    weights = tilted.sites.weights
    assert found.strength == pytest.approx(512 * np.sum(weights**2) - 1, abs=1e-12)
    assert weights.sum() == pytest.approx(1)
    assert np.all(weights > 0)
    assert 1 / np.sum(weights**2) > 0.8 * 512  # the law is not bent much
    assert tilted.sites.gate is chain.sites.gate


def test_exact_moments_are_left_alone() -> None:
    chain = ProductChain(low_discrepancy_sites(LAW, 2, 128), GaussianWeights(STD))
    _, mean, second = chain_moments(chain, 2)
    found = calibrated(chain, mean, second)
    assert found.chain is chain
    assert found.strength == pytest.approx(0, abs=1e-12)
    assert found.missed == (0, 0)


def test_moments_out_of_reach_are_refused() -> None:
    chain = ProductChain(low_discrepancy_sites(LAW, 2, 128), GaussianWeights(STD))
    _, mean, second = chain_moments(chain, 2)
    for asked in (
        (10 * mean, 100 * second),
        (mean, mean**2 / 2),  # below the square of the mean
        (1e-200, 0.0),  # which has underflown
    ):
        found = calibrated(chain, *asked)
        assert not found.reached
        assert found.chain is chain
        assert found.missed[0] == pytest.approx(mean / asked[0] - 1)


def test_sites_of_very_different_scales_are_refused() -> None:
    gate = np.geomspace(1e-60, 1e-20, 16)[None, :]
    chain = ProductChain(SiteHistory.of(0 * gate, gate), GaussianWeights(1.0))
    _, mean, second = chain_moments(chain, 2)
    assert not calibrated(chain, 1e-9 * mean, 1e-30 * second).reached


@pytest.mark.parametrize("ensemble", [GaussianWeights(STD), OrthogonalWeights(STD)])
def test_influences_are_derivatives_in_the_weights(ensemble) -> None:
    rng = np.random.default_rng(5)
    A, B = rng.normal(size=(2, 3, 12)) / 2
    p = rng.random(12) + 0.5
    p /= p.sum()

    def moments(weights: np.ndarray) -> np.ndarray:
        chain = ProductChain(SiteHistory.of(A, B, weights), ensemble)
        return np.array(chain_moments(chain, 3)[1:])

    chain = ProductChain(SiteHistory.of(A, B, p), ensemble)
    found, influences, diagonals = moment_influences(chain, 3)
    assert found == pytest.approx(moments(p), rel=1e-12)
    assert [p @ each for each in diagonals] == pytest.approx(found, rel=1e-12)
    for i, j in ((0, 1), (4, 9), (11, 3)):
        move = np.zeros(12)
        move[i], move[j] = 1e-5, -1e-5
        slope = (moments(p + move) - moments(p - move)) / 2e-5
        assert [each[i] - each[j] for each in influences] == pytest.approx(slope, rel=1e-6)


def test_a_tilt_takes_the_error_of_the_distribution_along() -> None:
    """Sites whose gates are too open by a fifth: the tilt brings the median nearer."""
    gate = np.linspace(0.6, 1.8, 201)[None, :]
    exact = SiteHistory.of(0 * gate, gate / 1.2)
    mean, second = chain_moments(ProductChain(exact, GaussianWeights(1.0)), 2)[1:]
    drawn = ProductChain(SiteHistory.of(0 * gate, gate), GaussianWeights(1.0))
    found = calibrated(drawn, mean, second)
    assert found.reached
    law, wrong, right = (
        SingularValueLaw(chain, tolerance=1e-4)
        for chain in (found.chain, drawn, ProductChain(exact, GaussianWeights(1.0)))
    )
    x = right.ppf(np.linspace(0.1, 0.9, 9))
    assert np.max(np.abs(law.cdf(x) - right.cdf(x))) < np.max(np.abs(wrong.cdf(x) - right.cdf(x)))


def test_exact_moments_of_one_step_are_averages() -> None:
    mean, second = exact_moments(LAW, 1, 0.0)
    assert mean == pytest.approx(LAW.chi1)
    assert second > mean**2
