"""The Dyson equation of products at 65,536 sites, on the CPU and on a GPU."""

import os

import numpy as np
import pytest

from benchmarks.gpu import device_or_skip, wait
from benchmarks.test_block_chain import ENSEMBLES, SCALES, history
from rmt_jacobian.cells import Parameters, minimalrnn
from rmt_jacobian.mean_field import site_law
from rmt_jacobian.pencils import (
    BlockChain,
    OrthogonalWeights,
    ProductChain,
    low_discrepancy_sites,
    solve_chain,
)

SITES = int(os.environ.get("RMT_BENCHMARK_SITES", "65536"))
STEPS, POINTS = 5, 8
DEVICES = ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)]


def chain(cell: str, device: str):
    if cell == "minimalrnn":
        law = site_law(minimalrnn, Parameters.of(minimalrnn))
        sites = low_discrepancy_sites(law, STEPS, SITES).on(device)
        return ProductChain(sites, OrthogonalWeights(1.0))
    found, scales = SCALES[cell]
    laws = [ENSEMBLES["orthogonal"](scale) for scale in scales]
    return BlockChain.of(history(found, scales, STEPS, SITES).on(device), laws)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("cell", ["minimalrnn", "gru", "lstm"])
def test_points_on_the_axis(benchmark, cell, device):
    """Solve eight points from nearby ones: what a table is made of."""
    xp = device_or_skip(device)
    benchmark.group = f"{POINTS} points, {STEPS} steps of the {cell}, {SITES} sites"
    ours = chain(cell, device)
    s = np.geomspace(0.3, 1.2, POINTS) + 0.05j
    near = solve_chain(ours, xp.asarray(s * 1.02))

    def solved():
        found = solve_chain(ours, xp.asarray(s), near.sigma)
        wait(xp)
        return found

    found = benchmark.pedantic(solved, rounds=3, warmup_rounds=1)
    assert bool(xp.all(found.converged))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("cell", ["minimalrnn", "gru", "lstm"])
def test_derivatives(benchmark, cell, device):
    """Evaluate the averages and their derivatives at two points: one Newton step."""
    xp = device_or_skip(device)
    benchmark.group = f"derivatives, {STEPS} steps of the {cell}, {SITES} sites"
    ours, s = chain(cell, device), xp.asarray(np.array([0.3 + 0.05j, 0.9 + 0.05j]))
    sigma = ours.leading(s)

    def evaluated():
        ours.responses(s, sigma)
        wait(xp)

    benchmark.pedantic(evaluated, rounds=3, warmup_rounds=1)
