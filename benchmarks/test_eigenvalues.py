"""The law of the eigenvalues of one step: its boundary, and a map of its density."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from rmt_jacobian.cells import Cell, Parameters, gru, lstm
from rmt_jacobian.eigenvalues import EigenvalueLaw, eigenvalue_law
from rmt_jacobian.mean_field import Sites

STDS = {
    "gru": {"update.weight_std": 10.0, "reset.weight_std": 10.0, "candidate.weight_std": 3.0},
    "lstm": {"forget.weight_std": 10.0, "input.weight_std": 1.0, "output.weight_std": 10.0,
             "candidate.weight_std": 3.0},
}  # fmt: skip


def _law(cell: Cell, weights: str, sites: int = 4096) -> EigenvalueLaw:
    rng = np.random.default_rng(0)
    parameters = Parameters.of(cell, {**STDS[cell.name], "input_std": 0.0, "input_variance": 1.0})
    states = [np.tanh(rng.standard_normal(sites)) for _ in cell.states]
    stds = [0.6 * parameters[each.name].weight_std for each in cell.preactivations]
    gates = [std * rng.standard_normal(sites) for std in stds]
    return eigenvalue_law(Sites.of(cell, parameters, states, gates), weights=weights)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("cell", [gru, lstm], ids=lambda cell: cell.name)
def test_boundary(benchmark, cell, weights):
    """Goal: 200 points on 4096 sites in half a second, the elimination of the states included."""
    with threadpool_limits(1):
        benchmark.pedantic(lambda: _law(cell, weights).boundary(200), rounds=3)


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("cell", [gru, lstm], ids=lambda cell: cell.name)
def test_density_map(benchmark, cell, weights):
    """Goal: 100 x 100 points on 4096 sites in 30 s, and none of them without a solution."""
    law = _law(cell, weights)
    line = np.linspace(-1, 1, 100) * law.spectral_radius
    with threadpool_limits(1):
        found = benchmark.pedantic(lambda: law.density_map(line, line), rounds=1)
    assert np.isfinite(found).all()
