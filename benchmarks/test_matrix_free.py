"""Moments and spectra without forming the product, beside forming it, in one run."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from rmt_jacobian.cells import Parameters, minimalrnn
from rmt_jacobian.sampling import (
    GaussQuadrature,
    JacobianProduct,
    StepFactors,
    jacobian_products,
    lanczos_recurrences,
    moments_on_sites,
    product_moments,
    run_network,
)

WIDTH, STEPS = 1024, 5


def _run(weights):
    return run_network(minimalrnn, Parameters.of(minimalrnn), weights=weights, width=WIDTH,
                       steps=STEPS, rng=np.random.default_rng(0), burn_in=0)  # fmt: skip


def _formed(weights):
    *_, (_, _, product) = jacobian_products(_run(weights), [STEPS])
    return product_moments(product)[1]


def _by_vectors(weights):
    product = JacobianProduct.of(_run(weights))
    return float(np.mean(product.gram(product.random_signs(np.random.default_rng(1), 8)) ** 2))


def _by_lanczos(weights):
    product = JacobianProduct.of(_run(weights))
    signs = product.random_signs(np.random.default_rng(1), 4)
    found = lanczos_recurrences(product.gram, signs, 30)
    return float(np.mean([GaussQuadrature(c).moments(2)[2] for c in found]))


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal", "fast-gaussian", "fast-orthogonal"])
@pytest.mark.parametrize(
    "route", [_formed, _by_vectors, _by_lanczos], ids=["formed", "8 vectors", "30 Lanczos steps"]
)
def test_second_moment_of_five_steps(benchmark, weights, route):
    benchmark.group = f"m_2 of {STEPS} steps at width {WIDTH}, {weights} W"
    with threadpool_limits(1):
        benchmark.pedantic(route, args=(weights,), rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("vectors", [1, 8, 32])
@pytest.mark.parametrize("weights", ["gaussian", "fast-orthogonal"])
def test_products_with_many_vectors(benchmark, weights, vectors):
    product = JacobianProduct.of(_run(weights))
    signs = product.random_signs(np.random.default_rng(1), vectors)
    benchmark.group = f"J^T J of vectors at width {WIDTH}, {weights} W"
    with threadpool_limits(1):
        benchmark(lambda: product.gram(signs))


def test_moments_on_the_drawn_sites(benchmark):
    factors = [StepFactors.of(step) for step in _run("fast-orthogonal")]
    benchmark(lambda: moments_on_sites(factors, 0.0))
