"""The law of singular values of T steps: a table, its pieces, and a wide network beside it."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from rmt_jacobian.cells import Parameters, minimalrnn
from rmt_jacobian.comparison import compare_spectrum
from rmt_jacobian.mean_field import site_law
from rmt_jacobian.pencils import GaussianWeights, ProductChain, low_discrepancy_sites
from rmt_jacobian.sampling import sample_singular_values
from rmt_jacobian.singular_values import SingularValueLaw, singular_value_law

PARAMETERS = Parameters.of(minimalrnn)
POINTS = {
    "default": {},
    "unsaturated": {"weight_std": 6.086, "input_std": 4.7986, "bias_mean": 4.0},
    "bimodal": {"weight_std": 20.0, "input_std": 10.0, "bias_mean": 0.0},
}


def _chain(steps: int, sites: int) -> ProductChain:
    law = site_law(minimalrnn, PARAMETERS)
    history = low_discrepancy_sites(law, steps, sites)
    return ProductChain(history, GaussianWeights(PARAMETERS.only.weight_std))


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_ten_steps(benchmark, weights):
    """Goal: the table and 400 points of the density in under 5 s."""

    def density() -> np.ndarray:
        law = singular_value_law(minimalrnn, PARAMETERS, weights=weights, steps=10, replicates=0)
        return law.pdf(np.linspace(0.01, law.support()[1], 400))

    benchmark.pedantic(density, rounds=3)


@pytest.mark.slow
def test_two_hundred_steps(benchmark):
    """Goal: under 2 minutes."""
    chain = _chain(200, 1024)
    benchmark.pedantic(lambda: SingularValueLaw(chain).table, rounds=1)


@pytest.mark.parametrize("sites", [256, 1024, 4096])
@pytest.mark.parametrize("steps", [10, 40, 160])
def test_a_sweep_is_linear_in_steps_and_sites(benchmark, steps, sites):
    chain, s = _chain(steps, sites), np.array([0.5 + 0.1j, 0.7 + 0.1j])
    sigma = np.full((2, chain.blocks), 0.3 - 0.5j)
    benchmark.group = "averages of two points"
    with threadpool_limits(1):
        benchmark(lambda: chain.averages(s, sigma))


@pytest.mark.parametrize("steps", [10, 40, 160])
def test_a_derivative_is_quadratic_in_steps(benchmark, steps):
    chain, s = _chain(steps, 1024), np.array([0.5 + 0.1j, 0.7 + 0.1j])
    sigma = np.full((2, chain.blocks), 0.3 - 0.5j)
    benchmark.group = "derivatives of two points"
    with threadpool_limits(1):
        benchmark(lambda: chain.responses(s, sigma))


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("steps", [1, 5, 20])
def test_wide_networks(benchmark, point, weights, steps):
    """Width 2048: the law agrees with sampled singular values."""
    parameters = PARAMETERS.with_values(**POINTS[point])
    values = sample_singular_values(
        minimalrnn, parameters, weights=weights, width=2048, steps=steps, samples=2, seed=0
    )

    def law() -> SingularValueLaw:
        return singular_value_law(
            minimalrnn, parameters, weights=weights, steps=steps, sites=4096, replicates=0
        )

    found = compare_spectrum(benchmark.pedantic(law, rounds=1), values)
    benchmark.extra_info.update(ks=found.ks, null=found.ks_null)
    assert found.verdict == "agrees"
