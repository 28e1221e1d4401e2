"""Sampling products of Jacobians beside the obvious loop, in one run."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchmarks.obvious import obvious_singular_values
from rmt_jacobian.cells import Parameters, minimalrnn
from rmt_jacobian.sampling import draw_weights, jacobian_products, product_moments, run_network

WIDTH, STEPS = 512, 10


def _obvious(weights: str) -> float:
    return float(np.mean(obvious_singular_values(minimalrnn, weights, WIDTH, STEPS) ** 4))


def _ours(weights: str) -> float:
    run = run_network(
        minimalrnn, Parameters.of(minimalrnn), weights=weights, width=WIDTH, steps=STEPS,
        rng=np.random.default_rng(0), burn_in=0,
    )  # fmt: skip
    *_, (_, _, product) = jacobian_products(run, [STEPS])
    return product_moments(product)[1]


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("route", [_obvious, _ours], ids=["obvious loop", "ours"])
def test_second_moment_of_ten_steps(benchmark, weights, route):
    benchmark.group = f"m_2 of ten steps at width {WIDTH}, {weights} W"
    with threadpool_limits(1):
        benchmark.pedantic(route, args=(weights,), rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_draw_weights(benchmark, weights):
    rng = np.random.default_rng(0)
    with threadpool_limits(1):
        benchmark(lambda: draw_weights(weights, WIDTH, 1.0, rng))
