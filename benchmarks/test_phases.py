"""How long the fixed points of tied networks and the phase diagram of the GRU take."""

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, gru, lstm
from rmt_jacobian.mean_field import fixed_points, gru_bifurcation, gru_marginal_edge

CELLS = {"gru": gru, "lstm": lstm}


def test_bifurcation_curve(benchmark):
    """Goal: 64 points of the curve in under 5 s, to rounding."""
    grid = np.linspace(1.43, 1.99, 64)
    found = benchmark.pedantic(lambda: [gru_bifurcation(float(a)) for a in grid], rounds=2)
    assert np.all(np.diff(found) < 0)


def test_marginal_edge(benchmark):
    """Goal: 100 points in under 2 s."""
    grid = np.geomspace(1e-4, 7.7, 100)
    benchmark.pedantic(lambda: [gru_marginal_edge(float(q)) for q in grid], rounds=2)


@pytest.mark.parametrize("name", list(CELLS))
def test_all_fixed_points(benchmark, name):
    """Goal: all fixed points in under 0.2 s for a GRU and 3 s for an LSTM."""
    cell = CELLS[name]
    found = benchmark.pedantic(lambda: fixed_points(cell, Parameters.of(cell)), rounds=3)
    assert len(found) == 2


@pytest.mark.parametrize("name", list(CELLS))
def test_spectral_radius(benchmark, name):
    """Goal: under 0.2 s for a GRU and 5 s for an LSTM."""
    cell = CELLS[name]
    point = fixed_points(cell, Parameters.of(cell))[-1]
    benchmark.pedantic(lambda: point.spectral_radius, rounds=2)
