"""Shares of singular values that are 0 against ranks of sampled products."""

import numpy as np
import pytest

from rmt_jacobian.cells import Cell, gru, lstm, lstm_cell, lstm_peephole
from rmt_jacobian.cells.gru import gru_cell
from rmt_jacobian.pencils import BlockHistory
from tests.cells.two_gates import two_states
from tests.pencils.blocks import derivatives, sampled

CLIPPED = [
    lstm_cell(gate="hard-tanh", name="hard gates"),
    lstm_cell("relu", "hard-tanh", name="hard gates and relu"),
    lstm_cell("relu", "hard-tanh", peephole=True, name="hard peepholes"),
    gru_cell("relu", "hard-tanh", name="hard gru"),
]


@pytest.mark.parametrize("cell", [gru, lstm, lstm_peephole, two_states], ids=lambda c: c.name)
def test_smooth_cells_lose_nothing(cell: Cell) -> None:
    assert BlockHistory.of(derivatives(cell, 4, 64), cell).lost == 0


@pytest.mark.parametrize("cell", CLIPPED, ids=lambda c: c.name)
@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("seed", range(2))
def test_ranks_of_sampled_products(cell: Cell, steps: int, seed: int) -> None:
    sites = BlockHistory.of(derivatives(cell, steps, 48, seed), cell)
    found = sampled(sites, "gaussian", np.random.default_rng(seed))
    zeros = np.mean(found < 1e-11 * found.max())
    assert sites.lost == pytest.approx(float(zeros), abs=1e-9)
