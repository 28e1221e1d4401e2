"""How long the Dyson equation of a pencil takes over a grid of the real axis."""

import numpy as np
import pytest

from rmt_jacobian.pencils import (
    GaussianWeights,
    OrthogonalWeights,
    Pencil,
    RandomEntry,
    pencil_moments,
    solve,
)

POINTS, SITES = 400, 1024


def product(steps: int) -> Pencil:
    """Symmetrise a product of gated steps: 2 blocks and one random entry for each step."""
    x = np.random.default_rng(0).normal(size=(steps, SITES))
    A = 1 / (1 + np.exp(-x))
    B = 4 * A * (1 - A) * np.cos(3 * x)
    constant = np.zeros((SITES, 2 * steps, 2 * steps))
    for t in range(steps):
        v, w = 2 * t, 2 * t + 1
        constant[:, v, w] = constant[:, w, v] = -A[t]
        if t + 1 < steps:
            constant[:, w, w + 1] = constant[:, w + 1, w] = 1
    slope = np.zeros(2 * steps)
    slope[[0, -1]] = 1
    laws = [GaussianWeights(1.0), OrthogonalWeights(1.0)]
    entries = [RandomEntry(2 * t + 1, 2 * t, laws[t % 2], B[t]) for t in range(steps)]
    return Pencil(constant, slope, entries)


@pytest.mark.parametrize("steps", [1, 2])
def test_real_axis(benchmark, steps):
    """Goal: 400 points x 1024 sites in under 2 s with 2 blocks, under 6 s with 4."""
    pencil, x = product(steps), np.linspace(0.01, 4, POINTS)
    solution = benchmark.pedantic(lambda: solve(pencil, x), rounds=3)
    assert bool(np.all(solution.converged))


@pytest.mark.parametrize("steps", [1, 2])
def test_moments(benchmark, steps):
    """Ten moments of J J^T: coefficients of the series up to 1 / z^21."""
    pencil = product(steps)
    benchmark.pedantic(lambda: pencil_moments(pencil, 0, 20), rounds=2)
