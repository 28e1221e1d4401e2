"""Laws of T steps that share their weights: 200 densities, and whole tables."""

import numpy as np
import pytest

import rmt_jacobian as rj
from rmt_jacobian.pencils import solve_chain
from rmt_jacobian.singular_values.shared import shared_chain_of
from rmt_jacobian.singular_values.table import tabulate

POINTS = {
    "minimalrnn": {"weight_std": 5, "input_std": 2, "input_variance": 0.46, "bias_mean": 2},
    "gru": {"weight_std": 3, "update.bias_mean": 1, "input_std": 0.6},
    "lstm": {"forget.bias_mean": 1, "input_std": 0.577},
}


def chain_of(name: str, steps: int, sites: int = 1024):
    law = rj.stationary(name, POINTS[name], dynamics="tied")
    return shared_chain_of(law, "orthogonal", steps, count=sites, seed=0)


@pytest.mark.parametrize("steps", [10, 20])
def test_two_hundred_densities(benchmark, steps):
    """Goal: 60 s for 10 steps of the minimalRNN, 6 minutes for 20."""
    chain = chain_of("minimalrnn", steps)
    s = np.geomspace(0.02, 3.0, 200) + 0j

    def densities() -> np.ndarray:
        found, start = [], None
        for part in np.array_split(s, 100):
            found.append(solve_chain(chain, part, start))
            assert found[-1].converged.all()
            start = np.repeat(found[-1].sigma[-1:], len(part), axis=0)
        return np.concatenate([each.cauchy for each in found])

    values = benchmark.pedantic(densities, rounds=1)
    assert np.isfinite(values).all()


@pytest.mark.parametrize("steps", [5, 10])
@pytest.mark.parametrize("name", POINTS)
def test_tables(benchmark, name, steps):
    """The table of the law, to 1e-4."""
    chain = chain_of(name, steps)
    table = benchmark.pedantic(lambda: tabulate(chain, tolerance=1e-4), rounds=1)
    assert table.nodes[-1].below == pytest.approx(1, abs=1e-4)


def test_lyapunov_spectrum(benchmark):
    """Goal: 3 minutes for the leaky network of Clark (2026), its dimension to 1 %."""
    point = {"weight_std": 3, "leak": 0.5, "input_std": 0}
    state = rj.stationary("leaky", point, dynamics="tied")
    law = benchmark.pedantic(lambda: rj.lyapunov_law(state, weights="gaussian"), rounds=1)
    assert law.dimension() == pytest.approx(0.0893, rel=0.02)


@pytest.mark.parametrize("name", ["minimalrnn", "gru", "lstm"])
def test_growth(benchmark, name):
    """Goal: 10 s for the mean squared singular value of 200 steps on 4096 paths."""
    law = rj.stationary(name, POINTS[name], dynamics="tied")
    growth = benchmark.pedantic(lambda: law.growth(200, sites=4096), rounds=1)
    assert np.isfinite(growth.mean_squares).all()
