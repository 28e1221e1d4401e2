"""Sampling products of Jacobians beside the obvious loop, in one run."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from rmt_jacobian.cells import Parameters, minimalrnn
from rmt_jacobian.sampling import draw_weights, jacobian_products, product_moments, run_network

WIDTH, STEPS = 512, 10


def _obvious_weights(weights: str, width: int, std: float, rng: np.random.Generator) -> np.ndarray:
    gaussian = rng.standard_normal((width, width))
    if weights == "gaussian":
        return gaussian * std / np.sqrt(width)
    Q, R = np.linalg.qr(gaussian)
    return std * Q * np.sign(np.diag(R))


def _obvious(weights: str) -> float:
    rng = np.random.default_rng(0)
    p = Parameters.of(minimalrnn).only
    h, product = rng.standard_normal(WIDTH) * 0.56, np.eye(WIDTH)
    for _ in range(STEPS):
        W = _obvious_weights(weights, WIDTH, p.weight_std, rng)
        V = _obvious_weights("gaussian", WIDTH, p.input_std, rng)
        x = rng.standard_normal(WIDTH) * np.sqrt(0.46)
        u = 1 / (1 + np.exp(-(W @ h + V @ x)))
        product = (np.diag(u) + np.diag(u * (1 - u) * (h - x)) @ W) @ product
        h = u * h + (1 - u) * x
    return float(np.mean(np.linalg.svd(product, compute_uv=False) ** 4))


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
