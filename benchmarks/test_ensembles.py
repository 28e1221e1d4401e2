"""Multiplying by random weights: dense, by reflections, and by cosine transforms; in one run."""

import numpy as np
import pytest
from scipy.linalg import qr
from threadpoolctl import threadpool_limits

from rmt_jacobian.arrays import array_generator
from rmt_jacobian.sampling import draw_weights

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
