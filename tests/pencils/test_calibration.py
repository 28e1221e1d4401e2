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
    calibrated,
    chain_moments,
    exact_moments,
    low_discrepancy_sites,
)

LAW = site_law(minimalrnn, Parameters.of(minimalrnn))
STD = LAW.parameters.only.weight_std


@pytest.mark.parametrize("ensemble", [GaussianWeights(STD), OrthogonalWeights(STD)])
@pytest.mark.parametrize("steps", [1, 5])
def test_two_moments_become_exact(ensemble, steps: int) -> None:
    chain = ProductChain(low_discrepancy_sites(LAW, steps, 512), ensemble)
    exact = exact_moments(LAW, steps, ensemble.s_1)
    tilted = calibrated(chain, *exact)
    assert tilted is not None
    assert chain_moments(tilted, 2)[1:] == pytest.approx(exact, rel=1e-11)
    weights = tilted.sites.weights
    assert weights.sum() == pytest.approx(1)
    assert np.all(weights > 0)
    assert 1 / np.sum(weights**2) > 0.8 * 512  # the law is not bent much
    assert tilted.sites.gate is chain.sites.gate


def test_exact_moments_are_left_alone() -> None:
    chain = ProductChain(low_discrepancy_sites(LAW, 2, 128), GaussianWeights(STD))
    _, mean, second = chain_moments(chain, 2)
    assert calibrated(chain, mean, second) is chain


def test_moments_out_of_reach_are_refused() -> None:
    chain = ProductChain(low_discrepancy_sites(LAW, 2, 128), GaussianWeights(STD))
    _, mean, second = chain_moments(chain, 2)
    assert calibrated(chain, 10 * mean, 100 * second) is None
    assert calibrated(chain, mean, mean**2 / 2) is None  # below the square of the mean
    assert calibrated(chain, 1e-200, 0.0) is None  # which has underflown


def test_sites_of_very_different_scales_are_refused() -> None:
    gate = np.geomspace(1e-60, 1e-20, 16)[None, :]
    chain = ProductChain(SiteHistory.of(0 * gate, gate), GaussianWeights(1.0))
    _, mean, second = chain_moments(chain, 2)
    assert calibrated(chain, 1e-9 * mean, 1e-30 * second) is None


def test_exact_moments_of_one_step_are_averages() -> None:
    mean, second = exact_moments(LAW, 1, 0.0)
    assert mean == pytest.approx(LAW.chi1)
    assert second > mean**2
