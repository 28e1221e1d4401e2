"""Multiplying by random weights: dense, by reflections, and by cosine transforms; in one run."""

import numpy as np
import pytest
from scipy.linalg import qr
from threadpoolctl import threadpool_limits

from rmt_jacobian.arrays import array_generator
from rmt_jacobian.cells import Parameters, minimalrnn
from rmt_jacobian.sampling import draw_weights, jacobian_products, run_network, singular_values

ENSEMBLES = ("gaussian", "orthogonal", "fast-gaussian", "fast-orthogonal")
WIDTH, LARGE = 2048, 1 << 20


def _obvious(weights: str, rng: np.random.Generator) -> np.ndarray:
    """Draw the whole matrix, as in the obvious loop."""
    gaussian = rng.standard_normal((WIDTH, WIDTH))
    if weights == "gaussian":
        return gaussian / np.sqrt(WIDTH)
    Q, R = qr(gaussian, overwrite_a=True, check_finite=False)
    return Q * np.sign(np.diag(R))


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_obvious_draw_and_product(benchmark, weights):
    benchmark.group = f"W X at width {WIDTH}, drawing included"
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal((WIDTH, WIDTH)))
    with threadpool_limits(1):
        benchmark.pedantic(lambda: _obvious(weights, rng) @ X, rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("weights", ENSEMBLES)
def test_draw_and_product(benchmark, weights):
    benchmark.group = f"W X at width {WIDTH}, drawing included"
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal((WIDTH, WIDTH)))
    with threadpool_limits(1):
        benchmark.pedantic(
            lambda: draw_weights(weights, WIDTH, 1.0, rng).apply(X), rounds=3, warmup_rounds=1
        )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("transposed", [False, True], ids=["forward", "adjoint"])
@pytest.mark.parametrize("weights", ENSEMBLES)
def test_product(benchmark, weights, transposed, dtype):
    benchmark.group = f"W X at width {WIDTH}, drawn before, {dtype}"
    W = draw_weights(weights, WIDTH, 1.0, array_generator(np.random.default_rng(0), dtype=dtype))
    X = np.asfortranarray(np.random.default_rng(1).standard_normal((WIDTH, WIDTH)).astype(dtype))
    action = W.apply_transposed if transposed else W.apply
    with threadpool_limits(1):
        benchmark.pedantic(action, args=(X,), rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("columns", [1, 8])
@pytest.mark.parametrize("weights", ["fast-gaussian", "fast-orthogonal"])
def test_product_of_a_million_sites(benchmark, weights, columns):
    benchmark.group = f"W X at width 2^20, {columns} columns"
    W = draw_weights(weights, LARGE, 1.0, np.random.default_rng(0))
    shape = (LARGE,) if columns == 1 else (LARGE, columns)
    X = np.asfortranarray(np.random.default_rng(1).standard_normal(shape))
    benchmark.pedantic(W.apply, args=(X,), rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("weights", ["fast-gaussian", "fast-orthogonal"])
def test_draw_a_million_sites(benchmark, weights):
    benchmark.group = "drawing W at width 2^20"
    rng = np.random.default_rng(0)
    benchmark.pedantic(draw_weights, args=(weights, LARGE, 1.0, rng), rounds=3, warmup_rounds=1)


STEPS, NARROW = 32, 512


def _obvious_spectrum(weights: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    p = Parameters.of(minimalrnn).only
    h, product = rng.standard_normal(NARROW) * 0.56, np.eye(NARROW)
    for _ in range(STEPS):
        W = rng.standard_normal((NARROW, NARROW))
        if weights.endswith("orthogonal"):
            Q, R = np.linalg.qr(W)
            W = p.weight_std * Q * np.sign(np.diag(R))
        else:
            W *= p.weight_std / np.sqrt(NARROW)
        V = rng.standard_normal((NARROW, NARROW)) * (p.input_std / np.sqrt(NARROW))
        x = rng.standard_normal(NARROW) * np.sqrt(0.46)
        u = 1 / (1 + np.exp(-(W @ h + V @ x)))
        J = (u * (1 - u) * (h - x))[:, None] * W
        J[np.diag_indices(NARROW)] += u
        product = J @ product
        h = u * h + (1 - u) * x
    return np.linalg.svd(product, compute_uv=False)


def _our_spectrum(weights: str) -> np.ndarray:
    run = run_network(
        minimalrnn, Parameters.of(minimalrnn), weights=weights, width=NARROW, steps=STEPS,
        rng=np.random.default_rng(0), burn_in=0,
    )  # fmt: skip
    *_, (_, _, product) = jacobian_products(run, [STEPS])
    return singular_values(product)


@pytest.mark.parametrize("weights", ENSEMBLES)
@pytest.mark.parametrize("route", [_obvious_spectrum, _our_spectrum], ids=["obvious loop", "ours"])
def test_spectrum_of_many_steps(benchmark, weights, route):
    benchmark.group = f"singular values of {STEPS} steps at width {NARROW}, {weights} W"
    with threadpool_limits(1):
        benchmark.pedantic(route, args=(weights,), rounds=2, warmup_rounds=1)
