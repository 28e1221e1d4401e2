"""Shares of singular values that are 0 against ranks of sampled products."""

import numpy as np
import pytest

from rmt_jacobian.cells import Cell, gru, lstm, lstm_cell, lstm_peephole
from rmt_jacobian.cells.gru import gru_cell
from rmt_jacobian.pencils import BlockHistory
from rmt_jacobian.pencils.blocks.rank import lost_share
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


@pytest.mark.parametrize(
    ("gates", "sources"),
    [
        (((1, 4),), ((4, 4),)),  # few outputs of one W
        (((4, 4),), ((1, 4),)),  # few inputs
        (((1, 4), (4, 4)), ((4, 4), (2, 4))),  # outputs of one W, inputs of the other
        (((3, 4), (3, 4)), ((3, 4), (3, 4))),  # too many of all
    ],
)
def test_dead_ends_of_one_step(gates: tuple, sources: tuple) -> None:
    """J = sum_k B_k W_k Y_k with diagonal B and Y, some of whose entries are 0."""
    rng, width = np.random.default_rng(3), 40

    def alive(some: int, all_of_them: int) -> np.ndarray:
        return rng.permutation(np.arange(width) % all_of_them < some).astype(float)

    B, Y = [alive(*each) for each in gates], [alive(*each) for each in sources]
    K = len(B)
    step = [[[None]], [B], [[y] for y in Y], [[None] * K for _ in range(K)]]
    J = sum(b[:, None] * rng.standard_normal((width, width)) * y for b, y in zip(B, Y, strict=True))
    zeros = 1 - np.linalg.matrix_rank(J) / width
    found = lost_share([step], list(range(K)), np.full(width, 1 / width))
    assert found == pytest.approx(zeros, abs=1e-12)


def test_steps_that_no_weights_reach() -> None:
    a = np.array([0.3, 0.0, 0.7, 1.0])  # s' = a s, t' = s: of rank 1, a being seen through t alone
    step = ([[a, None], [1.0, None]], [[], []], [], [])
    assert lost_share([step], [], np.full(4, 0.25)) == 0.5
    assert lost_share([step, step], [], np.full(4, 0.25)) == pytest.approx(5 / 8)
