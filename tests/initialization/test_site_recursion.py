"""The recursion of m_1 and m_2 on many sets of sites, beside that of one product's own sites."""

from typing import Any

import numpy as np
import pytest

from rmt_jacobian.cells import Cell, Parameters, cell_named
from rmt_jacobian.initialization.site_recursion import grown, spread_of, step_of
from rmt_jacobian.sampling import run_network
from rmt_jacobian.sampling.matrix_free.factors import StepFactors
from rmt_jacobian.sampling.matrix_free.site_moments import moments_on_sites

STEPS = 4


def _own(cell: Cell, run: Any, variances: Any, s_1: float) -> tuple[Any, Any]:
    steps = [step_of(cell, each.states, each.gates, each.x)[0] for each in run]
    change: Any = {(i, i): 1.0 for i in range(len(cell.states))}
    growth, mean = [], 1.0
    for step in steps:
        growth.append(grown(step, change, variances))
        change = growth[-1].after
        mean = mean * growth[-1].rate
    return mean, spread_of(steps, growth, variances, [s_1] * len(cell.gates))


@pytest.mark.parametrize("s_1", [0.0, -1.0])
@pytest.mark.parametrize(
    "name", ["vanilla", "minimalrnn", "gru", "gru-reset-after", "lstm", "lstm-peephole"]
)
def test_on_the_sites_of_a_network(name: str, s_1: float) -> None:
    cell = cell_named(name)
    values = {"weight_std": 1.7, "input_std": 0.8, "bias_mean": 0.3, "input_variance": 0.7}
    p = Parameters.of(cell, values)
    # Rows of an orthogonal W are of one length, so that both recursions are of the same averages.
    run = list(run_network(cell, p, weights="orthogonal", width=24, steps=STEPS,
                           rng=np.random.default_rng(3)))  # fmt: skip
    expected = moments_on_sites([StepFactors.of(step) for step in run], s_1=s_1)
    variances = [1.7**2] * len(cell.gates)
    mean, spread = _own(cell, run, variances, s_1)
    assert float(mean[0]) == pytest.approx(expected.mean, rel=1e-10)
    ratio = expected.second_moment / expected.mean**2
    assert float(spread[0]) == pytest.approx(ratio - 1, rel=1e-9)
