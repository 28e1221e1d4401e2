"""Lyapunov exponents beside the obvious loop, in one run: steps per second at width 256."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from rmt_jacobian.cells import Parameters, minimalrnn, vanilla
from rmt_jacobian.mean_field import free_step_exponents
from rmt_jacobian.sampling import sample_lyapunov

WIDTH, STEPS = 256, 60
CELLS = {"vanilla": vanilla, "minimalrnn": minimalrnn}


def _obvious_weights(weights: str, width: int, std: float, rng: np.random.Generator) -> np.ndarray:
    gaussian = rng.standard_normal((width, width))
    if weights == "gaussian":
        return gaussian * std / np.sqrt(width)
    Q, R = np.linalg.qr(gaussian)
    return std * Q * np.sign(np.diag(R))


def _obvious(cell: str, weights: str) -> np.ndarray:
    """Dense matrices, and a decomposition after every step."""
    rng = np.random.default_rng(0)
    p = Parameters.of(CELLS[cell])
    h, Q, total = rng.standard_normal(WIDTH) * 0.3, np.eye(WIDTH), np.zeros(WIDTH)
    for _ in range(STEPS):
        W = _obvious_weights(weights, WIDTH, p.only.weight_std, rng)
        V = _obvious_weights("gaussian", WIDTH, p.only.input_std, rng)
        x = rng.standard_normal(WIDTH) * np.sqrt(p.input_variance)
        e = W @ h + V @ x
        if cell == "vanilla":
            J = np.diag(1 - np.tanh(e) ** 2) @ W
            h = np.tanh(e)
        else:
            u = 1 / (1 + np.exp(-e))
            J = np.diag(u) + np.diag(u * (1 - u) * (h - x)) @ W
            h = u * h + (1 - u) * x
        Q, R = np.linalg.qr(J @ Q)
        total += np.log(np.abs(np.diag(R)))
    return total / STEPS


def _ours(cell: str, weights: str) -> np.ndarray:
    found = sample_lyapunov(
        CELLS[cell], Parameters.of(CELLS[cell]), weights=weights, steps=STEPS, width=WIDTH,
        samples=1, transient=0, workers=1,
    )  # fmt: skip
    return found.mean


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("route", [_obvious, _ours], ids=["obvious loop", "ours"])
def test_exponents_of_sixty_steps(benchmark, route, cell, weights):
    benchmark.group = f"exponents of {STEPS} steps at width {WIDTH}, {cell}, {weights} W"
    with threadpool_limits(1):
        benchmark.pedantic(route, args=(cell, weights), rounds=5, warmup_rounds=1)
    seconds = benchmark.stats.stats.median / STEPS
    benchmark.extra_info["steps per second"] = 1 / seconds
    benchmark.extra_info["seconds for 10,000 steps"] = 10_000 * seconds


def test_theory_at_all_quantiles(benchmark):
    quantiles = (np.arange(WIDTH) + 0.5) / WIDTH
    p = Parameters.of(vanilla)
    benchmark(free_step_exponents, vanilla, p, "gaussian", quantiles)
