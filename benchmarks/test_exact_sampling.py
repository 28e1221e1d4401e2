"""Singular values of long products at large width beside the obvious loop, in one run.

On a machine with other work to do, ``--benchmark-timer=time.process_time`` counts CPU time.
"""

from collections.abc import Callable

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from rmt_jacobian.cells import Cell, Parameters, minimalrnn, vanilla
from rmt_jacobian.sampling import sample_singular_values

WIDTH, STEPS, THREADS = 2048, 32, 1


def _obvious_weights(weights: str, std: float, rng: np.random.Generator) -> np.ndarray:
    gaussian = rng.standard_normal((WIDTH, WIDTH))
    if weights == "gaussian":
        return gaussian * (std / np.sqrt(WIDTH))
    Q, R = np.linalg.qr(gaussian)
    return std * Q * np.sign(np.diag(R))


def obvious_loop(cell: Cell, weights: str) -> np.ndarray:
    """Draw W and V, run the network, multiply the Jacobians and decompose the product."""
    rng = np.random.default_rng(0)
    p = Parameters.of(cell)
    only, gated = p.only, cell is minimalrnn
    h, product = rng.standard_normal(WIDTH) * 0.5, np.eye(WIDTH)
    for _ in range(STEPS):
        W = _obvious_weights(weights, only.weight_std, rng)
        V = _obvious_weights("gaussian", only.input_std, rng)
        x = rng.standard_normal(WIDTH) * np.sqrt(p.input_variance)
        e = W @ h + V @ x + only.bias_mean
        if gated:
            u = 1 / (1 + np.exp(-e))
            J = (u * (1 - u) * (h - x))[:, None] * W
            J[np.diag_indices(WIDTH)] += u
            h = u * h + (1 - u) * x
        else:
            h = np.tanh(e)
            J = (1 - h**2)[:, None] * W
        product = J @ product
    return np.linalg.svd(product, compute_uv=False)


def ours(cell: Cell, weights: str) -> np.ndarray:
    """Return the same from the package."""
    (values,) = sample_singular_values(
        cell, Parameters.of(cell), weights=weights, steps=STEPS, width=WIDTH, samples=1, workers=1
    )  # pyright: ignore[reportArgumentType]
    return values


ROUTES: list[tuple[Callable[[Cell, str], np.ndarray], str]] = [
    (obvious_loop, "orthogonal"),
    (obvious_loop, "gaussian"),
    (ours, "orthogonal"),
    (ours, "gaussian"),
    (ours, "fast-orthogonal"),
    (ours, "fast-gaussian"),
]


@pytest.mark.parametrize(
    ("route", "weights"), ROUTES, ids=[f"{route.__name__}-{weights}" for route, weights in ROUTES]
)
@pytest.mark.parametrize("cell", [minimalrnn, vanilla], ids=lambda cell: cell.name)
def test_singular_values_of_a_long_product(benchmark, cell, route, weights):
    benchmark.group = f"singular values of {STEPS} steps at width {WIDTH}, {cell.name}"
    with threadpool_limits(THREADS):
        values = benchmark.pedantic(route, args=(cell, weights), rounds=1)
    assert values.shape == (WIDTH,)
