"""Sites drawn in windows: their averages, and the moments of products with heavy tails."""

import math

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, cell_named, minimalrnn, vanilla
from rmt_jacobian.mean_field import site_law
from rmt_jacobian.pencils import (
    GaussianWeights,
    OrthogonalWeights,
    ProductChain,
    chain_moments,
    low_discrepancy_sites,
)
from rmt_jacobian.singular_values import singular_value_law
from rmt_jacobian.singular_values.window_sites import window_sites
from tests.in_turn import in_turn
from tests.pencils.heavy_tails import POINT, gates, moments

LAW = site_law(minimalrnn, POINT)
STD = POINT.only.weight_std


def drawn(sites_of, law, steps: int, seeds: int, count: int = 256) -> np.ndarray:
    """Return m_1 and m_2 on the sites of some seeds, shape (seeds, 2)."""
    ensemble = GaussianWeights(law.parameters.only.weight_std)
    return np.array(
        [
            chain_moments(ProductChain(sites_of(law, steps, count, seed), ensemble), 2)[1:]
            for seed in range(seeds)
        ]
    )


@pytest.mark.parametrize(("steps", "seeds"), [(1, 16), (8, 48)])
def test_moments_are_found_without_tilting(steps: int, seeds: int) -> None:
    found = drawn(window_sites, LAW, steps, seeds)
    exact = np.array(moments(POINT, steps, -1.0))
    scatter = found.std(axis=0, ddof=1)
    assert np.all(scatter < np.array([0.2, 0.35]) * exact)
    # The weights are self-normalised, and m_2 is not linear in them: a bias of order 1 / sites.
    assert np.all(
        np.abs(found.mean(axis=0) - exact) < 4 * scatter / math.sqrt(seeds) + 0.02 * exact
    )


def test_plain_sites_miss_the_second_moment() -> None:
    exact = moments(POINT, 25, -1.0)
    assert drawn(low_discrepancy_sites, LAW, 25, 1)[0, 1] < 1e-3 * exact[1]
    assert drawn(window_sites, LAW, 25, 1)[0, 1] == pytest.approx(exact[1], rel=0.5, abs=0)


def test_averages_of_every_step_are_those_of_the_law() -> None:
    sites = window_sites(LAW, 3, 4096, seed=2)
    q = LAW.preactivation_variance
    for t in range(3):
        for power in (2, 4):
            found = float(sites.weights @ sites.direct[t] ** power)
            assert found == pytest.approx(gates(POINT, q, power, 0), rel=0.03)


def test_weights_are_a_probability_of_bounded_density() -> None:
    sites = window_sites(LAW, 8, 512, seed=1)
    assert sites.count == 640
    assert sites.weights.sum() == pytest.approx(1)
    # At most 5/4 of the share of a site, and their mean is within its own noise of 1.
    assert sites.weights.max() * 640 < 1.25 * 1.05
    assert np.median(sites.weights[:512]) * 512 == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", ["vanilla", "vanilla:relu", "vanilla:identity"])
def test_cells_without_a_gate(name: str) -> None:
    cell = cell_named(name)
    values = {"bias_mean": -6.0 if cell is vanilla else 0.0, "weight_std": 0.7, "input_std": 1.0}
    law = site_law(cell, Parameters.of(cell).with_values(**values))
    sites = window_sites(law, 2, 1024)
    assert np.all(sites.direct == 0)
    found = sites.gate**2 @ sites.weights
    assert found == pytest.approx(law.weight_gain, rel=0.05)


@pytest.mark.parametrize(
    ("steps", "ensemble"), in_turn([1, 8, 25], [GaussianWeights(STD), OrthogonalWeights(STD)])
)
def test_laws_have_the_moments_of_the_recursion(ensemble, steps: int) -> None:
    law = singular_value_law(
        minimalrnn, POINT, weights=ensemble, steps=steps, sites=256, replicates=0, squared=True
    )
    exact = moments(POINT, steps, ensemble.s_1)
    assert (law.moment(1), law.moment(2)) == pytest.approx(exact, rel=1e-9, abs=0)
    assert law.moment_errors == (0, 0)
    # They are those of the sites too, which were moved but little.
    assert law.calibration is not None
    assert law.calibration.strength < 0.1
    assert chain_moments(law.chain, 2)[1:] == pytest.approx(exact, rel=1e-9, abs=0)
