from typing import Any

import numpy as np
import pytest

from rmt_jacobian.cells import (
    Cell,
    Parameters,
    gru,
    gru_reset_after,
    lstm,
    lstm_peephole,
    minimalrnn,
    vanilla,
)
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling import NetworkStep, dense_jacobian, run_network
from tests.cells.two_gates import biases_of, two_gates, two_states

CELLS = [gru, gru_reset_after, lstm, lstm_peephole, vanilla, minimalrnn, two_gates, two_states]
WIDTH = 9


def drawn_step(cell: Cell, weights: Any, seed: int = 3) -> NetworkStep:
    values = {"weight_std": 1.3, "input_std": 0.7, "input_variance": 1.0, "bias_std": 0.2}
    rng = np.random.default_rng(seed)
    parameters = Parameters.of(cell, values, bias_kind=biases_of(cell))
    return next(run_network(cell, parameters, weights=weights, width=WIDTH, steps=1, rng=rng))


def stacked(blocks: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(blocks)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
def test_the_action_of_the_jacobian_is_that_of_its_dense_form(cell: Cell, weights: Any) -> None:
    step, states = drawn_step(cell, weights), len(cell.states)
    J = dense_jacobian(step)  # multiplied out over the cell's graph, without times or adjoint
    scale = abs(J).max()
    rng = np.random.default_rng(7)
    for shape in ((WIDTH,), (WIDTH, 1), (WIDTH, 4)):
        blocks = [rng.standard_normal(shape) for _ in range(states)]
        before = [block.copy() for block in blocks]
        for found, expected in (
            (step.times(blocks), J @ stacked(blocks)),
            (step.adjoint(blocks), J.T @ stacked(blocks)),
        ):
            assert [block.shape for block in found] == [shape] * states
            assert stacked(found) == pytest.approx(expected, abs=1e-13 * scale * WIDTH)
        assert all(np.array_equal(b, kept) for b, kept in zip(blocks, before, strict=True))


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
def test_adjoint_and_forward_products_agree(cell: Cell) -> None:
    step, states = drawn_step(cell, "orthogonal"), len(cell.states)
    rng = np.random.default_rng(8)
    v = [rng.standard_normal(WIDTH) for _ in range(states)]
    u = [rng.standard_normal(WIDTH) for _ in range(states)]
    right = sum(np.vdot(a, b) for a, b in zip(step.adjoint(u), v, strict=True))
    left = sum(np.vdot(a, b) for a, b in zip(u, step.times(v), strict=True))
    assert left == pytest.approx(right, rel=1e-12)


def test_one_block_for_each_state() -> None:
    step = drawn_step(lstm, "gaussian")
    for action in (step.times, step.adjoint):
        with pytest.raises(ParameterError, match="2 states needs one block for each, not 1"):
            action([np.zeros(WIDTH)])
